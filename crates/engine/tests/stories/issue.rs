//! Stories of issuing: the five-card rule, requests and their approval, capabilities.

use florin_engine::{
    command::{Class, DecideCardRequest, RequestCard},
    event::Event,
    ids::{AccountId, CardRequestId, Kind, mint},
    money::{Minor, Sealed},
    policy::{CardKind, ProgrammeCode},
    reject::{Figure, Reason},
    terms::{Change, Status},
};

use crate::world::*;

fn request(world: &mut World, account: AccountId) -> RequestCard {
    let key = world.key();
    RequestCard {
        request: CardRequestId(mint(account, key, Kind::CardRequest)),
        card: world.new_card_id(account),
        programme: ProgrammeCode::Mobile,
        kind: CardKind::Virtual,
        profile: Sealed(vec![9]),
    }
}

#[test]
fn a_user_has_at_most_five_cards_and_a_cancelled_one_makes_room() {
    let mut world = World::new();
    let alice = world.user(1);
    let cards: Vec<_> = (0..5).map(|_| world.active_card(alice, usd(25))).collect();
    let sixth = world.order(alice, ProgrammeCode::Dashboard, usd(25));
    let reject = world.send(alice, Class::User, sixth).reject();
    assert_eq!(reject.reason, Reason::CardLimitReached);
    assert_eq!((reject.figure(Figure::Limit), reject.figure(Figure::Used)), (Some(5), Some(5)));
    world.held(alice, cards[0], usd(1));
    world.changed(alice, Class::User, cards[0], Change::Cancel);
    assert_eq!(world.status(alice, cards[0]), Status::PreCancel);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(25));
    assert_eq!(world.send(alice, Class::User, order).reason(), Reason::CardLimitReached, "PreCancel counts");
    world.changed(alice, Class::User, cards[1], Change::Cancel);
    world.active_card(alice, usd(25));
    world.audit();
}

#[test]
fn open_requests_count_and_the_rule_holds_again_at_approval() {
    let mut world = World::new();
    let alice = world.user(1);
    for _ in 0..3 {
        world.active_card(alice, usd(25));
    }
    let asked: Vec<_> = (0..2)
        .map(|_| {
            let ask = request(&mut world, alice);
            world.send(alice, Class::User, ask.clone()).events();
            ask
        })
        .collect();
    let third = request(&mut world, alice);
    assert_eq!(world.send(alice, Class::User, third).reason(), Reason::CardLimitReached);
    let decide = |n: usize, approved| DecideCardRequest { request: asked[n].request, approved, reason: Sealed::NONE };
    let events = world.send(alice, Class::Ops, decide(0, true)).events();
    assert_eq!(names(&events), ["CardRequestDecided", "CardRequested"]);
    assert_eq!(world.status(alice, asked[0].card), Status::Requested);
    assert_eq!(world.send(alice, Class::Ops, decide(0, true)).reason(), Reason::CardRequestUnknown);
    world.send(alice, Class::Ops, decide(1, false)).events();
    world.active_card(alice, usd(25));
    world.audit();
}

#[test]
fn numbers_are_given_in_order_and_never_twice() {
    let mut world = World::new();
    let alice = world.user(1);
    let bob = world.user(2);
    let mut numbers = vec![];
    for account in [alice, bob, alice] {
        let card = world.active_card(account, usd(25));
        numbers.push(world.card(account, card).number);
    }
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_card_id_is_taken_once_and_belongs_to_its_partition() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(25));
    world.send(alice, Class::User, order.clone()).events();
    assert_eq!(world.send(alice, Class::User, order.clone()).reason(), Reason::CardExists);
    let mut elsewhere = order;
    elsewhere.card.0[7] = 1;
    assert_eq!(world.send(alice, Class::User, elsewhere).reason(), Reason::InvalidField);
}

#[test]
fn a_programme_with_capabilities_wants_the_level_and_a_higher_one_will_do() {
    let mut world = World::new();
    let erin = world.user(9);
    world.deposit(erin, asset("USDC"), Minor(100_000_000));
    let ask = |world: &mut World, kind, provider: &str| {
        let invoice = invoice(world, erin, kind, provider);
        let order = world.order(erin, ProgrammeCode::Baas, Minor(0));
        let order = florin_engine::command::IssueCard { invoice, kind, ..order };
        world.send(erin, Class::User, order)
    };
    let reject = ask(&mut world, CardKind::Virtual, "").reject();
    assert_eq!((reject.reason, reject.figure(Figure::Level)), (Reason::CapabilityInactive, Some(1)));
    world.verify(erin, "BDD");
    ask(&mut world, CardKind::Virtual, "").events();
    let reject = ask(&mut world, CardKind::Physical, "DHL").reject();
    assert_eq!(reject.figure(Figure::Level), Some(2));
    world.verify(erin, "SDD");
    ask(&mut world, CardKind::Physical, "DHL").events();
    ask(&mut world, CardKind::Virtual, "").events();
    world.audit();
}

#[test]
fn an_initial_balance_only_where_the_programme_has_one() {
    let mut world = World::new();
    let alice = world.user(1);
    let mut order = world.order(alice, ProgrammeCode::Mobile, usd(25));
    assert_eq!(world.send(alice, Class::User, order.clone()).reason(), Reason::InvalidField);
    order.initial = Minor(0);
    let events = world.send(alice, Class::User, order).events();
    let [Event::CardRequested(event)] = &events[..] else { panic!("{events:?}") };
    assert!(event.fees.is_empty() && event.wallet_balance == usd(10_000));
}

#[test]
fn a_request_and_an_order_cannot_share_a_card() {
    let mut world = World::new();
    let alice = world.user(1);
    let ask = request(&mut world, alice);
    world.send(alice, Class::User, ask.clone()).events();
    let mut order = world.order(alice, ProgrammeCode::Mobile, Minor(0));
    order.card = ask.card;
    assert_eq!(world.send(alice, Class::User, order).reason(), Reason::CardExists);
    let twice = RequestCard { card: ask.card, ..request(&mut world, alice) };
    assert_eq!(world.send(alice, Class::User, twice).reason(), Reason::CardExists);
}
