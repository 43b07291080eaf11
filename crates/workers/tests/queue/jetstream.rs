//! The queue that processes share, on a real server. Every `queue()` is a connection of its own, as another process has it.

use std::process::{Command, Stdio};
use std::time::Duration;

use florin_journal::{Hash, LedgerId, testing::NatsServer};
use florin_workers::queue::{Checkpoint, Error, JetStream, Lease, Queue, SharedSettings};
use tokio::time::{sleep, timeout};

use super::contract::{CAPACITY, Kit, contract, item};

pub(crate) const LEDGER: LedgerId = LedgerId([5; 16]);
/// How long is waited to see that nothing can be taken.
const NOTHING: Duration = Duration::from_millis(500);
/// No story takes this long; one that does has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Set for the process that a story kills: where it takes an item and stands still.
const VICTIM: &str = "FLORIN_TEST_QUEUE_VICTIM";

pub(crate) struct World {
    pub(crate) server: NatsServer,
}

/// The same on the distribution's server.
struct OldWorld(World);

pub(crate) fn settings() -> SharedSettings {
    SharedSettings {
        lease: World::LEASE,
        capacity: CAPACITY,
        patience: Duration::from_secs(20),
        ..SharedSettings::default()
    }
}

async fn open(url: &str, settings: SharedSettings) -> JetStream {
    let client = async_nats::connect(url).await.unwrap();
    JetStream::open(client, "test", LEDGER, settings).await.unwrap()
}

impl Kit for World {
    type Queue = JetStream;
    const LEASE: Duration = Duration::from_secs(2);

    async fn new() -> Self {
        Self { server: NatsServer::start().await }
    }

    async fn queue(&mut self) -> JetStream {
        open(&self.server.url(), settings()).await
    }

    async fn crash(&mut self) -> JetStream {
        self.queue().await
    }

    async fn passes(&self, time: Duration) {
        sleep(time).await;
    }

    async fn ready(&self, queue: &JetStream) -> Option<Lease> {
        timeout(NOTHING, queue.take()).await.ok().map(Result::unwrap)
    }
}

impl Kit for OldWorld {
    type Queue = JetStream;
    const LEASE: Duration = World::LEASE;

    async fn new() -> Self {
        Self(World { server: NatsServer::start_old().await })
    }

    async fn queue(&mut self) -> JetStream {
        self.0.queue().await
    }

    async fn crash(&mut self) -> JetStream {
        self.0.crash().await
    }

    async fn passes(&self, time: Duration) {
        self.0.passes(time).await;
    }

    async fn ready(&self, queue: &JetStream) -> Option<Lease> {
        self.0.ready(queue).await
    }
}

