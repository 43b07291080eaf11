//! Fees: what is taken at issue and on top-ups, and invoices that fix a fee in a token.

use serde::{Deserialize, Serialize};

use crate::money::{Asset, Minor};

/// What a fee is for; each is a revenue account of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeeKind {
    /// Fixed fee on issue.
    Issue,
    /// Percentage on the initial balance and on top-ups.
    Service,
    /// Order fee of an invoice.
    Order,
    /// Delivery fee of an invoice.
    Delivery,
}

crate::codes! { FeeKind: 1 Issue, 2 Service, 3 Order, 4 Delivery }

/// A fee that was taken from a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeTaken {
    /// What for.
    pub kind: FeeKind,
    /// What it was quoted in.
    pub fiat: Asset,
    /// How much of that.
    pub fee: Minor,
    /// What it was paid in.
    pub asset: Asset,
    /// How much of that.
    pub paid: Minor,
}
