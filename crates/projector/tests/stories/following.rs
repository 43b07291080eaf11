//! Stories of following: reading one's own writes, crashes, damage, rebuilding, and journals that do not fit.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use florin_engine::{
    command::Class,
    event::{PolicyAdopted, StatusChangeRequested, ToppedUp},
    ids::{AccountId, CardId, Position},
    money::{Minor, Sealed},
    terms::{Cause, Change, Status},
};
use florin_journal::{PartitionId, Provider, embedded::Embedded, patiently};
use florin_projector::{Error, Options, Projector, Rebuild, Views};
use tokio::sync::oneshot;

use crate::world::{SOON, USD, World, policy};

fn topped_up(card: CardId, amount: i64) -> ToppedUp {
    ToppedUp {
        card,
        currency: USD,
        amount: Minor(amount),
        fee: Minor(1),
        card_balance: Minor(0),
        wallet_balance: Minor(0),
    }
}

/// A world with something of each kind to be lost: two users in two partitions, cards, statements, a pending change.
async fn busy() -> (World, Vec<AccountId>) {
    let mut world = World::new(2).await;
    let users = vec![world.user(1).await, world.user(2).await];
    for (n, user) in (1..).zip(&users) {
        let card = world.card(*user, n).await;
        let many =
            (1..=40).map(|amount| (*user, Class::User, vec![topped_up(card, amount).into()])).collect::<Vec<_>>();
        world.happen_all(&many).await;
        let held = world.authorized(*user, card, vec![crate::world::on_card(100)]);
        world.happen(*user, Class::Network, &[held.into()]).await;
        let freeze = StatusChangeRequested {
            card,
            change: 2,
            what: Change::Freeze,
            target: Status::Frozen,
            cause: Cause::User,
            deadline_ms: 9,
            overtakes: false,
            reason: Sealed::NONE,
        };
        world.happen(*user, Class::User, &[freeze.into()]).await;
    }
    (world, users)
}

