//! What is done to the files without care for checksums and chain.

use std::fs;

use florin_journal::{Kind, Provider, embedded::Embedded};

use crate::forge::{pieces, put};
use crate::world::{World, audit, public_key, signing, verify};

#[test]
fn a_clean_ledger_is_clean_and_anchored() {
    let world = World::new();
    let said = world.verify();
    assert_eq!(said.code, 0, "{:#}", said.report);
    assert_eq!((&said.report["verdict"], &said.report["anchored"]), (&"clean".into(), &true.into()));
    // It was worth auditing: rejects, checkpoints, all users.
    assert!(said.report["commands"].as_u64().unwrap() > 300, "{:#}", said.report);
    assert!(said.report["rejected"].as_u64().unwrap() > 20);
    assert!(said.report["checkpoints"].as_u64().unwrap() >= 2);
    assert_eq!(said.report["accounts"], 3);
    assert_eq!(said.report["balances"][0]["debits"], said.report["balances"][0]["credits"]);
}

#[test]
fn without_a_head_of_ones_own_the_report_says_unanchored() {
    let world = World::new();
    let said = world.verify_with(&[]);
    assert_eq!((said.code, &said.report["anchored"]), (0, &false.into()));
    let text = String::from_utf8(world.audit("verify", &[]).stdout).unwrap();
    assert!(text.contains("clean (unanchored"), "{text}");
}

