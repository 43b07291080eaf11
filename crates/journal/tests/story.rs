//! Stories of damage, failure and proof, and the stored bytes themselves.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use florin_journal::embedded::{Disk, Embedded, Options, Os};
use florin_journal::genesis::genesis;
use florin_journal::header::{Header, Kind};
use florin_journal::mmr::Range;
use florin_journal::proof::{EntryProof, prove};
use florin_journal::{
    Batch, Chain, Corruption, Error, HEADER_BYTES, Hash, LedgerId, PartitionId, Provider, RECORD_BYTES_MAX, Reader,
    Record, SignedHead, SigningKey, VerifyingKey, Writer, merkle, verify_record,
};
use proptest::prelude::*;
use tempfile::TempDir;

const P: PartitionId = PartitionId(0);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn batch(entries: &[&[u8]]) -> Batch {
    let mut batch = Batch::new();
    for entry in entries {
        batch.push(5, entry).expect("a small entry");
    }
    batch
}

fn ledger() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    Embedded::create(dir.path(), 1, key()).expect("a ledger");
    dir
}

async fn write(journal: &Embedded, records: u64) {
    let mut writer = journal.claim(P).await.expect("a claim");
    for n in 0..records {
        let batch = batch(&[format!("first of {n}").as_bytes(), &n.to_le_bytes(), b"last"]);
        writer.submit(batch).await.expect("a batch taken");
        writer.acked().await.expect("an acknowledgement");
    }
}

async fn records(journal: &Embedded) -> Vec<Record> {
    let mut reader = journal.reader(P, 0).await.expect("a reader");
    let mut records = Vec::new();
    while let Some(record) = reader.try_next().await.expect("sound records") {
        records.push(record);
    }
    records
}

fn segment(dir: &Path) -> std::path::PathBuf {
    dir.join("p00000/00000000000000000000.journal")
}

#[tokio::test]
async fn every_flipped_bit_is_detected() {
    // Given a small journal,
    let dir = ledger();
    let journal = Embedded::open(dir.path(), key()).expect("a ledger");
    write(&journal, 2).await;
    let intact: Vec<Vec<u8>> = records(&journal).await.iter().map(|record| record.bytes().to_vec()).collect();
    // when any byte of any record is changed, then some check says so.
    for (at, bytes) in intact.iter().enumerate() {
        for byte in 0..bytes.len() {
            let mut changed = intact.clone();
            changed[at][byte] ^= 1 << (byte % 8);
            let mut chain = Chain::new(journal.ledger().id, P);
            let verdict: Result<Vec<_>, _> =
                changed.iter().map(|bytes| verify_record(bytes).and_then(|record| chain.push(record))).collect();
            assert!(verdict.is_err(), "record {at} byte {byte}");
        }
    }
}

#[tokio::test]
async fn dropped_repeated_and_swapped_records_are_detected() {
    let dir = ledger();
    let journal = Embedded::open(dir.path(), key()).expect("a ledger");
    write(&journal, 2).await;
    let all = records(&journal).await;
    for order in [vec![0, 2, 3], vec![0, 1, 1], vec![0, 1, 3, 2], vec![1]] {
        let mut chain = Chain::new(journal.ledger().id, P);
        let verdict: Result<Vec<_>, _> = order.iter().map(|&at: &usize| chain.push((*all[at]).clone())).collect();
        assert!(matches!(verdict, Err(Corruption::Index { .. })), "{order:?}");
    }
}

#[tokio::test]
async fn a_proof_convinces_of_its_entry_only() {
    // Given a history,
    let dir = ledger();
    let journal = Embedded::open(dir.path(), key()).expect("a ledger");
    write(&journal, 12).await;
    let all = records(&journal).await;
    // when any entry of any record is proven towards any later head, then the proof holds,
    for head in &all {
        for record in &all[..=usize::try_from(head.index()).expect("small")] {
            for (n, entry) in (0u32..).zip(record.entries()) {
                let proof = prove(&journal, P, record.index(), n, head.index()).await.expect("a proof");
                let header = proof.verify(entry, head.range()).expect("proven");
                assert_eq!(header, *record.header());
                // and for nothing else.
                let other = EntryProof { entry: n + 1, ..proof.clone() };
                assert_eq!(proof.verify(b"forged", head.range()), Err(Corruption::Proof));
                assert_eq!(other.verify(entry, head.range()), Err(Corruption::Proof));
                assert_eq!(proof.verify(entry, record.hash()), Err(Corruption::Proof));
            }
        }
    }
}

