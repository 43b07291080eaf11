//! Remembered outcomes: which idempotency keys were used, for what, and where the answer stands in the journal.
//!
//! 32 bytes a row, in order of position, found through a sharded index of 4 bytes a row. Rows lie in chunks and the index
//! in shards, so that growing never moves more than a small part at once. A key lives exactly 31 days of ledger time:
//! pruning is a function of the entries' times alone, so that every replica forgets alike.

use alloc::{collections::VecDeque, vec::Vec};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Key, Position};

/// How long a key is remembered, and how old a dated message may be: 31 days.
pub const MEMORY_MS: u64 = 31 * 86_400_000;

/// Rows in a chunk.
const CHUNK: usize = 4096;
/// Index shards.
const SHARDS: usize = 256;

/// Marks a user's row in its time.
const USER: u64 = 1 << 63;

/// One remembered key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The account's slot.
    pub(crate) slot: u32,
    /// First 4 bytes of the content's digest.
    digest: [u8; 4],
    /// First 8 bytes of the key's fingerprint, in halves so that a row packs into 32 bytes.
    key: [u32; 2],
    /// The entry's time, and in the highest bit whether a user sent it.
    time_ms: [u32; 2],
    /// Where the first outcome stands.
    position: [u32; 2],
}

const _: () = assert!(size_of::<Row>() == 32, "a remembered outcome is 32 bytes");

const fn halves(value: u64) -> [u32; 2] {
    [(value >> 32) as u32, (value & 0xFFFF_FFFF) as u32]
}

const fn joined(halves: [u32; 2]) -> u64 {
    (halves[0] as u64) << 32 | halves[1] as u64
}

fn short(key: Key) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn mix(slot: u32, key: u64) -> u64 {
    // Keys are hashes already; the slot only has to move them apart.
    key ^ u64::from(slot).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Row {
    fn time(&self) -> u64 {
        joined(self.time_ms) & !USER
    }

    fn of_user(&self) -> bool {
        joined(self.time_ms) & USER != 0
    }

    fn hash(&self) -> u64 {
        mix(self.slot, joined(self.key))
    }
}

/// What is known of a command's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// Nothing: decide it.
    New,
    /// Used with the same content: the outcome at this position is the answer.
    Same(Position),
    /// Used with other content, by the entry at this position.
    Conflict(Position),
}

/// All remembered keys of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// All but the last are full.
    chunks: VecDeque<Vec<Row>>,
    /// Rows forgotten in the first chunk.
    forgotten: usize,
    /// Sequence number of the first row of the first chunk; wraps.
    base: u32,
    index: Vec<HashTable<u32>>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), forgotten: 0, base: 0, index: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

/// The shard of each of so many parts of all keys. The last shard has twice the first one's share: so they double at
/// different times, and no command waits for all of them.
static SHARD_OF: [u8; 8192] = shares();

#[expect(clippy::cast_possible_truncation, reason = "a shard's number is below SHARDS")]
const fn shares() -> [u8; 8192] {
    let mut shard_of = [0; 8192];
    // Shard n has a share of 255 + n.
    let (all, mut end) = (SHARDS * 255 + SHARDS * (SHARDS - 1) / 2, 255);
    let (mut part, mut shard) = (0, 0);
    while part < shard_of.len() {
        while part * all >= end * shard_of.len() {
            shard += 1;
            end += 255 + shard;
        }
        shard_of[part] = shard as u8;
        part += 1;
    }
    shard_of
}

fn shard(hash: u64) -> usize {
    usize::from(SHARD_OF[(hash >> 40) as usize % SHARD_OF.len()])
}

fn row_of(chunks: &VecDeque<Vec<Row>>, base: u32, sequence: u32) -> Row {
    let at = sequence.wrapping_sub(base) as usize;
    chunks[at / CHUNK][at % CHUNK]
}

/// The same index with room for twice as many. Left to itself it would ask for every one's hash when it moves that one, and wait for
/// each; here the rows of many are on their way at once.
fn with_room(index: &HashTable<u32>, hash_of: impl Fn(&u32) -> u64) -> HashTable<u32> {
    let mut roomy = HashTable::with_capacity(2 * index.len());
    let mut rest = index.iter();
    loop {
        let mut near = [(0, 0); 64];
        let mut count = 0;
        for (place, sequence) in near.iter_mut().zip(rest.by_ref()) {
            *place = (hash_of(sequence), *sequence);
            count += 1;
        }
        for (hash, sequence) in &near[..count] {
            roomy.insert_unique(*hash, *sequence, &hash_of);
        }
        if count < near.len() {
            return roomy;
        }
    }
}