#[test]
fn a_flipped_byte_anywhere_is_found_in_its_record() {
    let world = World::new();
    for partition in [0, 1] {
        let path = world.segment(partition);
        let whole = fs::read(&path).unwrap();
        let pieces = pieces(&world, partition);
        let last = pieces.last().unwrap();
        let length = last.offset + last.bytes.len();
        // Every field of one header, the first and last byte of the log, and a sample of all of it.
        let header = pieces[pieces.len() / 2].offset;
        let fields = [0, 8, 10, 11, 12, 14, 16, 32, 40, 56, 64, 72, 104, 136, 168, 176, 184, 188, 192, 224];
        let sample = (0..40).map(|n| n * 7_919_777 % length);
        let places = fields.iter().map(|field| header + field).chain([0, length - 1]).chain(sample);
        for place in places {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (place % 8);
            fs::write(&path, &flipped).unwrap();
            let said = world.verify();
            let index = pieces.iter().rposition(|piece| piece.offset <= place).unwrap() as u64;
            assert_eq!(said.code, 1, "byte {place}: {:#}", said.report);
            let first = &said.findings()[0];
            assert_eq!(
                (first.1, first.2),
                (Some(u64::from(partition)), Some(index)),
                "byte {place} of partition {partition}: {:#}",
                said.report
            );
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_byte_behind_the_end_is_not_clean() {
    // Given zeros ahead of the log, one of them changed
    let world = World::new();
    let mut bytes = fs::read(world.segment(0)).unwrap();
    let pieces = pieces(&world, 0);
    bytes.truncate(pieces.last().map(|last| last.offset + last.bytes.len()).unwrap());
    for behind in [10, 5_000] {
        let mut changed = bytes.clone();
        changed.resize(bytes.len() + 10_000, 0);
        fs::write(world.segment(0), &changed).unwrap();
        assert_eq!(world.verify().code, 0, "zeros are the end");
        changed[bytes.len() + behind] = 1;
        fs::write(world.segment(0), &changed).unwrap();
        // Then it may be a write that was cut off: not clean, and no finding either
        let said = world.verify();
        assert_eq!((said.code, &said.report["verdict"]), (2, &"incomplete".into()), "{:#}", said.report);
    }
}

#[test]
fn a_record_cut_out_is_missed() {
    let world = World::new();
    let mut left = pieces(&world, 1);
    left.remove(20);
    put(&world, 1, &left);
    let said = world.verify();
    said.has("index", 1, 20);
    assert_eq!(said.report["findings"][0]["found"], "record 21");
}

#[test]
fn two_records_swapped_are_both_told() {
    let world = World::new();
    let mut swapped = pieces(&world, 0);
    swapped.swap(9, 10);
    put(&world, 0, &swapped);
    let said = world.verify();
    said.has("index", 0, 9);
    assert_eq!(said.report["findings"][0]["expected"], "record 9");
    assert_eq!(said.report["findings"][0]["found"], "record 10");
}

#[test]
fn several_breaks_are_all_named() {
    let world = World::new();
    let mut broken = pieces(&world, 1);
    for at in [12, 30] {
        let end = broken[at].bytes.len() - 1;
        broken[at].bytes[end] ^= 4;
    }
    put(&world, 1, &broken);
    let said = world.verify();
    let places: Vec<Option<u64>> = said.findings().iter().map(|finding| finding.2).collect();
    assert_eq!((said.code, places), (1, vec![Some(12), Some(30)]), "{:#}", said.report);
}

#[test]
fn a_tail_that_was_cut_off_is_told_by_the_kept_head_only() {
    // Given the last five records gone, and what the ledger published about them
    let world = World::new();
    let mut cut = pieces(&world, 0);
    let last = cut.last().unwrap().header.index;
    cut.truncate(cut.len() - 5);
    put(&world, 0, &cut);
    // Then the published heads tell it
    world.verify_with(&[]).has("published-head", 0, last);
    let published = fs::read_to_string(world.journal().join("heads.jsonl")).unwrap();
    let early = |line: &&str| {
        let head: serde_json::Value = serde_json::from_str(line).unwrap();
        head["partition"] == 1 || head["index"].as_u64().unwrap() + 5 <= last
    };
    world.publish(&(published.lines().filter(early).collect::<Vec<_>>().join("\n") + "\n"));
    // And without those nothing does, but the one that was kept
    assert_eq!(world.verify_with(&[]).code, 0);
    let said = world.verify();
    said.has("trusted-head", 0, last);
    assert!(said.report["findings"][0]["found"].as_str().unwrap().contains("cut off"), "{:#}", said.report);
}

#[test]
fn a_damaged_last_record_is_a_finding_once_a_head_was_signed_behind_it() {
    let world = World::new();
    let mut damaged = pieces(&world, 0);
    let last = damaged.last_mut().unwrap();
    let index = last.header.index;
    last.bytes[100] ^= 1;
    put(&world, 0, &damaged);
    world.verify().has("trusted-head", 0, index);
    // Without any head it cannot be told from a write that was cut off: incomplete, never clean
    world.publish("");
    let said = world.verify_with(&[]);
    assert_eq!(said.code, 2, "{:#}", said.report);
}

#[test]
fn what_cannot_be_read_is_never_clean() {
    let world = World::new();
    world.publish("");
    fs::remove_dir_all(world.journal().join("p00001")).unwrap();
    let said = world.verify_with(&[]);
    assert_eq!((said.code, &said.report["verdict"]), (2, &"incomplete".into()), "{:#}", said.report);
    assert!(said.report["incomplete"][0].as_str().unwrap().contains("partition 1"));
    // With a head of that partition it is a finding
    assert_eq!(world.verify().code, 1);
    // And where there is nothing at all, nothing is clean
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(verify(empty.path(), &[]).code, 2);
}

#[test]
fn a_ledger_that_a_server_holds_is_audited_beside_it() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let _held = runtime.block_on(async {
        let journal = Embedded::open(&world.journal(), signing()).unwrap();
        let writer = journal.claim(crate::world::id(0)).await.unwrap();
        (journal, writer)
    });
    let said = world.verify();
    assert_eq!(said.code, 0, "{:#}", said.report);
}

#[test]
fn a_file_of_records_is_audited_like_a_directory() {
    let world = World::new();
    let bytes: Vec<u8> = [0, 1].iter().flat_map(|p| pieces(&world, *p)).flat_map(|piece| piece.bytes).collect();
    let file = world.path().join("export.journal");
    fs::write(&file, &bytes).unwrap();
    let kept = world.head.to_str().unwrap();
    let said = verify(&file, &["--trusted-head", kept]);
    assert_eq!((said.code, &said.report["anchored"]), (0, &true.into()), "{:#}", said.report);
    // One partition alone is not the ledger
    let alone: Vec<u8> = pieces(&world, 0).into_iter().flat_map(|piece| piece.bytes).collect();
    fs::write(&file, &alone).unwrap();
    assert_eq!(verify(&file, &[]).code, 2);
    // A byte flipped in it is found
    let mut flipped = bytes;
    let place = pieces(&world, 0)[15].offset + 300;
    flipped[place] ^= 1;
    fs::write(&file, &flipped).unwrap();
    verify(&file, &[]).has("merkle-root", 0, 15);
}

#[test]
fn a_head_that_the_key_did_not_sign_is_not_trusted() {
    let world = World::new();
    let head = world.head.to_str().unwrap();
    assert_eq!(world.verify_with(&["--trusted-head", head, "--public-key", &"11".repeat(32)]).code, 2);
    // Nor one that was changed
    let changed = fs::read_to_string(head).unwrap().replacen("\"index\":", "\"index\":1", 1);
    fs::write(head, changed).unwrap();
    assert_eq!(world.verify().code, 2);
}

#[test]
fn the_head_that_is_printed_can_be_kept() {
    let world = World::new();
    let printed = world.audit("head", &[]);
    assert!(printed.status.success());
    assert!(String::from_utf8_lossy(&printed.stderr).contains(&public_key()));
    fs::write(&world.head, &printed.stdout).unwrap();
    let said = world.verify();
    assert_eq!((said.code, &said.report["anchored"]), (0, &true.into()), "{:#}", said.report);
}

#[test]
fn an_audit_writes_nothing() {
    let world = World::new();
    let claims = pieces(&world, 0).iter().filter(|piece| piece.header.kind == Kind::Claim).count();
    assert!(claims >= 4, "restarts are claims");
    let before = listing(world.path());
    world.verify();
    audit(&["balance", world.path().to_str().unwrap()]);
    assert_eq!(listing(world.path()), before);
}

fn listing(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(listing(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            all.push((path, bytes));
        }
    }
    all.sort();
    all
}
