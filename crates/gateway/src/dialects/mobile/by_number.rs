//! `POST /api/v1/cards/get-by-number`: the issuer says which card it is, then it must be the user's own.
//!
//! The number passes through memory and is in no log, entry or error. Look-ups are limited per user, found or not, so that
//! nobody can try numbers; one that finds is an entry of the journal.

use axum::body::Body;
use florin_engine::{ids::CardId, terms::RevealKind};

use super::{Answer, Mobile, answer, call::Call, wire::Card};
use crate::http::{
    json::Fields,
    problem::{Dialect, Fault},
};

/// Digits of a card's number.
const DIGITS: usize = 16;

pub(super) async fn by_number(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let number = fields.text("card_number")?;
    if number.len() != DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fields.fault("card_number", Fault::Form("exactly 16 digits")).into());
    }
    call.gateway.count_look_up(call.account())?;
    let gateway = &call.gateway;
    let found = gateway.ask_issuer(gateway.ports().issuer.find_by_number(&number)).await?;
    let at = gateway.see(call.account(), &call.headers).await?;
    // An id that nobody has, where the issuer knows none: the same way to the same answer.
    let card = found.flatten().map_or(CardId::NIL, CardId::from);
    let row = call.card_of(card)?;
    gateway.record_reveal(Mobile::NAME, call.sender, card, RevealKind::ByNumber, call.address).await?;
    Ok(answer::read("Card retrieved successfully", Card::of(&call, &row)?, at))
}
