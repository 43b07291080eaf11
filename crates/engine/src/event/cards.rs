//! Events: what happens of a card: issue, states, limits, settlement, reveals.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{
    command::Issued,
    fees::FeeTaken,
    ids::{CardId, CardRequestId},
    limits::Limits,
    money::{Asset, Minor, Sealed, Text},
    policy::{CardKind, Funding, ProgrammeCode},
    terms::{Cause, Change, RefusalCode, RevealKind, Status},
};

/// See [`super::Event::CardRequested`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequested {
    /// The card.
    pub card: CardId,
    /// Its numeric id.
    pub number: u64,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// How it is funded.
    pub funding: Funding,
    /// Its billing currency.
    pub currency: Asset,
    /// What moved from wallet to card.
    pub initial: Minor,
    /// The fees taken.
    pub fees: Vec<FeeTaken>,
    /// The invoice used; 0: none.
    pub invoice: u64,
    /// The courier; empty: none.
    pub provider: Text,
    /// The balance of the wallet that paid, after it.
    pub wallet_balance: Minor,
    /// Limits it begins with.
    pub limits: Limits,
    /// No-PIN amount it begins with.
    pub no_pin: Option<Minor>,
    /// The change number of the issuance.
    pub change: u32,
    /// When the issuance is past its time, ms since 1970.
    pub deadline_ms: u64,
    /// Card name, name on card, delivery address.
    pub profile: Sealed,
}

/// See [`super::Event::CardIssued`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardIssued {
    /// The card.
    pub card: CardId,
    /// What the issuer made.
    pub issued: Issued,
}

/// See [`super::Event::IssuanceFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuanceFailed {
    /// The card.
    pub card: CardId,
    /// Why.
    pub refusal: RefusalCode,
    /// Its currency.
    pub currency: Asset,
    /// What goes back from card to wallet.
    pub initial: Minor,
    /// The fees given back.
    pub fees: Vec<FeeTaken>,
    /// The invoice given back; 0: none.
    pub invoice: u64,
}

/// See [`super::Event::IssuanceAbandoned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuanceAbandoned {
    /// The card.
    pub card: CardId,
}

/// See [`super::Event::CardRequestOpened`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequestOpened {
    /// The request.
    pub request: CardRequestId,
    /// The card it becomes.
    pub card: CardId,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// Card name.
    pub profile: Sealed,
}

/// See [`super::Event::CardRequestDecided`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequestDecided {
    /// The request.
    pub request: CardRequestId,
    /// Whether it was approved.
    pub approved: bool,
    /// Why.
    pub reason: Sealed,
}

/// See [`super::Event::CardActivated`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardActivated {
    /// The card.
    pub card: CardId,
    /// By whom.
    pub cause: Cause,
}

/// See [`super::Event::ActivationFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationFailed {
    /// The card.
    pub card: CardId,
    /// How many wrong tries there are now.
    pub tries: u8,
}

/// See [`super::Event::StatusChangeRequested`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChangeRequested {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
    /// What was asked.
    pub what: Change,
    /// The state it leads to.
    pub target: Status,
    /// Who asked.
    pub cause: Cause,
    /// When it is past its time, ms since 1970.
    pub deadline_ms: u64,
    /// Whether it took the place of another pending change.
    pub overtakes: bool,
    /// Why, in words.
    pub reason: Sealed,
}

/// See [`super::Event::StatusChanged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChanged {
    /// The card.
    pub card: CardId,
    /// From.
    pub from: Status,
    /// To.
    pub to: Status,
    /// Whose doing.
    pub cause: Cause,
    /// For a block: for fraud.
    pub fraud: bool,
}

/// See [`super::Event::LimitsChangeRequested`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsChangeRequested {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
    /// The limits asked for.
    pub target: Limits,
    /// The limits that bind from now on: the lower of old and new, one by one.
    pub binding: Limits,
    /// When it is past its time, ms since 1970.
    pub deadline_ms: u64,
}

/// See [`super::Event::LimitsChanged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsChanged {
    /// The card.
    pub card: CardId,
    /// The limits now.
    pub limits: Limits,
}

/// See [`super::Event::ChangeRefused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRefused {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
    /// Why.
    pub refusal: RefusalCode,
}

/// See [`super::Event::ChangeLapsed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLapsed {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
}

/// See [`super::Event::ChangeOverdue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOverdue {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
}

/// See [`super::Event::ReconcileStarted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileStarted {
    /// The card.
    pub card: CardId,
    /// The change number to assert under.
    pub change: u32,
}

/// See [`super::Event::Reconciled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The card.
    pub card: CardId,
    /// The change number that was asserted.
    pub change: u32,
}

/// See [`super::Event::NoPinAmountSet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoPinAmountSet {
    /// The card.
    pub card: CardId,
    /// The amount.
    pub amount: Minor,
}

/// See [`super::Event::FraudCleared`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FraudCleared {
    /// The card.
    pub card: CardId,
}

/// See [`super::Event::SettlementIgnored`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementIgnored {
    /// The card.
    pub card: CardId,
}

/// See [`super::Event::Revealed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revealed {
    /// The card.
    pub card: CardId,
    /// What was shown.
    pub kind: RevealKind,
    /// From which address.
    pub address: Sealed,
}
