//! The model beside the engine, after every command.

use florin_engine::{command::Envelope, limits::Day, postings::Ledger, terms::Status};

use super::Table;
use crate::{
    model::{Assertion, Phase},
    policy::USD,
};

impl Table {
    /// Every balance, hold, limit, usage and state.
    pub(super) fn compare(&self, after: &Envelope) {
        let state = &self.world.state;
        let now = state.clock_ms();
        let today = Day::of(now);
        for (id, user) in &self.model.users {
            let account = state.account(*id).expect("registered in the model, so in the engine");
            let wallet = account.wallet(USD).map_or(0, |wallet| i128::from(wallet.balance.0));
            assert_eq!(wallet, user.wallet, "wallet after {after:?}");
            assert!(account.wallets.iter().all(|wallet| wallet.held.is_zero()), "prepaid cards hold no wallet");
            assert_eq!(account.cards.len(), user.cards.len(), "cards after {after:?}");
            assert_eq!(account.cards_counted(), user.counted(), "cards counted after {after:?}");
            for card in &account.cards {
                let known = &user.cards[&card.id];
                let waits = matches!(card.status, Status::NotActivated | Status::Blocked);
                let tries = |tries: u8| if waits { tries } else { 0 };
                let seen = (card.status, card.balance.0.into(), card.held.0.into(), card.fraud, tries(card.tries));
                let expected = (known.status, known.balance, user.held(card.id), known.fraud, tries(known.tries));
                assert_eq!(seen, expected, "status, balance, held, fraud, tries after {after:?}\n{known:?}");
                assert_eq!(card.limits, known.limits, "limits after {after:?}\n{known:?}");
                assert_eq!(card.no_pin.map(|most| i128::from(most.0)), known.no_pin, "no-PIN amount");
                let usage = card.usage.on(today);
                let usage = [usage.daily, usage.monthly, usage.lifetime].map(|used| i128::from(used.0));
                assert_eq!(usage, known.usage(now), "usage after {after:?}\n{known:?}");
                assert_eq!(card.pending.is_some(), known.pending.is_some(), "pending after {after:?}\n{known:?}");
                let asserted = if let Assertion::Number(number) = known.assertion { number } else { 0 };
                assert_eq!(card.reconcile, asserted, "what is asserted after {after:?}\n{known:?}");
                if known.returned {
                    assert_eq!(card.status, Status::Cancelled, "returned, so never active");
                }
            }
            for (id, purchase) in &user.purchases {
                if purchase.phase == Phase::Killed {
                    continue;
                }
                let seen = account.authorization(*id).expect("a purchase is remembered");
                let seen = (i128::from(seen.held_billing().0), i128::from(seen.spent_billing().0));
                assert_eq!(seen, (purchase.held, purchase.spent.sum()), "held and spent of {id} after {after:?}");
            }
        }
        let version = state.policy_version_at(self.world.now);
        let expected = self.model.policies.iter().rfind(|(_, from, _)| *from <= self.world.now);
        assert_eq!(Some(version), expected.map(|(version, ..)| *version), "policy in force after {after:?}");
        let ledger = |wanted: &dyn Fn(Ledger) -> bool| -> i128 {
            self.world.ledger.iter().filter(|((ledger, _), _)| wanted(*ledger)).map(|(_, sum)| *sum).sum()
        };
        assert_eq!(ledger(&|l| matches!(l, Ledger::Revenue(_))), self.model.revenue, "revenue after {after:?}");
        assert_eq!(ledger(&|l| l == Ledger::Network), self.model.network, "network after {after:?}");
        assert_eq!(ledger(&|l| l == Ledger::Funding), self.model.funding, "funding after {after:?}");
    }
}
