//! Stories of processors behind NATS: a real server, an embedded journal that several owners share, a handle elsewhere.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use florin_engine::codec::{Entry, Outcome};
use florin_engine::command::{Class, Command, Increment};
use florin_engine::event::Event;
use florin_engine::ids::{Key, Position};
use florin_engine::money::Minor;
use florin_engine::reject::Reason;
use florin_journal::embedded::Embedded;
use florin_journal::testing::NatsServer;
use florin_journal::{Kind, Provider, Reader};
use florin_processor::cluster::{Options, Owner};
use florin_processor::{Error, Handle, Reply, remote};
use support::{
    P0, World, accepted, account, authorization, authorize, card, deposit, envelope, furniture, rejected, top_up,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_mins(1);

/// A server, a journal, and whoever owns its one partition.
struct Field {
    world: World,
    server: NatsServer,
    journal: Embedded,
}

/// One process, as it were.
struct Process {
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Process {
    async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.task.await.unwrap();
    }
}

impl Field {
    async fn new() -> Self {
        let world = World::new();
        let journal = world.journal();
        Self { world, server: NatsServer::start().await, journal }
    }

    async fn process(&self) -> Process {
        let options =
            Options { processor: self.world.options.clone(), ttl: Duration::from_secs(2), ..Options::default() };
        let (journal, client) = (self.journal.clone(), self.server.connect().await);
        let (shutdown, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let ended = async { drop(ended.await) };
            Owner::run(journal, client, "main", options, ended).await.unwrap();
        });
        Process { shutdown, task }
    }

    async fn handle(&self) -> Handle {
        Handle::remote(self.server.connect().await, "main", 1, remote::Options::default())
    }

    /// Every entry, and where it stands.
    async fn entries(&self) -> Vec<(Position, Entry)> {
        let mut reader = self.journal.reader(P0, 1).await.unwrap();
        let mut entries = Vec::new();
        while let Some(record) = reader.try_next().await.unwrap() {
            if record.kind() == Kind::Entries {
                let decoded = record.entries().map(|bytes| Entry::decode(bytes).unwrap());
                entries.extend((0..).map(|n| Position::new(record.index(), n)).zip(decoded));
            }
        }
        entries
    }

    async fn until_reversed(&self) {
        let deadline = Instant::now() + PATIENCE;
        let reversed = |(_, entry): &(Position, Entry)| matches!(&entry.admitted.envelope.command, Command::Reverse(_));
        while !self.entries().await.iter().any(reversed) {
            assert!(Instant::now() < deadline, "nothing was reversed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// As a caller does it that is told to try again.
async fn persist(handle: &Handle, envelope: florin_engine::command::Envelope) -> Reply {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match handle.submit(envelope.clone()).await {
            Ok(reply) => return reply,
            Err(Error::Busy { retry_after_ms }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(retry_after_ms)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn furnish(handle: &Handle) {
    for envelope in furniture() {
        assert!(matches!(persist(handle, envelope).await.outcome, Outcome::Accepted(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_elsewhere_does_what_one_here_does() {
    // Given a processor behind NATS,
    let field = Field::new().await;
    let process = field.process().await;
    let handle = field.handle().await;
    furnish(&handle).await;
    // then a command has its outcome, told again with the same key, and a reject has its figures.
    let first = handle.submit(top_up("a", 500)).await.unwrap();
    let again = handle.submit(top_up("a", 500)).await.unwrap();
    assert!(matches!(&accepted(&Ok(first.clone()))[0], Event::ToppedUp(event) if event.amount == Minor(500)));
    assert_eq!(again, Reply { replayed: true, ..first });
    assert_eq!(rejected(&handle.submit(top_up("b", 2_000_000)).await), Reason::AmountAboveMaximum);
    // A batch larger than a message has all its replies, in order, one entry each;
    let batch: Vec<_> = (0..12_000).map(|n| top_up(&format!("batch {n}"), 1)).collect();
    let replies = handle.submit_batch(0, batch.clone()).await.unwrap();
    assert_eq!(replies.len(), 12_000);
    assert!(replies.windows(2).all(|pair| pair[0].position < pair[1].position));
    let told = handle.submit_batch(0, batch).await.unwrap();
    assert!(told.iter().zip(&replies).all(|(told, first)| told.replayed && told.position == first.position));
    // questions are answered,
    let status = handle.status(0).await.unwrap();
    assert_eq!((status.accounts, status.cards, status.policy), (1, 1, 1));
    assert_eq!(handle.due(0, 10).await.unwrap(), []);
    assert_eq!(handle.work(0, 10).await.unwrap(), []);
    assert_eq!(handle.work_of_card(card()).await.unwrap(), None);
    handle.confirm_clock(0).await.unwrap();
    // and what cannot be is refused as it is here.
    assert_eq!(handle.status(1).await.unwrap_err(), Error::Misrouted(florin_journal::PartitionId(1)));
    assert!(matches!(handle.submit_batch(0, vec![top_up("c", 1); 16_385]).await, Err(Error::BatchTooLarge { .. })));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_card_waits_for_is_told_of_that_card_alone() {
    // Given a card that the issuer has not made yet,
    let field = Field::new().await;
    let process = field.process().await;
    let handle = field.handle().await;
    let mut furniture = furniture();
    furniture.pop();
    for envelope in furniture {
        persist(&handle, envelope).await;
    }
    // then asking about it tells what the listing tells, and asking about another one nothing;
    let work = handle.work(0, 10).await.unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!(handle.work_of_card(card()).await.unwrap(), Some(work[0]));
    let other = florin_engine::ids::CardId(authorization(1).0);
    assert_eq!(handle.work_of_card(other).await.unwrap(), None);
    // so is it for people, who need not say how many.
    let client = field.server.connect().await;
    let asked = serde_json::json!({ "card": card() }).to_string();
    let told = client.request("florin.main.qry.v1.work.0", asked.into()).await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(told[0]["change"], work[0].change, "{told}");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_moves_loses_nothing_and_does_nothing_twice() {
    // Given two processes, of which one has the partition, and clients that go on whatever happens,
    let field = Field::new().await;
    let mut processes = vec![field.process().await, field.process().await];
    let handle = field.handle().await;
    furnish(&handle).await;
    let (over, stop) = tokio::sync::watch::channel(false);
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (handle, stop) = (handle.clone(), stop.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while !*stop.borrow() {
                    let envelope = deposit(&format!("client {client}: {}", acknowledged.len()), 1);
                    let reply = persist(&handle, envelope.clone()).await;
                    acknowledged.push((envelope.key, reply.position));
                }
                acknowledged
            })
        })
        .collect();
    // when processes stop and start in turn, so that the partition moves again and again,
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        processes.remove(0).stop().await;
        persist(&handle, deposit("moved", 1)).await;
        processes.push(field.process().await);
    }
    over.send_replace(true);
    // then every acknowledged command is in the journal exactly once, where its reply said.
    let mut acknowledged = Vec::new();
    for client in clients {
        let own: Vec<(Key, Position)> = client.await.unwrap();
        assert!(!own.is_empty());
        acknowledged.extend(own);
    }
    let entries = field.entries().await;
    for (key, position) in acknowledged {
        let found: Vec<_> = entries.iter().filter(|(_, entry)| entry.admitted.envelope.key == key).collect();
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [position]);
    }
    for process in processes {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_gone_for_a_while_make_callers_wait_and_nothing_else() {
    // Given a processor behind NATS,
    let mut field = Field::new().await;
    let process = field.process().await;
    let options = remote::Options { total: Duration::from_millis(700), ..remote::Options::default() };
    let handle = Handle::remote(field.server.connect().await, "main", 1, options);
    furnish(&handle).await;
    // when the servers are gone, a caller is told to try again;
    field.server.kill();
    assert!(matches!(handle.submit(top_up("a", 5)).await, Err(Error::Busy { .. })));
    // and one that ends is told that what it gave up has not arrived anywhere;
    handle.give_up(&authorize(1, 100)).unwrap();
    assert!(!handle.reversals_handed_over(Duration::from_millis(50)).await);
    // and when they are back, everything goes on by itself, once.
    field.server.restart().await;
    let reply = persist(&handle, top_up("a", 5)).await;
    assert!(handle.reversals_handed_over(PATIENCE).await);
    assert!(matches!(reply.outcome, Outcome::Accepted(_)));
    let key = top_up("a", 5).key;
    assert_eq!(field.entries().await.iter().filter(|(_, entry)| entry.admitted.envelope.key == key).count(), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_nobody_waits_for_is_reversed() {
    // Given a processor whose disk does not answer,
    let field = Field::new().await;
    let process = field.process().await;
    let handle = field.handle().await;
    furnish(&handle).await;
    persist(&handle, top_up("funds", 5_000)).await;
    field.world.disk.hold();
    // when the deadline of an authorization passes at the caller,
    let deadline = Instant::now() + Duration::from_millis(300);
    assert_eq!(handle.submit_by(authorize(1, 100), deadline).await, Err(Error::DeadlinePassed));
    // then, whatever came of it, it is taken back, which the end of the process waits for.
    field.world.disk.let_go();
    assert!(handle.reversals_handed_over(PATIENCE).await);
    field.until_reversed().await;
    let deadline = Instant::now() + PATIENCE;
    while !handle.taken_back(&authorize(1, 100)).await.unwrap() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_that_nobody_waits_for_is_taken_back_and_its_authorization_is_not() {
    // Given an approved authorization, and a processor whose disk does not answer,
    let field = Field::new().await;
    let process = field.process().await;
    let handle = Arc::new(field.handle().await);
    furnish(&handle).await;
    persist(&handle, top_up("funds", 5_000)).await;
    let approved = persist(&handle, authorize(1, 100)).await;
    assert!(matches!(&approved.outcome, Outcome::Accepted(events) if matches!(events[..], [Event::Authorized(_)])));
    field.world.disk.hold();
    // when the caller of an increment goes away,
    let body = Increment { card: card(), authorization: authorization(1), amount: Minor(30) };
    let waiting = tokio::spawn({
        let handle = Arc::clone(&handle);
        async move { handle.submit(envelope(account(), Class::Network, "more", body)).await }
    });
    while handle.status(0).await.unwrap().in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waiting.abort();
    field.world.disk.let_go();
    // then just the increment is reversed.
    field.until_reversed().await;
    let entries = field.entries().await;
    let reversal = entries.iter().find_map(|(_, entry)| match &entry.admitted.envelope.command {
        Command::Reverse(body) => Some(body.amount),
        _ => None,
    });
    assert_eq!(reversal, Some(Some(Minor(30))));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_lease_writes_nothing_and_who_was_deposed_claims_again_while_it_has_one() {
    // Given a processor behind NATS,
    let field = Field::new().await;
    let first = field.process().await;
    let handle = field.handle().await;
    furnish(&handle).await;
    let term = handle.status(0).await.unwrap().head.term;
    // when another is started for the same partition, it claims nothing, for as long as the first beats;
    let second = field.process().await;
    let deadline = Instant::now() + Duration::from_secs(3);
    let mut n = 0;
    while Instant::now() < deadline {
        let reply = handle.submit(deposit(&format!("deposit {n}"), 1)).await;
        assert!(matches!(reply, Ok(Reply { replayed: false, .. })), "{reply:?}");
        n += 1;
    }
    assert_eq!(handle.status(0).await.unwrap().head.term, term);
    // and when somebody claims the partition behind the back of its owner,
    drop(field.journal.claim(P0).await.unwrap());
    // then the owner loses what it had in mind, claims again, and goes on.
    let reply = persist(&handle, deposit("after", 1)).await;
    assert!(matches!(reply.outcome, Outcome::Accepted(_)));
    assert_eq!(handle.status(0).await.unwrap().head.term, term + 2);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_partition_over_begins_with_the_last_owners_snapshot() {
    // Given an owner that makes snapshots in a directory of its own,
    let mut field = Field::new().await;
    let (own, others) = (field.world.dir.path().join("own"), field.world.dir.path().join("others"));
    field.world.options.snapshot_entries = 3;
    field.world.options.snapshots = Some(own);
    let first = field.process().await;
    let handle = field.handle().await;
    furnish(&handle).await;
    // when it shares one and goes,
    let jetstream = async_nats::jetstream::new(field.server.connect().await);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(store) = jetstream.get_key_value("FLORIN_main_SNAPSHOTS").await
            && store.get("0.head").await.unwrap().is_some()
        {
            break;
        }
        assert!(Instant::now() < deadline, "no snapshot was shared");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    first.stop().await;
    // then the next one, with a directory that was empty, begins with it and goes on.
    field.world.options.snapshots = Some(others.clone());
    let second = field.process().await;
    assert!(matches!(persist(&handle, top_up("a", 5)).await.outcome, Outcome::Accepted(_)));
    assert!(std::fs::read_dir(&others).unwrap().count() > 0);
    second.stop().await;
}
