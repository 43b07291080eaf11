//! What an issuer answers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A definite answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer<T> {
    /// Carried out, durably.
    Done(T),
    /// Not carried out, and never will be under this request id.
    Refused(Refusal),
}

/// Why an issuer refuses. The codes are stable; as words they are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[repr(u8)]
pub enum Refusal {
    /// The issuer does not want to.
    #[error("declined by the issuer")]
    Declined = 1,
    /// The change number is lower than the last one accepted for the card.
    #[error("a newer change was accepted before")]
    Stale = 2,
    /// The issuer has no card with this id.
    #[error("no such card at the issuer")]
    UnknownCard = 3,
    /// The card is closed for ever.
    #[error("the card is terminated")]
    Terminated = 4,
    /// The request id stands for another request, or the card id for another issuance.
    #[error("the id was used for something else")]
    Conflict = 5,
    /// The issuance was given up.
    #[error("the issuance was abandoned")]
    Abandoned = 6,
    /// The request breaks the contract.
    #[error("the request is not valid")]
    Invalid = 7,
    /// The card has no such thing (a virtual card's PIN), or not in its status (a code of a frozen card).
    #[error("not available for this card")]
    NotAvailable = 8,
}

impl Refusal {
    /// The stable number of the refusal.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// When a card ends: with the last day of this month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Expiry {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
}

/// A card that was made. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The issuer's own id of the card.
    pub issuer_card_id: String,
    /// First four digits of the number.
    pub first4: u16,
    /// Last four digits of the number (shown with leading zeros).
    pub last4: u16,
    /// End of the card.
    pub expiry: Expiry,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// The issuer never saw it, or has not begun.
    NotFound,
    /// Being worked on: ask again.
    InProgress,
    /// Done; with the card if it was an issuance.
    Done(Option<Issued>),
    /// Refused, or abandoned.
    Refused(Refusal),
}

/// How giving up an issuance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abandoned {
    /// There is no card and never will be one.
    NeverMade,
    /// The card had been made and is now terminated.
    Terminated,
}

/// An answer that came unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LateAnswer {
    /// To an issuance.
    Issue {
        /// The request it answers.
        request_id: Uuid,
        /// Our id of the card.
        card_id: Uuid,
        /// The answer.
        answer: Answer<Issued>,
    },
    /// To a change of status.
    Status {
        /// The request it answers.
        request_id: Uuid,
        /// Our id of the card.
        card_id: Uuid,
        /// The answer.
        answer: Answer<()>,
    },
    /// To a change of limits.
    Limits {
        /// The request it answers.
        request_id: Uuid,
        /// Our id of the card.
        card_id: Uuid,
        /// The answer.
        answer: Answer<()>,
    },
}
