//! The segment that is prepared beside the log.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use florin_journal::embedded::{Disk, Embedded, Options, Os};
use florin_journal::{Batch, PartitionId, Provider, Reader, SigningKey, Writer};
use tempfile::TempDir;

const P: PartitionId = PartitionId(0);
const MIB: u64 = 1 << 20;
/// Beyond the zeros of the first segment, far before the size where it would end anyway.
const RECORDS: u64 = 110;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Writes about 26 MB, and goes on until a second segment is begun if there `will_be` one.
async fn write_much(journal: &Embedded, dir: &Path, will_be: bool) -> u64 {
    let mut writer = journal.claim(P).await.expect("a claim");
    let mut written = 0;
    while written < RECORDS || (will_be && segments(dir).len() < 2 && written < 10 * RECORDS) {
        let mut batch = Batch::new();
        for n in 0..4_u8 {
            batch.push(5, &vec![n; 60_000]).expect("a small entry");
        }
        writer.submit(batch).await.expect("a batch taken");
        writer.acked().await.expect("an acknowledgement");
        written += 1;
    }
    written
}

fn segments(dir: &Path) -> Vec<(String, u64)> {
    let files = fs::read_dir(dir.join("p00000")).expect("a partition").map(|file| file.expect("a file"));
    let named = files.map(|file| (file.file_name().into_string().expect("a name"), file.metadata()));
    let sized = named.filter_map(|(name, data)| Some((name, data.ok()?.len())));
    let mut segments: Vec<_> = sized.filter(|(name, _)| name.ends_with(".journal")).collect();
    segments.sort();
    segments
}

async fn entries(journal: &Embedded) -> usize {
    let mut reader = journal.reader(P, 0).await.expect("a reader");
    let mut entries = 0;
    while let Some(record) = reader.try_next().await.expect("sound records") {
        entries += record.entries().filter(|entry| entry.len() == 60_000).count();
    }
    entries
}

#[tokio::test]
async fn a_busy_log_goes_on_in_a_segment_that_is_ready() {
    // Given a log that was written to at length,
    let dir = TempDir::new().expect("a directory");
    Embedded::create(dir.path(), 1, key()).expect("a ledger");
    let journal = Embedded::open(dir.path(), key()).expect("the ledger");
    let written = write_much(&journal, dir.path(), true).await;
    // then it is in two segments, the second filled with zeros from the beginning,
    let made = segments(dir.path());
    assert!(made.len() >= 2, "{made:?}");
    assert!(made[0].1 < 256 * MIB && made[1].1 == 64 * MIB, "{made:?}");
    let head = journal.head(P).await.expect("a head");
    drop(journal);
    // nothing of a preparation is left behind,
    let left = dir.path().join("p00000/next.zeros");
    assert!(!left.exists(), "its owner is gone");
    // and all of it is there again, whatever a killed process leaves of its preparation.
    fs::write(&left, "left").expect("room");
    let journal = Embedded::open(dir.path(), key()).expect("the ledger");
    assert_eq!(journal.head(P).await.expect("a head"), head);
    assert_eq!(entries(&journal).await as u64, 4 * written);
    drop(journal.claim(P).await.expect("a claim"));
    let found = fs::read(&left).unwrap_or_default();
    assert!(!found.starts_with(b"left"), "deleted by the next owner, who may prepare one anew");
}

/// No room for so many segments to be prepared.
struct NoRoomAhead(AtomicU32);

impl Disk for NoRoomAhead {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let ahead = std::thread::current().name() == Some("journal-ahead");
        if ahead && self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Os.write(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        Os.sync(file)
    }
}

#[tokio::test]
async fn what_cannot_be_prepared_is_not_needed() {
    let dir = TempDir::new().expect("a directory");
    Embedded::create(dir.path(), 1, key()).expect("a ledger");
    let options = Options { disk: Arc::new(NoRoomAhead(u32::MAX.into())), ..Options::default() };
    let journal = Embedded::open_with(dir.path(), key(), &options).expect("the ledger");
    let written = write_much(&journal, dir.path(), false).await;
    assert_eq!(entries(&journal).await as u64, 4 * written);
    drop(journal);
    let journal = Embedded::open(dir.path(), key()).expect("the ledger");
    assert_eq!(entries(&journal).await as u64, 4 * written);
}

#[tokio::test]
async fn once_there_is_room_again_the_next_one_is_prepared() {
    let dir = TempDir::new().expect("a directory");
    Embedded::create(dir.path(), 1, key()).expect("a ledger");
    let options = Options { disk: Arc::new(NoRoomAhead(1.into())), ..Options::default() };
    let journal = Embedded::open_with(dir.path(), key(), &options).expect("the ledger");
    let prepared = || segments(dir.path()).iter().any(|(_, bytes)| *bytes == 64 * MIB);
    let mut written = 0;
    while !prepared() && written < 10 * RECORDS {
        written += write_much(&journal, dir.path(), false).await;
    }
    assert!(prepared(), "{:?}", segments(dir.path()));
    assert_eq!(entries(&journal).await as u64, 4 * written);
}
