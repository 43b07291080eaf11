//! Stories of what follows an authorization: clearings, reversals, expiry, refunds, force posts.

use florin_engine::{
    agenda::Due,
    command::{Class, ExpireHold, ForcePost},
    event::Event,
    ids::AuthorizationId,
    money::Minor,
    postings::Ledger,
    reject::{Figure, Reason},
    terms::{Change, DeclineReason},
};

use crate::world::*;

#[test]
fn partial_clearings_draw_on_the_hold_and_the_last_releases_the_rest() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(60));
    assert_eq!(names(&world.clear(alice, card, auth, Some(usd(20)), false).events()), ["Cleared"]);
    assert_eq!((world.card(alice, card).balance, world.card(alice, card).held), (usd(80), usd(40)));
    assert_eq!(names(&world.clear(alice, card, auth, Some(usd(10)), true).events()), ["Cleared", "HoldReleased"]);
    assert_eq!((world.card(alice, card).balance, world.card(alice, card).held), (usd(70), Minor(0)));
    assert_eq!(world.card(alice, card).usage.daily, usd(30), "an under-clearing gives the rest back");
    assert_eq!(world.ledger(Ledger::Network, USD), 3_000);
    world.audit();
}

#[test]
fn a_clearing_above_the_hold_takes_the_excess_and_counts_only_that_anew() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(30));
    world.wait(DAY);
    let events = world.clear(alice, card, auth, Some(usd(40)), true).events();
    assert_eq!(names(&events), ["Cleared"]);
    let usage = world.card(alice, card).usage;
    assert_eq!(
        (usage.daily, usage.monthly, usage.lifetime),
        (usd(10), usd(40), usd(40)),
        "the hold stays on its own day"
    );
    world.audit();
}

#[test]
fn an_over_clearing_may_put_the_card_below_zero_and_says_so() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(100));
    let events = world.clear(alice, card, auth, Some(usd(130)), true).events();
    assert_eq!(names(&events), ["Cleared", "Overdrawn"]);
    let Some(Event::Overdrawn(event)) = events.last() else { panic!() };
    assert_eq!(event.balance, usd(-30));
    world.audit();
}

#[test]
fn a_reversal_in_part_and_in_full() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(60));
    world.reverse(alice, card, auth, Some(usd(20))).events();
    assert_eq!((world.card(alice, card).held, world.card(alice, card).usage.daily), (usd(40), usd(40)));
    let reject = world.reverse(alice, card, auth, Some(usd(41))).reject();
    assert_eq!((reject.reason, reject.figure(Figure::Limit)), (Reason::AmountAboveMaximum, Some(4_000)));
    world.reverse(alice, card, auth, None).events();
    assert_eq!((world.card(alice, card).held, world.card(alice, card).balance), (Minor(0), usd(100)));
    assert_eq!(world.reverse(alice, card, auth, None).reason(), Reason::HoldClosed);
    world.audit();
}

#[test]
fn a_reversal_that_comes_first_kills_its_authorization() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let authorization = world.new_authorization_id(alice);
    assert_eq!(names(&world.reverse(alice, card, authorization, None).events()), ["ReversalRemembered"]);
    let command = florin_engine::command::Authorize {
        card,
        authorization,
        amount: usd(1),
        currency: USD,
        merchant: merchant(),
        card_present: false,
        pin_entered: false,
    };
    assert_eq!(declined(world.send(alice, Class::Network, command)).0, DeclineReason::Reversed);
    assert_eq!(world.card(alice, card).held, Minor(0));
}

#[test]
fn a_hold_expires_after_seven_days_and_a_clearing_after_that_is_a_force_post() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let authorization = world.held(alice, card, usd(60));
    let expire = ExpireHold { card, authorization };
    world.wait(7 * DAY - 1);
    assert_eq!(world.send(alice, Class::Clock, expire.clone()).reason(), Reason::NotDue);
    world.wait(1);
    assert_eq!(world.state.due(world.now, 9), [Due::Hold { account: alice, card, authorization }]);
    assert_eq!(names(&world.send(alice, Class::Clock, expire).events()), ["HoldReleased"]);
    assert!(world.state.due(world.now, 9).is_empty());
    assert_eq!((world.card(alice, card).held, world.card(alice, card).usage.lifetime), (Minor(0), Minor(0)));
    let events = world.clear(alice, card, authorization, Some(usd(60)), true).events();
    assert_eq!(names(&events), ["ForcePosted"]);
    assert_eq!(world.card(alice, card).balance, usd(40));
    assert_eq!(world.card(alice, card).usage.lifetime, usd(60));
    let events = world.refund(alice, card, authorization, None).events();
    let [Event::Refunded(event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.linked.len(), event.unlinked.len()), (1, 0), "what was force-posted can be refunded");
    world.audit();
}

