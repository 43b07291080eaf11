//! The first record of a partition: what the ledger is.

use crate::header::Header;
use crate::{Batch, Corruption, Hash, Kind, LedgerId, PartitionId, record::Loose};

/// Hash functions of this ledger; 1 is BLAKE3 with the contexts of [`crate::hash::context`].
const HASH_VERSION: u16 = 1;

/// Size of genesis' only entry: partitions, hash version, hash of partition 0's genesis.
const ENTRY_BYTES: usize = 36;

/// What a ledger is, fixed at its creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Its random name.
    pub id: LedgerId,
    /// Number of partitions, never changed.
    pub partitions: u16,
    /// Hash of partition 0's genesis, which names this ledger more strongly than its id.
    pub genesis: Hash,
}

impl Ledger {
    /// Every partition, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        (0..self.partitions).map(PartitionId)
    }

    /// Reads a ledger from the genesis of partition 0.
    pub fn from_genesis(first: &Loose) -> Result<Self, Corruption> {
        let (partitions, quoted) = decode(first)?;
        if first.partition().0 != 0 || quoted != Hash::ZERO {
            return Err(Corruption::Genesis);
        }
        Ok(Self { id: first.ledger(), partitions, genesis: first.hash() })
    }

    /// Checks that `genesis` begins one of this ledger's partitions.
    pub fn check_genesis(&self, genesis: &Loose) -> Result<(), Corruption> {
        let (partitions, quoted) = decode(genesis)?;
        if genesis.ledger() != self.id {
            return Err(Corruption::Ledger(genesis.ledger()));
        }
        let quotes = if genesis.partition().0 == 0 { Hash::ZERO } else { self.genesis };
        let same = genesis.partition().0 != 0 || genesis.hash() == self.genesis;
        if partitions != self.partitions || quoted != quotes || !same || genesis.partition().0 >= partitions {
            return Err(Corruption::Genesis);
        }
        Ok(())
    }
}

/// Seals a genesis record. `first` is the hash of partition 0's, zero for that one itself.
pub fn genesis(ledger: LedgerId, partition: PartitionId, partitions: u16, first: Hash) -> Result<Loose, Corruption> {
    let mut entry = [0; ENTRY_BYTES];
    entry[..2].copy_from_slice(&partitions.to_le_bytes());
    entry[2..4].copy_from_slice(&HASH_VERSION.to_le_bytes());
    entry[4..].copy_from_slice(&first.0);
    let mut batch = Batch::new();
    batch.push(0, &entry).map_err(|_| Corruption::Body)?;
    let header = Header {
        kind: Kind::Genesis,
        partition,
        ledger,
        term: 0,
        nonce: [0; 16],
        index: 0,
        durable: 0,
        previous: Hash::ZERO,
        range: crate::mmr::Range::new().root(),
        mountain: Hash::ZERO,
        first_time_ms: 0,
        last_time_ms: 0,
        count: 1,
        body_bytes: 0,
        entries: Hash::ZERO,
    };
    Loose::seal(header, batch.buffer)
}

fn decode(genesis: &Loose) -> Result<(u16, Hash), Corruption> {
    let entry: &[u8; ENTRY_BYTES] =
        genesis.entry(0).and_then(|entry| entry.try_into().ok()).ok_or(Corruption::Genesis)?;
    let mut first = Hash::ZERO;
    first.0.copy_from_slice(&entry[4..]);
    let partitions = u16::from_le_bytes([entry[0], entry[1]]);
    let hashes = u16::from_le_bytes([entry[2], entry[3]]);
    if genesis.kind() != Kind::Genesis || genesis.len() != 1 || hashes != HASH_VERSION || partitions == 0 {
        return Err(Corruption::Genesis);
    }
    Ok((partitions, first))
}
