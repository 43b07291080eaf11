//! Wallets: one per account and asset, once money touched it.

use florin_engine::{
    ids::{AccountId, Position},
    money::{Asset, Minor},
};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// A wallet as of [`WalletRow::position`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletRow {
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub asset: Asset,
    /// Posted balance, minor units; below zero: owed.
    pub balance: Minor,
    /// Held of it for authorizations.
    pub held: Minor,
    /// When it last changed, ms since 1970.
    pub updated_ms: u64,
    /// The last entry that changed it.
    pub position: Position,
}

impl WalletRow {
    pub(crate) const fn empty(account: AccountId, asset: Asset) -> Self {
        Self { account, asset, balance: Minor::ZERO, held: Minor::ZERO, updated_ms: 0, position: Position(0) }
    }

    /// What can be spent. Balances were checked when they were decided.
    pub const fn available(&self) -> Minor {
        self.balance.fold_minus(self.held)
    }
}

impl Row for WalletRow {
    const NAME: &'static str = "wallets";
}

pub(crate) fn of_account(account: AccountId) -> Key {
    Key::of(Table::Wallet).bytes(&account.0)
}

pub(crate) fn key(account: AccountId, asset: Asset) -> Key {
    of_account(account).asset(asset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn a_wallet_reads_back_as_written() {
        let row = WalletRow {
            balance: Minor(-3),
            held: Minor(4),
            updated_ms: 5,
            position: Position::new(6, 7),
            ..WalletRow::empty(AccountId([1; 16]), Asset::USD)
        };
        assert_eq!(decode::<WalletRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
        assert_eq!(row.available(), Minor(-7));
    }
}
