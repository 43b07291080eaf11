//! Checkpoints: of what ledger these views are, and how far each partition is applied. Written in the same batch as the
//! rows they speak of.

use florin_engine::ids::Position;
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// Version of keys and rows. Views of another one are rebuilt.
pub const SCHEMA: u32 = 6;

/// What the views are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) schema: u32,
    pub(crate) ledger: [u8; 16],
    pub(crate) partitions: u16,
}

impl Row for Meta {
    const NAME: &'static str = "what the views are of";
}

pub(crate) fn meta_key() -> Key {
    Key::of(Table::Meta)
}

/// How far a partition is applied. A record larger than a batch of rows is applied in steps, entry by entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) schema: u32,
    pub(crate) ledger: [u8; 16],
    pub(crate) partition: u16,
    /// The last record touched.
    pub(crate) index: u64,
    /// Its hash.
    pub(crate) hash: [u8; 32],
    /// How many of its entries are applied.
    pub(crate) entries: u32,
    /// Whether that is all of them.
    pub(crate) whole: bool,
    /// Time of the last entry applied, ms since 1970.
    pub(crate) time_ms: u64,
}

impl Row for Checkpoint {
    const NAME: &'static str = "checkpoints";
}

impl Checkpoint {
    /// The last entry applied; for a whole record without entries, the record's first place.
    pub(crate) const fn position(&self) -> Position {
        Position::new(self.index, self.entries.saturating_sub(1))
    }

    /// The record to read next, and how many of its entries to pass over.
    pub(crate) const fn next(&self) -> (u64, u32) {
        if self.whole { (self.index + 1, 0) } else { (self.index, self.entries) }
    }
}

pub(crate) fn key(partition: u16) -> Key {
    Key::of(Table::Checkpoint).u16(partition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn a_checkpoint_reads_back_and_says_what_comes_next() {
        let part = Checkpoint {
            schema: SCHEMA,
            ledger: [1; 16],
            partition: 2,
            index: 7,
            hash: [3; 32],
            entries: 40,
            whole: false,
            time_ms: 5,
        };
        assert_eq!(decode::<Checkpoint>(&encode(&part).expect("encodes")).expect("decodes"), part);
        assert_eq!(part.next(), (7, 40));
        assert_eq!(Checkpoint { whole: true, ..part }.next(), (8, 0));
        assert_eq!(part.position(), Position::new(7, 39));
    }
}
