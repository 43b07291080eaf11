//! Transactions: the lines of a card's and of a wallet's statement, newest first.
//!
//! A line is stored once per statement that shows it, since amount and direction depend on where one looks from. A
//! purchase is one line: it keeps its place while it goes from pending to completed or failed. How lines are stored:
//! `statements.rs`.

use std::{fmt, str::FromStr};

use florin_engine::{
    command::Merchant,
    ids::{AccountId, AuthorizationId, CardId, Position, TransactionId},
    money::{Asset, Minor, Sealed},
    terms::Decline,
};
use serde::{Deserialize, Serialize};

use crate::key::{Key, Place, Table};

/// What a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TransactionKind {
    /// Initial balance, wallet → card.
    Issue,
    /// Wallet → card.
    TopUp,
    /// Card → wallet.
    Unload,
    /// At a merchant: an authorization, or a force post.
    Purchase,
    /// From a merchant.
    Refund,
    /// A fee.
    Fee,
    /// What was left on a closing card, card → wallet.
    Sweep,
    /// Into a wallet from outside.
    Deposit,
    /// From a wallet to outside.
    Withdrawal,
    /// A debt that was written off.
    WriteOff,
}

impl TransactionKind {
    /// The stable word, as the APIs show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::TopUp => "top_up",
            Self::Unload => "unload",
            Self::Purchase => "purchase",
            Self::Refund => "refund",
            Self::Fee => "fee",
            Self::Sweep => "sweep",
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::WriteOff => "write_off",
        }
    }
}

/// Seen from the card or wallet whose statement it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// It gets the money.
    Credit,
    /// It gives the money.
    Debit,
}

impl Direction {
    /// The stable word, as the APIs show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Debit => "debit",
        }
    }
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TransactionStatus {
    /// Held, not yet cleared in full.
    Pending,
    /// Posted.
    Completed,
    /// Declined: no money moved.
    Declined,
    /// Reversed, expired, or given back because the issuance failed: no money moved in the end.
    Failed,
}

impl TransactionStatus {
    /// The stable word, as the APIs show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Declined => "declined",
            Self::Failed => "failed",
        }
    }
}

/// A line of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionRow {
    /// Its id: `transaction_id(partition, position, event)` for what an event is itself; its fees have ids of their own. The same on every
    /// statement that shows it.
    #[serde(skip)]
    pub id: TransactionId,
    /// The entry that made it.
    #[serde(skip)]
    pub position: Position,
    /// What it is.
    pub kind: TransactionKind,
    /// How much, above zero (a failed purchase: what was held at most), minor units of `currency`.
    pub amount: Minor,
    /// Of what: on a card's statement the card's currency, on a wallet's the wallet's asset.
    pub currency: Asset,
    /// Which way, seen from this statement.
    pub direction: Direction,
    /// How far it has come.
    pub status: TransactionStatus,
    /// Where, for purchases and refunds.
    pub merchant: Option<Merchant>,
    /// Why it was declined, with the figures of the moment.
    pub decline: Option<Decline>,
    /// The authorization it belongs to.
    pub authorization: Option<AuthorizationId>,
    /// The card it is about; `None` for deposits and withdrawals.
    pub card: Option<CardId>,
    /// Reference of a deposit or withdrawal, reason of a write-off: ciphertext.
    pub note: Sealed,
    /// When it began, ms since 1970.
    pub created_ms: u64,
    /// When its status last changed, ms since 1970.
    pub updated_ms: u64,
}

impl TransactionRow {
    pub(crate) fn new(
        kind: TransactionKind,
        direction: Direction,
        amount: Minor,
        currency: Asset,
        time_ms: u64,
    ) -> Self {
        Self {
            id: TransactionId::NIL,
            position: Position::default(),
            kind,
            amount,
            currency,
            direction,
            status: TransactionStatus::Completed,
            merchant: None,
            decline: None,
            authorization: None,
            card: None,
            note: Sealed::NONE,
            created_ms: time_ms,
            updated_ms: time_ms,
        }
    }
}

/// One statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Statement {
    Card(CardId),
    Wallet(AccountId, Asset),
}

impl Statement {
    pub(crate) fn prefix(self) -> Key {
        match self {
            Self::Card(card) => Key::of(Table::OfCard).bytes(&card.0),
            Self::Wallet(account, asset) => Key::of(Table::OfWallet).bytes(&account.0).asset(asset),
        }
    }

    pub(crate) const fn partition(self) -> u16 {
        match self {
            Self::Card(card) => card.partition(),
            Self::Wallet(account, _) => account.partition(),
        }
    }
}

/// Where the next page of a statement begins. Opaque: 26 hexadecimal digits; stays good while newer lines arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) place: Place,
    pub(crate) part: u8,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}{:02x}", self.place.position.0, self.place.event, self.part)
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let digits = text.len() == 26 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let (position, rest) = digits.then(|| text.split_at(16)).ok_or(BadCursor)?;
        let (event, part) = rest.split_at(8);
        let position = Position(u64::from_str_radix(position, 16).map_err(|_| BadCursor)?);
        let event = u32::from_str_radix(event, 16).map_err(|_| BadCursor)?;
        let part = u8::from_str_radix(part, 16).map_err(|_| BadCursor)?;
        Ok(Self { place: Place { position, event }, part })
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub rows: Vec<T>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_passes_for_one() {
        let cursor = Cursor { place: Place { position: Position::new(300, 40), event: 1 }, part: 2 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "0", "+0000000000000000000000000", "zz000000000000000000000000", "000000000000000000000000000"]
        {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
