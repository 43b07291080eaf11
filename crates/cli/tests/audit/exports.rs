//! Files of records: exports, whole and from a later record on, and plain ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use florin_engine::event::Event;
use florin_journal::SignedHead;
use serde_json::Value;

use crate::forge::{Piece, find, has, pieces, rewrite};
use crate::world::{Said, World, audit, id, signing, verify};

const MARK: &[u8] = b"FLORINX\n";

fn export(world: &World, options: &[&str]) -> PathBuf {
    let file = world.path().join("ledger.export");
    let data = world.path().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
    command.args(["export", "--data", data, "-o", file.to_str().unwrap()]).args(options);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    file
}

fn trailer(bytes: &[u8]) -> usize {
    bytes.windows(MARK.len()).position(|window| window == MARK).unwrap()
}

/// Verifies a file of these bytes, by somebody who kept no head.
fn told(file: &Path, bytes: &[u8]) -> Said {
    fs::write(file, bytes).unwrap();
    verify(file, &[])
}

/// Panics unless the export is found to be another, and nothing that was looked at is called clean.
fn changed(said: &Said, what: &str) {
    let export = said.findings().iter().any(|finding| finding.0 == "export");
    assert!(export && said.code == 1 && said.report["verdict"] == "findings", "{what}: {:#}", said.report);
}

#[test]
fn a_whole_export_is_clean_and_says_what_it_is() {
    let world = World::new();
    let file = export(&world, &[]);
    let said = verify(&file, &["--trusted-head", world.head.to_str().unwrap()]);
    assert_eq!((said.code, &said.report["anchored"]), (0, &true.into()), "{:#}", said.report);
    assert_eq!(said.report["source"], "export");
    assert_eq!(world.verify().report["source"], "directory");
}

#[test]
fn an_export_with_records_cut_out_and_its_trailer_kept_is_found() {
    let world = World::new();
    let file = export(&world, &[]);
    let whole = fs::read(&file).unwrap();
    let (at, second) = (trailer(&whole), pieces(&world, 1));
    let last = second.last().unwrap();
    // Given the last three records gone, the trailer as it was
    let cut: usize = second[second.len() - 3..].iter().map(|piece| piece.bytes.len()).sum();
    let said = told(&file, &[&whole[..at - cut], &whole[at..]].concat());
    changed(&said, "cut");
    // Then the partition is named that is too short
    said.has("export", 1, last.header.index);
    // And the same with a record in the middle gone
    let first = pieces(&world, 0);
    let gone = first[7].offset..first[8].offset;
    let said = told(&file, &[&whole[..gone.start], &whole[gone.end..]].concat());
    changed(&said, "a record in the middle");
    said.has("index", 0, 7);
}

#[test]
fn a_damaged_trailer_is_found() {
    let world = World::new();
    let file = export(&world, &[]);
    let whole = fs::read(&file).unwrap();
    let (at, end) = (trailer(&whole), whole.len());
    // Its marks, its length, and a sample of what it says
    let sample = (0..20).map(|n| at + 8 + n * 7_919 % (end - at - 20));
    for place in [at, at + 6, at + 7, end - 12, end - 9, end - 8, end - 2, end - 1].into_iter().chain(sample) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        changed(&told(&file, &bytes), &format!("byte {place} of a trailer at {at}"));
    }
    // Cut short in it
    for length in [at + 9, at + 100, end - 1] {
        changed(&told(&file, &whole[..length]), &format!("{length} bytes of {end}, the trailer at {at}"));
    }
}

#[test]
fn whatever_stands_behind_the_trailer_is_found() {
    let world = World::new();
    let file = export(&world, &[]);
    let whole = fs::read(&file).unwrap();
    let record = pieces(&world, 0)[5].bytes.clone();
    for behind in [&b"x"[..], &[0; 3], MARK, &record, &whole] {
        changed(&told(&file, &[&whole, behind].concat()), &format!("{} bytes", behind.len()));
    }
}