impl Remembered {
    /// How many keys are remembered.
    pub(crate) fn len(&self) -> usize {
        self.end() - self.forgotten
    }

    /// Rows up to the last one, from the first one of the first chunk on.
    fn end(&self) -> usize {
        self.chunks.back().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    /// Makes room in the index for so many rows more, so that it does not grow under them.
    pub(crate) fn reserve(&mut self, rows: usize) {
        let mut parts = [0; SHARDS];
        for shard in SHARD_OF {
            parts[usize::from(shard)] += 1;
        }
        let (chunks, base) = (&self.chunks, self.base);
        for (index, parts) in self.index.iter_mut().zip(parts) {
            index.reserve(rows / SHARD_OF.len() * parts, |other| row_of(chunks, base, *other).hash());
        }
    }

    /// What is known of a key at `now_ms`. A key past its time is unknown, pruned or not.
    pub(crate) fn recall(&self, slot: u32, key: Key, digest: Digest, now_ms: u64) -> Recall {
        let key = short(key);
        let hash = mix(slot, key);
        let wanted = halves(key);
        let found = self.index[shard(hash)].find(hash, |sequence| {
            let row = row_of(&self.chunks, self.base, *sequence);
            row.slot == slot && row.key == wanted
        });
        let Some(row) = found.map(|sequence| row_of(&self.chunks, self.base, *sequence)) else {
            return Recall::New;
        };
        if row.time().saturating_add(MEMORY_MS) <= now_ms {
            return Recall::New;
        }
        let position = Position(joined(row.position));
        if row.digest == digest.0[..4] { Recall::Same(position) } else { Recall::Conflict(position) }
    }

    /// Looks where [`recall`](Self::recall) will look and where [`remember`](Self::remember) will write: a place in the index that
    /// is not in the cache holds up all that is written after it. The value says nothing; it only keeps the look from being
    /// left out.
    pub(crate) fn touch(&self, slot: u32, key: Key) -> i64 {
        let hash = mix(slot, short(key));
        let index = &self.index[shard(hash)];
        // A new row is indexed at the first free place from here on; a taken one beside it is in the same line of the cache.
        #[expect(clippy::cast_possible_truncation, reason = "the table takes as many bits as it has places")]
        let (first, last) = (hash as usize, index.num_buckets().wrapping_sub(1));
        let beside = (0..4).find_map(|step| index.get_bucket(first.wrapping_add(step) & last));
        i64::from(index.find(hash, |_| true).is_some()) ^ beside.map_or(0, |sequence| i64::from(*sequence))
    }

    /// Remembers a key; it must not be remembered already.
    pub(crate) fn remember(
        &mut self,
        slot: u32,
        user: bool,
        key: Key,
        digest: Digest,
        time_ms: u64,
        position: Position,
    ) {
        let [a, b, c, d, ..] = digest.0;
        self.push(Row {
            slot,
            digest: [a, b, c, d],
            key: halves(short(key)),
            time_ms: halves(if user { time_ms | USER } else { time_ms & !USER }),
            position: halves(position.0),
        });
    }

    /// Appends a row, in order of time.
    pub(crate) fn push(&mut self, row: Row) {
        if self.chunks.back().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push_back(Vec::with_capacity(CHUNK));
        }
        let at = self.end();
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap; memory ends far below 2^32 rows")]
        let sequence = self.base.wrapping_add(at as u32);
        if let Some(last) = self.chunks.back_mut() {
            last.push(row);
        }
        let hash = row.hash();
        let (chunks, base) = (&self.chunks, self.base);
        let index = &mut self.index[shard(hash)];
        let hash_of = |other: &u32| row_of(chunks, base, *other).hash();
        if index.len() == index.capacity() {
            *index = with_room(index, hash_of);
        }
        index.insert_unique(hash, sequence, hash_of);
    }

