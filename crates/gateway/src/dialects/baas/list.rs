//! `GET /api/v1/cards`: all cards of the user, whichever programme they were issued under, newest first.

use super::{
    Answer,
    call::{Call, read},
    wire::{Card, Cards},
};
use crate::{http::problem::Problem, ops::desk::now_ms, people};

pub(super) async fn list(call: Call) -> Answer {
    let at = call.see().await?;
    call.account_row()?;
    let policy = call.policy()?;
    let ports = call.gateway.ports();
    let rows = ports.views.cards_of(call.account());
    let rows = rows.map_err(|error| Problem::internal("the views cannot be read", &error))?;
    let now_ms = now_ms();
    let data = rows
        .iter()
        .map(|row| Ok(Card::of(row, people::profile(&ports.vault, row)?, &policy, now_ms)))
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(read(at, &Cards { data }))
}
