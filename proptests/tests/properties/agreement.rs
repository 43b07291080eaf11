//! The engine and the model, command by command: same outcomes, same balances, same usage.

use proptest::prelude::*;

use crate::steps::{Table, step};

/// How many cases each property runs: few by default, more by `PROPTEST_CASES`.
pub fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_time: 6_000, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_documents(steps in prop::collection::vec(step(), 1..200)) {
        let mut table = Table::new();
        for step in &steps {
            table.take(step);
        }
        table.world.audit();
    }
}
