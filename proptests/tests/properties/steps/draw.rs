//! How steps are drawn: which, how often, and with which numbers.

use florin_engine::{
    command::Class,
    terms::{Change, RevealKind},
};
use proptest::prelude::*;

use super::{Said, Step, Time, With};
use crate::{
    model::{AHEAD_MS, MEMORY_MS},
    policy::{DAY, FIGURES},
};

/// Amounts of which sums often meet a limit exactly.
fn round() -> impl Strategy<Value = i64> {
    (1_i64..6).prop_map(|hundreds| hundreds * 100)
}

/// Amounts around the bounds that the policy names, small ones, and the largest there are.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => round(),
        4 => 1_i64..3_000,
        4 => 2_400_i64..30_000,
        2 => prop::sample::select(vec![999_i64, 1_000, 2_499, 2_500, 10_000, 33, 17, 50]),
        1 => prop::sample::select(vec![0_i64, -1, 10_000_000, 10_000_001, i64::MAX, i64::MIN]),
    ]
}

/// Amounts that are paid in, or that the network says were paid: some around the most that a balance may come to.
fn posted() -> impl Strategy<Value = i64> {
    const MOST: i64 = i64::MAX / 4;
    prop_oneof![
        30 => amount(),
        1 => prop::sample::select(vec![MOST - 1_000_000, MOST - 200_000, MOST, MOST + 1, MOST + 1_000_000]),
    ]
}

fn maybe() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 2 => posted().prop_map(Some)]
}

fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 1_u64..60_000,
        3 => prop::sample::select(vec![599_999_u64, 600_000, 1_200_000, 3_600_000]),
        3 => 1_u64..DAY,
        2 => prop::sample::select(vec![DAY, 7 * DAY - 1, 7 * DAY, 8 * DAY]),
        1 => prop::sample::select(vec![30 * DAY, 31 * DAY - 1, 31 * DAY, 31 * DAY + 1]),
    ]
}

/// How late a message is: mostly as one waits, else about as old as it may be at all.
fn delay() -> impl Strategy<Value = Step> {
    let oldest = MEMORY_MS - AHEAD_MS;
    prop_oneof![2 => wait(), 1 => prop::sample::select(vec![oldest - 1, oldest])].prop_map(Step::Delay)
}

fn change() -> impl Strategy<Value = (Change, Class)> {
    (
        prop::sample::select(vec![
            Change::Freeze,
            Change::Freeze,
            Change::Thaw,
            Change::Block,
            Change::BlockForFraud,
            Change::Unblock,
            Change::Cancel,
        ]),
        prop::sample::select(vec![Class::User, Class::Ops, Class::Ops, Class::Network]),
    )
}

fn reveal() -> impl Strategy<Value = RevealKind> {
    use RevealKind::{ByNumber, Cvv, Details, OneTimeCode, Page, Pin};
    prop::sample::select(vec![ByNumber, Cvv, Details, OneTimeCode, Page, Pin])
}

fn until() -> impl Strategy<Value = Step> {
    // A month is long: what a story has come to is mostly over after it.
    let what = prop_oneof![
        4 => Just(Time::Hold), 4 => Just(Time::Deadline), 2 => Just(Time::Policy), 2 => Just(Time::Purchase), 1 => Just(Time::Memory),
    ];
    (what, 0_u8..4, any::<bool>()).prop_map(|(what, which, early)| Step::WaitFor { what, which, early })
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![12 => Just(Said::Done), 2 => Just(Said::Refused), 1 => Just(Said::Stale)]
}

fn again() -> impl Strategy<Value = With> {
    prop_oneof![6 => Just(With::Nothing), 2 => Just(With::Content), 1 => Just(With::User)]
}

/// The next policy: mostly at once, else while the story goes on.
fn adopt() -> impl Strategy<Value = Step> {
    let later = prop_oneof![3 => Just(0_u64), 2 => 1_u64..600_000, 1 => 1_u64..3 * DAY];
    (0..FIGURES.len(), later).prop_map(|(figures, in_ms)| Step::Adopt { figures, in_ms })
}

