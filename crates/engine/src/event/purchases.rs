//! Events: what happens of purchases: authorizations, holds, clearings, refunds.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{
    command::Merchant,
    holds::{Leg, Release, ReleaseCause},
    ids::{AuthorizationId, CardId},
    money::{Asset, Minor},
    terms::Decline,
};

/// See [`super::Event::Authorized`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorized {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency.
    pub amount: Minor,
    /// The card's currency.
    pub currency: Asset,
    /// What is held for it, where.
    pub legs: Vec<Leg>,
    /// When the hold expires, ms since 1970.
    pub expires_at_ms: u64,
    /// Where.
    pub merchant: Merchant,
}

/// See [`super::Event::Declined`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much was asked for.
    pub amount: Minor,
    /// The card's currency.
    pub currency: Asset,
    /// Why, with the figures of the moment.
    pub decline: Decline,
    /// Where.
    pub merchant: Merchant,
}

/// See [`super::Event::AccountChecked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountChecked {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// Where.
    pub merchant: Merchant,
}

/// See [`super::Event::HoldIncremented`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldIncremented {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much more.
    pub amount: Minor,
    /// What is held for it, beside what was.
    pub legs: Vec<Leg>,
}

/// See [`super::Event::IncrementDeclined`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrementDeclined {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much was asked for.
    pub amount: Minor,
    /// Why, with the figures of the moment.
    pub decline: Decline,
}

/// See [`super::Event::Cleared`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// The card's currency.
    pub currency: Asset,
    /// What was drawn from the hold, by its own rates.
    pub held: Vec<Leg>,
    /// What was drawn beyond the hold, at the rates of now.
    pub excess: Vec<Leg>,
    /// Whether it is the last clearing.
    pub last: bool,
}

/// See [`super::Event::HoldReleased`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldReleased {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// Why.
    pub cause: ReleaseCause,
    /// What is no longer held.
    pub release: Release,
    /// Whether the hold is closed by it.
    pub closes: bool,
}

/// See [`super::Event::Refunded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The card.
    pub card: CardId,
    /// The purchase it belongs to; nil: none.
    pub authorization: AuthorizationId,
    /// The card's currency.
    pub currency: Asset,
    /// What is credited against what the purchase drew, by its own rates.
    pub linked: Vec<Leg>,
    /// What is credited beside that, at the rates of now.
    pub unlinked: Vec<Leg>,
    /// Where.
    pub merchant: Merchant,
}

/// See [`super::Event::ForcePosted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForcePosted {
    /// The card.
    pub card: CardId,
    /// The authorization that it makes, or belongs to.
    pub authorization: AuthorizationId,
    /// The card's currency.
    pub currency: Asset,
    /// What was drawn.
    pub legs: Vec<Leg>,
    /// Where.
    pub merchant: Merchant,
}

/// See [`super::Event::ReversalRemembered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReversalRemembered {
    /// The card.
    pub card: CardId,
    /// The authorization that is still to come.
    pub authorization: AuthorizationId,
}
