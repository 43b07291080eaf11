//! A ledger that moves: from files to streams and back, through one file, hashes unchanged.

use std::fs::{self, File};

use florin_journal::embedded::{Embedded, EmbeddedRestore};
use florin_journal::export::{self, TRAILER};
use florin_journal::nats::{Nats, NatsRestore};
use florin_journal::testing::NatsServer;
use florin_journal::{Provider, Record};
use tempfile::TempDir;

use super::support::{P, key, records, settings, texts, write};

async fn export_to(journal: &impl Provider, path: &std::path::Path, from: u64) -> export::Contents {
    let mut file = File::create(path).expect("a file");
    export::write(journal, |_| from, &mut file, |_| {}).await.expect("an export")
}

fn read(path: &std::path::Path) -> Result<Vec<Record>, export::Error> {
    let mut records = Vec::new();
    export::read(&mut File::open(path).expect("a file"), |record| {
        records.push(record);
        Ok::<_, export::Error>(())
    })?;
    Ok(records)
}

#[tokio::test]
async fn a_ledger_moves_from_files_to_streams_and_back_in_one_chain() {
    // Given an embedded ledger, exported,
    let dir = TempDir::new().expect("a directory");
    let (home, file) = (dir.path().join("home"), dir.path().join("first.export"));
    Embedded::create(&home, 2, key()).expect("a ledger");
    let embedded = Embedded::open(&home, key()).expect("a ledger");
    let mut writer = embedded.claim(P).await.expect("a claim");
    write(&mut writer, "in files").await;
    let contents = export_to(&embedded, &file, 0).await;
    assert_eq!(contents.partitions[0].head, writer_head(&embedded).await);
    // when it is imported into NATS and goes on there,
    let server = NatsServer::start().await;
    let target = NatsRestore::start(server.connect().await, "test", key(), settings(&server)).await.expect("empty");
    let ledger = export::restore(&mut File::open(&file).expect("a file"), target, |_| {}).await.expect("restored");
    assert_eq!(ledger, *embedded.ledger());
    let nats = Nats::open(server.connect().await, "test", Some(key()), settings(&server)).await.expect("a ledger");
    assert_eq!(records(&nats, 0).await, records(&embedded, 0).await);
    let mut writer = nats.claim(P).await.expect("a claim");
    write(&mut writer, "in a stream").await;
    // and is exported again, and imported into files,
    let (away, second) = (dir.path().join("away"), dir.path().join("second.export"));
    export_to(&nats, &second, 0).await;
    let target = EmbeddedRestore::start(&away, key()).expect("an empty directory");
    export::restore(&mut File::open(&second).expect("a file"), target, |_| {}).await.expect("restored");
    // then it is one unbroken chain, the same everywhere.
    let back = Embedded::open(&away, key()).expect("a ledger");
    let all = records(&back, 0).await;
    assert_eq!(all, records(&nats, 0).await);
    assert_eq!(texts(&all), ["in files", "in a stream"]);
    assert_eq!(fs::read(&second).expect("a file")[..all[0].bytes().len()], *all[0].bytes(), "plain records in front");
}

async fn writer_head(journal: &impl Provider) -> florin_journal::Head {
    journal.head(P).await.expect("a head")
}

#[tokio::test]
async fn an_export_answers_for_every_byte_and_from_any_position() {
    let dir = TempDir::new().expect("a directory");
    let (home, file) = (dir.path().join("home"), dir.path().join("some.export"));
    Embedded::create(&home, 1, key()).expect("a ledger");
    let journal = Embedded::open(&home, key()).expect("a ledger");
    let mut writer = journal.claim(P).await.expect("a claim");
    for n in 0..4 {
        write(&mut writer, &format!("entry {n}")).await;
    }
    // From any position, also behind the last record,
    let all = records(&journal, 0).await;
    for from in 0..=all.len() {
        export_to(&journal, &file, from as u64).await;
        assert_eq!(read(&file).expect("sound"), all[from..]);
    }
    // but only what begins with genesis makes a ledger.
    export_to(&journal, &file, 2).await;
    let target = EmbeddedRestore::start(&dir.path().join("part"), key()).expect("an empty directory");
    let partial = export::restore(&mut File::open(&file).expect("a file"), target, |_| {}).await;
    assert!(matches!(partial, Err(export::Error::Partial(P, 2))), "{partial:?}");
    // A cut file, and one with any record's byte changed, is refused.
    let sound = fs::read(&file).expect("a file");
    let end = sound.windows(TRAILER.len()).position(|bytes| bytes == TRAILER).expect("a trailer");
    for at in (0..end).step_by(7) {
        let mut changed = sound.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).expect("a write");
        assert!(read(&file).is_err(), "byte {at}");
    }
    for length in (0..sound.len()).step_by(7) {
        fs::write(&file, &sound[..length]).expect("a write");
        let cut = read(&file);
        assert!(matches!(cut, Err(export::Error::Unfinished | export::Error::Trailer(_))), "{length} bytes: {cut:?}");
    }
    // So is one with any byte of its trailer changed, and one whose records and trailer do not meet.
    export_to(&journal, &file, 0).await;
    let sound = fs::read(&file).expect("a file");
    let end = sound.windows(TRAILER.len()).position(|bytes| bytes == TRAILER).expect("a trailer");
    for at in end..sound.len() {
        let mut changed = sound.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).expect("a write");
        assert!(read(&file).is_err(), "byte {at}, the trailer begins at {end}");
    }
    for between in [&sound[..end - 1], &[&sound[..end], &[0]].concat()] {
        fs::write(&file, [between, &sound[end..]].concat()).expect("a write");
        let moved = read(&file);
        assert!(matches!(moved, Err(export::Error::Length { .. })), "{moved:?}");
    }
}

#[tokio::test]
async fn the_trailer_is_written_as_the_format_says() {
    // Genesis is random, so the trailer's form is compared, not its hashes.
    let dir = TempDir::new().expect("a directory");
    let (home, file) = (dir.path().join("home"), dir.path().join("some.export"));
    Embedded::create(&home, 1, key()).expect("a ledger");
    let journal = Embedded::open(&home, key()).expect("a ledger");
    export_to(&journal, &file, 0).await;
    let bytes = fs::read(&file).expect("a file");
    let genesis = records(&journal, 0).await.remove(0);
    let head = genesis.head();
    let length = genesis.bytes().len();
    let json = format!(
        "{{\"format\":1,\"ledger\":\"{}\",\"genesis\":\"{hash}\",\"bytes\":{length},\"blake3\":\"{}\",\"partitions\":\
         [{{\"from\":0,\"index\":0,\"hash\":\"{hash}\",\"range\":\"{}\",\"term\":0,\"time_ms\":0}}]}}",
        genesis.ledger(),
        blake3::hash(genesis.bytes()),
        head.range,
        hash = head.hash,
    );
    let size = u32::try_from(json.len()).expect("small").to_le_bytes();
    let expected = [genesis.bytes(), b"FLORINX\n", json.as_bytes(), &size, b"FLORINX\n"].concat();
    assert_eq!(bytes, expected);
}
