//! `POST /users/{userId}/cards/{cardId}/topup`: from the wallet to the card, durable when it is answered.
//!
//! The hot path: no views, no lock; the answer is made of the decision.

use axum::{body::Body, http::StatusCode};
use florin_engine::{command::TopUp, event::Event, ids::transaction_id, policy::Policy};

use super::{
    Answer, Dashboard,
    call::{CENTS, Call, at},
    wire::ToppedUp,
};
use crate::http::{
    amount::Money,
    idempotency::{Content, REPLAYED, REPLAYED_YES},
    json::Fields,
    plain::json,
    position::POSITION,
    problem::{Dialect, Problem},
};

pub(super) async fn top_up(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let amount = Fields::parse(&body)
        .and_then(|fields| fields.amount("amount", CENTS))
        .map_err(|problem| call.of_known_user(problem))?;
    let card = call.card()?;
    let key = call.key()?;
    let content = Content::of(Dashboard::NAME, "topup").with("card", card.0).amount("amount", amount);
    let command = TopUp { card, amount };
    let bounds = |policy: &Policy| Some(policy.programme(call.card_row().ok()?.programme)?.top_up);
    let (reply, events) = call.send(key, &content, command.into(), "amount", bounds).await?;
    let topped_up = (0..).zip(&events).find_map(|(n, event)| match event {
        Event::ToppedUp(topped_up) => Some((n, topped_up)),
        _ => None,
    });
    let Some((n, topped_up)) = topped_up else {
        tracing::error!("an accepted top-up moved nothing");
        return Err(Problem::Internal.into());
    };
    let id = transaction_id(reply.partition, reply.position, n);
    let body = ToppedUp {
        transaction_id: id.to_string(),
        amount: Money::cents(topped_up.amount),
        service_fee: Money::cents(topped_up.fee),
        total_deducted: Money::cents(topped_up.amount.fold_plus(topped_up.fee)),
        balance: Money::cents(topped_up.card_balance),
    };
    let mut response = json(StatusCode::OK, &body);
    let headers = response.headers_mut();
    headers.insert(POSITION, at(&reply, reply.position).header());
    if reply.replayed {
        headers.insert(REPLAYED, REPLAYED_YES);
    }
    Ok(response)
}