#[test]
fn a_record_that_begins_like_a_trailer_hides_nothing() {
    // Given one letter changed in a directory, of which nothing was signed
    let world = World::new();
    world.publish("");
    for partition in [0, 1] {
        let path = world.segment(partition);
        let whole = fs::read(&path).unwrap();
        let pieces = pieces(&world, partition);
        for piece in pieces[..pieces.len() - 1].iter().step_by(9) {
            let mut bytes = whole.clone();
            assert_eq!(bytes[piece.offset + 6], b'J');
            bytes[piece.offset + 6] = b'X';
            fs::write(&path, &bytes).unwrap();
            // Then it is told at that record, and by the commands that only read as well
            world.verify_with(&[]).has("magic", partition, piece.header.index);
            let balance = world.audit("balance", &[]);
            assert!(!balance.status.success(), "{balance:?}");
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn damage_in_a_file_is_told_of_its_partition_with_its_reason_and_of_no_other() {
    let world = World::new();
    let file = export(&world, &[]);
    let whole = fs::read(&file).unwrap();
    let second: usize = pieces(&world, 0).iter().map(|piece| piece.bytes.len()).sum();
    let piece = pieces(&world, 1)[20].clone();
    for (place, kind) in [(20, "checksum"), (0, "magic"), (300, "merkle-root")] {
        let mut bytes = whole.clone();
        bytes[second + piece.offset + place] ^= 1;
        let said = told(&file, &bytes);
        let places = [("export".into(), None, None, None), (kind.into(), Some(1), Some(20), None)];
        assert_eq!(said.findings(), places, "{:#}", said.report);
        // Partition 0 is decided again to its end, and not said to have bytes behind it
        let gaps = said.report["incomplete"].as_array().unwrap();
        assert!(gaps.iter().all(|gap| gap.as_str().unwrap().starts_with("partition 1")), "{:#}", said.report);
    }
    // In a last record too: what was exported was durable, so it is not taken for a write that was cut off
    let last = pieces(&world, 0).pop().unwrap();
    let mut bytes = whole;
    bytes[last.offset + 20] ^= 1;
    let said = told(&file, &bytes);
    said.has("checksum", 0, last.header.index);
}

#[test]
fn records_of_a_partition_that_the_ledger_does_not_have_are_found() {
    // Given a third partition's records behind a plain file, whose headers fit their checksums
    let world = World::new();
    let file = world.path().join("records");
    let astray = |piece: &Piece| {
        let header = florin_journal::header::Header { partition: id(7), ..piece.header };
        let mut bytes = piece.bytes.clone();
        let room: &mut [u8; 232] = bytes.first_chunk_mut().unwrap();
        header.encode(room);
        bytes
    };
    let plain: Vec<u8> = [0, 1].iter().flat_map(|p| pieces(&world, *p)).flat_map(|piece| piece.bytes).collect();
    assert_eq!(told(&file, &plain).code, 0);
    let hidden: Vec<u8> = pieces(&world, 1)[..4].iter().flat_map(astray).collect();
    told(&file, &[&plain[..], &hidden].concat()).has("partition", 7, 0);
    // And in a directory of its own
    let dir = world.journal().join("p00007");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(format!("{:020}.journal", 0)), &hidden).unwrap();
    world.verify_with(&[]).has("partition", 7, 0);
}

#[test]
fn an_export_that_begins_later_is_held_against_the_kept_heads() {
    let world = World::new();
    let file = export(&world, &["--from", "1.20"]);
    let head = world.head.to_str().unwrap();
    let said = verify(&file, &["--trusted-head", head]);
    // Its beginning is not there, so it is not clean; but the heads fit, and partition 0 was decided again
    assert_eq!((said.code, &said.report["verdict"]), (2, &"incomplete".into()), "{:#}", said.report);
    assert_eq!(said.report["anchored"], true, "{:#}", said.report);
    assert!(said.report["commands"].as_u64().unwrap() > 100, "{:#}", said.report);
    // Another history, and another ledger, are findings
    let kept = fs::read_to_string(head).unwrap();
    let mut of_one =
        kept.lines().map(|line| SignedHead::from_json(line).unwrap()).find(|head| head.partition.0 == 1).unwrap();
    let index = of_one.head.index;
    of_one.head.hash.0[0] ^= 1;
    let forged = SignedHead::sign(of_one.ledger, id(1), of_one.head, &signing());
    fs::write(head, forged.to_json()).unwrap();
    verify(&file, &["--trusted-head", head]).has("trusted-head", 1, index);
    of_one.ledger.0[0] ^= 1;
    fs::write(head, SignedHead::sign(of_one.ledger, id(1), of_one.head, &signing()).to_json()).unwrap();
    verify(&file, &["--trusted-head", head]).has("trusted-head", 1, index);
}

#[test]
fn what_needs_no_state_is_checked_in_an_export_that_begins_later() {
    let world = World::new();
    let place = find(&world, 1, |entry| has(entry, |event| matches!(event, Event::Withdrawn(_))));
    let from = format!("1.{}", place.index() - 1);
    for (at, kind) in [(2, "time"), (0, "entry")] {
        let world = World::new();
        rewrite(&world, 1, place, |bytes| bytes[at] ^= 0x41);
        let said = verify(&export(&world, &["--from", &from]), &[]);
        said.has(kind, 1, place.index());
    }
    // Views cannot be compared with it, and that is said
    let said = verify(&export(&world, &["--from", &from]), &["--views"]);
    let gaps = said.report["incomplete"].to_string();
    assert!(said.code == 2 && gaps.contains("the views"), "{:#}", said.report);
}

#[test]
fn commands_that_only_read_refuse_an_export_that_was_changed() {
    let world = World::new();
    let file = export(&world, &[]);
    let path = file.to_str().unwrap();
    assert!(audit(&["balance", path]).status.success());
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(1);
    fs::write(&file, bytes).unwrap();
    let refused = audit(&["balance", path]);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
}

#[test]
fn what_fails_before_anything_is_read_is_told_as_json_too() {
    let output = audit(&["verify", "/nowhere/at/all", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["verdict"]), (Some(2), &"incomplete".into()));
    assert!(report["incomplete"][0].as_str().unwrap().contains("/nowhere/at/all"), "{report:#}");
}
