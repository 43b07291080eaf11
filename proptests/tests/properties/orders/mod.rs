//! Wallet-funded cards that need a capability and an invoice: who may have one, what it costs in tokens, and that an invoice
//! is used once, by whom and for what it was made, at the rate it was made at.

use proptest::prelude::*;

use self::{
    desk::Desk,
    steps::{Step, step},
};

mod desk;
mod model;
mod steps;

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::agreement::cases(), ..ProptestConfig::default() })]

    #[test]
    fn orders_are_paid_as_the_documents_say(
        levels in prop::collection::vec(0_u8..4, 3),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut desk = Desk::new();
        // Most stories begin with users who may have cards.
        for (user, level) in (0..).zip(levels) {
            desk.take(&Step::Verify { user, bdd: level > 0, sdd: level > 2 });
        }
        for step in &steps {
            desk.take(step);
        }
        desk.world.audit();
    }
}
