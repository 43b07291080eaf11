//! Commands: what may be asked of a card: issue, states, limits, settlement, reveals.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CardId, CardRequestId, RequestId},
    limits::LimitsUpdate,
    money::{Country, Minor, Sealed, Text},
    policy::{CardKind, ProgrammeCode},
    terms::{Change, RefusalCode, RevealKind},
};

/// See [`super::Command::IssueCard`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueCard {
    /// The id, minted from account and key.
    pub card: CardId,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// The initial balance, for a programme that has one.
    pub initial: Minor,
    /// Number of the invoice; 0: none.
    pub invoice: u64,
    /// The courier the caller named; empty: the invoice's.
    #[serde(default)]
    pub provider: Text,
    /// The delivery address's country, or the user's.
    pub country: Country,
    /// Card name, name on card, delivery address.
    #[serde(default)]
    pub profile: Sealed,
}

/// See [`super::Command::RequestCard`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCard {
    /// The id, minted from account and key; also the seed of the card's id.
    pub request: CardRequestId,
    /// The id of the card it becomes.
    pub card: CardId,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// Card name.
    #[serde(default)]
    pub profile: Sealed,
}

/// See [`super::Command::DecideCardRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideCardRequest {
    /// Which.
    pub request: CardRequestId,
    /// Whether it is approved.
    pub approved: bool,
    /// Why.
    #[serde(default)]
    pub reason: Sealed,
}

/// See [`super::Command::Activate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activate {
    /// Which card.
    pub card: CardId,
    /// Last four digits and expiry as the user read them; ops give none.
    pub tried: Option<Tried>,
}

/// What a user typed to activate a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Last four digits, 0–9999.
    pub last4: u16,
    /// Expiry in months since year 0: `year × 12 + month − 1`.
    pub expiry: u16,
}

/// See [`super::Command::ChangeStatus`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// Which card.
    pub card: CardId,
    /// To what.
    pub change: Change,
    /// Why, in words.
    #[serde(default)]
    pub reason: Sealed,
}

/// See [`super::Command::ChangeLimits`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLimits {
    /// Which card.
    pub card: CardId,
    /// What to set, clear and leave.
    pub update: LimitsUpdate,
}

/// See [`super::Command::SetNoPinAmount`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNoPinAmount {
    /// Which card.
    pub card: CardId,
    /// Most that is approved on a card-present purchase without a PIN.
    pub amount: Minor,
}

/// See [`super::Command::Settle`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// Which card.
    pub card: CardId,
    /// Which of its changes.
    pub request: RequestId,
    /// The issuer's answer.
    pub outcome: Outcome,
}

/// A definite answer of the issuer. Stored as (code, card made, refusal), so that its order here says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A card was made.
    Issued(Issued),
    /// A status or limit change was done.
    Done,
    /// It was refused, and will not be done.
    Refused(RefusalCode),
}

/// An outcome for people.
#[derive(Serialize, Deserialize)]
struct Told {
    #[serde(default)]
    issued: Option<Issued>,
    #[serde(default)]
    refused: Option<RefusalCode>,
    #[serde(default)]
    done: bool,
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let (issued, refused) = match self {
                Self::Issued(issued) => (Some(issued.clone()), None),
                Self::Done => (None, None),
                Self::Refused(refusal) => (None, Some(*refusal)),
            };
            return Told { issued, refused, done: matches!(self, Self::Done) }.serialize(serializer);
        }
        match self {
            Self::Issued(issued) => (1_u8, Some(issued), None::<RefusalCode>),
            Self::Done => (2, None, None),
            Self::Refused(refusal) => (3, None, Some(*refusal)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return match Told::deserialize(deserializer)? {
                Told { issued: Some(issued), refused: None, done: false } => Ok(Self::Issued(issued)),
                Told { issued: None, refused: None, done: true } => Ok(Self::Done),
                Told { issued: None, refused: Some(refusal), done: false } => Ok(Self::Refused(refusal)),
                _ => Err(serde::de::Error::custom("an outcome says one of issued, refused, done: true")),
            };
        }
        match <(u8, Option<Issued>, Option<RefusalCode>)>::deserialize(deserializer)? {
            (1, Some(issued), None) => Ok(Self::Issued(issued)),
            (2, None, None) => Ok(Self::Done),
            (3, None, Some(refusal)) => Ok(Self::Refused(refusal)),
            _ => Err(serde::de::Error::custom("unknown outcome")),
        }
    }
}

/// The card that the issuer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The issuer's id of the card.
    pub issuer_card: Text,
    /// First four digits.
    pub first4: u16,
    /// Last four digits.
    pub last4: u16,
    /// Expiry in months since year 0: `year × 12 + month − 1`; usable through that month.
    pub expiry: u16,
}

/// See [`super::Command::LapseChange`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LapseChange {
    /// Which card.
    pub card: CardId,
    /// Which of its changes.
    pub request: RequestId,
}

/// See [`super::Command::ConfirmReconcile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmReconcile {
    /// Which card.
    pub card: CardId,
    /// The change number that was asserted.
    pub change: u32,
}

/// See [`super::Command::ExpireCard`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireCard {
    /// Which card.
    pub card: CardId,
}

/// See [`super::Command::RecordReveal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReveal {
    /// Which card.
    pub card: CardId,
    /// What is shown.
    pub kind: RevealKind,
    /// From which address.
    #[serde(default)]
    pub address: Sealed,
}