    /// Forgets the oldest key if it is past its time at `now_ms`; says whose it was, and whether a
    /// user sent it.
    pub(crate) fn forget_one(&mut self, now_ms: u64) -> Option<(u32, bool)> {
        if self.len() == 0 {
            return None;
        }
        let row = self.chunks.front()?[self.forgotten];
        if row.time().saturating_add(MEMORY_MS) > now_ms {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below CHUNK")]
        let sequence = self.base.wrapping_add(self.forgotten as u32);
        let hash = row.hash();
        if let Ok(entry) = self.index[shard(hash)].find_entry(hash, |other| *other == sequence) {
            entry.remove();
        }
        self.forgotten += 1;
        if self.forgotten == CHUNK {
            self.chunks.pop_front();
            self.forgotten = 0;
            #[expect(clippy::cast_possible_truncation, reason = "CHUNK is small")]
            let step = CHUNK as u32;
            self.base = self.base.wrapping_add(step);
        }
        Some((row.slot, row.of_user()))
    }

    /// How many of a user's own keys are past their time at `now_ms` and not pruned yet.
    pub(crate) fn past(&self, slot: u32, now_ms: u64) -> u32 {
        let past = self.rows().take_while(|row| row.time().saturating_add(MEMORY_MS) <= now_ms);
        past.filter(|row| row.slot == slot && row.of_user()).fold(0, |sum, _| sum + 1)
    }

    /// All rows, oldest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        (self.forgotten..self.end()).map(|at| &self.chunks[at / CHUNK][at % CHUNK])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_its_share() {
        let mut parts = [0; SHARDS];
        for shard in SHARD_OF {
            parts[usize::from(shard)] += 1;
        }
        assert!((20..=22).contains(&parts[0]) && (42..=43).contains(&parts[255]), "{} to {}", parts[0], parts[255]);
        assert!(SHARD_OF.is_sorted() && parts.windows(2).all(|pair| pair[0] <= pair[1] + 1));
    }

    /// As in a ledger of many months: as many keys are forgotten as come.
    #[test]
    fn what_is_forgotten_leaves_its_place_to_what_comes() {
        const KEPT: u64 = 60_000;
        let mut remembered = Remembered::default();
        let key = |n: u64| {
            let mut bytes = [0; 16];
            let hash = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            bytes[..8].copy_from_slice(&(hash ^ (hash >> 31)).to_le_bytes());
            Key(bytes)
        };
        for n in 0..6 * KEPT {
            remembered.remember(7, true, key(n), Digest::default(), n * MEMORY_MS / KEPT, Position(n));
            while remembered.forget_one(n * MEMORY_MS / KEPT).is_some() {}
        }
        let now_ms = 6 * MEMORY_MS - 1;
        for n in (5 * KEPT..6 * KEPT).step_by(7) {
            assert_eq!(remembered.recall(7, key(n), Digest::default(), now_ms), Recall::Same(Position(n)));
            assert_eq!(remembered.recall(7, key(n - 2 * KEPT), Digest::default(), now_ms), Recall::New);
        }
        assert_eq!(remembered.index.iter().map(HashTable::len).sum::<usize>(), remembered.len());
        let places = remembered.index.iter().map(HashTable::capacity).sum::<usize>();
        assert!(2 * places <= 5 * remembered.len(), "{places} places for {} keys", remembered.len());
    }

    /// From any number of rows to its double every shard doubles once: a few of them at any moment.
    #[test]
    fn shards_grow_one_after_the_other() {
        const STEP: u64 = 2_000;
        let mut remembered = Remembered::default();
        let (mut grown, mut most) = (0, 0);
        let mut key = 1_u64;
        for n in 0..200_000 {
            key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let hash = key ^ (key >> 29);
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&hash.to_le_bytes());
            let index = shard(mix(0, hash));
            let before = remembered.index[index].capacity();
            remembered.remember(0, true, Key(bytes), Digest::default(), n, Position(n));
            if n >= 100_000 {
                if n % STEP == 0 {
                    grown = 0;
                }
                grown += usize::from(remembered.index[index].capacity() > before);
                most = most.max(grown);
            }
        }
        assert!((1..=24).contains(&most), "{most} of {SHARDS} grew within {STEP} rows");
    }
}
