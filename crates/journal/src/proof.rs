//! Proof that one entry is in a ledger's history, logarithmic in that history.
//!
//! From the entry up: its leaf leads to the entries root in the record's header; the header hashes to the record hash;
//! that leads to a peak of the mountain range; the peaks bag to the range root, which a [`SignedHead`](crate::SignedHead)
//! anchors. Building needs a provider, or the records in order; [`EntryProof::verify`] needs nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::header::Header;
use crate::mmr::{self, Range};
use crate::{Corruption, Error, HEADER_BYTES, Hash, Kind, Loose, PartitionId, Provider, merkle};

/// Everything but the entry and the range root. Plain fields, to be serialised as one likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// Which entry of its record, from 0.
    pub entry: u32,
    /// Hashes beside the way from the leaf to the entries root, lowest first.
    pub path: Vec<Hash>,
    /// The record's header as stored.
    pub header: [u8; HEADER_BYTES],
    /// Records that the range root covers.
    pub count: u64,
    /// Hashes beside the way from the record hash to its mountain's peak, lowest first.
    pub climb: Vec<Hash>,
    /// Peaks of the other mountains, largest first.
    pub peaks: Vec<Hash>,
}

impl EntryProof {
    /// Checks that `entry` is in the history with root `range`; returns its record's header, whose ledger, partition,
    /// index and times are thereby proven.
    pub fn verify(&self, entry: &[u8], range: Hash) -> Result<Header, Corruption> {
        let (header, hash) = Header::decode(&self.header)?;
        let root = merkle::climb_path(merkle::leaf(entry), self.entry, header.count, &self.path);
        if header.kind == Kind::Claim || root != Some(header.entries) {
            return Err(Corruption::Proof);
        }
        let mountain = Mountain::of(header.index, self.count).ok_or(Corruption::Proof)?;
        if self.climb.len() != mountain.height as usize {
            return Err(Corruption::Proof);
        }
        let peak = self.climb.iter().enumerate().fold(hash, |hash, (level, &beside)| {
            if (header.index - mountain.start) >> level & 1 == 1 {
                mmr::node(beside, hash)
            } else {
                mmr::node(hash, beside)
            }
        });
        let mut peaks = self.peaks.clone();
        if mountain.rank > peaks.len() {
            return Err(Corruption::Proof);
        }
        peaks.insert(mountain.rank, peak);
        match Range::from_peaks(self.count, peaks) {
            Some(proven) if proven.root() == range => Ok(header),
            _ => Err(Corruption::Proof),
        }
    }
}

/// Builds the proof of entry `entry` of record `index`, towards the range root of record `head`. Reads a number of
/// records that is quadratic in the history's logarithm.
pub async fn prove<P: Provider>(
    journal: &P,
    partition: PartitionId,
    index: u64,
    entry: u32,
    head: u64,
) -> Result<EntryProof, Error> {
    let record = journal.read(partition, index).await?;
    let mut nodes = BTreeMap::new();
    for at in needed(index, head) {
        nodes.insert(at, Node::of(&*journal.read(partition, at).await?));
    }
    assemble(&record, entry, head, &nodes).ok_or_else(|| Error::corrupt(partition, index, Corruption::Proof))
}

/// What a proof takes of a record on its way to a head.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    hash: Hash,
    mountain: Hash,
}

impl Node {
    /// That of a record.
    pub fn of(record: &Loose) -> Self {
        Self { hash: record.hash(), mountain: record.header().mountain }
    }
}

/// The records whose [`Node`]s the proof of record `index` towards record `head` needs, for whoever reads records in order;
/// none if `head` is before `index`.
pub fn needed(index: u64, head: u64) -> BTreeSet<u64> {
    let mut needed = BTreeSet::new();
    // The way depends on the places alone.
    let _ = way(index, head, &mut |at| {
        needed.insert(at);
        Some(Node { hash: Hash::ZERO, mountain: Hash::ZERO })
    });
    needed
}

/// The proof of entry `entry` of `record` towards the range root of record `head`, from the [`needed`] nodes; `None` if one
/// is missing, or there is no such entry.
pub fn assemble(record: &Loose, entry: u32, head: u64, nodes: &BTreeMap<u64, Node>) -> Option<EntryProof> {
    let path = merkle::path(record.body(), record.header().count, entry)?;
    let header = *record.bytes().first_chunk()?;
    let (climb, peaks) = way(record.index(), head, &mut |at| nodes.get(&at).copied())?;
    Some(EntryProof { entry, path, header, count: head.saturating_add(1), climb, peaks })
}

/// The hashes beside the way from record `index` to its mountain's peak, and the other peaks, as of record `head`.
fn way(index: u64, head: u64, node: &mut impl FnMut(u64) -> Option<Node>) -> Option<(Vec<Hash>, Vec<Hash>)> {
    let count = head.saturating_add(1);
    let mountain = Mountain::of(index, count)?;
    let mut climb = Vec::new();
    for level in 0..mountain.height {
        let block = (index - mountain.start) >> level;
        let end = mountain.start + (((block ^ 1) + 1) << level);
        climb.push(peak(level, end, head, node)?);
    }
    let mut peaks = Vec::new();
    for (rank, end) in Range::ends(count).enumerate() {
        if rank != mountain.rank {
            peaks.push(peak(end.trailing_zeros(), end, head, node)?);
        }
    }
    Some((climb, peaks))
}

/// Peak of the perfect tree of `2^height` records that ends before record `end`.
fn peak(mut height: u32, end: u64, head: u64, node: &mut impl FnMut(u64) -> Option<Node>) -> Option<Hash> {
    // Down the right edge: each left sibling is stored in the header of the record it ends at.
    let mut lefts = Vec::new();
    let mut hash = loop {
        if height == 0 {
            break node(end - 1)?.hash;
        }
        if end.trailing_zeros() == height && end <= head {
            break node(end)?.mountain;
        }
        height -= 1;
        lefts.push(node(end - (1 << height))?.mountain);
    };
    while let Some(left) = lefts.pop() {
        hash = mmr::node(left, hash);
    }
    Some(hash)
}

/// The mountain that a record is in.
struct Mountain {
    rank: usize,
    start: u64,
    height: u32,
}

impl Mountain {
    fn of(index: u64, count: u64) -> Option<Self> {
        Range::ends(count).enumerate().find(|&(_, end)| index < end).map(|(rank, end)| {
            let height = end.trailing_zeros();
            Self { rank, start: end - (1 << height), height }
        })
    }
}
