//! The vault on a real NATS server: what several processes that share it see of each other. Every vault here has a connection and
//! threads of its own, as another process has.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use florin_journal::testing::NatsServer;
use florin_vault::nats::{Connection, STALE_MAX};
use florin_vault::{Error, MasterKey, Vault};
use tokio::runtime::{Builder, Runtime};

const ALICE: [u8; 16] = [0xa1; 16];
const BOB: [u8; 16] = [0xb0; 16];
/// No story takes this long; one that does has failed.
const PATIENCE: Duration = Duration::from_mins(1);

struct World {
    runtime: Runtime,
    server: Option<NatsServer>,
    master: MasterKey,
}

impl World {
    fn new() -> Self {
        Self::on(NatsServer::start())
    }

    fn on(server: impl Future<Output = NatsServer>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = Some(runtime.block_on(server));
        let world = Self { runtime, server, master: MasterKey::generate().unwrap() };
        Vault::create_nats(world.connection(), "test", &world.master).unwrap();
        world
    }

    fn connection(&self) -> Connection {
        let options = ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(50));
        Connection { servers: self.server.as_ref().unwrap().url(), options, replicas: 1 }
    }

    fn open(&self) -> Vault {
        Vault::open_nats(self.connection(), "test", &self.master).unwrap()
    }

    fn kill(&mut self) {
        self.server.as_mut().unwrap().kill();
    }

    fn restart(&mut self) {
        let server = self.server.as_mut().unwrap();
        self.runtime.block_on(server.restart());
    }

    /// All keys of the bucket.
    fn keys(&self) -> Vec<String> {
        self.runtime.block_on(async {
            let client = self.server.as_ref().unwrap().connect().await;
            let body = r#"{"subjects_filter": ">"}"#;
            let info = client.request("$JS.API.STREAM.INFO.KV_FLORIN_test_VAULT", body.into()).await.unwrap();
            let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
            let subjects = info["state"]["subjects"].as_object().cloned().unwrap_or_default();
            subjects.into_iter().map(|(subject, _)| subject).collect()
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        self.server = None;
    }
}

fn eventually<T>(mut so: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = so() {
            return found;
        }
        assert!(Instant::now() < until, "it does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn two_share_everything(world: &World) {
    let (one, other) = (world.open(), world.open());
    // Given a user whom one of two processes registers,
    one.register(ALICE, "demo", "alice").unwrap();
    let sealed = one.seal(ALICE, "card-name", b"Ada").unwrap();
    // then the other opens what is sealed, and both name and digest alike.
    assert_eq!(other.open_sealed(ALICE, "card-name", &sealed).unwrap().as_slice(), b"Ada");
    assert_eq!(one.digest(ALICE, b"x").unwrap(), other.digest(ALICE, b"x").unwrap());
    assert_eq!(one.pseudonym("demo", "alice"), other.pseudonym("demo", "alice"));
    assert_eq!(other.way_back(ALICE).unwrap().unwrap().user, "alice");
    // Nobody gets the account of another, and of a list with such a one nobody is registered.
    assert!(matches!(other.register(ALICE, "demo", "eve"), Err(Error::Taken)));
    assert!(matches!(other.register_all(&[(BOB, "demo", "bob"), (ALICE, "demo", "eve")]), Err(Error::Taken)));
    assert!(one.way_back(BOB).unwrap().is_none());
    other.register_all(&[(ALICE, "demo", "alice"), (BOB, "demo", "bob"), (BOB, "demo", "bob")]).unwrap();
    assert_eq!(one.way_back(BOB).unwrap().unwrap().user, "bob");
    assert!(matches!(one.seal([1; 16], "x", b"y"), Err(Error::Unknown)));
    // Every record has its shred and no shred is left over.
    let keys = world.keys();
    let count = |word: &str| keys.iter().filter(|key| key.contains(word)).count();
    assert_eq!((count(".person."), count(".shred."), count(".meta.")), (2, 2, 1), "{keys:?}");
}

#[test]
fn two_processes_share_everything() {
    two_share_everything(&World::new());
}

#[test]
fn two_processes_share_everything_on_an_old_server() {
    two_share_everything(&World::on(NatsServer::start_old()));
}

#[test]
fn who_is_registered_by_many_at_once_has_one_key() {
    let world = World::new();
    let vaults: Vec<Vault> = (0..4).map(|_| world.open()).collect();
    let threads: Vec<_> = vaults
        .iter()
        .cloned()
        .map(|vault| {
            std::thread::spawn(move || {
                let people: Vec<_> = (0..20).map(|n| ([n; 16], "demo", "somebody")).collect();
                vault.register_all(&people).unwrap();
                vault.seal([7; 16], "x", b"y").unwrap()
            })
        })
        .collect();
    for thread in threads {
        let sealed = thread.join().unwrap();
        for vault in &vaults {
            assert_eq!(vault.open_sealed([7; 16], "x", &sealed).unwrap().as_slice(), b"y");
        }
    }
    let shreds = world.keys().iter().filter(|key| key.contains(".shred.")).count();
    assert_eq!(shreds, 20, "what the losers had made is gone");
}

#[test]
fn who_is_erased_by_one_process_is_erased_for_all_when_that_is_answered() {
    let world = World::new();
    let (one, other) = (world.open(), world.open());
    one.register_all(&[(ALICE, "demo", "alice"), (BOB, "demo", "bob")]).unwrap();
    // Given another process that has the key in memory and uses it all the time,
    let sealed = other.seal(ALICE, "x", b"y").unwrap();
    // when the first erases the user,
    assert!(one.destroy(ALICE).unwrap());
    // then the key is of no more use anywhere, from that moment on.
    for vault in [&one, &other, &world.open()] {
        assert!(matches!(vault.open_sealed(ALICE, "x", &sealed), Err(Error::Erased)));
        assert!(matches!(vault.seal(ALICE, "x", b"y"), Err(Error::Erased)));
        assert!(matches!(vault.register(ALICE, "demo", "alice"), Err(Error::Erased)));
        assert!(vault.way_back(ALICE).unwrap().is_none());
        assert!(!vault.destroy(ALICE).unwrap());
        assert!(vault.seal(BOB, "x", b"y").is_ok(), "the neighbour went too");
    }
    // The shred is gone from the bucket, and so is every older revision.
    let keys = world.keys();
    assert_eq!(keys.iter().filter(|key| key.contains(".shred.")).count(), 1, "{keys:?}");
    assert_eq!(keys.iter().filter(|key| key.contains(".person.")).count(), 2, "{keys:?}");
}

#[test]
fn an_erasure_that_broke_off_after_the_shred_can_be_completed() {
    let world = World::new();
    let vault = world.open();
    vault.register(ALICE, "demo", "alice").unwrap();
    // Given that only the shred was deleted before a crash,
    let shred = world.keys().into_iter().find(|key| key.contains(".shred.")).unwrap();
    world.runtime.block_on(async {
        let context = async_nats::jetstream::new(world.server.as_ref().unwrap().connect().await);
        let stream = context.get_stream("KV_FLORIN_test_VAULT").await.unwrap();
        let found = stream.get_last_raw_message_by_subject(&shred).await.unwrap();
        stream.delete_message(found.sequence).await.unwrap();
    });
    // then the user is erased already, and erasing again completes it.
    let fresh = world.open();
    assert!(matches!(fresh.seal(ALICE, "x", b"y"), Err(Error::Erased)));
    assert!(vault.destroy(ALICE).unwrap());
    assert!(!fresh.destroy(ALICE).unwrap());
}

#[test]
fn an_erasure_that_broke_off_before_the_shred_counts_for_all_and_the_next_start_completes_it() {
    let world = World::new();
    let other = world.open();
    other.register_all(&[(ALICE, "demo", "alice"), (BOB, "demo", "bob")]).unwrap();
    let sealed = other.seal(ALICE, "x", b"y").unwrap();
    // Given a process that died when it had only told of the erasure,
    world.runtime.block_on(async {
        let client = world.server.as_ref().unwrap().connect().await;
        let erased = format!("$KV.FLORIN_test_VAULT.erased.{}", "a1".repeat(16));
        async_nats::jetstream::new(client).publish(erased, "".into()).await.unwrap().await.unwrap();
    });
    // then who has the key in memory drops it and loads it no more,
    eventually(|| matches!(other.open_sealed(ALICE, "x", &sealed), Err(Error::Erased)).then_some(()));
    assert!(other.way_back(ALICE).unwrap().is_none());
    assert!(matches!(other.seal(ALICE, "x", b"y"), Err(Error::Erased)));
    // and when the vault is opened anew, the shred goes as well.
    let fresh = world.open();
    eventually(|| (world.keys().iter().filter(|key| key.contains(".shred.")).count() == 1).then_some(()));
    assert!(matches!(fresh.open_sealed(ALICE, "x", &sealed), Err(Error::Erased)));
    eventually(|| matches!(other.register(ALICE, "demo", "alice"), Err(Error::Erased)).then_some(()));
    assert!(!fresh.destroy(ALICE).unwrap());
    assert!(fresh.seal(BOB, "x", b"y").is_ok(), "the neighbour went too");
}

#[test]
fn while_the_servers_are_away_nothing_is_sealed_and_afterwards_all_goes_on() {
    let mut world = World::new();
    let (one, other) = (world.open(), world.open());
    one.register(ALICE, "demo", "alice").unwrap();
    let sealed = one.seal(ALICE, "x", b"y").unwrap();
    world.kill();
    // A user may be erased elsewhere meanwhile: the key in memory is not used for long.
    eventually(|| matches!(one.seal(ALICE, "x", b"y"), Err(Error::Unreachable(_))).then_some(()));
    let begun = Instant::now();
    assert!(matches!(other.register(BOB, "demo", "bob"), Err(Error::Unreachable(_))));
    assert!(begun.elapsed() < PATIENCE, "and it is told in bounded time");
    world.restart();
    eventually(|| one.open_sealed(ALICE, "x", &sealed).ok());
    eventually(|| other.register(BOB, "demo", "bob").ok());
    assert!(one.destroy(ALICE).unwrap());
    assert!(matches!(other.open_sealed(ALICE, "x", &sealed), Err(Error::Erased)));
}

#[test]
fn a_runtime_of_one_thread_may_call_it() {
    let world = World::new();
    let single = Builder::new_current_thread().enable_all().build().unwrap();
    single.block_on(async {
        let vault = world.open();
        vault.register(ALICE, "demo", "alice").unwrap();
        std::thread::sleep(STALE_MAX + Duration::from_millis(200));
        assert!(vault.seal(ALICE, "x", b"y").is_ok());
        drop(vault);
    });
}

#[test]
fn another_master_key_and_a_missing_vault_are_told_so() {
    let world = World::new();
    let stranger = MasterKey::generate().unwrap();
    assert!(matches!(Vault::open_nats(world.connection(), "test", &stranger), Err(Error::WrongMasterKey)));
    assert!(matches!(Vault::open_nats(world.connection(), "other", &stranger), Err(Error::Missing(_))));
    assert!(matches!(Vault::open_nats(world.connection(), "a.b", &stranger), Err(Error::Bucket { .. })));
    assert!(world.open().register(ALICE, "demo", "alice").is_ok(), "the attempts did harm");
}

#[test]
fn a_bucket_that_would_lose_people_is_refused() {
    let world = World::new();
    world.runtime.block_on(async {
        let context = async_nats::jetstream::new(world.server.as_ref().unwrap().connect().await);
        // As a stream, since old servers say less of themselves than the client's own call for buckets can read.
        let config = async_nats::jetstream::stream::Config {
            name: "KV_FLORIN_bad_VAULT".into(),
            subjects: vec!["$KV.FLORIN_bad_VAULT.>".into()],
            max_messages_per_subject: 1,
            deny_delete: true,
            allow_rollup: true,
            ..Default::default()
        };
        context.create_stream(config).await.unwrap();
    });
    // A bucket as tools make it: its messages cannot be deleted.
    let refused = Vault::open_nats(world.connection(), "bad", &world.master);
    assert!(matches!(refused, Err(Error::Bucket { .. })), "{refused:?}");
}