pub fn step() -> impl Strategy<Value = Step> {
    let card = || prop_oneof![3 => 0_u8..2, 1 => 0_u8..10];
    let auth = || prop_oneof![3 => 0_u8..2, 1 => 0_u8..12];
    let money = prop_oneof![
        12 => (card(), prop_oneof![9 => amount(), 1 => Just(0)], any::<bool>(), any::<bool>())
            .prop_map(|(card, amount, present, pin)| Step::Authorize { card, amount, present, pin }),
        4 => (auth(), amount()).prop_map(|(auth, amount)| Step::Increment { auth, amount }),
        2 => (auth(), 0_i64..2).prop_map(|(auth, more)| Step::IncrementUpTo { auth, more }),
        9 => (auth(), maybe(), any::<bool>()).prop_map(|(auth, amount, last)| Step::Clear { auth, amount, last }),
        4 => (auth(), maybe()).prop_map(|(auth, amount)| Step::Reverse { auth, amount }),
        1 => card().prop_map(|card| Step::ReverseFirst { card }),
        1 => card().prop_map(|card| Step::AuthorizeReversed { card }),
        2 => (card(), any::<bool>(), maybe(), any::<bool>())
            .prop_map(|(card, reversed, amount, last)| Step::ClearFirst { card, reversed, amount, last }),
        1 => (card(), any::<bool>(), maybe())
            .prop_map(|(card, reversed, amount)| Step::RefundFirst { card, reversed, amount }),
        2 => (auth(), any::<bool>()).prop_map(|(auth, network)| Step::ExpireHold { auth, network }),
        5 => (auth(), maybe()).prop_map(|(auth, amount)| Step::Refund { auth, amount }),
        1 => (card(), posted()).prop_map(|(card, amount)| Step::Credit { card, amount }),
        2 => (card(), posted()).prop_map(|(card, amount)| Step::ForcePost { card, amount }),
    ];
    let life = prop_oneof![
        4 => (0_u8..3, amount(), prop::bool::weighted(0.2), prop::bool::weighted(0.3), 0_u8..3).prop_map(
            |(user, amount, mobile, physical, expiry)| Step::Issue { user, amount, mobile, physical, expiry }
        ),
        1 => (0_u8..3, any::<bool>()).prop_map(|(user, physical)| Step::Request { user, physical }),
        1 => (0_u8..3, prop::bool::weighted(0.7)).prop_map(|(request, approved)| Step::Decide { request, approved }),
        14 => (card(), said()).prop_map(|(card, said)| Step::Settle { card, said }),
        1 => (0_u8..20, said()).prop_map(|(request, said)| Step::SettleLate { request, said }),
        2 => (card(), 0_u32..2).prop_map(|(card, older)| Step::Confirm { card, older }),
        6 => (card(), change()).prop_map(|(card, (change, class))| Step::Change { card, change, class }),
        3 => (card(), 0_u8..4, prop::option::weighted(0.8, prop_oneof![4 => round(), 3 => Just(0), 2 => 0_i64..60_000]), any::<bool>())
            .prop_map(|(card, which, amount, ops)| Step::Limits { card, which, amount, ops }),
        2 => (card(), prop_oneof![round(), 0_i64..5_000]).prop_map(|(card, amount)| Step::NoPin { card, amount }),
        3 => (card(), prop::bool::weighted(0.5)).prop_map(|(card, right)| Step::Activate { card, right }),
        2 => (card(), reveal(), any::<bool>(), prop::bool::weighted(0.05))
            .prop_map(|(card, kind, ops, long)| Step::Reveal { card, kind, ops, long }),
        2 => card().prop_map(|card| Step::Lapse { card }),
        1 => card().prop_map(|card| Step::Expire { card }),
        1 => (card(), prop::bool::weighted(0.05)).prop_map(|(card, empty)| Step::Appeal { card, empty }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(appeal, granted)| Step::DecideAppeal { appeal, granted }),
    ];
    let wallet = prop_oneof![
        2 => (0_u8..3, posted()).prop_map(|(user, amount)| Step::Deposit { user, amount }),
        1 => (0_u8..3, amount()).prop_map(|(user, amount)| Step::Withdraw { user, amount }),
        1 => (card(), prop::bool::weighted(0.2), 1_i64..2_000)
            .prop_map(|(card, of_wallet, amount)| Step::WriteOff { card, of_wallet, amount }),
        4 => (card(), amount()).prop_map(|(card, amount)| Step::TopUp { card, amount }),
        2 => (card(), amount()).prop_map(|(card, amount)| Step::Unload { card, amount }),
        1 => (card(), any::<bool>(), 0_i64..2)
            .prop_map(|(card, of_wallet, more)| Step::WriteOffAll { card, of_wallet, more }),
        1 => (card(), 0_i64..2).prop_map(|(card, more)| Step::UnloadAll { card, more }),
    ];
    prop_oneof![
        40 => money,
        33 => life,
        8 => wallet,
        8 => wait().prop_map(Step::Wait),
        3 => until(),
        2 => delay(),
        1 => prop::sample::select(vec![1_u64, 299_999, 300_000, 300_001, DAY]).prop_map(Step::Ahead),
        5 => (any::<u8>(), again()).prop_map(|(sent, with)| Step::Again { sent, with }),
        1 => adopt(),
        3 => Just(Step::WorkClock),
        1 => Just(Step::Snapshot),
    ]
}