#[tokio::test]
async fn records_of_one_torn_group_are_cut_together() {
    // Given the last two records, of which the first was torn and the second reached the disk; the second was sealed
    // before the first was known durable, so neither was ever promised,
    let dir = ledger();
    let journal = Embedded::open(dir.path(), key()).expect("a ledger");
    write(&journal, 1).await;
    let all = records(&journal).await;
    drop(journal);
    let mut chain = Chain::new(all[0].ledger(), P);
    for record in &all {
        chain.push((**record).clone()).expect("sound");
    }
    let end: usize = all.iter().map(|record| record.bytes().len()).sum();
    let mut bytes = fs::read(segment(dir.path())).expect("a segment");
    let torn = [0; 300];
    let second = Header { index: 4, durable: 3, previous: Hash([1; 32]), ..*all[2].header() };
    let mut header = [0; HEADER_BYTES];
    second.encode(&mut header);
    let body = &all[2].bytes()[HEADER_BYTES..];
    let tail = [&torn[..], &header, body].concat();
    bytes.truncate(end);
    bytes.extend(&tail);
    fs::write(segment(dir.path()), &bytes).expect("a write");
    // when the ledger is opened and claimed, then both are cut;
    let journal = Embedded::open(dir.path(), key()).expect("a torn ledger");
    let writer = journal.claim(P).await.expect("a claim");
    assert_eq!(writer.head().index, 3);
    drop((writer, journal));
    // but had the second been sealed when the first was durable, this is corruption.
    Header { durable: 4, ..second }.encode(&mut header);
    bytes.truncate(end);
    bytes.extend([&torn[..], &header, body].concat());
    fs::write(segment(dir.path()), &bytes).expect("a write");
    let refused = Embedded::open(dir.path(), key()).err();
    assert!(matches!(refused, Some(Error::Corrupt { index: 3, .. })), "{refused:?}");
    assert_eq!(fs::read(segment(dir.path())).expect("a segment"), bytes, "nothing is written");
}

#[test]
fn a_directory_has_one_owner_and_one_beginning() {
    let dir = ledger();
    let again = Embedded::create(dir.path(), 1, key());
    assert!(matches!(again, Err(Error::NotEmpty { .. })));
    let owner = Embedded::open(dir.path(), key()).expect("a ledger");
    assert!(matches!(Embedded::open(dir.path(), key()).err(), Some(Error::Locked { .. })));
    drop(owner);
    Embedded::open(dir.path(), key()).expect("unlocked again");
    let nowhere = Embedded::open(&dir.path().join("nowhere"), key()).err();
    assert!(matches!(nowhere, Some(Error::Missing { .. })), "{nowhere:?}");
}

#[test]
fn an_owner_that_is_about_to_be_gone_is_waited_for() {
    let dir = ledger();
    let owner = Embedded::open(dir.path(), key()).expect("a ledger");
    let going = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        drop(owner);
    });
    Embedded::open(dir.path(), key()).expect("its own at last");
    going.join().expect("no panic");
}

#[tokio::test]
async fn an_auditor_reads_beside_the_owner_and_cannot_write() {
    let dir = ledger();
    let owner = Embedded::open(dir.path(), key()).expect("a ledger");
    write(&owner, 3).await;
    let auditor = Embedded::open_read_only(dir.path()).expect("a copy of the view");
    assert_eq!(records(&auditor).await, records(&owner).await);
    assert!(matches!(auditor.claim(P).await.err(), Some(Error::ReadOnly)));
}

/// A disk with room for some writes and time for some syncs.
struct Failing {
    writes: AtomicI64,
    syncs: AtomicI64,
}

impl Disk for Failing {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.writes.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Os.write(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.syncs.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::other("the disk went away"));
        }
        Os.sync(file)
    }
}

