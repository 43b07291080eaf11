//! Folding the journal into a state: the one way from records to state, for recovery, snapshots and audits.

use florin_engine::{
    codec::{self, Entry, Outcome},
    evolve::evolve,
    ids::Position,
    state::State,
};
use florin_journal::{Kind, PartitionId, Record};

/// Entries decoded before they are folded, so that what they need of the state is fetched together.
const CHUNK: usize = 64;

/// An entry that cannot be folded.
#[derive(Debug, thiserror::Error)]
#[error(
    "partition {partition}: entry {position} cannot be read: it is damaged, or of a newer version than this binary"
)]
pub struct Error {
    /// Which partition.
    pub partition: PartitionId,
    /// Which entry.
    pub position: Position,
    /// What is wrong with it.
    #[source]
    pub source: codec::Error,
}

/// Folds a record into the state it extends; returns how many entries it had. Genesis and claims change nothing.
pub fn fold(state: &mut State, record: &Record) -> Result<u64, Error> {
    if record.kind() != Kind::Entries {
        return Ok(0);
    }
    let (mut encoded, mut n) = (record.entries(), 0);
    let mut entries = Vec::with_capacity(CHUNK);
    loop {
        for bytes in encoded.by_ref().take(CHUNK) {
            let position = Position::new(record.index(), n);
            let failed = |source| Error { partition: record.partition(), position, source };
            entries.push((position, Entry::decode(bytes).map_err(failed)?));
            n += 1;
        }
        if entries.is_empty() {
            break;
        }
        state.touch(entries.iter().map(|(_, entry)| &entry.admitted.envelope));
        for (position, entry) in entries.drain(..) {
            let outcome = match &entry.outcome {
                Outcome::Accepted(events) => Ok(events.as_slice()),
                Outcome::Rejected(reject) => Err(reject),
            };
            evolve(state, position, &entry.admitted, outcome);
        }
    }
    Ok(record.len() as u64)
}
