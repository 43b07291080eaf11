//! Holds: money set aside for an authorization, leg by leg.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::money::{Asset, Factor, Minor};

/// Money of one source in one asset, and what it is worth in the card's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// From the wallet of `asset`; else from the card's own balance.
    pub wallet: bool,
    /// Which asset.
    pub asset: Asset,
    /// How much of it.
    pub amount: Minor,
    /// What that is in the card's currency.
    pub billing: Minor,
    /// The rate between the two: card currency for one of the asset.
    pub rate: Factor,
}

/// What is no longer held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// In the card's currency.
    pub billing: Minor,
    /// Leg by leg.
    pub legs: Vec<Leg>,
}

/// Why a hold was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseCause {
    /// By the merchant or network.
    Reversed,
    /// Past its time.
    Expired,
    /// The rest after the last clearing.
    Cleared,
}

crate::codes! { ReleaseCause: 1 Reversed, 2 Expired, 3 Cleared }
