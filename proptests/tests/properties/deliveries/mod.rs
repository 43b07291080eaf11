//! Settlements and messages of the network that come twice, late and out of order, beside the order in which things happened.

use std::collections::BTreeMap;

use florin_engine::{
    command::{Class, Envelope},
    event::Event,
    holds::billing,
    ids::{AccountId, CardId},
    money::Asset,
    postings::Ledger,
    terms::Status,
};
use proptest::{prelude::*, sample::Index};

use self::stage::{Stage, Waits, card, purchase};
use crate::{
    model::comes_again,
    policy::DAY,
    world::{Told, World},
};

mod stage;

/// How late messages come: hardly, some minutes, or days. Most come out of order.
fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0_u64), 4 => 0_u64..60_000, 2 => 0_u64..500_000, 1 => 0..20 * DAY]
}

/// A message that comes again; the issuer may say the same in a message of its own, too.
#[derive(Clone, Debug)]
struct Copy {
    of: Index,
    delay: u64,
    anew: bool,
}

fn copy() -> impl Strategy<Value = Copy> {
    (any::<Index>(), delay(), any::<bool>()).prop_map(|(of, delay, anew)| Copy { of, delay, anew })
}

/// All that was posted and is held when nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Money {
    /// Of wallets, under the nil card, and of cards. The money of a card that was being made while purchases of it came is
    /// its user's.
    balances: BTreeMap<(AccountId, CardId, Asset), i128>,
    /// Everybody else's.
    others: BTreeMap<(Ledger, Asset), i128>,
    /// Of each card: its state, what is held, and what it ever used, without what was given back by refunds.
    cards: Vec<(Status, i128, i128)>,
}

/// Delivers messages as they arrive, and ends all holds. What can only be answered later comes again whenever something was
/// accepted.
fn deliver(mut stage: Stage, mut arrivals: Vec<(u64, Envelope)>) -> (World, Money) {
    arrivals.sort_by_key(|(time, _)| *time);
    let mut given_back = BTreeMap::<CardId, i128>::new();
    let mut waiting = vec![];
    let world = &mut stage.world;
    for (time, envelope) in arrivals {
        world.now = world.now.max(time);
        world.work_clock();
        let mut arrived = vec![envelope];
        while !arrived.is_empty() {
            let mut accepted = false;
            for envelope in std::mem::take(&mut arrived) {
                match world.admit(envelope.clone()) {
                    Told::Accepted(events) => {
                        accepted = true;
                        count_refunds(&events, &mut given_back);
                    }
                    Told::Rejected(reject) if comes_again(reject.reason) => waiting.push(envelope),
                    Told::Rejected(_) | Told::Replayed(_) => {}
                }
            }
            if accepted {
                arrived = std::mem::take(&mut waiting);
            }
        }
    }
    world.now += 8 * DAY;
    world.work_clock();
    let money = stage.money(&given_back);
    (stage.world, money)
}

/// Adds up what refunds gave back of what cards had used.
fn count_refunds(events: &[Event], given_back: &mut BTreeMap<CardId, i128>) {
    for event in events {
        if let Event::Refunded(event) = event {
            *given_back.entry(event.card).or_default() += i128::from(billing(&event.linked).0);
        }
    }
}

