//! The engine and the model, command by command: same outcomes, same balances, same usage.

use proptest::prelude::*;

use crate::{
    policy::TIGHT,
    steps::{Said, Step, change_step, plastic_step, step},
    table::Table,
};

/// How many cases each property runs: few by default, more by `PROPTEST_CASES`.
pub fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_time: 6_000, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_documents(
        ready in 0_u8..3,
        tight in prop::bool::weighted(0.15),
        limit in prop::option::of((0_u8..4, 0_i64..8)),
        no_pin in prop::option::of(1_i64..6),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        // Where little is remembered, there is soon no room for more.
        let mut table = Table::under(if tight { TIGHT } else { 0 });
        // Most stories begin with active cards, so that they get further.
        for user in 0..ready {
            table.new_card(user, false);
            if let Some((which, hundreds)) = limit {
                table.take(&Step::Limits { card: 0, which, amount: Some(hundreds * 100), ops: false });
                table.take(&Step::Settle { card: 0, said: Said::Done });
            }
            if let Some(hundreds) = no_pin {
                table.take(&Step::NoPin { card: 0, amount: hundreds * 100 });
            }
        }
        for step in &steps {
            table.take(step);
        }
        table.world.audit();
    }

    /// One card, and nothing but changes of it: what overtakes what, what is refused, and what is asked for again.
    #[test]
    fn changes_overtake_as_the_documents_say(steps in prop::collection::vec(change_step(), 1..60)) {
        let mut table = Table::new();
        table.new_card(0, false);
        for step in &steps {
            table.take(step);
        }
        table.world.audit();
    }

    /// One plastic card that is tried with wrong numbers: when it is blocked, and how often it can be tried again after.
    #[test]
    fn wrong_tries_block_as_the_documents_say(steps in prop::collection::vec(plastic_step(), 1..80)) {
        let mut table = Table::new();
        table.new_card(0, true);
        for step in &steps {
            table.take(step);
        }
        table.world.audit();
    }
}