/// Every answer the views give about these users.
fn answers(views: &Views, users: &[AccountId]) -> String {
    let mut said = String::new();
    for user in users {
        let _ = writeln!(said, "{:?} {:?}", views.account(*user), views.wallets(*user));
        let _ = writeln!(said, "{:?} {:?}", views.holds(*user), views.transactions_of_wallet(*user, USD, 1_000, None));
        for card in views.cards_of(*user).expect("a list") {
            let _ = writeln!(said, "{card:?} {:?}", views.transactions_of_card(card.card, 1_000, None));
            let _ = writeln!(said, "{:?} {:?}", views.history(card.card), views.card_by_number(card.number));
        }
    }
    let policy = views.policy().map(|(version, policy)| (version, (*policy).clone()));
    let _ = writeln!(said, "{:?} {:?} {policy:?}", views.pending(), views.trial_balance());
    said
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a listing") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_names_a_position_sees_the_write() {
    let (mut world, users) = busy().await;
    let views = world.open().await.expect("views").0;
    let (stop, stopped) = oneshot::channel::<()>();
    let follower = Projector::new(world.journal.clone(), views.clone()).run(async {
        let _ = stopped.await;
    });
    let follower = tokio::spawn(follower);
    let card = loop {
        match views.cards_of(users[0]).expect("a list").pop() {
            Some(card) => break card.card,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    let partition = users[0].partition();
    for n in 1..=50 {
        let written = world.happen(users[0], Class::User, &[topped_up(card, n).into()]).await;
        views.wait(partition, written, SOON).await.expect("applied in time");
        let top = views.transactions_of_card(card, 2, None).expect("a page").rows.pop().expect("a line");
        assert_eq!((top.position, top.amount), (written, Minor(n)));
    }
    let ahead = Position(views.position(partition).0 + (1 << 20));
    let late = views.wait(partition, ahead, Duration::from_millis(5)).await.expect_err("nothing is there");
    assert_eq!((late.partition, late.wanted, late.applied), (partition, ahead, views.position(partition)));
    let nowhere = views.wait(99, Position(0), Duration::from_millis(5)).await;
    assert_eq!(nowhere, Ok(()), "nothing has to be applied for position 0");
    views.wait(99, Position(1), SOON).await.expect_err("no such partition");
    assert_eq!(views.lag(partition), 0);

    stop.send(()).expect("the follower listens");
    follower.await.expect("no panic").expect("a clean end");
    world.agree(&views);
}

#[tokio::test]
async fn deleted_views_are_rebuilt_with_the_same_answers_and_the_progress_is_told() {
    let (world, users) = busy().await;
    let views = world.views().await;
    let before = answers(&views, &users);
    world.agree(&views);
    assert!(matches!(world.open().await, Err(Error::Locked { .. })), "nobody else writes these views");
    assert!(matches!(Views::discard(&world.views_dir()), Err(Error::Locked { .. })));
    drop(views);

    Views::discard(&world.views_dir()).expect("deleted");
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!(rebuilt, None, "nothing is wrong with views that are not there");
    assert!(!views.caught_up());
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let projector = Projector::new(world.journal.clone(), views.clone());
    let projector = projector.on_progress(move |progress| hear.lock().expect("a lock").push(progress));
    projector.catch_up().await.expect("caught up");
    assert_eq!(answers(&views, &users), before);
    let told = told.lock().expect("a lock");
    for partition in 0..2 {
        let last =
            told.iter().rev().find(|progress| progress.partition == partition).expect("progress of each partition");
        assert_eq!(last.applied, last.records, "to the end");
    }
}

#[tokio::test]
async fn what_is_applied_is_not_applied_again() {
    let (mut world, users) = busy().await;
    let views = world.views().await;
    let before = answers(&views, &users);
    drop(views);
    let views = world.views().await;
    assert_eq!(answers(&views, &users), before, "opened again");
    world.catch_up(&views).await;
    assert_eq!(answers(&views, &users), before, "followed again");
    let card = views.cards_of(users[0]).expect("a list")[0].card;
    world.happen(users[0], Class::User, &[topped_up(card, 5).into()]).await;
    world.catch_up(&views).await;
    assert_ne!(answers(&views, &users), before);
    world.agree(&views);
}

#[tokio::test]
async fn damage_is_found_marked_and_healed_by_the_next_opening() {
    let (world, users) = busy().await;
    let views = world.views().await;
    let before = answers(&views, &users);
    let card = views.cards_of(users[0]).expect("a list")[0].card;
    drop(views);

    // A row that is not what was written.
    with_rows(&world, |rows| {
        let key = [&[0x20][..], &card.0].concat();
        rows.insert(key, &b"nonsense"[..]).expect("written");
    });
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!(rebuilt, None);
    assert!(matches!(views.card(card), Err(Error::Damaged { table: "cards", .. })));
    drop(views);
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!(rebuilt, Some(Rebuild::Marked));
    world.catch_up(&views).await;
    assert_eq!(answers(&views, &users), before);
    drop(views);

    // A store that is not one.
    for entry in fs::read_dir(world.views_dir().join("rows")).expect("a listing") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::write(path, b"no store at all").expect("overwritten");
        }
    }
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!(rebuilt, Some(Rebuild::Damaged));
    world.catch_up(&views).await;
    assert_eq!(answers(&views, &users), before);
}

#[tokio::test]
async fn views_of_another_schema_or_ledger_are_rebuilt() {
    let (world, users) = busy().await;
    let views = world.views().await;
    let before = answers(&views, &users);
    drop(views);
    with_rows(&world, |rows| {
        let mut meta = rows.get([0x01]).expect("a read").expect("what the views are of").to_vec();
        meta[0] += 1;
        rows.insert([0x01], meta).expect("written");
    });
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!(rebuilt, Some(Rebuild::Schema));
    world.catch_up(&views).await;
    assert_eq!(answers(&views, &users), before);
    drop(views);

    let (other, others) = busy().await;
    let options = Options::default();
    let (views, rebuilt) = Views::open(&world.views_dir(), &other.journal, options).await.expect("views");
    assert_eq!(rebuilt, Some(Rebuild::Ledger));
    other.catch_up(&views).await;
    other.agree(&views);
    assert!(views.cards_of(others[0]).expect("a list").len() == 1);
}

