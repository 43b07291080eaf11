//! Rejects: their numbers are stored for ever, their order is their precedence.

use std::collections::BTreeMap;

use florin_engine::{
    command::{Activate, ChangeLimits, Class, Command, Deposit, Settle, TopUp},
    ids::{AccountId, CardId},
    limits::LimitsUpdate,
    money::{Minor, Sealed},
    policy::ProgrammeCode,
    reject::{Reason, Reject, Retry},
    terms::Change,
};

use crate::world::*;

#[test]
fn numbers_go_up_without_gaps_and_never_change() {
    let numbers: Vec<u16> = Reason::ALL.iter().map(|reason| *reason as u16).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<u16>>());
    let pinned: BTreeMap<u16, Reason> = [
        (1, Reason::TooOld),
        (3, Reason::IdempotencyConflict),
        (9, Reason::CardUnknown),
        (15, Reason::AmountBelowMinimum),
        (18, Reason::InvalidStatus),
        (20, Reason::ChangePending),
        (23, Reason::CardLimitReached),
        (29, Reason::InsufficientBalance),
        (33, Reason::AuthorizationUnknown),
        (40, Reason::Overflow),
    ]
    .into();
    for (number, reason) in pinned {
        assert_eq!(Reason::from_number(number), Some(reason));
    }
    assert_eq!(Reason::from_number(41), None);
}

#[test]
fn only_what_time_can_mend_may_be_retried() {
    let later: Vec<Reason> = Reason::ALL.iter().copied().filter(|reason| reason.retry() == Retry::Later).collect();
    assert_eq!(
        later,
        [
            Reason::IdempotencyConflict,
            Reason::TooManyKeys,
            Reason::NoPolicy,
            Reason::UserUnknown,
            Reason::ChangePending,
            Reason::AuthorizationUnknown,
            Reason::TooManyAuthorizations,
            Reason::NotDue,
        ]
    );
}

#[test]
fn a_reject_reads_as_a_sentence_with_its_figures() {
    let reject = Reject::new(Reason::InsufficientBalance)
        .with(florin_engine::reject::Figure::Needed, 5)
        .with(florin_engine::reject::Figure::Available, 3);
    assert_eq!(reject.to_string(), "the balance is insufficient: Needed 5, Available 3");
}

/// Everything is wrong with a top-up at first; each step mends what was said, so that the next one speaks.
#[test]
fn a_top_up_is_refused_in_the_order_of_the_numbers() {
    let mut world = World::new();
    let alice = world.user(1);
    let poor = world.user(2);
    let nobody = AccountId::from_pseudonym([77; 16], 1);
    let card = world.active_card(alice, usd(25));
    world.deposit(alice, USD, usd(1_000_000));
    let top_up = |card, amount| -> Command { TopUp { card, amount }.into() };
    let mut seen = vec![];
    let mut ask = |world: &mut World, account, class, command: Command| {
        seen.push(world.send(account, class, command).reason());
    };
    ask(&mut world, nobody, Class::Network, top_up(CardId::NIL, Minor(-1)));
    ask(&mut world, nobody, Class::User, top_up(CardId::NIL, Minor(-1)));
    ask(&mut world, alice, Class::User, top_up(CardId::NIL, Minor(-1)));
    world.change(alice, Class::User, card, Change::Cancel).events();
    ask(&mut world, alice, Class::User, top_up(card, Minor(-1)));
    ask(&mut world, alice, Class::User, top_up(card, Minor(1)));
    ask(&mut world, alice, Class::User, top_up(card, usd(10_001)));
    ask(&mut world, alice, Class::User, top_up(card, usd(10_000)));
    let order = world.order(poor, ProgrammeCode::Dashboard, usd(9_000));
    let poor_card = order.card;
    world.send(poor, Class::User, order).events();
    ask(&mut world, poor, Class::User, top_up(poor_card, usd(10_000)));
    world.settle_issue(poor, poor_card);
    ask(&mut world, poor, Class::User, top_up(poor_card, usd(10_000)));
    assert_eq!(
        seen,
        [
            Reason::WrongClass,
            Reason::UserUnknown,
            Reason::CardUnknown,
            Reason::AmountNotPositive,
            Reason::AmountBelowMinimum,
            Reason::AmountAboveMaximum,
            Reason::ChangePending,
            Reason::InvalidStatus,
            Reason::InsufficientBalance,
        ]
    );
}

#[test]
fn every_class_gives_only_its_own_commands() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let request = florin_engine::ids::request_id(card, 1);
    let commands: [(Command, &[Class]); 5] = [
        (Deposit { asset: USD, amount: usd(1), reference: Sealed::NONE }.into(), &[Class::Ops]),
        (TopUp { card, amount: usd(10) }.into(), &[Class::User]),
        (Activate { card, tried: None }.into(), &[Class::User, Class::Ops]),
        (Settle { card, request, outcome: florin_engine::command::Outcome::Done }.into(), &[Class::Settlement]),
        (ChangeLimits { card, update: LimitsUpdate::default() }.into(), &[Class::User, Class::Ops]),
    ];
    for (command, allowed) in commands {
        for class in Class::ALL {
            let told = world.send(alice, *class, command.clone());
            let refused = matches!(&told, Told::Rejected(reject) if reject.reason == Reason::WrongClass);
            assert_eq!(refused, !allowed.contains(class), "{} by {class:?}", command.name());
        }
    }
}
