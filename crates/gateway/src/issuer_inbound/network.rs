//! Sending network messages: the same for the issuer and the sandbox, so that what is tried in one holds in the other.

use florin_engine::{
    codec::Outcome,
    event::Event,
    ids::{AuthorizationId, Key},
    reject::Reason,
};
use florin_processor::Reply;
use florin_projector::{AuthorizationRow, CardRow, TransactionStatus};

use super::{
    message::{Message, Target},
    outcome::Answer,
};
use crate::ops::{
    desk::{Desk, Sending, accepted, public_digest},
    failure::Failure,
};

/// A message on its way.
pub struct Sent {
    /// The card it is about.
    pub target: Target,
    /// The authorization it is about; nil: a refund without a purchase.
    pub authorization: AuthorizationId,
    /// Tag of the credential.
    pub actor: u64,
    /// Its key.
    pub key: Key,
    /// Its own date, ms since 1970.
    pub dated_ms: u64,
    /// What it asks for.
    pub message: Message,
}

/// The card as messages name it.
pub fn target(desk: &Desk, card: &CardRow) -> Target {
    Target { account: card.account, card: card.card, currency: card.currency, decimals: desk.decimals(card.currency) }
}

/// The card of an authorization.
pub fn target_of(desk: &Desk, row: &AuthorizationRow) -> Target {
    Target { account: row.account, card: row.card, currency: row.currency, decimals: desk.decimals(row.currency) }
}

/// Sends a message. The reply is `None` where it was not decided in time, which only an authorization or increment can be: it
/// is then declined, and what was approved too late is reversed by the processor.
pub async fn send(desk: &Desk, sent: Sent) -> Result<(Option<Reply>, Answer), Failure> {
    let Sent { target, authorization, actor, key, dated_ms, message } = sent;
    let all = message.asks_for_all();
    let asks = matches!(message, Message::Authorize { .. } | Message::Increment { .. });
    let sending = Sending {
        account: target.account,
        actor,
        key,
        digest: public_digest(&message.content(desk.api, &target, authorization)),
        dated_ms,
        command: message.command(&target, authorization),
    };
    let reply = if asks {
        desk.send_within(sending, desk.gateway.settings().authorization_wait).await?
    } else {
        Some(desk.send(sending).await?)
    };
    let Some(reply) = reply else {
        return Ok((None, Answer::too_late(&target, authorization)));
    };
    if let Outcome::Rejected(reject) = &reply.outcome
        && reject.reason == Reason::AmountNotPositive
        && all
    {
        return Err(Failure::conflict("nothing_left", "Nothing is left of it to clear, reverse or refund."));
    }
    let events = accepted(&reply.outcome, Some("amount"), target.decimals)?;
    let answer = Answer::of(&target, authorization, events, |asset| desk.decimals(asset));
    if reply.replayed && asks && approves(events) && !stands(desk, &reply, authorization).await? {
        // The first answer may have come too late and have been reversed: nothing is held, so nothing is approved.
        return Ok((Some(reply), Answer::reversed(&target, authorization)));
    }
    Ok((Some(reply), answer))
}

fn approves(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Authorized(_) | Event::HoldIncremented(_)))
}

/// Whether an authorization that was approved before still holds or has posted anything.
async fn stands(desk: &Desk, reply: &Reply, authorization: AuthorizationId) -> Result<bool, Failure> {
    desk.seen(reply).await;
    let row = desk.ports().views.authorization(authorization);
    let row = row.map_err(|error| Failure::views(&error))?;
    Ok(row.is_none_or(|row| row.status != TransactionStatus::Failed))
}
