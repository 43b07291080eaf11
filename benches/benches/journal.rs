//! Durable appends: the embedded journal, and fjall 3 doing the same durable writes beside it.
//!
//! "group" keeps as many records in flight as the writer allows; "single" waits for each. Entries are 150 bytes. The
//! journal also hashes every entry into a Merkle tree and chains the records, which fjall does not.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use florin_journal::embedded::{Embedded, EmbeddedWriter};
use florin_journal::{
    Batch, PartitionId, Provider, RECORD_BYTES_MAX, RECORD_BYTES_WORKING, SigningKey, Writer, verify_record,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const ENTRY_BYTES: usize = 150;

/// Bytes that do not compress (fjall would), from a small generator.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut noise = Vec::with_capacity(RECORD_BYTES_MAX);
    while noise.len() < RECORD_BYTES_MAX {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    noise
});

fn batch(bytes: usize) -> Batch {
    let mut batch = Batch::new();
    for entry in NOISE.chunks_exact(ENTRY_BYTES) {
        if !batch.is_empty() && batch.bytes() + 4 + ENTRY_BYTES > bytes {
            break;
        }
        batch.push(1, entry).expect("room below the working size");
    }
    batch
}

fn writer(runtime: &Runtime, dir: &TempDir) -> EmbeddedWriter {
    let key = SigningKey::from_bytes(&[7; 32]);
    Embedded::create(dir.path(), 1, key.clone()).expect("an empty directory");
    let journal = Embedded::open(dir.path(), key).expect("a fresh ledger");
    runtime.block_on(journal.claim(PartitionId(0))).expect("a claim")
}

/// Time for `records` durable records of `bytes`, building the batches included.
fn journal(runtime: &Runtime, writer: &mut EmbeddedWriter, records: u64, bytes: usize, in_flight: u64) -> Duration {
    runtime.block_on(async {
        let start = Instant::now();
        for submitted in 0..records {
            writer.submit(batch(bytes)).await.expect("a living writer");
            if submitted + 1 >= in_flight {
                writer.acked().await.expect("a durable record");
            }
        }
        for _ in 0..records.min(in_flight - 1) {
            writer.acked().await.expect("a durable record");
        }
        start.elapsed()
    })
}

fn append(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    for (name, bytes, in_flight) in [
        ("single entry", 0, 1),
        ("256 KiB single", RECORD_BYTES_WORKING, 1),
        ("256 KiB group", RECORD_BYTES_WORKING, 4),
    ] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(batch(bytes).len() as u64));
        let dir = TempDir::new().expect("a directory");
        let mut writer = writer(&runtime, &dir);
        group.bench_function("journal", |b| {
            b.iter_custom(|records| journal(&runtime, &mut writer, records, bytes, in_flight));
        });
        drop(writer);

        let dir = TempDir::new().expect("a directory");
        let database = Database::builder(dir.path()).open().expect("a database");
        let keyspace = database.keyspace("records", KeyspaceCreateOptions::default).expect("a keyspace");
        let mut index = 0u64;
        group.bench_function("fjall", |b| {
            b.iter_custom(|records| {
                let start = Instant::now();
                for done in 1..=records {
                    keyspace.insert(index.to_be_bytes(), &NOISE[..batch(bytes).bytes()]).expect("an insert");
                    index += 1;
                    if done % in_flight == 0 || done == records {
                        database.persist(PersistMode::SyncData).expect("a sync");
                    }
                }
                start.elapsed()
            });
        });
        group.finish();
    }
}

fn verify(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let dir = TempDir::new().expect("a directory");
    let mut writer = writer(&runtime, &dir);
    journal(&runtime, &mut writer, 1, RECORD_BYTES_WORKING, 1);
    drop(writer);
    let journal = Embedded::open_read_only(dir.path()).expect("the ledger");
    let record = runtime.block_on(journal.read(PartitionId(0), 2)).expect("the record");
    let mut group = c.benchmark_group("verify");
    group.throughput(Throughput::Elements(record.len() as u64));
    group.bench_function("256 KiB record", |b| b.iter(|| verify_record(record.bytes())));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = append, verify
}
criterion_main!(benches);
