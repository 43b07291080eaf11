//! The Merkle mountain range over the record hashes of a partition.
//!
//! Its leaves are record hashes. After `n` records there is one perfect tree ("mountain") per set bit of `n`, largest
//! first; its peaks, bagged from the right and bound to `n`, are the range root.

use crate::Hash;
use crate::hash::{KEYS, keyed, pair};

/// Peaks of the range over the first `count` records: at most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    count: u64,
    peaks: Vec<Hash>,
}

impl Range {
    /// The range over no record.
    pub fn new() -> Self {
        Self::default()
    }

    /// A range from its peaks, largest first. `None` unless there is one per set bit of `count`.
    pub fn from_peaks(count: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == count.count_ones() as usize).then_some(Self { count, peaks })
    }

    /// Ends of the mountains over `count` records: the peak of the one that ends at `e` is the `mountain` of
    /// header `e`.
    pub fn ends(count: u64) -> impl Iterator<Item = u64> {
        (0..64).rev().filter(move |bit| count >> bit & 1 == 1).map(move |bit| count >> bit << bit)
    }

    /// Appends a record's hash.
    pub fn push(&mut self, hash: Hash) {
        let mut peak = hash;
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                peak = node(left, peak);
            }
        }
        self.peaks.push(peak);
        self.count += 1;
    }

    /// Number of records.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Peaks, largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The last (smallest) mountain's peak; zero if there is none.
    pub fn mountain(&self) -> Hash {
        self.peaks.last().copied().unwrap_or(Hash::ZERO)
    }

    /// Range root: keyed hash of `count (u64 LE) ‖ bagged peaks`.
    pub fn root(&self) -> Hash {
        let bag = self.peaks.iter().rev().copied().reduce(|bag, peak| node(peak, bag)).unwrap_or(Hash::ZERO);
        let mut input = [0; 40];
        input[..8].copy_from_slice(&self.count.to_le_bytes());
        input[8..].copy_from_slice(&bag.0);
        keyed(&KEYS.range, &input)
    }
}

/// Inner node of a mountain, and of the bag.
pub fn node(left: Hash, right: Hash) -> Hash {
    pair(&KEYS.mountain, left, right)
}
