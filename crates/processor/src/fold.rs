//! Folding the journal into a state: the one way from records to state, for recovery and snapshots. Of a command nothing is read but
//! that it is known here: what came of it stands in the events.

use florin_engine::{
    codec::{self, Entry, Outcome, Unread},
    evolve::evolve,
    ids::Position,
    state::State,
};
use florin_journal::{Kind, PartitionId, Record};

/// Entries of which what they need of the state is fetched together.
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

/// What a record has to be folded; its memory is used again for the next one.
#[derive(Default)]
pub struct Decoded {
    index: u64,
    count: usize,
    /// The first `count` are the record's.
    entries: Vec<Entry<Unread>>,
}

impl Decoded {
    /// Decodes a record; returns how many entries there are to fold. Genesis and claims have none.
    pub fn read(&mut self, record: &Record) -> Result<u64, Error> {
        (self.index, self.count) = (record.index(), 0);
        let count = if record.kind() == Kind::Entries { record.len() } else { 0 };
        if self.entries.len() < count {
            self.entries.resize_with(count, Entry::blank);
        }
        for ((n, bytes), entry) in (0..).zip(record.entries()).zip(&mut self.entries[..count]) {
            let position = Position::new(self.index, n);
            entry.read(bytes).map_err(|source| Error { partition: record.partition(), position, source })?;
        }
        self.count = count;
        Ok(count as u64)
    }

    /// Folds them into the state that the record extends; none after an error.
    pub fn fold(&self, state: &mut State) {
        let mut positions = (0..).map(|n| Position::new(self.index, n));
        for chunk in self.entries[..self.count].chunks(CHUNK) {
            state.touch(chunk.iter().map(|entry| &entry.admitted.envelope));
            for (entry, position) in chunk.iter().zip(&mut positions) {
                let outcome = match &entry.outcome {
                    Outcome::Accepted(events) => Ok(events.as_slice()),
                    Outcome::Rejected(reject) => Err(reject),
                };
                evolve(state, position, &entry.admitted, outcome);
            }
        }
    }
}
