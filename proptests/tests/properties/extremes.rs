//! The largest and the strangest amounts, in every command that has one: an answer, never a panic, and books that balance.

use florin_engine::{
    command::{self, Class, Command},
    ids::{AuthorizationId, CardId, Kind, mint},
    limits::LimitsUpdate,
    money::{Minor, Sealed},
    policy::ProgrammeCode,
};
use proptest::prelude::*;

use crate::{
    kit::{merchant, order, user_with_card},
    policy::{DAY, USD, policy},
    world::{Told, World},
};

fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => prop::sample::select(vec![
            i64::MAX, i64::MAX - 1, i64::MAX - 100_000, i64::MAX / 2, i64::MAX / 3, i64::MIN, i64::MIN + 1, -1, 0, 1,
        ]),
        1 => any::<i64>(),
        1 => 1_i64..100_000,
    ]
}

fn commands() -> impl Strategy<Value = Vec<(u8, i64, bool, u8, u64)>> {
    let wait = prop_oneof![4 => Just(0_u64), 1 => 0..60 * DAY];
    prop::collection::vec((0_u8..16, extreme(), any::<bool>(), 0_u8..3, wait), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::agreement::cases(), ..ProptestConfig::default() })]

    #[test]
    fn extreme_amounts_balance_or_are_rejected(commands in commands()) {
        let mut world = World::under(policy());
        let (account, card) = user_with_card(&mut world, 1, 1_000_000, 100_000);
        let mut auths: Vec<AuthorizationId> = vec![];
        for (which, value, flag, pick, wait) in commands {
            world.now += wait;
            let amount = Minor(value);
            let some = flag.then_some(amount);
            let known = auths.iter().rev().nth(pick.into()).copied();
            let authorization = AuthorizationId(mint(account, world.key(), Kind::Authorization));
            let (class, command): (Class, Command) = match (which, known) {
                (0, _) => (Class::Ops, command::Deposit { asset: USD, amount, reference: Sealed::NONE }.into()),
                (1, _) => (Class::Ops, command::Withdraw { asset: USD, amount, reference: Sealed::NONE }.into()),
                (2, _) => {
                    let card = if flag { card } else { CardId::NIL };
                    (Class::Ops, command::WriteOff { card, asset: USD, amount, reason: Sealed::NONE }.into())
                }
                (3, _) => (Class::User, command::TopUp { card, amount }.into()),
                (4, _) => (Class::User, command::Unload { card, amount }.into()),
                (5, _) => {
                    let limit = Some(some);
                    let update = LimitsUpdate { daily: limit, lifetime: limit, ..LimitsUpdate::default() };
                    (Class::User, command::ChangeLimits { card, update }.into())
                }
                (6, _) => (Class::User, command::SetNoPinAmount { card, amount }.into()),
                (7, _) => {
                    let programme = if flag { ProgrammeCode::Dashboard } else { ProgrammeCode::Mobile };
                    let card = CardId(mint(account, world.key(), Kind::Card));
                    (Class::User, order(card, programme, value).into())
                }
                (8, _) => {
                    let post = command::ForcePost { card, authorization, amount, merchant: merchant() };
                    auths.push(authorization);
                    (Class::Network, post.into())
                }
                (9, _) => {
                    let authorization = AuthorizationId::NIL;
                    let refund = command::Refund { card, authorization, amount: some, merchant: merchant() };
                    (Class::Network, refund.into())
                }
                (10, Some(authorization)) => {
                    (Class::Network, command::Clear { card, authorization, amount: some, last: flag }.into())
                }
                (11, Some(authorization)) => {
                    (Class::Network, command::Clear { card, authorization, amount: Some(amount), last: !flag }.into())
                }
                (12, Some(authorization)) => (Class::Network, command::Reverse { card, authorization, amount: some }.into()),
                (13, Some(authorization)) => (Class::Network, command::Increment { card, authorization, amount }.into()),
                (14, Some(authorization)) => {
                    let refund = command::Refund { card, authorization, amount: some, merchant: merchant() };
                    (Class::Network, refund.into())
                }
                _ => {
                    auths.push(authorization);
                    let ask = command::Authorize {
                        card,
                        authorization,
                        amount: if flag { Minor(value.clamp(1, 20_000)) } else { amount },
                        currency: USD,
                        merchant: merchant(),
                        card_present: flag,
                        pin_entered: false,
                    };
                    (Class::Network, ask.into())
                }
            };
            if let Told::Replayed(_) = world.send(account, class, command) {
                prop_assert!(false, "a new key is never a replay");
            }
        }
        world.audit();
    }
}
