//! Settlement's commands, and what becomes of them.

use std::time::Duration;

use florin_engine::{
    codec::Outcome as Decided,
    command::{Class, Command, ConfirmReconcile, Envelope, Outcome, Settle},
    ids::{AccountId, CardId, RequestId},
    reject::{Reason, Reject, Retry},
};
use florin_processor::Error;

use crate::derive;
use crate::engine::Engine;

/// How often a busy partition is asked again at once, before the item is given back.
const BUSY_TRIES: u32 = 8;

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Submitted {
    /// Decided; or nothing waits for it any more.
    Settled,
    /// Not decided, or decided as *later*: the same may be sent again.
    Later(String),
    /// Refused for good.
    Refused(Reject),
}

/// The command that settles a request. The same answer is the same command: a second copy is a replay.
pub(crate) fn settle(account: AccountId, card: CardId, request: RequestId, outcome: Outcome, now_ms: u64) -> Envelope {
    let content = content(card, request, &outcome);
    derive::envelope(account, Class::Settlement, Settle { card, request, outcome }.into(), &content, 0, now_ms)
}

/// The command that confirms an assertion.
pub(crate) fn confirm(account: AccountId, card: CardId, change: u32, now_ms: u64) -> Envelope {
    let content = [&card.0[..], &change.to_le_bytes()].concat();
    let command: Command = ConfirmReconcile { card, change }.into();
    derive::envelope(account, Class::Settlement, command, &content, 0, now_ms)
}

fn content(card: CardId, request: RequestId, outcome: &Outcome) -> Vec<u8> {
    let mut content = [card.0, request.0].concat();
    match outcome {
        Outcome::Issued(issued) => {
            content.push(1);
            content.extend_from_slice(&issued.first4.to_le_bytes());
            content.extend_from_slice(&issued.last4.to_le_bytes());
            content.extend_from_slice(&issued.expiry.to_le_bytes());
            content.extend_from_slice(issued.issuer_card.as_bytes());
        }
        Outcome::Done => content.push(2),
        Outcome::Refused(refusal) => content.extend_from_slice(&[3, refusal.code()]),
    }
    content
}

/// Sends a command, patient with a busy partition.
pub(crate) async fn submit<E: Engine>(engine: &E, envelope: Envelope) -> Submitted {
    for _ in 0..BUSY_TRIES {
        let reply = match engine.submit(envelope.clone()).await {
            Ok(reply) => reply,
            Err(Error::Busy { retry_after_ms }) => {
                tokio::time::sleep(Duration::from_millis(retry_after_ms)).await;
                continue;
            }
            Err(error) => return Submitted::Later(error.to_string()),
        };
        return match reply.outcome {
            Decided::Accepted(_) => Submitted::Settled,
            Decided::Rejected(reject) if reject.reason == Reason::NothingPending => Submitted::Settled,
            Decided::Rejected(reject) if reject.reason.retry() == Retry::Later => Submitted::Later(reject.to_string()),
            Decided::Rejected(reject) => Submitted::Refused(reject),
        };
    }
    Submitted::Later("the partition is busy".into())
}