async fn fail(writes: i64, syncs: i64) -> (Error, Error, Error) {
    let dir = ledger();
    let disk = Arc::new(Failing { writes: writes.into(), syncs: syncs.into() });
    let options = Options { disk, ..Options::default() };
    let journal = Embedded::open_with(dir.path(), key(), &options).expect("a ledger");
    let mut writer = journal.claim(P).await.expect("a claim");
    let head = writer.head();
    writer.submit(batch(&[b"lost"])).await.expect("a batch taken");
    let first = writer.acked().await.expect_err("the disk failed");
    let second = writer.submit(batch(&[b"more"])).await.expect_err("the writer is dead");
    let third = journal.claim(P).await.err().expect("no claim before a restart");
    assert_eq!(journal.head(P).await.expect("a head"), head, "nothing unsynced is shown");
    (first, second, third)
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_tried_again() {
    let (first, second, third) = fail(i64::MAX, 1).await;
    assert!(matches!(first, Error::Io { .. }), "{first}");
    assert!(matches!((second, third), (Error::Dead(_), Error::Dead(_))));
}

#[tokio::test]
async fn a_full_disk_is_called_that() {
    // The claim takes two writes: the record, and zeros ahead.
    let (first, second, third) = fail(2, i64::MAX).await;
    assert!(matches!(first, Error::DiskFull { .. }), "{first}");
    assert!(matches!((second, third), (Error::Dead(_), Error::Dead(_))));
}

#[tokio::test]
async fn a_signed_head_is_the_signers_and_survives_its_text() {
    let dir = ledger();
    let journal = Embedded::open(dir.path(), key()).expect("a ledger");
    let mut writer = journal.claim(P).await.expect("a claim");
    let signed = writer.sign_head().await.expect("a signature");
    let text = fs::read_to_string(dir.path().join("heads.jsonl")).expect("published");
    let read = text.lines().last().and_then(SignedHead::from_json).expect("a head");
    assert_eq!(read, signed);
    assert!(read.verify(&key().verifying_key()));
    let stranger: VerifyingKey = SigningKey::from_bytes(&[8; 32]).verifying_key();
    assert!(!read.verify(&stranger));
    let mut forged = read;
    forged.head.index += 1;
    assert!(!forged.verify(&key().verifying_key()));
}

#[test]
fn an_entry_that_does_not_fit_is_refused() {
    let mut batch = Batch::new();
    batch.push(0, &vec![1; RECORD_BYTES_MAX - HEADER_BYTES - 4]).expect("exactly full");
    assert!(batch.push(0, b"").is_err());
    batch.clear();
    batch.push(0, b"").expect("room again");
}

fn example(kind: Kind) -> (Vec<u8>, Hash) {
    let body: &[u8] = if kind == Kind::Claim { b"" } else { b"\x02\0\0\0hi\x03\0\0\0you" };
    let count = if kind == Kind::Claim { 0 } else { 2 };
    let header = Header {
        kind,
        partition: PartitionId(0x0102),
        ledger: LedgerId([0x11; 16]),
        term: 3,
        nonce: [0x22; 16],
        index: 9,
        durable: 8,
        previous: Hash([0x33; 32]),
        range: Hash([0x44; 32]),
        mountain: Hash([0x55; 32]),
        first_time_ms: 1_700_000_000_000,
        last_time_ms: 1_700_000_000_001,
        count,
        body_bytes: u32::try_from(body.len()).expect("small"),
        entries: merkle::root(body, count).expect("entries that fill the body"),
    };
    let mut room = [0; HEADER_BYTES];
    let hash = header.encode(&mut room);
    ([&room[..], body].concat(), hash)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Stored bytes of format 1. If this fails the code is wrong, not the literals: journals like these exist.
#[test]
fn stored_bytes_never_change() {
    let golden = include_str!("golden/format1.txt");
    let first = genesis(LedgerId([0x11; 16]), P, 2, Hash::ZERO).expect("a genesis");
    let other = genesis(LedgerId([0x11; 16]), PartitionId(1), 2, first.hash()).expect("a genesis");
    let (claim, claim_hash) = example(Kind::Claim);
    let (entries, entries_hash) = example(Kind::Entries);
    let mut range = Range::new();
    let roots: Vec<String> = (0..5u8)
        .map(|n| {
            range.push(Hash([n; 32]));
            range.root().to_string()
        })
        .collect();
    let written = format!(
        "genesis 0\n{}\n{}\ngenesis 1\n{}\n{}\nclaim\n{}\n{claim_hash}\nentries\n{}\n{entries_hash}\nrange roots\n{}\n",
        hex(first.bytes()),
        first.hash(),
        hex(other.bytes()),
        other.hash(),
        hex(&claim),
        hex(&entries),
        roots.join("\n"),
    );
    assert_eq!(written, golden);
    for record in [first.bytes(), other.bytes(), &claim, &entries] {
        assert_eq!(verify_record(record).expect("a record").bytes(), record);
    }
}

proptest! {
    #[test]
    fn what_is_pushed_is_read(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..70)) {
        let body: Vec<u8> = entries.iter().flat_map(|entry| {
            [&u32::try_from(entry.len()).expect("small").to_le_bytes()[..], entry].concat()
        }).collect();
        let count = u32::try_from(entries.len()).expect("small");
        let root = merkle::root(&body, count).expect("entries");
        for (at, entry) in (0u32..).zip(&entries) {
            let path = merkle::path(&body, count, at).expect("a path");
            prop_assert_eq!(merkle::climb_path(merkle::leaf(entry), at, count, &path), Some(root));
        }
        prop_assert!(merkle::root(&body, count + 1).is_err());
        prop_assert!(merkle::root(&body[..body.len() - 1], count).is_err());
        prop_assert_eq!(merkle::path(&body, count, count), None);
    }

    #[test]
    fn anything_else_is_not_a_record(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify_record(&bytes).is_err());
    }
}
