//! The queue of one process. Time is tokio's and stands still unless all wait.

use std::time::Duration;

use florin_journal::{Hash, LedgerId};
use florin_workers::queue::{Checkpoint, Depth, Embedded, Error, Lease, Queue, Settings};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::contract::{CAPACITY, Kit, contract, item};

const LEDGER: LedgerId = LedgerId([5; 16]);

struct World {
    dir: TempDir,
    open: Option<Embedded>,
}

impl World {
    fn queue_of(&self, ledger: LedgerId) -> Embedded {
        let settings = Settings { lease: Self::LEASE, capacity: CAPACITY };
        Embedded::open(&self.dir.path().join("queue.redb"), ledger, settings).unwrap()
    }
}

impl Kit for World {
    type Queue = Embedded;
    const LEASE: Duration = Duration::from_secs(30);

    async fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), open: None }
    }

    async fn queue(&mut self) -> Embedded {
        if self.open.is_none() {
            self.open = Some(self.queue_of(LEDGER));
        }
        self.open.clone().unwrap()
    }

    async fn crash(&mut self) -> Embedded {
        self.open = None;
        self.queue().await
    }

    async fn passes(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    async fn ready(&self, queue: &Embedded) -> Option<Lease> {
        timeout(Duration::ZERO, queue.take()).await.ok().map(Result::unwrap)
    }
}

contract!(World, #[tokio::test(start_paused = true)]);

#[tokio::test(start_paused = true)]
async fn what_is_put_off_comes_exactly_when_its_delay_is_over() {
    let queue = World::new().await.queue().await;
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    let begun = Instant::now();
    queue.nak(lease, Duration::from_secs(7), false).await.unwrap();
    let _ = queue.take().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn another_ledgers_queue_is_emptied_and_a_damaged_file_put_aside() {
    let mut world = World::new().await;
    let reached = Checkpoint { index: 9, hash: Hash([3; 32]) };
    world.queue_of(LEDGER).enqueue(vec![item(1, 2)], Some((0, reached))).await.unwrap();
    let queue = world.queue_of(LedgerId([6; 16]));
    assert_eq!((queue.depth().await.unwrap(), queue.reached(0).await.unwrap()), (Depth::default(), None));
    drop(queue);
    std::fs::write(world.dir.path().join("queue.redb"), b"this is no database, and long enough to be looked at")
        .unwrap();
    let queue = world.queue().await;
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 1);
    assert!(world.dir.path().join("queue.redb.damaged").exists());
}

#[tokio::test(start_paused = true)]
async fn a_second_process_on_the_file_is_told_so() {
    let mut world = World::new().await;
    let _queue = world.queue().await;
    let second = Embedded::open(&world.dir.path().join("queue.redb"), LEDGER, Settings::default());
    assert!(matches!(second.err(), Some(Error::Locked { .. })));
}