#[test]
fn a_linked_refund_gives_usage_back_while_its_window_lasts_and_an_unlinked_one_never() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(60));
    world.clear(alice, card, auth, None, true).events();
    world.refund(alice, card, auth, Some(usd(10))).events();
    assert_eq!(world.card(alice, card).usage.daily, usd(50));
    world.wait(DAY);
    world.refund(alice, card, auth, Some(usd(10))).events();
    let usage = world.card(alice, card).usage;
    assert_eq!((usage.daily, usage.monthly, usage.lifetime), (Minor(0), usd(40), usd(40)));
    world.refund(alice, card, AuthorizationId::NIL, Some(usd(5))).events();
    assert_eq!(world.card(alice, card).usage.lifetime, usd(40));
    // Beyond what was cleared it is a credit without a purchase.
    let events = world.refund(alice, card, auth, Some(usd(50))).events();
    let [Event::Refunded(event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.linked[0].billing, event.unlinked[0].billing), (usd(40), usd(10)));
    assert_eq!(world.card(alice, card).balance, usd(115));
    assert_eq!(world.refund(alice, card, auth, None).reason(), Reason::AmountNotPositive, "nothing is left to refund");
    world.audit();
}

#[test]
fn a_refund_takes_the_legs_back_in_reverse_at_their_own_rates() {
    let mut world = World::new();
    let (erin, card) = baas_card(&mut world);
    let auth = world.held(erin, card, usd(200));
    // The rates change in between: the hold keeps its own.
    let mut dearer = policy();
    dearer.assets[2].token.as_mut().unwrap().rate = florin_engine::money::Factor::ONE;
    let adopt = florin_engine::command::AdoptPolicy { version: 2, effective_at_ms: 0, policy: Box::new(dearer) };
    world.send(florin_engine::ids::AccountId::of_partition(0), Class::Ops, adopt).events();
    world.clear(erin, card, auth, None, true).events();
    for code in ["WUSD", "WEUR"] {
        assert_eq!(world.wallet(erin, asset(code)), Minor(0));
    }
    let events = world.refund(erin, card, auth, Some(usd(73))).events();
    let [Event::Refunded(event)] = &events[..] else { panic!("{events:?}") };
    let legs: Vec<_> = event.linked.iter().map(|leg| (leg.asset.as_str(), leg.billing.0)).collect();
    assert_eq!(legs, [("WEUR", 2_700), ("USDC", 4_600)], "the last drawn comes back first");
    assert_eq!(world.wallet(erin, asset("WEUR")), Minor(25_000_000));
    world.refund(erin, card, auth, None).events();
    for (code, amount) in [("WUSD", 100_000_000), ("WEUR", 50_000_000), ("USDC", 1_000_000_000 - 10_050_000)] {
        assert_eq!(world.wallet(erin, asset(code)), Minor(amount), "all of {code} is back to the unit");
    }
    assert_eq!(world.ledger(Ledger::Network, USD), 0);
    world.audit();
}

#[test]
fn partial_clearings_of_a_converted_hold_add_up_to_the_unit() {
    let mut world = World::new();
    let (erin, card) = baas_card(&mut world);
    let auth = world.held(erin, card, usd(200));
    let held: i64 = ["WUSD", "WEUR", "USDC"].iter().map(|code| world.wallet_held(erin, asset(code)).0).sum();
    let before: i64 = ["WUSD", "WEUR", "USDC"].iter().map(|code| world.wallet(erin, asset(code)).0).sum();
    for _ in 0..6 {
        world.clear(erin, card, auth, Some(Minor(3_333)), false).events();
    }
    world.clear(erin, card, auth, None, true).events();
    let after: i64 = ["WUSD", "WEUR", "USDC"].iter().map(|code| world.wallet(erin, asset(code)).0).sum();
    assert_eq!(before - after, held);
    assert_eq!(world.ledger(Ledger::Network, USD), 20_000);
    world.audit();
}

#[test]
fn a_force_post_needs_no_hold_and_no_money_and_posts_on_any_card() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    world.changed(alice, Class::User, card, Change::Freeze);
    let authorization = world.new_authorization_id(alice);
    let post = |authorization, amount| ForcePost { card, authorization, amount, merchant: merchant() };
    assert_eq!(
        names(&world.send(alice, Class::Network, post(authorization, usd(30))).events()),
        ["ForcePosted", "Overdrawn"]
    );
    assert_eq!(world.card(alice, card).balance, usd(-5));
    assert_eq!(world.send(alice, Class::Network, post(authorization, usd(30))).reason(), Reason::AuthorizationExists);
    world.audit();
}

#[test]
fn what_comes_after_the_close_goes_to_the_wallet() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(60));
    world.clear(alice, card, auth, None, true).events();
    world.changed(alice, Class::User, card, Change::Cancel);
    let before = world.wallet(alice, USD);
    world.refund(alice, card, auth, None).events();
    assert_eq!(world.wallet(alice, USD), before.plus(usd(60)).unwrap());
    let authorization = world.new_authorization_id(alice);
    let post = ForcePost { card, authorization, amount: usd(10), merchant: merchant() };
    world.send(alice, Class::Network, post).events();
    assert_eq!(world.wallet(alice, USD), before.plus(usd(50)).unwrap());
    assert_eq!(world.card(alice, card).balance, Minor(0));
    world.audit();
}

