//! `GET /api/v1/cards/{uuid}`: one of the user's cards. The hot path: one read of the views, one text opened.

use super::{
    Answer, answer,
    call::{Call, Param},
    wire::Card,
};

pub(super) async fn card(call: Call, id: Param) -> Answer {
    let card = id.uuid("uuid")?.into();
    let at = call.gateway.see(call.account(), &call.headers).await?;
    let row = call.card_of(card)?;
    let card = Card::of(&call, &row)?;
    Ok(answer::read("Card retrieved successfully", card, at))
}
