//! Stories of authorizations: the checks in their order, holds over one and several assets, increments.

use florin_engine::{
    command::{ChangeLimits, Class, Increment, SetNoPinAmount},
    event::Event,
    ids::{AccountId, CardId},
    limits::LimitsUpdate,
    money::Minor,
    reject::{Figure, Reason},
    terms::{Change, DeclineReason},
};

use crate::world::*;

fn limits(world: &mut World, account: AccountId, card: CardId, update: LimitsUpdate) {
    world.send(account, Class::User, ChangeLimits { card, update }).events();
    world.done(account, card);
}

#[test]
fn the_first_check_that_fails_declines_in_the_order_of_the_page() {
    // Everything is wrong at first; each step mends the check that declined, so that the next one speaks.
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.send(alice, Class::User, SetNoPinAmount { card, amount: usd(10) }).events();
    let tight = LimitsUpdate {
        transaction: Some(Some(usd(10))),
        daily: Some(Some(usd(20))),
        monthly: Some(Some(usd(30))),
        lifetime: Some(Some(usd(40))),
    };
    limits(&mut world, alice, card, tight);
    world.change(alice, Class::User, card, Change::Freeze).events();
    let ask = |world: &mut World| declined(world.authorize_with(alice, card, usd(500), true, false).1).0;
    assert_eq!(ask(&mut world), DeclineReason::ChangePending);
    world.done(alice, card);
    assert_eq!(ask(&mut world), DeclineReason::CardNotActive);
    world.changed(alice, Class::User, card, Change::Thaw);
    let clear = |field: fn(&mut LimitsUpdate)| {
        let mut update = LimitsUpdate::default();
        field(&mut update);
        update
    };
    assert_eq!(ask(&mut world), DeclineReason::TransactionLimit);
    limits(&mut world, alice, card, clear(|update| update.transaction = Some(None)));
    assert_eq!(ask(&mut world), DeclineReason::NoPinLimit);
    world.send(alice, Class::User, SetNoPinAmount { card, amount: usd(1_000) }).events();
    assert_eq!(ask(&mut world), DeclineReason::DailyLimit);
    limits(&mut world, alice, card, clear(|update| update.daily = Some(None)));
    assert_eq!(ask(&mut world), DeclineReason::MonthlyLimit);
    limits(&mut world, alice, card, clear(|update| update.monthly = Some(None)));
    assert_eq!(ask(&mut world), DeclineReason::LifetimeLimit);
    limits(&mut world, alice, card, clear(|update| update.lifetime = Some(None)));
    assert_eq!(ask(&mut world), DeclineReason::InsufficientBalance);
    world.audit();
}

#[test]
fn a_decline_has_its_figures() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let (reason, figures) = declined(world.authorize(alice, card, usd(101)).1);
    assert_eq!(reason, DeclineReason::InsufficientBalance);
    assert_eq!(figures, [(Figure::Needed, 10_100), (Figure::Available, 10_000)]);
    limits(&mut world, alice, card, LimitsUpdate { daily: Some(Some(usd(50))), ..LimitsUpdate::default() });
    world.held(alice, card, usd(30));
    let (reason, figures) = declined(world.authorize(alice, card, usd(21)).1);
    assert_eq!(reason, DeclineReason::DailyLimit);
    assert_eq!(figures, [(Figure::Amount, 2_100), (Figure::Limit, 5_000), (Figure::Used, 3_000)]);
    world.held(alice, card, usd(20));
}

#[test]
fn the_no_pin_amount_counts_only_for_the_card_in_hand_without_pin() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.send(alice, Class::User, SetNoPinAmount { card, amount: usd(10) }).events();
    for (present, pin, amount, approved) in [
        (true, false, 1_001, false),
        (true, false, 1_000, true),
        (true, true, 1_001, true),
        (false, false, 1_001, true),
    ] {
        let events = world.authorize_with(alice, card, Minor(amount), present, pin).1.events();
        assert_eq!(matches!(events[..], [Event::Authorized(_)]), approved, "present {present}, pin {pin}, {amount}");
    }
}