#[tokio::test]
async fn a_journal_that_lost_records_is_refused_and_another_history_is_read_again() {
    let (mut world, users) = busy().await;
    let (journal, kept) = (world.dir.path().join("journal"), world.dir.path().join("kept"));
    copy(&journal, &kept);
    let views = world.views().await;
    let card = views.cards_of(users[0]).expect("a list")[0].card;
    for n in 1..=3 {
        world.happen(users[0], Class::User, &[topped_up(card, n).into()]).await;
    }
    world.catch_up(&views).await;
    let before = answers(&views, &users);
    drop(views);

    // The journal as it was three records ago.
    let restored = Embedded::open_read_only(&kept).expect("the kept journal");
    let refused = Views::open(&world.views_dir(), &restored, Options::default()).await;
    let partition = users[0].partition();
    let refused = refused.map(|(_, rebuilt)| rebuilt);
    assert!(matches!(&refused, Err(Error::JournalShorter { partition: p, .. }) if *p == partition), "{refused:?}");
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!(rebuilt, None, "a refused journal changed nothing");
    assert_eq!(answers(&views, &users), before);
    drop(views);

    // The journal as it was three records ago, and written on from there.
    let dir = world.dir.path().to_path_buf();
    drop(restored);
    let mut other = World::written_on(&kept, 2).await;
    for n in 1..=9 {
        other.happen(users[0], Class::User, &[topped_up(card, n * 7).into()]).await;
    }
    let options = Options::default();
    let (views, rebuilt) = Views::open(&dir.join("views"), &other.journal, options).await.expect("views");
    assert_eq!(rebuilt, Some(Rebuild::OtherHistory));
    other.catch_up(&views).await;
    let top = views.transactions_of_card(card, 2, None).expect("a page").rows.pop().expect("a line");
    assert_eq!(top.amount, Minor(63), "what the journal holds now");
}

#[tokio::test]
async fn policies_are_read_by_the_time_they_are_in_force() {
    let mut world = World::new(2).await;
    let later = world.now_ms + 1_000;
    let next = PolicyAdopted { version: 2, effective_at_ms: later, policy: Box::new(policy()) };
    world.happen(AccountId::of_partition(1), Class::Ops, &[next.into()]).await;
    let views = world.views().await;
    let version = |views: &Views, now_ms| views.policy_at(now_ms).map(|(version, _)| version);
    assert_eq!(views.policy().map(|(version, _)| version), Some(1));
    assert_eq!((version(&views, later - 1), version(&views, later)), (Some(1), Some(2)));
    assert_eq!(views.policy_versions(0), [(1, 0)]);
    assert_eq!(views.policy_versions(1), [(1, 0), (2, later)]);
    drop(views);
    let (views, _) = world.open().await.expect("views");
    assert_eq!(version(&views, later), Some(2), "kept over a restart");
}

/// Name of the directory that a child is to crash in.
const CRASH_IN: &str = "FLORIN_PROJECTOR_CRASH_IN";
/// How many bytes it brings to the store in one go, about.
const ROUND_BYTES: &str = "FLORIN_PROJECTOR_ROUND_BYTES";

#[tokio::test]
async fn a_crash_in_the_middle_of_a_record_loses_and_doubles_nothing() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let card = world.card(alice, 1).await;
    let many: Vec<_> = (0..3_000).map(|_| (alice, Class::User, vec![topped_up(card, 1).into()])).collect();
    world.happen_all(&many).await;
    // Each batch is a round; then a round has several.
    for round in ["0", "20000"] {
        let child = std::env::current_exe().expect("this test");
        let ended = Command::new(child)
            .args(["--exact", "following::child_that_crashes", "--nocapture"])
            .env(CRASH_IN, world.dir.path())
            .env(ROUND_BYTES, round)
            .output()
            .expect("a child");
        assert!(!ended.status.success(), "it was to crash: {}", String::from_utf8_lossy(&ended.stdout));
        let (views, rebuilt) = world.open().await.expect("views");
        assert_eq!(rebuilt, None, "a crash is no damage");
        let applied = views.position(0);
        assert!(applied > Position(0), "the child got somewhere");
        // Rows and position belong together: as many lines as entries are applied.
        if applied.index() == world.last_index(0) {
            let mut lines = views.transactions_of_card(card, 1, None).expect("a page");
            assert_eq!(lines.rows.pop().map(|row| row.position), Some(applied));
        }
    }
    let views = world.views().await;
    world.agree(&views);
}

