//! Stories of remembered outcomes: the same key, the same answer; another content, a conflict; 31 days, and then anew.

use florin_engine::{
    MEMORY_MS,
    command::{Class, Deposit, TopUp},
    ids::{Digest, Position},
    money::{Minor, Sealed},
    reject::Reason,
    terms::Change,
};

use crate::world::*;

#[test]
fn the_same_key_and_content_is_answered_from_its_first_position() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let key = world.key();
    world.send_keyed(alice, Class::User, key, [1; 16], TopUp { card, amount: usd(10) }).events();
    let at = Position::new(world.entries.len() as u64, 0);
    for _ in 0..3 {
        let told = world.send_keyed(alice, Class::User, key, [1; 16], TopUp { card, amount: usd(10) });
        assert_eq!(told, Told::Replayed(at));
    }
    assert_eq!(world.card(alice, card).balance, usd(35), "one effect");
    let other = world.send_keyed(alice, Class::User, key, [2; 16], TopUp { card, amount: usd(20) });
    assert_eq!(other.reason(), Reason::IdempotencyConflict);
    let bob = world.user(2);
    let bobs = world.send_keyed(bob, Class::User, key, [1; 16], TopUp { card, amount: usd(10) });
    assert_eq!(bobs.reason(), Reason::CardUnknown, "another account's keys are its own");
    world.audit();
}

#[test]
fn a_reject_is_frozen_too_unless_it_only_says_later() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let key = world.key();
    let poor = TopUp { card, amount: usd(10_000) };
    assert_eq!(world.send_keyed(alice, Class::User, key, [1; 16], poor.clone()).reason(), Reason::InsufficientBalance);
    world.deposit(alice, USD, usd(50_000));
    assert!(matches!(world.send_keyed(alice, Class::User, key, [1; 16], poor), Told::Replayed(_)), "frozen");

    world.change(alice, Class::User, card, Change::Cancel).events();
    let key = world.key();
    let early = TopUp { card, amount: usd(10) };
    assert_eq!(world.send_keyed(alice, Class::User, key, [1; 16], early.clone()).reason(), Reason::ChangePending);
    world
        .settle(alice, card, florin_engine::command::Outcome::Refused(florin_engine::terms::RefusalCode::Declined))
        .events();
    world.send_keyed(alice, Class::User, key, [1; 16], early).events();
    world.audit();
}

#[test]
fn a_key_lives_exactly_31_days() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let key = world.key();
    world.send_keyed(alice, Class::User, key, [1; 16], TopUp { card, amount: usd(10) }).events();
    let remembered = world.state.remembered();
    world.wait(MEMORY_MS - 1);
    let told = world.send_keyed(alice, Class::User, key, [1; 16], TopUp { card, amount: usd(10) });
    assert!(matches!(told, Told::Replayed(_)));
    world.wait(1);
    world.send_keyed(alice, Class::User, key, [1; 16], TopUp { card, amount: usd(10) }).events();
    assert_eq!(world.card(alice, card).balance, usd(45));
    assert_eq!(world.state.remembered(), 1, "of {remembered} only the new one is left");
    assert_eq!(world.state.account(alice).unwrap().remembered, 1);
    world.audit();
}

#[test]
fn a_message_older_than_the_memory_is_refused_and_so_is_one_without_date() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let authorization = world.new_authorization_id(alice);
    let mut envelope = florin_engine::command::Envelope {
        account: alice,
        class: Class::Network,
        actor: 0,
        key: world.key(),
        digest: Digest([3; 16]),
        dated_ms: world.now - MEMORY_MS + 300_000,
        command: florin_engine::command::Reverse { card, authorization, amount: None }.into(),
    };
    assert_eq!(world.admit(envelope.clone()).reason(), Reason::TooOld);
    for dated_ms in [0, world.now + 300_001] {
        envelope.dated_ms = dated_ms;
        envelope.key = world.key();
        assert_eq!(world.admit(envelope.clone()).reason(), Reason::InvalidField);
    }
    envelope.dated_ms = world.now - MEMORY_MS + 300_001;
    envelope.key = world.key();
    world.admit(envelope).events();
}

