//! `POST /api/v1/cards/{uuid}/transfer`, from wallet to card, and `…/withdraw`, from card to wallet; durable when answered.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    command::{TopUp, Unload},
    event::Event,
    ids::{CardId, TransactionId, transaction_id},
    money::Minor,
};
use florin_processor::Reply;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Mobile, answer,
    call::{CENTS, Call, Param},
};
use crate::http::{
    amount::Money,
    idempotency::Content,
    json::Fields,
    problem::{Dialect, Failure, Problem},
};

/// Money that was moved.
#[derive(Serialize, ToSchema)]
pub(super) struct Moved {
    /// Its id among the card's transactions.
    #[schema(format = "uuid")]
    transaction_id: String,
    /// What was moved.
    #[schema(value_type = f64, example = 10.00)]
    amount: Money,
    /// The fee beside it.
    #[schema(value_type = f64, example = 0.00)]
    fee: Money,
    /// What is on the card after it.
    #[schema(value_type = f64, example = 110.00)]
    balance: Money,
    /// Of what.
    #[schema(example = "USD")]
    currency: String,
}

impl Moved {
    fn new(id: TransactionId, [amount, fee, balance]: [Minor; 3], currency: String, decimals: u8) -> Self {
        let [amount, fee, balance] = [amount, fee, balance].map(|minor| Money::new(minor, decimals));
        Self { transaction_id: id.to_string(), amount, fee, balance, currency }
    }
}

/// What is asked: which card, how much of its currency, of how many decimals.
struct Asked {
    card: CardId,
    amount: Minor,
    decimals: u8,
}

async fn asked(call: &Call, id: &Param, body: Body) -> Result<Asked, Problem> {
    let card = id.uuid("uuid")?.into();
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    fields.amount("amount", CENTS)?;
    // A card that is not there, or somebody else's, is told so by the engine.
    let row = call.gateway.card_of(call.account(), card)?;
    let decimals = row.map_or(CENTS, |row| call.decimals(row.currency));
    Ok(Asked { card, amount: fields.amount("amount", decimals)?, decimals })
}

pub(super) async fn transfer(call: Call, id: Param, body: Body) -> Answer {
    let Asked { card, amount, decimals } = asked(&call, &id, body).await?;
    let content = Content::of(Mobile::NAME, "transfer").with("card", card.0).amount("amount", amount);
    let (reply, events) = call.send(call.key()?, &content, TopUp { card, amount }, Some("amount")).await?;
    let moved = find(&reply, &events, |id, event| match event {
        Event::ToppedUp(it) => {
            Some(Moved::new(id, [it.amount, it.fee, it.card_balance], it.currency.to_string(), decimals))
        }
        _ => None,
    })?;
    Ok(answer::written(StatusCode::OK, "Transfer completed successfully", moved, &reply, reply.position))
}

pub(super) async fn withdraw(call: Call, id: Param, body: Body) -> Answer {
    let Asked { card, amount, decimals } = asked(&call, &id, body).await?;
    let content = Content::of(Mobile::NAME, "withdraw").with("card", card.0).amount("amount", amount);
    let (reply, events) = call.send(call.key()?, &content, Unload { card, amount }, Some("amount")).await?;
    let moved = find(&reply, &events, |id, event| match event {
        Event::Unloaded(it) => {
            Some(Moved::new(id, [it.amount, Minor::ZERO, it.card_balance], it.currency.to_string(), decimals))
        }
        _ => None,
    })?;
    Ok(answer::written(StatusCode::OK, "Withdrawal completed successfully", moved, &reply, reply.position))
}

/// The event that moved the money, with the id of its transaction.
fn find(
    reply: &Reply,
    events: &[Event],
    of: impl Fn(TransactionId, &Event) -> Option<Moved>,
) -> Result<Moved, Failure<Mobile>> {
    let moved = (0..).zip(events).find_map(|(n, event)| of(transaction_id(reply.partition, reply.position, n), event));
    moved.ok_or_else(|| {
        tracing::error!("an accepted transfer moved nothing");
        Problem::Internal.into()
    })
}
