//! Commands: what may be asked of purchases: authorizations, holds, clearings, refunds.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AuthorizationId, CardId},
    money::{Asset, Country, Minor, Text},
};

/// Where a purchase was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    /// Its name, at most 64 bytes.
    pub name: Text,
    /// Merchant category code, 0–9999.
    pub mcc: u16,
    /// Its country.
    pub country: Country,
}

/// See [`super::Command::Authorize`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorize {
    /// Which card.
    pub card: CardId,
    /// The id, minted from account and the network's id.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency; zero: an account check.
    pub amount: Minor,
    /// The currency it is billed in.
    pub currency: Asset,
    /// Where.
    pub merchant: Merchant,
    /// Whether the card itself was there.
    pub card_present: bool,
    /// Whether a PIN was given.
    pub pin_entered: bool,
}

/// See [`super::Command::Increment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Increment {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
    /// How much more.
    pub amount: Minor,
}

/// See [`super::Command::Clear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clear {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
    /// How much; `None`: what is still held.
    pub amount: Option<Minor>,
    /// Whether it is the last one, so that the rest is released.
    pub last: bool,
}

/// See [`super::Command::Reverse`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverse {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
    /// How much of what is held; `None`: all.
    pub amount: Option<Minor>,
}

/// See [`super::Command::ExpireHold`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireHold {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
}

/// See [`super::Command::Refund`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Which card.
    pub card: CardId,
    /// The purchase it belongs to; nil: none.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency; `None`: what was cleared and is not yet refunded.
    pub amount: Option<Minor>,
    /// Where.
    pub merchant: Merchant,
}

/// See [`super::Command::ForcePost`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForcePost {
    /// Which card.
    pub card: CardId,
    /// The id, minted from account and the network's id.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency.
    pub amount: Minor,
    /// Where.
    pub merchant: Merchant,
}
