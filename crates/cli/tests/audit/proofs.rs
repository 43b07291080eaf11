//! A proof of one entry: the file, the head and the public key suffice, and any change to any of them fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use florin_engine::event::Event;
use florin_engine::ids::Position;
use florin_journal::Kind;

use crate::forge::{find, has, pieces};
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
    // Any byte, what says nothing too: digits, names, quotes, spaces, the ends of lines.
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut changed = whole.clone();
        changed[at] = match whole[at] {
            b'7' => b'8',
            b' ' => b'\t',
            b'\n' => b' ',
            _ => b'7',
        };
        fs::write(&proof, changed).unwrap();
        assert_eq!(check(&proof, &head, &public_key()), 1, "byte {at}");
    }
    for more in ["\n", " "] {
        fs::write(&proof, [&whole, more.as_bytes()].concat()).unwrap();
        assert_eq!(check(&proof, &head, &public_key()), 1, "{more:?} at the end");
    }
    fs::write(&proof, &whole).unwrap();
    assert_eq!(check(&proof, &head, &public_key()), 0, "the file itself");
}

#[test]
fn a_head_that_says_more_than_was_signed_is_none() {
    let (elsewhere, _) = proven(&World::new());
    let (proof, head) = (elsewhere.path().join("proof"), elsewhere.path().join("head"));
    let kept = fs::read_to_string(&head).unwrap();
    fs::write(&head, kept.replace("\"partition\"", "\"approved_by\":\"nobody\",\"partition\"")).unwrap();
    assert_ne!(check(&proof, &head, &public_key()), 0);
    fs::write(&head, kept).unwrap();
    assert_eq!(check(&proof, &head, &public_key()), 0);
}

/// A file of the records of both partitions.
fn records(world: &World) -> PathBuf {
    let bytes: Vec<u8> = [0, 1].iter().flat_map(|p| pieces(world, *p)).flat_map(|piece| piece.bytes).collect();
    let file = world.path().join("copy.records");
    fs::write(&file, bytes).unwrap();
    file
}

fn prove(path: &Path, place: &str, head: Option<&Path>, out: &Path) -> Output {
    let mut arguments = vec!["prove", path.to_str().unwrap(), "--position", place, "-o", out.to_str().unwrap()];
    if let Some(head) = head {
        arguments.extend(["--head", head.to_str().unwrap()]);
    }
    audit(&arguments)
}

#[test]
fn a_proof_from_a_file_is_the_one_from_the_directory() {
    let world = World::new();
    let file = records(&world);
    let outs = ["directory", "file"].map(|name| world.path().join(name));
    let last = pieces(&world, 1).last().unwrap().header.index;
    // The first entry, one in the middle, one near the end
    let mut places = vec![find(&world, 1, |_| true)];
    places.extend([3, 2].map(|part| {
        let index = last - last / part;
        pieces(&world, 1)
            .iter()
            .find(|piece| piece.header.index >= index && piece.header.kind == Kind::Entries)
            .map(|piece| Position::new(piece.header.index, 0))
            .unwrap()
    }));
    for place in places {
        for (path, out) in [world.path(), &file].into_iter().zip(&outs) {
            let made = prove(path, &format!("1.{place}"), Some(&world.head), out);
            assert!(made.status.success(), "{place}: {made:?}");
        }
        assert_eq!(fs::read(&outs[0]).unwrap(), fs::read(&outs[1]).unwrap(), "{place}");
        assert_eq!(check(&outs[1], &world.head, &public_key()), 0);
    }
}

#[test]
fn a_file_has_no_signed_heads_and_says_so() {
    let world = World::new();
    let (file, out) = (records(&world), world.path().join("proof"));
    for made in [audit(&["head", file.to_str().unwrap()]), prove(&file, "1.5.0", None, &out)] {
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.code() == Some(2) && said.contains("no signed heads"), "{made:?}");
    }
    assert!(!out.exists());
    // One that ends before the head proves nothing towards it
    let bytes = fs::read(&file).unwrap();
    let last = pieces(&world, 1).pop().unwrap().bytes.len();
    fs::write(&file, &bytes[..bytes.len() - last]).unwrap();
    let made = prove(&file, "1.5.0", Some(&world.head), &out);
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.code() == Some(5) && said.contains("ends before"), "{made:?}");
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
