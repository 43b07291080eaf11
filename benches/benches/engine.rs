//! The engine alone, one core: decide and evolve a top-up over 10,000 users (budgets.md P8), write its entry, and decide
//! and evolve one command of each kind.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use florin_benches::top_ups;
use florin_engine::{
    codec,
    command::{
        Admitted, Authorize, ChangeLimits, ChangeStatus, Class, Clear, Command, Deposit, Envelope, Increment, Merchant,
        Outcome, RecordReveal, Reverse, Settle, TopUp, Unload,
    },
    decide::{Decision, decide},
    evolve::evolve,
    ids::{AuthorizationId, CardId, Position, request_id},
    limits::LimitsUpdate,
    money::{Asset, Minor, Sealed},
    terms::{Change, RevealKind},
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

/// A kind of command: what comes before it, and the command itself.
type Kind = (&'static str, fn(CardId) -> Vec<(Class, Command)>, fn(CardId) -> (Class, Command));

fn authorize(card: CardId) -> Command {
    let authorization = AuthorizationId(card.0);
    let (amount, currency) = (Minor(1_000), Asset::USD);
    let merchant = Merchant::default();
    Authorize { card, authorization, amount, currency, merchant, card_present: true, pin_entered: true }.into()
}

fn freeze(card: CardId) -> Command {
    ChangeStatus { card, change: Change::Freeze, reason: Sealed::NONE }.into()
}

fn limit(card: CardId) -> Command {
    let update = LimitsUpdate { daily: Some(Some(Minor(50_000))), ..LimitsUpdate::default() };
    ChangeLimits { card, update }.into()
}

fn settled(card: CardId) -> Command {
    Settle { card, request: request_id(card, 2), outcome: Outcome::Done }.into()
}

const KINDS: [Kind; 12] = [
    ("top-up", |_| vec![], |card| (Class::User, TopUp { card, amount: Minor(1_000) }.into())),
    ("unload", |_| vec![], |card| (Class::User, Unload { card, amount: Minor(1_000) }.into())),
    (
        "deposit",
        |_| vec![],
        |_| (Class::Ops, Deposit { asset: Asset::USD, amount: Minor(1_000), reference: Sealed::NONE }.into()),
    ),
    ("authorize", |_| vec![], |card| (Class::Network, authorize(card))),
    (
        "increment",
        |card| vec![(Class::Network, authorize(card))],
        |card| (Class::Network, Increment { card, authorization: AuthorizationId(card.0), amount: Minor(100) }.into()),
    ),
    (
        "clear",
        |card| vec![(Class::Network, authorize(card))],
        |card| {
            (Class::Network, Clear { card, authorization: AuthorizationId(card.0), amount: None, last: true }.into())
        },
    ),
    (
        "reverse",
        |card| vec![(Class::Network, authorize(card))],
        |card| (Class::Network, Reverse { card, authorization: AuthorizationId(card.0), amount: None }.into()),
    ),
    ("freeze", |_| vec![], |card| (Class::User, freeze(card))),
    ("settle a freeze", |card| vec![(Class::User, freeze(card))], |card| (Class::Settlement, settled(card))),
    ("change limits", |_| vec![], |card| (Class::User, limit(card))),
    ("settle limits", |card| vec![(Class::User, limit(card))], |card| (Class::Settlement, settled(card))),
    (
        "record a reveal",
        |_| vec![],
        |card| (Class::User, RecordReveal { card, kind: RevealKind::Cvv, address: Sealed::NONE }.into()),
    ),
];

fn kinds(criterion: &mut Criterion) {
    const EACH: u32 = 2_000;
    let empty = top_ups::partition(EACH);
    let mut group = criterion.benchmark_group("decide and evolve");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(EACH)));
    for (name, before, kind) in KINDS {
        let mut state = empty.clone();
        let mut number = 0;
        let mut next = |user, (class, command)| {
            number += 1;
            admitted(top_ups::of_user(user, class, number, command))
        };
        let mut events = Vec::new();
        for user in 0..EACH {
            for command in before(top_ups::card(user)) {
                let admitted = next(user, command);
                assert_eq!(decide(&state, &admitted, &mut events), Decision::Accepted, "before {name}");
                evolve(&mut state, Position::new(1, user), &admitted, Ok(&events));
            }
        }
        let commands: Vec<Admitted> = (0..EACH).map(|user| next(user, kind(top_ups::card(user)))).collect();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || state.clone(),
                |mut state| {
                    let mut events = Vec::new();
                    for (n, admitted) in (0..).zip(&commands) {
                        assert_eq!(decide(&state, admitted, &mut events), Decision::Accepted, "{name}");
                        evolve(&mut state, Position::new(2, n), admitted, Ok(&events));
                    }
                    state
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, engine, kinds);
criterion_main!(benches);
