//! The whole of it on NATS: journal, leases and services, while the server dies and stands still.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use florin_engine::codec::{Entry, Outcome};
use florin_engine::ids::{Key, Position};
use florin_journal::nats::{Nats, Settings};
use florin_journal::testing::NatsServer;
use florin_journal::{Kind, Provider, Reader};
use florin_processor::cluster::{Options, Owner};
use florin_processor::{Error, Handle, Reply, remote};
use support::{P0, World, deposit, furniture, signing};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_mins(1);

fn settings(server: &NatsServer) -> Settings {
    Settings { allow_old_server: server.is_old(), ..Settings::default() }
}

async fn process(server: &NatsServer, world: &World) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let client = server.connect().await;
    let journal = Nats::open(client.clone(), "main", Some(signing()), settings(server)).await.unwrap();
    let processor = world.options.clone();
    let options = Options { processor, ttl: Duration::from_secs(2), ..Options::default() };
    let (shutdown, ended) = oneshot::channel();
    let task = tokio::spawn(async move {
        let ended = async { drop(ended.await) };
        Owner::run(journal, client, "main", options, ended).await.unwrap();
    });
    (shutdown, task)
}

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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_once_whatever_happens_to_server_and_owner() {
    // Given a ledger on NATS with two processors, and clients that go on,
    let mut server = NatsServer::start().await;
    let client = server.connect().await;
    let settings = settings(&server);
    let journal = Nats::create(client.clone(), "main", 1, signing(), settings).await.unwrap();
    let world = World::new();
    let (first, second) = (process(&server, &world).await, process(&server, &world).await);
    let handle = Handle::remote(client, "main", 1, remote::Options::default());
    for envelope in furniture() {
        assert!(matches!(persist(&handle, envelope).await.outcome, Outcome::Accepted(_)));
    }
    let (over, stop) = watch::channel(false);
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (handle, stop) = (handle.clone(), stop.clone());
            tokio::spawn(async move {
                let mut acknowledged: Vec<(Key, Position)> = Vec::new();
                while !*stop.borrow() {
                    let envelope = deposit(&format!("client {client}: {}", acknowledged.len()), 1);
                    let reply = persist(&handle, envelope.clone()).await;
                    acknowledged.push((envelope.key, reply.position));
                }
                acknowledged
            })
        })
        .collect();
    // when the server is killed and comes back,
    persist(&handle, deposit("before", 1)).await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.restart().await;
    persist(&handle, deposit("after the kill", 1)).await;
    // when it stands still for longer than the lease,
    server.pause();
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.resume();
    persist(&handle, deposit("after the pause", 1)).await;
    // and when a processor goes,
    first.0.send(()).unwrap();
    first.1.await.unwrap();
    persist(&handle, deposit("after the move", 1)).await;
    over.send_replace(true);
    // then every acknowledged command is in the journal exactly once, where its reply said.
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.unwrap());
    }
    let mut reader = journal.reader(P0, 1).await.unwrap();
    let mut entries = Vec::new();
    while let Some(record) = reader.try_next().await.unwrap() {
        if record.kind() == Kind::Entries {
            let decoded = record.entries().map(|bytes| Entry::decode(bytes).unwrap().admitted.envelope.key);
            entries.extend((0..).map(|n| Position::new(record.index(), n)).zip(decoded));
        }
    }
    assert!(!acknowledged.is_empty());
    for (key, position) in acknowledged {
        let found: Vec<_> = entries.iter().filter(|(_, at)| *at == key).map(|(at, _)| *at).collect();
        assert_eq!(found, [position]);
    }
    second.0.send(()).unwrap();
    second.1.await.unwrap();
}
