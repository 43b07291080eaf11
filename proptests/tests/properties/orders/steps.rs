//! Steps of a story of orders, and how they are drawn.

use proptest::prelude::*;

use crate::policy::DAY;

/// What is ordered.
#[derive(Clone, Copy, Debug)]
pub struct What {
    pub physical: bool,
    /// Of GB, DE and FR.
    pub country: usize,
    /// None, Post, Courier, and one that nobody knows.
    pub provider: usize,
}

#[derive(Clone, Debug)]
pub enum Step {
    Wait(u64),
    Snapshot,
    Adopt {
        figures: usize,
    },
    Verify {
        user: usize,
        bdd: bool,
        sdd: bool,
    },
    Deposit {
        user: usize,
        token: usize,
        cents: i64,
    },
    Withdraw {
        user: usize,
        token: usize,
    },
    Quote {
        user: usize,
        token: usize,
        what: What,
    },
    /// By one of the invoices, the newest first; `own`: as it says, and for its user.
    Order {
        invoice: usize,
        user: usize,
        own: bool,
        named: bool,
        what: What,
    },
    /// Without an invoice.
    OrderPlain {
        user: usize,
        what: What,
    },
    Settle {
        card: usize,
        refused: bool,
    },
    Expire {
        invoice: usize,
    },
    WorkClock,
}

fn what() -> impl Strategy<Value = What> {
    (any::<bool>(), prop_oneof![4 => Just(0_usize), 1 => 1_usize..3], prop_oneof![4 => 1_usize..3, 1 => 0_usize..4])
        .prop_map(|(physical, country, provider)| What { physical, country, provider })
}

pub fn step() -> impl Strategy<Value = Step> {
    let user = || prop_oneof![4 => Just(0_usize), 2 => Just(1_usize), 1 => Just(2_usize)];
    let invoice = || prop_oneof![6 => Just(0_usize), 1 => 1_usize..6];
    let wait = prop_oneof![
        3 => 1_u64..60_000,
        3 => prop::sample::select(vec![599_999_u64, 600_000, 899_999, 900_000]),
        1 => 1_u64..DAY,
    ];
    prop_oneof![
        3 => wait.prop_map(Step::Wait),
        1 => Just(Step::Snapshot),
        1 => (0_usize..3).prop_map(|figures| Step::Adopt { figures }),
        2 => (user(), any::<bool>(), any::<bool>()).prop_map(|(user, bdd, sdd)| Step::Verify { user, bdd, sdd }),
        2 => (user(), 0_usize..3, 1_i64..3_000).prop_map(|(user, token, cents)| Step::Deposit { user, token, cents }),
        1 => (user(), 0_usize..3).prop_map(|(user, token)| Step::Withdraw { user, token }),
        8 => (user(), 0_usize..4, what()).prop_map(|(user, token, what)| Step::Quote { user, token, what }),
        10 => (invoice(), user(), prop::bool::weighted(0.8), any::<bool>(), what()).prop_map(
            |(invoice, user, own, named, what)| Step::Order { invoice, user, own, named, what }
        ),
        1 => (user(), what()).prop_map(|(user, what)| Step::OrderPlain { user, what }),
        4 => (0_usize..2, any::<bool>()).prop_map(|(card, refused)| Step::Settle { card, refused }),
        1 => invoice().prop_map(|invoice| Step::Expire { invoice }),
        1 => Just(Step::WorkClock),
    ]
}