/// Changes of the newest card, what comes of them, and a purchase that tells what binds.
pub fn change_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => change().prop_map(|(change, class)| Step::Change { card: 0, change, class }),
        8 => said().prop_map(|said| Step::Settle { card: 0, said }),
        2 => (0_u8..4, said()).prop_map(|(request, said)| Step::SettleLate { request, said }),
        2 => (0_u32..3).prop_map(|older| Step::Confirm { card: 0, older }),
        1 => (0_i64..3).prop_map(|amount| Step::NoPin { card: 0, amount }),
        1 => prop::bool::weighted(0.05).prop_map(|empty| Step::Appeal { card: 0, empty }),
        1 => any::<bool>().prop_map(|granted| Step::DecideAppeal { appeal: 0, granted }),
        1 => (round(), any::<bool>()).prop_map(|(amount, ops)| Step::Limits { card: 0, which: 1, amount: Some(amount), ops }),
        3 => prop::bool::weighted(0.2).prop_map(|early| Step::WaitFor { what: Time::Deadline, which: 0, early }),
        3 => Just(Step::Lapse { card: 0 }),
        1 => Just(Step::Authorize { card: 0, amount: 100, present: false, pin: false }),
    ]
}

/// A plastic card on its way to its owner: wrong tries above all, blocks, and the ways back from them.
pub fn plastic_step() -> impl Strategy<Value = Step> {
    let blocked = (prop::sample::select(vec![Change::Unblock, Change::Unblock, Change::Block, Change::Cancel]))
        .prop_map(|change| (change, if change == Change::Block { Class::Network } else { Class::Ops }));
    prop_oneof![
        14 => prop::bool::weighted(0.03).prop_map(|right| Step::Activate { card: 0, right }),
        3 => blocked.prop_map(|(change, class)| Step::Change { card: 0, change, class }),
        6 => said().prop_map(|said| Step::Settle { card: 0, said }),
        2 => prop::bool::weighted(0.1).prop_map(|empty| Step::Appeal { card: 0, empty }),
        2 => (0_u8..3, prop::bool::weighted(0.7)).prop_map(|(appeal, granted)| Step::DecideAppeal { appeal, granted }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(appeal, known)| Step::Email { appeal, known }),
        1 => adopt(),
        1 => prop::sample::select(vec![599_999_u64, 600_000, 30 * DAY]).prop_map(Step::Wait),
        1 => Just(Step::WorkClock),
        1 => (0_u32..2).prop_map(|older| Step::Confirm { card: 0, older }),
        1 => Just(Step::Snapshot),
    ]
}