#[test]
fn a_limit_of_zero_declines_everything_and_a_zero_check_needs_no_hold() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let (_, told) = world.authorize(alice, card, Minor(0));
    assert_eq!(names(&told.events()), ["AccountChecked"]);
    assert_eq!(world.card(alice, card).held, Minor(0));
    limits(&mut world, alice, card, LimitsUpdate { transaction: Some(Some(Minor(0))), ..LimitsUpdate::default() });
    for amount in [0, 1] {
        let (reason, _) = declined(world.authorize(alice, card, Minor(amount)).1);
        assert_eq!(reason, DeclineReason::TransactionLimit);
    }
}

#[test]
fn a_hold_draws_on_the_wallets_in_the_policys_order() {
    let mut world = World::new();
    let (erin, card) = baas_card(&mut world);
    // 100 WUSD at 1, 50 WEUR at 1.08 = 54 USD, then USDC at 0.9940.
    let events = world.authorize(erin, card, usd(200)).1.events();
    let [Event::Authorized(event)] = &events[..] else { panic!("{events:?}") };
    let legs: Vec<_> = event.legs.iter().map(|leg| (leg.asset.as_str(), leg.amount.0, leg.billing.0)).collect();
    // 46 USD ÷ 0.9940 = 46.277665…, rounded up to the token's unit.
    assert_eq!(legs, [("WUSD", 100_000_000, 10_000), ("WEUR", 50_000_000, 5_400), ("USDC", 46_277_666, 4_600)]);
    assert_eq!(world.wallet_held(erin, asset("WEUR")), Minor(50_000_000));
    let (reason, figures) = declined(world.authorize(erin, card, usd(10_000)).1);
    assert_eq!(reason, DeclineReason::InsufficientBalance);
    // 1,000 − 10.05 − 46.277666 USDC are left: 943.672334 × 0.9940 = 938.01 USD.
    assert_eq!(figures, [(Figure::Needed, 1_000_000), (Figure::Available, 93_801)]);
    world.audit();
}

#[test]
fn an_increment_passes_the_same_checks_with_its_total() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    limits(&mut world, alice, card, LimitsUpdate { transaction: Some(Some(usd(50))), ..LimitsUpdate::default() });
    let auth = world.held(alice, card, usd(30));
    let more = |amount| Increment { card, authorization: auth, amount };
    assert_eq!(names(&world.send(alice, Class::Network, more(usd(20))).events()), ["HoldIncremented"]);
    assert_eq!(world.card(alice, card).held, usd(50));
    let (reason, _) = declined(world.send(alice, Class::Network, more(Minor(1))));
    assert_eq!(reason, DeclineReason::TransactionLimit);
    assert_eq!(world.card(alice, card).usage.daily, usd(50));
    world.reverse(alice, card, auth, None).events();
    assert_eq!(world.card(alice, card).usage.lifetime, Minor(0));
    assert_eq!(world.send(alice, Class::Network, more(usd(1))).reason(), Reason::HoldClosed);
    world.audit();
}

#[test]
fn what_is_out_of_form_is_a_reject_and_no_decline() {
    let mut world = World::new();
    let alice = world.user(1);
    let bob = world.user(2);
    let card = world.active_card(alice, usd(100));
    assert_eq!(world.authorize(alice, card, Minor(-1)).1.reason(), Reason::AmountNotPositive);
    assert_eq!(world.authorize(bob, card, usd(1)).1.reason(), Reason::CardUnknown, "someone else's card");
    let auth = world.held(alice, card, usd(1));
    let again = florin_engine::command::Authorize {
        card,
        authorization: auth,
        amount: usd(1),
        currency: USD,
        merchant: merchant(),
        card_present: false,
        pin_entered: false,
    };
    assert_eq!(world.send(alice, Class::Network, again.clone()).reason(), Reason::AuthorizationExists);
    let foreign = florin_engine::command::Authorize { currency: asset("EUR"), ..again };
    assert_eq!(world.send(alice, Class::Network, foreign).reason(), Reason::InvalidField);
    assert_eq!(world.clear(bob, card, auth, None, true).reason(), Reason::CardUnknown);
}