impl Stage {
    fn money(&self, given_back: &BTreeMap<CardId, i128>) -> Money {
        let state = &self.world.state;
        let mut balances = BTreeMap::<_, i128>::new();
        let mut cards = vec![];
        for user in &self.users {
            let account = state.account(*user).unwrap();
            for wallet in &account.wallets {
                assert!(wallet.held.is_zero(), "no hold is left");
                *balances.entry((*user, CardId::NIL, wallet.asset)).or_default() += i128::from(wallet.balance.0);
            }
        }
        for (with, id) in &self.cards {
            let user = self.users[with.user];
            let card = state.account(user).unwrap().card(*id).unwrap();
            let place = if with.waits == Waits::Made { CardId::NIL } else { *id };
            *balances.entry((user, place, card.currency)).or_default() += i128::from(card.balance.0);
            let used = i128::from(card.usage.lifetime.0) + given_back.get(id).copied().unwrap_or(0);
            cards.push((card.status, card.held.0.into(), used));
        }
        balances.retain(|_, sum| *sum != 0);
        let of_users = |ledger: &Ledger| matches!(ledger, Ledger::Wallet(_) | Ledger::Card(_));
        let others = self.world.ledger.iter().filter(|((ledger, _), sum)| !of_users(ledger) && **sum != 0);
        Money { balances, others: others.map(|(of, sum)| (*of, *sum)).collect(), cards }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::agreement::cases(), ..ProptestConfig::default() })]

    /// Every message once and in order, and all of them in any order, late and several times over, come to the same money.
    ///
    /// What is cleared, refunded or posted by force in an amount counts whatever came before it, and an issuance, a change or a
    /// closing is settled once. Where the rules let the order matter, it shows in something else, or the story keeps clear
    /// of it:
    ///
    /// - Whether a purchase is approved is decided by its moment: a reversal that comes before it kills it, and a freeze or a
    ///   limit that is settled late declines it. What is cleared of it is then posted by force: the same money.
    /// - So is a clearing after its hold was reversed or expired, or before its authorization, which is refused then.
    /// - A refund before its clearing is linked to nothing: the same money, but what the card used is not given back. Compared
    ///   is what was used without what was given back.
    /// - Day and month of what is used are those of its arrival. Compared is what was used for ever.
    /// - A clearing that names no amount clears what is held by then: it comes only of purchases that are approved and held
    ///   in every order, and within the time of their holds. A refund that names none gives back what is spent by then: none
    ///   comes.
    /// - What is posted on a card that is not made yet goes to the wallet, later to the card: compared is the sum.
    /// - A debt keeps a card from closing, and wallets that run dry let others pay: nothing here is ever owed, and
    ///   wallet-funded cards draw on one token, whose rate is 1.
    /// - Issuances and changes are settled before their deadlines: past them a change that raises risk is reverted, and a
    ///   card made late is terminated.
    #[test]
    fn every_order_comes_to_the_same_money(
        cards in prop::collection::vec(card(), 1..5),
        purchases in prop::collection::vec((any::<Index>(), purchase()), 1..7),
        settled in prop::collection::vec(any::<Index>(), 8),
        delays in prop::collection::vec(delay(), 40),
        copies in prop::collection::vec(copy(), 0..12),
    ) {
        let canonical = Stage::new(&cards, &purchases, &settled);
        let in_order = canonical.messages.iter().map(|message| (message.written_ms, message.envelope.clone())).collect();
        let mut shuffled = Stage::new(&cards, &purchases, &settled);
        let messages = shuffled.messages.clone();
        let late = |n: usize, delay: u64| {
            let message: &stage::Message = &messages[n];
            message.written_ms + if message.slow { delay } else { delay % 500_000 }
        };
        let mut arrivals: Vec<(u64, Envelope)> = vec![];
        for (n, message) in messages.iter().enumerate() {
            arrivals.push((late(n, delays[n % delays.len()]), message.envelope.clone()));
        }
        for copy in &copies {
            let n = copy.of.index(messages.len());
            let mut envelope = messages[n].envelope.clone();
            if copy.anew && envelope.class == Class::Settlement {
                envelope.key = shuffled.world.key();
            }
            arrivals.push((late(n, copy.delay), envelope));
        }
        let (canonical, expected) = deliver(canonical, in_order);
        let (shuffled, came_to) = deliver(shuffled, arrivals);
        prop_assert_eq!(&came_to, &expected);
        prop_assert!(expected.cards.iter().all(|(_, held, _)| *held == 0), "no hold is left: {:?}", expected);
        canonical.audit();
        shuffled.audit();
    }
}
