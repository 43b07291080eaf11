//! Stories of money in, out, and between wallet and card.

use crate::world::*;
use florin_engine::{
    command::{Class, Deposit, TopUp, Unload, Withdraw, WriteOff},
    event::Event,
    fees::FeeKind,
    ids::CardId,
    money::{BALANCE_MAX, Minor, Sealed},
    policy::ProgrammeCode,
    postings::Ledger,
    reject::{Figure, Reason},
    terms::Change,
};

#[test]
fn a_card_of_100_takes_108_from_the_wallet() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    assert_eq!(world.wallet(alice, USD), Minor(1_000_000 - 10_800));
    assert_eq!(world.card(alice, card).balance, usd(100));
    assert_eq!((world.revenue(FeeKind::Issue), world.revenue(FeeKind::Service)), (500, 300));
    assert_eq!(world.ledger(Ledger::Funding, USD), -1_000_000);
    world.audit();
}

#[test]
fn a_top_up_of_10_takes_10_30_and_says_both_balances() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let events = world.send(alice, Class::User, TopUp { card, amount: usd(10) }).events();
    let [Event::ToppedUp(event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        (event.amount, event.fee, event.card_balance, event.wallet_balance),
        (usd(10), Minor(30), usd(110), Minor(1_000_000 - 10_800 - 1_030))
    );
    world.audit();
}

#[test]
fn the_service_fee_is_rounded_half_up_to_the_cent() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    for (amount, fee) in [(1_016, 30), (1_017, 31), (1_049, 31), (1_050, 32), (1_083, 32), (1_084, 33)] {
        let events = world.send(alice, Class::User, TopUp { card, amount: Minor(amount) }).events();
        let [Event::ToppedUp(event)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(event.fee, Minor(fee), "3% of {amount}");
    }
}

#[test]
fn bounds_are_inclusive_and_named() {
    let mut world = World::new();
    let alice = world.user(1);
    world.deposit(alice, USD, usd(500_000));
    let card = world.active_card(alice, usd(25));
    world.active_card(alice, usd(100_000));
    for (amount, reason, limit) in
        [(Minor(999), Reason::AmountBelowMinimum, 1_000), (Minor(1_000_001), Reason::AmountAboveMaximum, 1_000_000)]
    {
        let reject = world.send(alice, Class::User, TopUp { card, amount }).reject();
        assert_eq!((reject.reason, reject.figure(Figure::Limit)), (reason, Some(limit)));
    }
    for amount in [Minor(0), Minor(-500)] {
        assert_eq!(world.send(alice, Class::User, TopUp { card, amount }).reason(), Reason::AmountNotPositive);
    }
    for amount in [Minor(1_000), Minor(1_000_000)] {
        world.send(alice, Class::User, TopUp { card, amount }).events();
    }
    for (initial, reason) in
        [(Minor(2_499), Reason::AmountBelowMinimum), (Minor(10_000_001), Reason::AmountAboveMaximum)]
    {
        let order = world.order(alice, ProgrammeCode::Dashboard, initial);
        assert_eq!(world.send(alice, Class::User, order).reason(), reason);
    }
}

#[test]
fn too_little_money_says_how_much_is_needed_and_there() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(9_999));
    let reject = world.send(alice, Class::User, order).reject();
    assert_eq!(reject.reason, Reason::InsufficientBalance);
    assert_eq!(reject.figure(Figure::Needed), Some(999_900 + 500 + 29_997));
    assert_eq!(reject.figure(Figure::Available), Some(1_000_000));
    world.audit();
}

#[test]
fn what_is_held_cannot_be_unloaded() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.held(alice, card, usd(70));
    let reject = world.send(alice, Class::User, Unload { card, amount: Minor(3_001) }).reject();
    assert_eq!((reject.reason, reject.figure(Figure::Available)), (Reason::InsufficientBalance, Some(3_000)));
    world.send(alice, Class::User, Unload { card, amount: usd(30) }).events();
    assert_eq!(world.card(alice, card).balance, usd(70));
    world.audit();
}

#[test]
fn deposits_and_withdrawals_keep_to_the_wallet() {
    let mut world = World::new();
    let alice = world.user(1);
    let out = |amount| Withdraw { asset: USD, amount, reference: Sealed::NONE };
    let reject = world.send(alice, Class::Ops, out(Minor(1_000_001))).reject();
    assert_eq!(reject.reason, Reason::InsufficientBalance);
    world.send(alice, Class::Ops, out(usd(10_000))).events();
    assert_eq!(world.wallet(alice, USD), Minor(0));
    let unknown = Deposit { asset: asset("XAU"), amount: usd(1), reference: Sealed::NONE };
    assert_eq!(world.send(alice, Class::Ops, unknown).reason(), Reason::AssetUnknown);
    let huge = Deposit { asset: USD, amount: BALANCE_MAX, reference: Sealed::NONE };
    world.send(alice, Class::Ops, huge.clone()).events();
    assert_eq!(world.send(alice, Class::Ops, huge).reason(), Reason::Overflow, "no wallet comes to more");
}

#[test]
fn a_frozen_card_takes_top_ups_and_a_closing_one_does_not() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.changed(alice, Class::User, card, Change::Freeze);
    world.send(alice, Class::User, TopUp { card, amount: usd(10) }).events();
    world.change(alice, Class::User, card, Change::Cancel).events();
    assert_eq!(world.send(alice, Class::User, TopUp { card, amount: usd(10) }).reason(), Reason::ChangePending);
    world.done(alice, card);
    let reject = world.send(alice, Class::User, TopUp { card, amount: usd(10) }).reject();
    assert_eq!((reject.reason, reject.figure(Figure::Status)), (Reason::InvalidStatus, Some(7)));
}

#[test]
fn a_wallet_funded_card_has_no_balance_to_move() {
    let mut world = World::new();
    let (erin, card) = baas_card(&mut world);
    assert_eq!(world.send(erin, Class::User, TopUp { card, amount: usd(1) }).reason(), Reason::NotPrepaid);
    assert_eq!(world.send(erin, Class::User, Unload { card, amount: usd(1) }).reason(), Reason::NotPrepaid);
}

#[test]
fn what_is_owed_is_recovered_by_credits_or_written_off_and_no_more() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let auth = world.held(alice, card, usd(25));
    let events = world.clear(alice, card, auth, Some(usd(40)), true).events();
    assert_eq!(names(&events), ["Cleared", "Overdrawn"]);
    assert_eq!(world.card(alice, card).balance, usd(-15));
    world.send(alice, Class::User, TopUp { card, amount: usd(10) }).events();
    assert_eq!(world.card(alice, card).balance, usd(-5), "a credit recovers what is owed first");
    let off = |amount| WriteOff { card, asset: USD, amount, reason: Sealed::NONE };
    let reject = world.send(alice, Class::Ops, off(Minor(501))).reject();
    assert_eq!((reject.reason, reject.figure(Figure::Limit)), (Reason::AmountAboveMaximum, Some(500)));
    world.send(alice, Class::Ops, off(usd(5))).events();
    assert_eq!(world.send(alice, Class::Ops, off(usd(1))).reason(), Reason::NothingOwed);
    let wallet = WriteOff { card: CardId::NIL, asset: USD, amount: usd(1), reason: Sealed::NONE };
    assert_eq!(world.send(alice, Class::Ops, wallet).reason(), Reason::NothingOwed);
    assert_eq!(world.ledger(Ledger::WriteOff, USD), -500);
    world.audit();
}
