//! The ledger accounts and the trial balance.
//!
//! Kept as running sums per partition, kind of account and asset, so that the trial balance costs the same however
//! many wallets and cards there are. What wallets and cards owe (a balance below zero) is summed apart: it is a receivable.

use std::collections::BTreeMap;

use florin_engine::{fees::FeeKind, money::Asset};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// A kind of ledger account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerKind {
    /// All wallets: what users own.
    Wallets,
    /// All cards' own balances.
    Cards,
    /// The outside that deposits come from and withdrawals go to.
    Funding,
    /// Revenue of one fee.
    Revenue(FeeKind),
    /// Settlement with the card network.
    Network,
    /// Conversions between assets.
    Exchange,
    /// What was written off.
    WriteOff,
}

impl LedgerKind {
    /// The stable word, as the APIs show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wallets => "wallets",
            Self::Cards => "cards",
            Self::Funding => "funding",
            Self::Revenue(FeeKind::Issue) => "revenue.issue",
            Self::Revenue(FeeKind::Service) => "revenue.service",
            Self::Revenue(FeeKind::Order) => "revenue.order",
            Self::Revenue(FeeKind::Delivery) => "revenue.delivery",
            Self::Network => "network",
            Self::Exchange => "exchange",
            Self::WriteOff => "write_off",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Wallets => 1,
            Self::Cards => 2,
            Self::Funding => 3,
            Self::Network => 4,
            Self::Exchange => 5,
            Self::WriteOff => 6,
            Self::Revenue(fee) => 0x10 + fee.code(),
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Wallets,
            2 => Self::Cards,
            3 => Self::Funding,
            4 => Self::Network,
            5 => Self::Exchange,
            6 => Self::WriteOff,
            _ => Self::Revenue(FeeKind::from_code(code.checked_sub(0x10)?)?),
        })
    }
}

/// Sums of one kind of account in one asset and partition, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerRow {
    pub(crate) debits: i128,
    pub(crate) credits: i128,
    /// Sum of the balances below zero, as a positive number.
    pub(crate) owed: i128,
}

impl Row for LedgerRow {
    const NAME: &'static str = "ledger accounts";
}

pub(crate) fn key(partition: u16, kind: LedgerKind, asset: Asset) -> Key {
    Key::of(Table::Ledger).u16(partition).u8(kind.code()).asset(asset)
}

/// Kind and asset of a key.
pub(crate) fn of_key(key: &[u8]) -> Option<(LedgerKind, Asset)> {
    let code: &[u8; 8] = key.last_chunk()?;
    let kind = LedgerKind::from_code(*key.get(3)?)?;
    let text = std::str::from_utf8(code).ok()?;
    Some((kind, Asset::parse(text.trim_end_matches('\0'))?))
}

/// All postings of all partitions, asset by asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialBalance {
    /// By asset.
    pub assets: BTreeMap<Asset, AssetBalance>,
}

/// The postings in one asset, in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetBalance {
    /// All debits.
    pub debits: i128,
    /// All credits; equal to the debits.
    pub credits: i128,
    /// Account by account.
    pub accounts: BTreeMap<LedgerKind, LedgerBalance>,
    /// What wallets and cards owe: the sum of their balances below zero, as a positive number. A debit balance of its own, already
    /// left out of the liabilities of [`LedgerKind::Wallets`] and [`LedgerKind::Cards`].
    pub receivable: i128,
}

/// One kind of account in one asset, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerBalance {
    /// Its debits.
    pub debits: i128,
    /// Its credits.
    pub credits: i128,
    /// Credits less debits; for wallets and cards without what is below zero, so that all balances less the receivable are zero.
    pub balance: i128,
}

impl TrialBalance {
    pub(crate) fn add(&mut self, kind: LedgerKind, asset: Asset, row: LedgerRow) {
        let sums = self.assets.entry(asset).or_default();
        sums.debits += row.debits;
        sums.credits += row.credits;
        sums.receivable += row.owed;
        let account = sums.accounts.entry(kind).or_default();
        account.debits += row.debits;
        account.credits += row.credits;
        account.balance += row.credits - row.debits + row.owed;
    }

    /// The first asset whose debits are not its credits; `None`: it balances.
    pub fn unbalanced(&self) -> Option<Asset> {
        self.assets.iter().find(|(_, sums)| sums.debits != sums.credits).map(|(asset, _)| *asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_key() {
        let fees = FeeKind::ALL.iter().map(|fee| LedgerKind::Revenue(*fee));
        let others = [
            LedgerKind::Wallets,
            LedgerKind::Cards,
            LedgerKind::Funding,
            LedgerKind::Network,
            LedgerKind::Exchange,
            LedgerKind::WriteOff,
        ];
        for kind in fees.chain(others) {
            assert_eq!(of_key(key(513, kind, Asset::USD).as_slice()), Some((kind, Asset::USD)));
        }
    }

    #[test]
    fn what_is_owed_is_shown_apart_and_the_balances_still_sum_to_nothing() {
        let mut trial = TrialBalance::default();
        // One wallet has 70, another owes 20; outside gave 70, the network took 20.
        trial.add(LedgerKind::Wallets, Asset::USD, LedgerRow { debits: 20, credits: 70, owed: 20 });
        trial.add(LedgerKind::Funding, Asset::USD, LedgerRow { debits: 70, credits: 0, owed: 0 });
        trial.add(LedgerKind::Network, Asset::USD, LedgerRow { debits: 0, credits: 20, owed: 0 });
        let sums = &trial.assets[&Asset::USD];
        assert_eq!(sums.accounts[&LedgerKind::Wallets].balance, 70);
        assert_eq!(sums.receivable, 20);
        assert_eq!(sums.accounts.values().map(|account| account.balance).sum::<i128>() - sums.receivable, 0);
        assert_eq!(trial.unbalanced(), None);
    }
}
