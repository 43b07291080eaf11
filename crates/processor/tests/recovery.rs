//! Stories of recovery: a snapshot is a shortcut to what the whole journal says, and never more.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod support;

use std::fs;
use std::sync::{Arc, Mutex};

use florin_engine::codec::encode;
use florin_engine::command::{Admitted, Class, Command};
use florin_engine::event::PolicyAdopted;
use florin_engine::ids::{AccountId, Position};
use florin_engine::snapshot::hash;
use florin_journal::{Batch, Error as Journal, Provider, Reader, Writer};
use florin_processor::snapshot::{self, Header};
use florin_processor::{fold, processor, recover, recovery};
use support::*;

/// Runs a world until it has made a snapshot and something after it.
async fn world_with_a_snapshot() -> World {
    let world = World::with_snapshots(20);
    let run = world.start_furnished().await;
    for n in 0..30 {
        run.handle.submit(top_up(&format!("n {n}"), 1)).await.unwrap();
    }
    run.entry(|entry| matches!(entry.admitted.envelope.command, Command::Checkpoint(_))).await;
    run.handle.submit(top_up("tail", 1)).await.unwrap();
    run.stop().await.unwrap();
    world
}

#[tokio::test]
async fn a_snapshot_and_the_tail_are_the_whole_journal() {
    let world = world_with_a_snapshot().await;
    let journal = world.journal();
    let short = recover(&journal, P0, Some(&world.snapshots()), None).await.unwrap();
    let whole = recover(&journal, P0, None, None).await.unwrap();
    assert!(short.tail_entries < whole.tail_entries, "the snapshot was used");
    assert_eq!(short.last, whole.last);
    assert_eq!(hash(&short.state), hash(&whole.state));
}

#[tokio::test]
async fn a_checkpoint_names_the_state_that_the_journal_has_there() {
    let world = world_with_a_snapshot().await;
    let run = world.start().await;
    let entry = run.entry(|entry| matches!(entry.admitted.envelope.command, Command::Checkpoint(_))).await;
    let Command::Checkpoint(checkpoint) = entry.admitted.envelope.command else { panic!("a checkpoint") };
    assert_eq!(entry.admitted.envelope.account, AccountId::of_partition(0));
    let (mut state, mut decoded) = (florin_engine::state::State::new(0, 1), fold::Decoded::default());
    let mut reader = run.journal.reader(P0, 0).await.unwrap();
    for _ in 0..=checkpoint.index {
        decoded.read(&reader.next().await.unwrap()).unwrap();
        decoded.fold(&mut state);
    }
    assert_eq!(hash(&state), checkpoint.state_hash);
    run.stop().await.unwrap();
    // And the head was signed then, beside that of genesis.
    let heads = fs::read_to_string(world.dir.path().join("journal/heads.jsonl")).unwrap();
    assert!(heads.lines().count() >= 2, "{heads}");
}

#[tokio::test]
async fn a_snapshot_that_is_damaged_or_of_another_ledger_or_history_is_thrown_away() {
    let (world, other) = (world_with_a_snapshot().await, world_with_a_snapshot().await);
    let whole = recover(&world.journal(), P0, None, None).await.unwrap();
    let path = snapshot::list(&world.snapshots(), P0).unwrap().remove(0);
    let good = fs::read(&path).unwrap();
    let foreign = fs::read(&snapshot::list(&other.snapshots(), P0).unwrap()[0]).unwrap();
    let mut damaged = good.clone();
    damaged[200] ^= 1;
    let (header, state) = snapshot::load(&path, world.journal().ledger().id, P0).unwrap();
    let astray = snapshot::encode(&Header { index: header.index - 1, ..header }, &state);
    for (case, bytes) in [("damaged", damaged), ("foreign", foreign), ("astray", astray)] {
        // Given only an unfit snapshot,
        for path in snapshot::list(&world.snapshots(), P0).unwrap() {
            fs::remove_file(path).unwrap();
        }
        fs::write(&path, bytes).unwrap();
        // then it is gone after a recovery that comes to the same state.
        let recovered = recover(&world.journal(), P0, Some(&world.snapshots()), None).await.unwrap();
        assert_eq!(hash(&recovered.state), hash(&whole.state), "{case}");
        assert_eq!(recovered.tail_entries, whole.tail_entries, "{case}");
        assert!(!path.exists(), "{case}");
    }
}

#[tokio::test]
async fn a_journal_shorter_than_a_snapshot_is_refused_and_not_written_to() {
    let world = world_with_a_snapshot().await;
    // Given a snapshot of a record that the journal does not have,
    let path = snapshot::list(&world.snapshots(), P0).unwrap().remove(0);
    let (header, state) = snapshot::load(&path, world.journal().ledger().id, P0).unwrap();
    let header = Header { index: 10_000, ..header };
    snapshot::save(&world.snapshots(), &header, &state).unwrap();
    let before = world.journal().head(P0).await.unwrap();
    // then the partition is not owned, the journal not touched, the snapshot kept as evidence.
    let refused = world.try_start().await.err().unwrap();
    let processor::Error::Recovery(recovery::Error::Journal { source: Journal::Shorter { index: 10_000, .. }, .. }) =
        refused
    else {
        panic!("shorter, not {refused:?}")
    };
    assert_eq!(world.journal().head(P0).await.unwrap(), before);
    assert_eq!(snapshot::list(&world.snapshots(), P0).unwrap().len(), 2);
}

#[tokio::test]
async fn a_partition_of_newer_rules_is_not_owned() {
    let world = World::new();
    // Given a journal in which a newer binary adopted a policy of rules that this one does not have,
    let mut newer = policy();
    newer.rules = florin_engine::policy::RULES_LATEST + 1;
    let adopted = PolicyAdopted { version: 1, effective_at_ms: NOON, policy: Box::new(newer) };
    let envelope = envelope(AccountId::of_partition(0), Class::Ops, "policy", furniture().remove(0).command);
    let mut bytes = Vec::new();
    encode(&Admitted { time_ms: NOON, policy: 0, envelope }, Ok(&[adopted.into()]), &mut bytes);
    let journal = world.journal();
    let mut writer = journal.claim(P0).await.unwrap();
    let mut batch = Batch::new();
    batch.push(NOON, &bytes).unwrap();
    writer.submit(batch).await.unwrap();
    let head = writer.acked().await.unwrap();
    drop((writer, journal));
    // then it does not own the partition, and does not even claim it.
    let refused = world.try_start().await.err().unwrap();
    assert!(matches!(refused, processor::Error::Recovery(recovery::Error::Rules { rules: 2, .. })), "{refused:?}");
    assert_eq!(world.journal().head(P0).await.unwrap(), head);
}

#[tokio::test]
async fn recovery_tells_how_it_comes_along() {
    let mut world = World::new();
    world.start_furnished().await.stop().await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    world.options.progress = Some(Arc::new(move |progress| teller.lock().unwrap().push(progress)));
    let run = world.start().await;
    let status = run.handle.status(0).await.unwrap();
    assert_eq!((status.accounts, status.cards, status.policy), (1, 1, 1));
    let first = told.lock().unwrap()[0];
    assert_eq!((first.partition, first.index, first.entries), (P0, first.last, 5));
    assert_eq!(Position::new(first.index, 0).index() + 1, status.head.index, "all but this start's own claim");
    run.stop().await.unwrap();
}
