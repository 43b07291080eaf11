//! A ledger on the embedded journal in a temporary directory, with users and their processor.

use std::sync::Arc;

use florin_engine::{codec::Outcome, command::Envelope};
use florin_journal::{PartitionId, SigningKey, embedded::Embedded};
use florin_processor::{Handle, ManualClock, Options, Processor, Running};
use tempfile::TempDir;

use crate::top_ups;

/// A ledger of one partition that runs.
pub struct Ledger {
    /// Where it lies; gone when this is dropped.
    pub dir: TempDir,
    /// Its journal.
    pub journal: Embedded,
    /// Where commands go.
    pub handle: Handle,
    running: Running,
}

/// Commands a batch may have when users are made.
const BATCH: usize = 8_000;

impl Ledger {
    /// Makes one with `users` users.
    pub async fn with(users: u32) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let key = SigningKey::from_bytes(&[7; 32]);
        Embedded::create(&dir.path().join("journal"), 1, key.clone()).expect("an empty directory");
        let journal = Embedded::open(&dir.path().join("journal"), key).expect("a fresh ledger");
        // The commands are dated, so the clock stands where they begin.
        let options = Options { clock: Arc::new(ManualClock::new(top_ups::START_MS)), ..Options::default() };
        let started = Processor::start(journal.clone(), [PartitionId(0)], options).await;
        let (handle, running) = started.expect("an empty journal");
        let ledger = Self { dir, journal, handle, running };
        ledger.decide(std::iter::once(top_ups::adopt()).chain((0..users).flat_map(top_ups::user))).await;
        ledger
    }

    /// Has commands decided, in batches; every one must be accepted.
    pub async fn decide(&self, commands: impl IntoIterator<Item = Envelope>) {
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let batch = commands.by_ref().take(BATCH).collect();
            let replies = self.handle.submit_batch(0, batch).await.expect("a processor that runs");
            for reply in replies {
                assert!(matches!(reply.outcome, Outcome::Accepted(_)), "{:?}", reply.outcome);
            }
        }
    }

    /// Stops the processor; the journal can be read on.
    pub async fn stop(self) -> (TempDir, Embedded) {
        self.running.stop().await.expect("a clean end");
        (self.dir, self.journal)
    }
}
