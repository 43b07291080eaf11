//! Commands: what may be asked of money beside purchases: wallets, invoices, top-ups, sweeps.

use serde::{Deserialize, Serialize};

use crate::{
    ids::CardId,
    money::{Asset, Country, Minor, Sealed, Text},
    policy::{CardKind, ProgrammeCode},
};

/// See [`super::Command::Deposit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The sender's reference.
    #[serde(default)]
    pub reference: Sealed,
}

/// See [`super::Command::Withdraw`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The sender's reference.
    #[serde(default)]
    pub reference: Sealed,
}

/// See [`super::Command::WriteOff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOff {
    /// The card; nil: the wallet.
    pub card: CardId,
    /// Which asset.
    pub asset: Asset,
    /// How much of what is owed.
    pub amount: Minor,
    /// Why.
    #[serde(default)]
    pub reason: Sealed,
}

/// See [`super::Command::CreateInvoice`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateInvoice {
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// For what kind of card.
    pub kind: CardKind,
    /// For which country.
    pub country: Country,
    /// The courier; empty for virtual cards.
    #[serde(default)]
    pub provider: Text,
    /// What it is to be paid in.
    pub asset: Asset,
}

/// See [`super::Command::ExpireInvoice`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireInvoice {
    /// Its number.
    pub number: u64,
}

/// See [`super::Command::TopUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    /// Which card.
    pub card: CardId,
    /// How much the card gets; the service fee comes on top.
    pub amount: Minor,
}

/// See [`super::Command::Unload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unload {
    /// Which card.
    pub card: CardId,
    /// How much.
    pub amount: Minor,
}
