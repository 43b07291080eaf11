//! Settlement in several processes that share a queue on NATS: each has its own connection, one of them has the partition's
//! fan-out, and they are killed in the middle of calls of the issuer.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::policy::CardKind;
use florin_engine::terms::{Change, Status};
use florin_issuer::CardStatus;
use florin_journal::{Provider, testing::NatsServer};
use florin_workers::Settlement;
use florin_workers::queue::{JetStream, Queue, SharedSettings};
use florin_workers::settlement::{Error, Options};
use support::{FUNDS, Mood, TAKEN, World, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CARDS: usize = 10;
/// Short, so that what a killed process held comes back soon.
const LEASE: Duration = Duration::from_secs(2);

/// A settlement as a process of its own has it.
struct Process {
    queue: JetStream,
    held: watch::Sender<BTreeSet<u16>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Error>>,
}

impl Process {
    async fn starts(world: &World, server: &NatsServer, holds: bool) -> Self {
        let settings = SharedSettings { lease: LEASE, patience: Duration::from_secs(30), ..SharedSettings::default() };
        let ledger = world.journal.ledger().id;
        let queue = JetStream::open(server.connect().await, "main", ledger, settings).await.unwrap();
        let (held, holding) = watch::channel(if holds { BTreeSet::from([0]) } else { BTreeSet::new() });
        let options = Options {
            call_timeout: Duration::from_secs(10),
            extend_every: LEASE / 4,
            sweep_every: Duration::from_millis(500),
            partitions: Some(holding),
            ..world.options.clone()
        };
        let (stop, mut stopped) = watch::channel(false);
        let shutdown = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let (handle, journal, issuer) = (world.handle.clone(), world.journal.clone(), Arc::clone(&world.issuer) as _);
        let task = tokio::spawn(Settlement::run(handle, journal, issuer, queue.clone(), options, shutdown));
        Self { queue, held, stop, task }
    }

    /// Nothing is finished and nothing given back.
    async fn dies(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn ends(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(30), self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Waits until calls of the issuer are under way.
async fn in_the_middle(queue: &JetStream) {
    eventually(|| async { queue.depth().await.unwrap().leased >= 4 }).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn two_consumers_killed_in_the_middle_of_calls_leave_every_change_settled_once() {
    let world = World::new().await;
    let server = NatsServer::start().await;
    // Given two processes, one of which has the fan-out, and an issuer that takes its time,
    let one = Process::starts(&world, &server, true).await;
    let other = Process::starts(&world, &server, false).await;
    world.issuer.mood(Mood::Slow(300));
    let mut cards = Vec::new();
    for n in 0..CARDS {
        cards.push(world.asks_for_card(&format!("card {n}"), CardKind::Virtual).await);
    }
    // when both are killed in the middle of their calls, one after the other,
    in_the_middle(&one.queue).await;
    one.dies().await;
    other.held.send_replace(BTreeSet::from([0]));
    in_the_middle(&other.queue).await;
    other.dies().await;
    // and others go on,
    let one = Process::starts(&world, &server, false).await;
    let other = Process::starts(&world, &server, true).await;
    for card in &cards {
        world.rests(*card, Status::Active).await;
    }
    // then every card was made once and paid for once, however often it was asked for.
    let made = |card: florin_engine::ids::CardId| world.issuer.card(card.uuid()).unwrap();
    for card in &cards {
        assert_eq!((made(*card).status, made(*card).times_issued), (CardStatus::Active, 1), "{card}");
    }
    assert_eq!(world.wallet().await, FUNDS - i64::try_from(CARDS).unwrap() * TAKEN);
    // And the same with changes of cards that there are: one process dies, the other takes over.
    for (n, card) in cards.iter().enumerate() {
        world.changes(&format!("freeze {n}"), *card, Change::Freeze).await;
    }
    in_the_middle(&one.queue).await;
    other.dies().await;
    one.held.send_replace(BTreeSet::from([0]));
    for card in &cards {
        world.rests(*card, Status::Frozen).await;
        assert_eq!(made(*card).status, CardStatus::Frozen, "{card}");
    }
    eventually(|| async { one.queue.depth().await.unwrap() == florin_workers::queue::Depth::default() }).await;
    one.ends().await;
}

#[tokio::test]
async fn a_fan_out_runs_only_where_its_partition_is_held() {
    let world = World::new().await;
    let server = NatsServer::start().await;
    // Given a process that holds nothing,
    let process = Process::starts(&world, &server, false).await;
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(world.card(card).await.status, Status::Requested);
    assert_eq!(process.queue.reached(0).await.unwrap(), None);
    // when it gets the partition, the card is made,
    process.held.send_replace(BTreeSet::from([0]));
    world.rests(card, Status::Active).await;
    // and when it loses it, nothing is put on the queue any more.
    process.held.send_replace(BTreeSet::new());
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.changes("freeze", card, Change::Freeze).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(process.queue.depth().await.unwrap().waiting, 0);
    assert!(world.card(card).await.pending.is_some());
    process.held.send_replace(BTreeSet::from([0]));
    world.rests(card, Status::Frozen).await;
    process.ends().await;
}