/// Run as a child of the story above: follows, and crashes once it is some way into the large record.
#[test]
fn child_that_crashes() {
    let Some(dir) = std::env::var_os(CRASH_IN) else {
        return;
    };
    let dir = Path::new(&dir);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let journal = Embedded::open_read_only(&dir.join("journal")).expect("the journal");
    let behind_bytes = std::env::var(ROUND_BYTES).expect("a size").parse().expect("a number");
    let options = Options { batch_rows_max: 24, behind_bytes, ..Options::default() };
    let (views, _) = runtime.block_on(Views::open(&dir.join("views"), &journal, options)).expect("views");
    // Well into the large record, so that some of it is stored.
    let large = runtime.block_on(journal.head(PartitionId(0))).expect("the head").index;
    let until = views.position(0).max(Position::new(large, 0)).0 + 1_000;
    let watched = views.clone();
    std::thread::spawn(move || {
        while watched.position(0).0 < until {
            std::thread::yield_now();
        }
        watched.flush().expect("on disk");
        std::process::abort();
    });
    runtime.block_on(Projector::new(journal, views).catch_up()).expect("caught up");
    // All of it was faster than the flush: crash all the same.
    std::process::abort();
}

/// Closed views, what they answer, and their store in somebody else's hands.
async fn held() -> (World, Vec<AccountId>, String, fs::File) {
    let (world, users) = busy().await;
    let before = answers(&world.views().await, &users);
    let held = fs::File::open(world.views_dir().join("rows/db")).expect("the store");
    patiently(|| held.try_lock(), |_| true).expect("nobody has it");
    (world, users, before, held)
}

#[tokio::test]
async fn a_store_that_is_about_to_be_let_go_of_is_no_damage() {
    // Who holds it is a process that was killed: it let go of the views' lock a moment before the store's.
    let (world, users, before, held) = held().await;
    let going = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        drop(held);
    });
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!((rebuilt, answers(&views, &users)), (None, before));
    going.join().expect("no panic");
}

#[tokio::test]
async fn a_store_that_somebody_else_has_is_left_alone() {
    let (world, users, before, held) = held().await;
    assert!(matches!(world.open().await, Err(Error::Locked { path }) if path.ends_with("rows")));
    drop(held);
    let (views, rebuilt) = world.open().await.expect("views");
    assert_eq!((rebuilt, answers(&views, &users)), (None, before));
}

/// Changes stored rows while nobody has the views open.
fn with_rows(world: &World, change: impl FnOnce(&sled::Tree)) {
    // A child that another story starts just now has the store's lock for as long as it is half a copy of this process.
    let open = || sled::open(world.views_dir().join("rows"));
    let db = patiently(open, |error| matches!(error, sled::Error::Io(_))).expect("the store");
    change(&db.open_tree("views").expect("the tree"));
    db.flush().expect("on disk");
}

#[tokio::test]
async fn who_waits_for_a_write_does_not_wait_for_others_to_come() {
    // Given views that bring records together for as long as nobody waits for one,
    let mut world = World::new(1).await;
    let user = world.user(1).await;
    let card = world.card(user, 1).await;
    let options = Options { gather: Duration::from_hours(1), ..Options::default() };
    let (views, _) = Views::open(&world.views_dir(), &world.journal, options).await.expect("views");
    let (stop, stopped) = oneshot::channel::<()>();
    let projector = Projector::new(world.journal.clone(), views.clone());
    let following = tokio::spawn(projector.run(async move {
        let _ = stopped.await;
    }));
    // and that are following,
    let first = world.happen(user, Class::User, &[topped_up(card, 1).into()]).await;
    views.wait(0, first, SOON).await.expect("what is there at the start");
    for amount in [2, 3] {
        // when records come one after the other,
        world.happen(user, Class::User, &[topped_up(card, amount).into()]).await;
        let last = world.happen(user, Class::User, &[topped_up(card, amount).into()]).await;
        // then who waits for one has it, and what came before,
        views.wait(0, last, SOON).await.expect("one's own write");
        assert_eq!(views.lag(0), 0);
    }
    // Nobody is hurried by who only follows:
    let follower = views.clone();
    let watching = tokio::spawn(async move {
        loop {
            follower.moved(0, follower.position(0)).await;
        }
    });
    let before = views.position(0);
    let last = world.happen(user, Class::User, &[topped_up(card, 4).into()]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(views.position(0), before);
    tokio::time::timeout(SOON, async { tokio::join!(views.moved(0, before), views.wait(0, last, SOON)) })
        .await
        .expect("both are told once somebody waits")
        .1
        .expect("one's own write");
    watching.abort();
    // and the end does not wait either.
    let last = world.happen(user, Class::User, &[topped_up(card, 4).into()]).await;
    stop.send(()).expect("a follower");
    tokio::time::timeout(SOON, following).await.expect("an end").expect("no panic").expect("sound views");
    assert!(views.position(0) <= last);
}