#[test]
fn a_closed_authorization_is_forgotten_after_its_span() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(60));
    world.clear(alice, card, auth, None, true).events();
    world.wait(180 * DAY - 1);
    world.deposit(alice, USD, usd(1));
    assert!(world.state.account(alice).unwrap().authorization(auth).is_some());
    world.wait(1);
    world.deposit(alice, USD, usd(1));
    assert!(world.state.account(alice).unwrap().authorization(auth).is_none());
    let events = world.refund(alice, card, auth, Some(usd(60))).events();
    let [Event::Refunded(event)] = &events[..] else { panic!("{events:?}") };
    assert!(event.linked.is_empty(), "a refund of what is forgotten follows no purchase");
    world.audit();
}

/// Whether something else moved the clock in between decides nothing.
#[test]
fn the_first_command_after_that_span_finds_it_forgotten_as_well() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(60));
    world.clear(alice, card, auth, None, true).events();
    world.wait(180 * DAY);
    assert!(world.state.account(alice).unwrap().authorization(auth).is_some(), "nothing has moved the clock");
    let events = world.refund(alice, card, auth, Some(usd(60))).events();
    let [Event::Refunded(event)] = &events[..] else { panic!("{events:?}") };
    assert!(event.linked.is_empty(), "a refund of what is forgotten follows no purchase");
    world.audit();
}

#[test]
fn amounts_of_nothing_are_refused() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(60));
    for amount in [Some(Minor(0)), Some(Minor(-1))] {
        assert_eq!(world.clear(alice, card, auth, amount, true).reason(), Reason::AmountNotPositive);
        assert_eq!(world.reverse(alice, card, auth, amount).reason(), Reason::AmountNotPositive);
        assert_eq!(world.refund(alice, card, auth, amount).reason(), Reason::AmountNotPositive);
    }
    let unknown = world.new_authorization_id(alice);
    assert_eq!(world.clear(alice, card, unknown, None, true).reason(), Reason::AuthorizationUnknown);
    assert_eq!(world.refund(alice, card, unknown, None).reason(), Reason::AuthorizationUnknown);
}

#[test]
fn a_clearing_that_comes_before_its_authorization_is_posted_all_the_same() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let unknown = world.new_authorization_id(alice);
    let key = world.key();
    let all = florin_engine::command::Clear { card, authorization: unknown, amount: None, last: true };
    let told = world.send_keyed(alice, Class::Network, key, [1; 16], all.clone());
    assert_eq!(told.reason(), Reason::AuthorizationUnknown, "how much is not said: it may come again");
    assert_eq!(names(&world.clear(alice, card, unknown, Some(usd(30)), true).events()), ["ForcePosted"]);
    assert_eq!(world.card(alice, card).balance, usd(70));
    assert_eq!(world.send_keyed(alice, Class::Network, key, [1; 16], all).reason(), Reason::HoldClosed);
    world.audit();
}

#[test]
fn a_last_clearing_of_nothing_closes_a_hold_that_is_used_up() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let auth = world.held(alice, card, usd(30));
    world.clear(alice, card, auth, Some(usd(30)), false).events();
    world.changed(alice, Class::User, card, Change::Cancel);
    assert_eq!(world.status(alice, card), florin_engine::terms::Status::PreCancel, "more may be cleared");
    let events = world.clear(alice, card, auth, None, true).events();
    assert_eq!(names(&events), ["HoldReleased", "Swept", "StatusChanged"]);
    world.audit();
}

#[test]
fn what_is_posted_before_the_card_is_there_goes_to_the_wallet() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, florin_engine::policy::ProgrammeCode::Dashboard, usd(100));
    let card = order.card;
    world.send(alice, Class::User, order).events();
    world.refund(alice, card, AuthorizationId::NIL, Some(usd(20))).events();
    let authorization = world.new_authorization_id(alice);
    let post = ForcePost { card, authorization, amount: usd(5), merchant: merchant() };
    world.send(alice, Class::Network, post).events();
    let refused = florin_engine::command::Outcome::Refused(florin_engine::terms::RefusalCode::Declined);
    world.settle(alice, card, refused).events();
    assert_eq!(world.card(alice, card).balance, Minor(0), "nothing is stranded");
    assert_eq!(world.wallet(alice, USD), usd(10_015));
    world.audit();
}

#[test]
fn what_would_pass_the_range_is_refused_and_never_bent() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let mut post = |amount| {
        let authorization = world.new_authorization_id(alice);
        world.send(alice, Class::Network, ForcePost { card, authorization, amount, merchant: merchant() })
    };
    assert_eq!(post(Minor(i64::MAX)).reason(), Reason::Overflow);
    post(usd(1)).events();
    let most = florin_engine::money::BALANCE_MAX;
    assert_eq!(post(most.plus(usd(200)).unwrap()).reason(), Reason::Overflow);
    post(most).events();
    assert_eq!(post(most).reason(), Reason::Overflow, "the card would owe more than the range has");
    world.audit();
}