#[test]
fn a_user_is_held_to_a_cap_and_ops_and_network_are_not() {
    let mut capped = policy();
    capped.remembered_max = 3;
    let mut world = World::under(capped);
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    for _ in 0..2 {
        world.send(alice, Class::User, TopUp { card, amount: usd(10) }).events();
    }
    let reject = world.send(alice, Class::User, TopUp { card, amount: usd(10) }).reject();
    assert_eq!(reject.reason, Reason::TooManyKeys);
    world.held(alice, card, usd(1));
    world.send(alice, Class::Ops, Deposit { asset: USD, amount: Minor(1), reference: Sealed::NONE }).events();
    world.wait(MEMORY_MS);
    // Any entry's time makes the partition forget; the next command finds room.
    world.deposit(alice, USD, Minor(1));
    world.send(alice, Class::User, TopUp { card, amount: usd(10) }).events();
}

#[test]
fn tens_of_thousands_of_keys_are_told_apart_and_forgotten_in_order() {
    let mut world = World::new();
    let alice = world.user(1);
    let deposit = Deposit { asset: USD, amount: Minor(1), reference: Sealed::NONE };
    let keys: Vec<_> = (0..20_000)
        .map(|_| {
            let key = world.key();
            world.send_keyed(alice, Class::Ops, key, [1; 16], deposit.clone()).events();
            world.wait(1_000);
            key
        })
        .collect();
    for key in keys.iter().step_by(97) {
        assert!(matches!(world.send_keyed(alice, Class::Ops, *key, [1; 16], deposit.clone()), Told::Replayed(_)));
    }
    let balance = world.wallet(alice, USD);
    // So far that the first half is past its time, to the millisecond.
    world.now = START + 10_000_000 + MEMORY_MS - 1_000;
    world.send_keyed(alice, Class::Ops, keys[9_999], [1; 16], deposit.clone()).events();
    assert!(matches!(world.send_keyed(alice, Class::Ops, keys[10_000], [1; 16], deposit), Told::Replayed(_)));
    assert_eq!(world.wallet(alice, USD), balance.plus(Minor(1)).unwrap());
    assert_eq!(world.state.remembered(), 10_001);
}

#[test]
fn a_message_dated_ahead_is_too_old_before_its_key_is_forgotten() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let refund = florin_engine::command::Refund {
        card,
        authorization: florin_engine::ids::AuthorizationId::NIL,
        amount: Some(usd(1)),
        merchant: merchant(),
    };
    let envelope = florin_engine::command::Envelope {
        account: alice,
        class: Class::Network,
        actor: 0,
        key: world.key(),
        digest: Digest([3; 16]),
        dated_ms: world.now + 300_000,
        command: refund.into(),
    };
    world.admit(envelope.clone()).events();
    for _ in 0..2 {
        world.wait(MEMORY_MS / 2 - 1);
        assert!(matches!(world.admit(envelope.clone()), Told::Replayed(_)));
    }
    world.wait(2);
    assert_eq!(world.admit(envelope).reason(), Reason::TooOld);
    assert_eq!(world.card(alice, card).balance, usd(26), "credited once");
}

#[test]
fn what_is_refused_before_the_key_is_looked_up_leaves_its_first_outcome_alone() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let key = world.key();
    let top_up = TopUp { card, amount: usd(10) };
    world.send_keyed(alice, Class::User, key, [1; 16], top_up.clone()).events();
    let (first, rows) = (Position::new(world.entries.len() as u64, 0), world.state.remembered());
    for _ in 0..3 {
        let told = world.send_keyed(alice, Class::Network, key, [2; 16], top_up.clone());
        assert_eq!(told.reason(), Reason::WrongClass);
    }
    assert_eq!(world.state.remembered(), rows, "a key has one row");
    assert_eq!(world.send_keyed(alice, Class::User, key, [1; 16], top_up), Told::Replayed(first));
    world.audit();
}
