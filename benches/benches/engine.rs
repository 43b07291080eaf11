//! The engine alone, one core: decide and evolve a top-up over 10,000 users (budgets.md P8), write its entry, and decide
//! and evolve one command of each kind that there is.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use florin_benches::{kinds::KINDS, top_ups};
use florin_engine::{
    codec,
    command::{Admitted, Envelope},
    decide::{Decision, decide},
    evolve::evolve,
    ids::Position,
};

const USERS: u32 = 10_000;
const COMMANDS: u32 = 100_000;

fn admitted(envelope: Envelope) -> Admitted {
    Admitted { time_ms: top_ups::START_MS + 1, policy: 1, envelope }
}

fn engine(criterion: &mut Criterion) {
    let state = top_ups::partition(USERS);
    let commands: Vec<Admitted> = (0..COMMANDS).map(|n| admitted(top_ups::top_up(n % USERS, u64::from(n)))).collect();
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(COMMANDS)));
    group.bench_function("decide and evolve a top-up", |bencher| {
        bencher.iter_batched(
            || state.clone(),
            |mut state| {
                let mut events = Vec::new();
                for (n, admitted) in commands.iter().enumerate() {
                    assert_eq!(decide(&state, admitted, &mut events), Decision::Accepted);
                    evolve(&mut state, Position::new(1 + n as u64, 0), admitted, Ok(&events));
                }
                state
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("decide, evolve and encode a top-up", |bencher| {
        bencher.iter_batched(
            || (state.clone(), Vec::with_capacity(256 * COMMANDS as usize)),
            |(mut state, mut out)| {
                let mut events = Vec::new();
                for (n, admitted) in commands.iter().enumerate() {
                    assert_eq!(decide(&state, admitted, &mut events), Decision::Accepted);
                    codec::encode(admitted, Ok(&events), &mut out);
                    evolve(&mut state, Position::new(1 + n as u64, 0), admitted, Ok(&events));
                }
                (state, out)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn kinds(criterion: &mut Criterion) {
    const EACH: u32 = 2_000;
    let mut group = criterion.benchmark_group("decide and evolve");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(EACH)));
    for kind in &KINDS {
        let (state, commands) = kind.prepared(EACH);
        group.bench_function(kind.name, |bencher| {
            bencher.iter_batched(|| state.clone(), |state| kind.run(state, &commands), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, engine, kinds);
criterion_main!(benches);
