//! Network messages that come again, at once and late: each counts once, and is answered with its first outcome.

use std::collections::BTreeMap;

use florin_engine::{
    command::{self, Class, Command, Envelope},
    ids::{AccountId, AuthorizationId, CardId, Kind, mint},
    money::Minor,
};
use proptest::prelude::*;

use crate::{
    kit::{merchant, user_with_card},
    model::{AHEAD_MS, MEMORY_MS, comes_again},
    policy::{DAY, USD, policy},
    world::{Told, World},
};

/// One purchase as the network tells it. All amounts are below what is on the card.
#[derive(Clone, Debug)]
struct Purchase {
    amount: i64,
    increment: Option<i64>,
    clear: Option<(i64, bool)>,
    refund: Option<i64>,
    reversed: bool,
}

fn purchase() -> impl Strategy<Value = Purchase> {
    let part = || 1_i64..500;
    (
        1_i64..1_000,
        prop::option::of(part()),
        prop::option::of((part(), any::<bool>())),
        prop::option::of(part()),
        any::<bool>(),
    )
        .prop_map(|(amount, increment, clear, refund, reversed)| Purchase {
            amount,
            increment,
            clear,
            refund,
            reversed,
        })
}

/// The messages of purchases, in the order in which things happened.
fn messages(world: &mut World, account: AccountId, card: CardId, purchases: &[Purchase]) -> Vec<Envelope> {
    let mut all = vec![];
    for purchase in purchases {
        let authorization = AuthorizationId(mint(account, world.key(), Kind::Authorization));
        let mut story: Vec<Command> = vec![];
        story.push(
            command::Authorize {
                card,
                authorization,
                amount: Minor(purchase.amount),
                currency: USD,
                merchant: merchant(),
                card_present: false,
                pin_entered: false,
            }
            .into(),
        );
        if let Some(amount) = purchase.increment {
            story.push(command::Increment { card, authorization, amount: Minor(amount) }.into());
        }
        if let Some((amount, last)) = purchase.clear {
            story.push(command::Clear { card, authorization, amount: Some(Minor(amount)), last }.into());
            if let Some(amount) = purchase.refund {
                let amount = Some(Minor(amount));
                story.push(command::Refund { card, authorization, amount, merchant: merchant() }.into());
            }
        }
        if purchase.reversed {
            story.push(command::Reverse { card, authorization, amount: None }.into());
        }
        all.extend(story.into_iter().map(|command| world.envelope(account, Class::Network, command)));
    }
    all
}

/// Everything that can be spent, held and used, without the remembered keys.
fn money(world: &World, account: AccountId, card: CardId) -> (i64, i64, i64, Vec<i64>) {
    let account = world.state.account(account).unwrap();
    let card = account.card(card).unwrap();
    let usage = [card.usage.daily, card.usage.monthly, card.usage.lifetime].map(|used| used.0);
    (account.wallet(USD).unwrap().balance.0, card.balance.0, card.held.0, usage.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::agreement::cases(), ..ProptestConfig::default() })]

    /// A stream in which any message comes again, at any later place and time within its 31 days, comes to the same as the
    /// stream without the copies; and every copy is answered with the first outcome.
    #[test]
    fn copies_change_nothing(
        purchases in prop::collection::vec(purchase(), 1..8),
        copies in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..3 * DAY), 0..40),
    ) {
        let mut once = World::under(policy());
        let (account, card) = user_with_card(&mut once, 1, 1_000_000, 100_000);
        let stream = messages(&mut once, account, card, &purchases);
        let mut twice = World::under(policy());
        user_with_card(&mut twice, 1, 1_000_000, 100_000);
        let mut sent: BTreeMap<usize, Envelope> = BTreeMap::new();
        let mut copies = copies.iter();
        for (n, message) in stream.iter().enumerate() {
            let first = once.admit(message.clone());
            prop_assert_eq!(&twice.admit(message.clone()), &first);
            if !matches!(&first, Told::Rejected(reject) if comes_again(reject.reason)) {
                sent.insert(n, message.clone());
            }
            for (which, _) in copies.by_ref().take(4) {
                let Some(copy) = sent.values().nth(which.index(sent.len().max(1))) else { continue };
                let told = twice.admit(copy.clone());
                prop_assert!(matches!(told, Told::Replayed(_)), "a copy has an effect: {:?}", told);
            }
        }
        prop_assert_eq!(money(&twice, account, card), money(&once, account, card));
        for (which, later) in copies {
            let Some(copy) = sent.get(&which.index(stream.len())) else { continue };
            if twice.now + later >= copy.dated_ms + MEMORY_MS - AHEAD_MS {
                continue;
            }
            twice.now += later;
            let told = twice.admit(copy.clone());
            prop_assert!(matches!(told, Told::Replayed(_)), "a late copy has an effect: {:?}", told);
        }
        prop_assert_eq!(money(&twice, account, card), money(&once, account, card));
        twice.audit();
    }
}
