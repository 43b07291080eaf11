//! Events: what happens of money beside purchases: wallets, invoices, top-ups, sweeps.

use serde::{Deserialize, Serialize};

use crate::{
    ids::CardId,
    money::{Asset, Country, Factor, Minor, Sealed, Text},
    policy::{CardKind, ProgrammeCode},
};

/// See [`super::Event::Deposited`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposited {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The wallet's balance after it.
    pub balance: Minor,
    /// The sender's reference.
    pub reference: Sealed,
}

/// See [`super::Event::Withdrawn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The wallet's balance after it.
    pub balance: Minor,
    /// The sender's reference.
    pub reference: Sealed,
}

/// See [`super::Event::WrittenOff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenOff {
    /// The card; nil: the wallet.
    pub card: CardId,
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The balance after it.
    pub balance: Minor,
    /// Why.
    pub reason: Sealed,
}

/// See [`super::Event::Overdrawn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdrawn {
    /// The card; nil: the wallet.
    pub card: CardId,
    /// Which asset.
    pub asset: Asset,
    /// The balance, below zero.
    pub balance: Minor,
}

/// See [`super::Event::InvoiceCreated`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceCreated {
    /// Its number, as shown to the user.
    pub number: u64,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// For what kind of card.
    pub kind: CardKind,
    /// For which country.
    pub country: Country,
    /// The courier; empty for virtual cards.
    pub provider: Text,
    /// Order fee, in `fiat`.
    pub order_fee: Minor,
    /// Delivery fee, in `fiat`.
    pub delivery_fee: Minor,
    /// What the fees are quoted in.
    pub fiat: Asset,
    /// What it is paid in.
    pub asset: Asset,
    /// How much of that.
    pub amount: Minor,
    /// Fiat for one token, fixed.
    pub rate: Factor,
    /// Until when it can be used, ms since 1970.
    pub expires_at_ms: u64,
}

/// See [`super::Event::InvoiceExpired`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceExpired {
    /// Its number.
    pub number: u64,
}

/// See [`super::Event::ToppedUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToppedUp {
    /// The card.
    pub card: CardId,
    /// Its currency.
    pub currency: Asset,
    /// What the card got.
    pub amount: Minor,
    /// The service fee, beside it.
    pub fee: Minor,
    /// The card's balance after it.
    pub card_balance: Minor,
    /// The wallet's balance after it.
    pub wallet_balance: Minor,
}

/// See [`super::Event::Unloaded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unloaded {
    /// The card.
    pub card: CardId,
    /// Its currency.
    pub currency: Asset,
    /// How much.
    pub amount: Minor,
    /// The card's balance after it.
    pub card_balance: Minor,
    /// The wallet's balance after it.
    pub wallet_balance: Minor,
}

/// See [`super::Event::Swept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The card.
    pub card: CardId,
    /// Its currency.
    pub currency: Asset,
    /// How much.
    pub amount: Minor,
    /// The wallet's balance after it.
    pub wallet_balance: Minor,
}
