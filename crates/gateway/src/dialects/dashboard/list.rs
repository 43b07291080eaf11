//! `GET /users/{userId}/cards`: the user's cards, newest first, numbers masked; closed ones are left out.

use axum::http::StatusCode;
use florin_engine::terms::Status;

use super::{
    Answer,
    call::Call,
    wire::{Card, Cards},
};
use crate::http::{plain::json, position::AS_OF, problem::Problem};

pub(super) async fn list(call: Call) -> Answer {
    let at = call.see().await?;
    let rows = call.gateway.ports().views.cards_of(call.account());
    let rows = rows.map_err(|error| Problem::internal("the views cannot be read", &error))?;
    let cards = rows
        .iter()
        .filter(|row| row.status != Status::Cancelled)
        .map(|row| {
            let name = call.card_name(row)?;
            Ok(Card::of(row, name, call.decimals(row.currency)))
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    let mut response = json(StatusCode::OK, &Cards { cards });
    response.headers_mut().insert(AS_OF, at.header());
    Ok(response)
}
