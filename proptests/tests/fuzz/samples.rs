//! Sound things to start from: the entries of the engine's grand tour, which has every kind of command and event, and a journal of them.

use florin_engine::{
    codec::{Entry, Outcome},
    event::Event,
    evolve::evolve,
    ids::Position,
    reject::Reject,
    state::State,
};
use florin_journal::{
    Batch, Hash, Loose, PartitionId, Provider, Record, SignedHead, SigningKey, Writer,
    embedded::Embedded,
    proof::{self, EntryProof},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const TOUR: &[u8] = include_bytes!("../../../crates/engine/tests/stories/grand_tour.entries");

/// Partitions of the sample journal.
pub const PARTITIONS: u16 = 2;

/// Stored entries.
pub fn entries() -> Vec<Vec<u8>> {
    let mut rest = TOUR;
    let mut entries = vec![];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (entry, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        entries.push(entry.to_vec());
        rest = after;
    }
    assert!(entries.len() > 50, "the tour is long");
    entries
}

pub fn outcome(outcome: &Outcome) -> Result<&[Event], &Reject> {
    match outcome {
        Outcome::Accepted(events) => Ok(events),
        Outcome::Rejected(reject) => Err(reject),
    }
}

/// The states after a third, two thirds and all of the entries.
pub fn states() -> Vec<State> {
    let entries = entries();
    let mut state = State::new(0, 1);
    let mut states = vec![];
    for (n, bytes) in entries.iter().enumerate() {
        let entry = Entry::decode(bytes).unwrap();
        evolve(&mut state, Position::new(n as u64 + 1, 0), &entry.admitted, outcome(&entry.outcome));
        if (n + 1) % (entries.len() / 3) == 0 {
            states.push(state.clone());
        }
    }
    states
}

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A journal on disk with what was read out of it.
pub struct Journal {
    _dir: TempDir,
    pub provider: Embedded,
    pub runtime: Runtime,
    /// All records of partition 0.
    pub records: Vec<Record>,
    /// Its head, signed.
    pub head: SignedHead,
}

impl Journal {
    /// Genesis, a claim, and the entries in records of various sizes; partition 1 has a record of them, too.
    pub fn write() -> Self {
        let runtime = Runtime::new().unwrap();
        let (provider, records, head, dir) = runtime.block_on(Self::written());
        Self { provider, runtime, records, head, _dir: dir }
    }

    async fn written() -> (Embedded, Vec<Record>, SignedHead, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        Embedded::create(&dir.path().join("journal"), PARTITIONS, key()).unwrap();
        let journal = Embedded::open(&dir.path().join("journal"), key()).unwrap();
        let entries = entries();
        let mut head = None;
        for partition in [PartitionId(1), PartitionId(0)] {
            let mut writer = journal.claim(partition).await.unwrap();
            let (mut rest, mut time_ms) = (&entries[..], 1_000);
            for size in [1, 2, 3, 7, 1, 20] {
                let (some, others) = rest.split_at(size);
                rest = others;
                let mut batch = Batch::new();
                for entry in some {
                    time_ms += 1;
                    batch.push(time_ms, entry).unwrap();
                }
                writer.submit(batch).await.unwrap();
                writer.acked().await.unwrap();
                if partition.0 == 1 {
                    break;
                }
            }
            head = Some(writer.sign_head().await.unwrap());
        }
        let head = head.unwrap();
        let mut records = vec![];
        for index in 0..=head.head.index {
            records.push(journal.read(PartitionId(0), index).await.unwrap());
        }
        (journal, records, head, dir)
    }

    /// The records' bytes.
    pub fn stored(&self) -> Vec<Vec<u8>> {
        self.records.iter().map(|record| record.bytes().to_vec()).collect()
    }

    /// Proofs of entries here and there, with the entries.
    pub fn proofs(&self) -> Vec<(EntryProof, Vec<u8>)> {
        let mut proofs = vec![];
        for (index, entry) in [(0, 0), (2, 0), (5, 6), (7, 0), (7, 13), (7, 19)] {
            let proof = proof::prove(&self.provider, PartitionId(0), index, entry, self.head.head.index);
            let proof = self.runtime.block_on(proof).unwrap();
            let index = usize::try_from(index).unwrap();
            proofs.push((proof, self.records[index].entry(entry).unwrap().to_vec()));
        }
        proofs
    }

    /// The root that proofs lead to.
    pub fn range(&self) -> Hash {
        self.head.head.range
    }
}

/// A record by itself.
pub fn loose(record: &Record) -> Loose {
    (**record).clone()
}