contract!(World, #[tokio::test]);

mod on_an_old_server {
    use super::super::contract::contract;
    contract!(super::OldWorld, #[tokio::test]);
}

#[tokio::test]
async fn what_a_killed_process_held_is_taken_by_another() {
    let mut world = World::new().await;
    let queue = world.queue().await;
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    // Given another process that has taken the item and stands in the middle of its call,
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["jetstream::the_victim", "--exact", "--nocapture"])
        .env(VICTIM, world.server.url())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let taken = async {
        while queue.depth().await.unwrap().leased == 0 {
            sleep(Duration::from_millis(20)).await;
        }
        // Delivered is not yet leased.
        sleep(Duration::from_millis(300)).await;
    };
    timeout(PATIENCE, taken).await.unwrap();
    // when it is killed,
    victim.kill().unwrap();
    victim.wait().unwrap();
    // then the item comes again, and that it was tried is known.
    let lease = timeout(PATIENCE, queue.take()).await.unwrap().unwrap();
    assert_eq!((lease.item, lease.tries), (item(1, 2), 1));
    queue.ack(lease).await.unwrap();
}

/// Not a story: the process that is killed above.
#[tokio::test]
async fn the_victim() {
    let Ok(url) = std::env::var(VICTIM) else { return };
    let _lease = open(&url, settings()).await.take().await.unwrap();
    sleep(PATIENCE).await;
}

#[tokio::test]
async fn nothing_is_lost_while_the_server_is_away_and_all_goes_on_when_it_is_back() {
    let mut world = World::new().await;
    let (queue, waiting) = (world.queue().await, world.queue().await);
    let reached = Checkpoint { index: 9, hash: Hash([3; 32]) };
    queue.enqueue(vec![item(1, 2), item(2, 2)], Some((0, reached))).await.unwrap();
    let first = queue.take().await.unwrap();
    let second = queue.take().await.unwrap();
    // Given a consumer that waits, one in the middle of its work, and a server that is killed,
    let taking = tokio::spawn(async move { waiting.take().await });
    world.server.kill();
    let (adding, ending) = (queue.clone(), queue.clone());
    let adding = tokio::spawn(async move { adding.enqueue(vec![item(3, 2)], None).await });
    let ending = tokio::spawn(async move { ending.ack(first).await });
    sleep(Duration::from_millis(300)).await;
    assert!(!adding.is_finished(), "acknowledged by nobody");
    // when it is back,
    world.server.restart().await;
    // then what was asked meanwhile is done, and nothing is missing.
    timeout(PATIENCE, adding).await.unwrap().unwrap().unwrap();
    // The lease may have ended meanwhile: then it is another's.
    let ended = timeout(PATIENCE, ending).await.unwrap().unwrap();
    assert!(matches!(ended, Ok(()) | Err(Error::LeaseLost(_))), "{ended:?}");
    let taken = timeout(PATIENCE, taking).await.unwrap().unwrap().unwrap();
    assert!([item(1, 2), item(2, 2), item(3, 2)].contains(&taken.item));
    assert_eq!(queue.reached(0).await.unwrap(), Some(reached));
    drop(second);
}

#[tokio::test]
async fn a_server_that_stays_away_is_told_in_bounded_time_and_with_advice() {
    let mut world = World::new().await;
    let patience = Duration::from_millis(200);
    let queue = open(&world.server.url(), SharedSettings { patience, ..settings() }).await;
    world.server.kill();
    let error = timeout(PATIENCE, queue.enqueue(vec![item(1, 2)], None)).await.unwrap().unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("are the NATS servers up"), "{error}");
    // And what was told to be undone is not done behind one's back once the server is there again.
    world.server.restart().await;
    let adding = async {
        while queue.enqueue(vec![item(2, 2)], None).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, adding).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn another_ledgers_queue_and_other_streams_are_never_taken_for_ones_own() {
    let mut world = World::new().await;
    let queue = world.queue().await;
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let client = world.server.connect().await;
    let other = JetStream::open(client.clone(), "test", LedgerId([6; 16]), settings()).await;
    assert!(matches!(other.err(), Some(Error::Foreign { .. })));
    assert!(matches!(JetStream::open(client, "a.b", LEDGER, settings()).await.err(), Some(Error::Name(_))));
    assert_eq!(queue.depth().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn streams_that_are_deleted_under_a_consumer_are_made_again() {
    let mut world = World::new().await;
    let queue = world.queue().await;
    queue.enqueue(vec![item(1, 2)], Some((0, Checkpoint { index: 9, hash: Hash([3; 32]) }))).await.unwrap();
    let lost = queue.take().await.unwrap();
    // Given a consumer that waits, and an operator who deletes everything,
    let waiting = queue.clone();
    let taking = tokio::spawn(async move { waiting.take().await });
    let context = async_nats::jetstream::new(world.server.connect().await);
    for stream in ["FLORIN_test_SETTLEMENT", "FLORIN_test_SETTLEMENT_DEAD", "FLORIN_test_SETTLEMENT_STATE"] {
        context.delete_stream(stream).await.unwrap();
    }
    // then the position is unknown, the lease is over, and what is enqueued is taken.
    let added = timeout(PATIENCE, queue.enqueue(vec![item(2, 2)], None)).await.unwrap().unwrap();
    assert_eq!((added, queue.reached(0).await.unwrap()), (1, None));
    assert!(matches!(queue.in_progress(&lost).await, Err(Error::LeaseLost(_))));
    assert_eq!(timeout(PATIENCE, taking).await.unwrap().unwrap().unwrap().item, item(2, 2));
}
