//! A proof of one entry: the file, the head and the public key suffice, and any change to any of them fails.

use std::fs;
use std::path::Path;

use florin_engine::event::Event;
use florin_engine::ids::Position;

use crate::forge::{find, has};
use crate::world::{World, audit, public_key};

fn check(proof: &Path, head: &Path, key: &str) -> i32 {
    let arguments = ["check-proof", proof.to_str().unwrap(), "--head", head.to_str().unwrap(), "--public-key", key];
    audit(&arguments).status.code().unwrap()
}

/// Proves a top-up and takes the proof away from the ledger.
fn proven(world: &World) -> (tempfile::TempDir, Position) {
    let position = find(world, 1, |entry| has(entry, |event| matches!(event, Event::ToppedUp(_))));
    let elsewhere = tempfile::tempdir().unwrap();
    let (proof, head) = (elsewhere.path().join("proof"), elsewhere.path().join("head"));
    fs::copy(&world.head, &head).unwrap();
    let place = format!("1.{position}");
    let options = ["--position", &place, "--head", head.to_str().unwrap(), "-o", proof.to_str().unwrap()];
    let made = world.audit("prove", &options);
    assert!(made.status.success(), "{made:?}");
    (elsewhere, position)
}

#[test]
fn a_proof_holds_with_nothing_but_file_head_and_key() {
    let world = World::new();
    let (elsewhere, _) = proven(&world);
    drop(world);
    let (proof, head) = (elsewhere.path().join("proof"), elsewhere.path().join("head"));
    assert_eq!(check(&proof, &head, &public_key()), 0);
    assert!(fs::metadata(&proof).unwrap().len() < 8 << 10, "a few KiB");
}

#[test]
fn any_change_to_the_proof_fails() {
    let (elsewhere, _) = proven(&World::new());
    let (proof, head) = (elsewhere.path().join("proof"), elsewhere.path().join("head"));
    let whole = fs::read(&proof).unwrap();
    // Every digit that says something is one character: a sample of all of them.
    let meaning: Vec<usize> = (0..whole.len()).filter(|at| whole[*at].is_ascii_hexdigit()).collect();
    for at in meaning.iter().step_by(meaning.len() / 60) {
        let mut changed = whole.clone();
        changed[*at] = if whole[*at] == b'7' { b'8' } else { b'7' };
        fs::write(&proof, changed).unwrap();
        assert_eq!(check(&proof, &head, &public_key()), 1, "character {at}");
    }
}

#[test]
fn another_head_or_key_fails() {
    let (elsewhere, _) = proven(&World::new());
    let (proof, head) = (elsewhere.path().join("proof"), elsewhere.path().join("head"));
    assert_eq!(check(&proof, &head, &"22".repeat(32)), 1);
    // A head of the other partition
    let kept = fs::read_to_string(&head).unwrap();
    fs::write(&head, kept.lines().find(|line| line.contains("\"partition\":0")).unwrap()).unwrap();
    assert_eq!(check(&proof, &head, &public_key()), 1);
    // A head whose range root was changed
    fs::write(&head, kept.replace("\"range\":\"", "\"range\":\"0").replace("0\",\"signature", "\",\"signature"))
        .unwrap();
    assert_ne!(check(&proof, &head, &public_key()), 0);
}

#[test]
fn what_was_written_after_the_head_cannot_be_proven() {
    let world = World::new();
    let published = fs::read_to_string(world.journal().join("heads.jsonl")).unwrap();
    fs::write(&world.head, published.lines().next().unwrap()).unwrap();
    let out = world.path().join("proof");
    let options = ["--position", "0.30.0", "--head", world.head.to_str().unwrap(), "-o", out.to_str().unwrap()];
    let made = world.audit("prove", &options);
    assert!(!made.status.success() && !out.exists(), "{made:?}");
}
