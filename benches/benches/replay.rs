//! Reading history again: decoding entries, folding them (budgets.md P9, replay), verifying records and deciding their entries
//! again, and snapshots of the state (P11).
//!
//! Deciding again is a part of an audit and not all of it: `florin audit verify` also links records and range roots, keeps
//! the books, compares accounts and checkpoints. What all of that takes, `florin bench --audit` tells.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use florin_benches::{ledger::Ledger, top_ups};
use florin_engine::{
    codec::{self, Entry, Outcome},
    decide::{Decision, decide},
    evolve::evolve,
    ids::Position,
    snapshot as engine,
    state::State,
};
use florin_journal::{Hash, Kind, PartitionId, Provider, Reader, Record, verify_record};
use florin_processor::{fold::Decoded, snapshot};
use tokio::runtime::Runtime;

const USERS: u32 = 10_000;
const TOP_UPS: u32 = 100_000;

/// The state after the users are made, the records of the top-ups that follow, and the ledger's id.
fn history() -> (State, Vec<Record>, florin_journal::LedgerId) {
    Runtime::new().expect("threads").block_on(async {
        let ledger = Ledger::with(USERS).await;
        let made = ledger.journal.head(PartitionId(0)).await.expect("a head").index;
        ledger.decide((0..TOP_UPS).map(|n| top_ups::top_up(n % USERS, u64::from(n)))).await;
        let id = ledger.journal.ledger().id;
        let (_dir, journal) = ledger.stop().await;
        let mut state = State::new(0, 1);
        let mut reader = journal.reader(PartitionId(0), 0).await.expect("a reader");
        let (mut records, mut decoded) = (Vec::new(), Decoded::default());
        while let Some(record) = reader.try_next().await.expect("a sound journal") {
            if record.index() <= made {
                decoded.read(&record).expect("a sound record");
                decoded.fold(&mut state);
            } else if record.kind() == Kind::Entries {
                records.push(record);
            }
        }
        (state, records, id)
    })
}

/// Verifies a record, decides its entries again and compares them byte by byte.
fn redecide(state: &mut State, record: &Record) {
    verify_record(record.bytes()).expect("a sound record");
    let mut events = Vec::new();
    let mut again = Vec::new();
    for (n, bytes) in (0..).zip(record.entries()) {
        let entry = Entry::decode(bytes).expect("a sound entry");
        let decision = decide(state, &entry.admitted, &mut events);
        assert_eq!(decision, Decision::Accepted);
        again.clear();
        codec::encode(&entry.admitted, Ok(&events), &mut again);
        assert_eq!(again, bytes);
        evolve(state, Position::new(record.index(), n), &entry.admitted, Ok(&events));
    }
}

fn replay(criterion: &mut Criterion) {
    let (state, records, ledger) = history();
    let entries: u64 = records.iter().map(|record| record.len() as u64).sum();
    let mut group = criterion.benchmark_group("replay");
    group.sample_size(10).throughput(Throughput::Elements(entries));
    group.bench_function("decode an entry", |bencher| {
        bencher.iter(|| {
            let entries = records.iter().flat_map(|record| record.entries());
            entries
                .filter(|bytes| matches!(Entry::decode(bytes).map(|entry| entry.outcome), Ok(Outcome::Accepted(_))))
                .count()
        });
    });
    let mut apply = |name, apply: &mut dyn FnMut(&mut State, &Record)| {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || state.clone(),
                |mut state| {
                    for record in &records {
                        apply(&mut state, record);
                    }
                    state
                },
                BatchSize::LargeInput,
            );
        });
    };
    // As a restart does, but on one thread.
    let mut decoded = Decoded::default();
    apply("fold an entry", &mut |state, record| {
        decoded.read(record).expect("a sound record");
        decoded.fold(state);
    });
    apply("verify, decide again and compare an entry", &mut redecide);
    group.finish();

    let header = snapshot::Header {
        ledger,
        partition: PartitionId(0),
        index: 1,
        record: Hash([0; 32]),
        rules: 1,
        state_hash: engine::hash(&state),
    };
    let bytes = snapshot::encode(&header, &state);
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(USERS)));
    group.bench_function("write a user", |bencher| bencher.iter(|| snapshot::encode(&header, &state).len()));
    group.bench_function("load a user", |bencher| {
        bencher.iter(|| snapshot::decode(&bytes, ledger, PartitionId(0)).expect("a sound snapshot"));
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
