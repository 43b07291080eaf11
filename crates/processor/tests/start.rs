//! The stories of a loop that panics, and of a partition that cannot be recovered.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use florin_engine::{event::Event, ids::AccountId, money::Minor, postings};
use florin_journal::embedded::Embedded;
use florin_journal::{Error as JournalError, Hash, Head, Ledger, PartitionId, Provider, Record};
use florin_processor::{Error, Options, Processor, processor, recovery};
use support::{P0, World, deposit, signing, top_up};

/// Postings as the engine's, and a defect that a top-up of 13 finds.
fn defective(account: AccountId, event: &Event, out: &mut Vec<postings::Posting>) {
    postings::postings(account, event, out);
    if let Event::ToppedUp(event) = event {
        assert_ne!(event.amount, Minor(13), "a defect for the test");
    }
}

#[tokio::test]
async fn a_loop_that_panics_is_told_of_and_so_is_everybody_who_asks_it() {
    // Given a processor with a defect,
    let mut world = World::new();
    world.options.expand = defective;
    let mut run = world.start_furnished().await;
    // when a command finds it,
    let found = run.handle.submit(top_up("found", 13)).await;
    // then its caller is not left waiting,
    assert!(matches!(found, Err(Error::Stopped { .. })), "{found:?}");
    // the process is told that the partition has stopped,
    assert!(matches!(run.running.failed().await, processor::Error::Panicked(P0)));
    // and who comes later is told why.
    let later = run.handle.submit(deposit("later", 5)).await.unwrap_err();
    let Error::Stopped { reason } = later else { panic!("{later:?}") };
    assert_eq!(reason, "the loop of partition 0 panicked");
    run.stop().await.unwrap();
}

/// A journal whose partition 1 lacks what somebody remembers; counts claims.
#[derive(Clone)]
struct Lacking {
    journal: Embedded,
    claims: Arc<AtomicUsize>,
}

impl Provider for Lacking {
    type Writer = <Embedded as Provider>::Writer;
    type Reader = <Embedded as Provider>::Reader;

    fn ledger(&self) -> &Ledger {
        self.journal.ledger()
    }

    async fn claim(&self, partition: PartitionId) -> Result<Self::Writer, JournalError> {
        self.claims.fetch_add(1, Ordering::SeqCst);
        self.journal.claim(partition).await
    }

    async fn reader(&self, partition: PartitionId, from: u64) -> Result<Self::Reader, JournalError> {
        self.journal.reader(partition, from).await
    }

    async fn read(&self, partition: PartitionId, index: u64) -> Result<Record, JournalError> {
        self.journal.read(partition, index).await
    }

    async fn head(&self, partition: PartitionId) -> Result<Head, JournalError> {
        if partition == PartitionId(1) {
            return Err(JournalError::Shorter { partition, index: 9, next: 1 });
        }
        self.journal.head(partition).await
    }

    async fn confirm(&self, partition: PartitionId, index: u64, hash: Hash) -> Result<(), JournalError> {
        self.journal.confirm(partition, index, hash).await
    }
}

#[tokio::test]
async fn while_one_partition_cannot_be_recovered_none_is_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    Embedded::create(&path, 3, signing()).unwrap();
    let journal = Embedded::open(&path, signing()).unwrap();
    let claims = Arc::new(AtomicUsize::new(0));
    let lacking = Lacking { journal, claims: Arc::clone(&claims) };
    let partitions: Vec<_> = lacking.ledger().partitions().collect();
    let started = Processor::start(lacking, partitions, Options::default()).await;
    let error = started.err().unwrap();
    assert!(matches!(error, processor::Error::Recovery(recovery::Error::Journal { .. })), "{error:?}");
    assert_eq!(claims.load(Ordering::SeqCst), 0);
}
