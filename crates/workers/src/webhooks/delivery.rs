//! A webhook to be delivered, how far a company's webhooks are taken in, and the stored form of both.
//!
//! ```text
//! delivery := version u8 = 1 · kind u8 · account [16] · card [16] · tries u32 · next_ms u64 · died_ms u64 (0: alive)
//!             · length u8 · company (UTF-8) · last error (UTF-8, the rest)
//! cursor   := version u8 = 1 · position u64 · number u32 · record index u64 · record hash [32]      (integers little-endian)
//! ```

use florin_engine::ids::{AccountId, CardId, Position};
use florin_journal::Hash;

use super::source::Due;
use crate::queue::{Checkpoint, shortened};

/// Version of both stored forms.
const VERSION: u8 = 1;
/// Bytes of a delivery before the company.
const HEAD_BYTES: usize = 1 + 1 + 16 + 16 + 4 + 8 + 8 + 1;
/// Bytes of a cursor.
const CURSOR_BYTES: usize = 1 + 8 + 4 + 8 + 32;

/// Where something due stands in its partition. Ordered as things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Position of the entry.
    pub position: Position,
    /// Tells apart what one entry makes due, in its order.
    pub number: u32,
}

impl Mark {
    /// Behind everything of an entry.
    pub const fn end_of(position: Position) -> Self {
        Self { position, number: u32::MAX }
    }

    /// Before everything of an entry.
    pub const fn before(position: Position) -> Self {
        Self { position: Position(position.0.saturating_sub(1)), number: u32::MAX }
    }
}

/// What is told. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The card as the list shows it.
    Card = 1,
    /// Its limits and usage.
    Limits = 2,
}

impl Kind {
    /// The path behind the company's base URL (apis.md, Webhooks).
    pub const fn path(self) -> &'static str {
        match self {
            Self::Card => "/v2/webhooks/cards",
            Self::Limits => "/v2/webhooks/card-limits",
        }
    }
}

/// A webhook on its way. Its partition is the account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it stands.
    pub mark: Mark,
    /// What it tells.
    pub kind: Kind,
    /// To whom.
    pub company: String,
    /// Of whose card.
    pub account: AccountId,
    /// Of which card.
    pub card: CardId,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, ms since 1970.
    pub next_ms: u64,
    /// Since when it is a dead letter, ms since 1970.
    pub died_ms: Option<u64>,
    /// What went wrong the last time; empty: nothing yet.
    pub error: String,
}

impl Delivery {
    /// What is due to a company, not tried yet.
    pub(crate) fn of(company: &str, due: &Due) -> Self {
        Self {
            mark: due.mark,
            kind: due.kind,
            company: company.to_owned(),
            account: due.account,
            card: due.card,
            tries: 0,
            next_ms: 0,
            died_ms: None,
            error: String::new(),
        }
    }

    /// The same with all its tries before it.
    pub(crate) fn fresh(self) -> Self {
        Self { tries: 0, next_ms: 0, died_ms: None, ..self }
    }

    /// The partition it is of.
    pub const fn partition(&self) -> u16 {
        self.account.partition()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.company.len() + self.error.len());
        bytes.extend_from_slice(&[VERSION, self.kind as u8]);
        bytes.extend_from_slice(&self.account.0);
        bytes.extend_from_slice(&self.card.0);
        bytes.extend_from_slice(&self.tries.to_le_bytes());
        bytes.extend_from_slice(&self.next_ms.to_le_bytes());
        bytes.extend_from_slice(&self.died_ms.unwrap_or(0).to_le_bytes());
        let company = &self.company.as_bytes()[..self.company.len().min(255)];
        bytes.push(u8::try_from(company.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(company);
        bytes.extend_from_slice(shortened(&self.error).as_bytes());
        bytes
    }

    pub(crate) fn decode(mark: Mark, bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let kind = match (head[0], head[1]) {
            (VERSION, 1) => Kind::Card,
            (VERSION, 2) => Kind::Limits,
            _ => return None,
        };
        let (company, error) = rest.split_at_checked(usize::from(head[HEAD_BYTES - 1]))?;
        let died_ms = u64::from_le_bytes(head[46..54].try_into().ok()?);
        Some(Self {
            mark,
            kind,
            company: std::str::from_utf8(company).ok()?.to_owned(),
            account: AccountId(head[2..18].try_into().ok()?),
            card: CardId(head[18..34].try_into().ok()?),
            tries: u32::from_le_bytes(head[34..38].try_into().ok()?),
            next_ms: u64::from_le_bytes(head[38..46].try_into().ok()?),
            died_ms: (died_ms > 0).then_some(died_ms),
            error: std::str::from_utf8(error).ok()?.to_owned(),
        })
    }
}

/// How far a company's webhooks of a partition are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last that was taken in.
    pub mark: Mark,
    /// The last record that the source knew then.
    pub checkpoint: Checkpoint,
}

impl Cursor {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.mark.position.0.to_le_bytes());
        bytes.extend_from_slice(&self.mark.number.to_le_bytes());
        bytes.extend_from_slice(&self.checkpoint.index.to_le_bytes());
        bytes.extend_from_slice(&self.checkpoint.hash.0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CURSOR_BYTES] =
            bytes.try_into().ok().filter(|bytes: &&[u8; CURSOR_BYTES]| bytes[0] == VERSION)?;
        Some(Self {
            mark: Mark {
                position: Position(u64::from_le_bytes(bytes[1..9].try_into().ok()?)),
                number: u32::from_le_bytes(bytes[9..13].try_into().ok()?),
            },
            checkpoint: Checkpoint {
                index: u64::from_le_bytes(bytes[13..21].try_into().ok()?),
                hash: Hash(bytes[21..53].try_into().ok()?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_delivery_is_what_it_always_was() {
        let delivery = Delivery {
            mark: Mark { position: Position::new(4, 2), number: 3 },
            kind: Kind::Limits,
            company: "demo".into(),
            account: AccountId([1; 16]),
            card: CardId([2; 16]),
            tries: 3,
            next_ms: 0x0102,
            died_ms: Some(5),
            error: "500".into(),
        };
        let golden = [
            &[1, 2][..],
            &[1; 16],
            &[2; 16],
            &[3, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0],
            &[5, 0, 0, 0, 0, 0, 0, 0],
            &[4],
            b"demo500",
        ]
        .concat();
        assert_eq!(delivery.encode(), golden);
        assert_eq!(Delivery::decode(delivery.mark, &golden), Some(delivery));
        for cut in 0..golden.len() - 3 {
            assert_eq!(Delivery::decode(Mark::default(), &golden[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_stored_cursor_is_what_it_always_was() {
        let cursor = Cursor {
            mark: Mark { position: Position(0x0102), number: 7 },
            checkpoint: Checkpoint { index: 9, hash: Hash([8; 32]) },
        };
        let golden = [&[1, 2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0][..], &[8; 32]].concat();
        assert_eq!(cursor.encode(), golden);
        assert_eq!(Cursor::decode(&golden), Some(cursor));
        assert_eq!(Cursor::decode(&golden[1..]), None);
    }
}
