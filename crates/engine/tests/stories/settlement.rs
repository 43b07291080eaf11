//! Stories of answers that come late, twice or never, and of deadlines.

use florin_engine::{
    agenda::{Due, Task},
    command::{ChangeLimits, Class, ConfirmReconcile, Issued, LapseChange, Outcome, Settle},
    event::Event,
    fees::FeeKind,
    limits::{Limits, LimitsUpdate},
    money::Minor,
    policy::ProgrammeCode,
    reject::Reason,
    terms::{Change, RefusalCode, Status},
};

use crate::world::*;

fn issued() -> Outcome {
    Outcome::Issued(Issued { issuer_card: "ic_2".into(), first4: 4000, last4: 4321, expiry: EXPIRY })
}

#[test]
fn a_refused_issuance_gives_everything_back_fees_too() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(100));
    let card = order.card;
    world.send(alice, Class::User, order).events();
    assert_eq!(world.wallet(alice, USD), Minor(1_000_000 - 10_800));
    world.settle(alice, card, Outcome::Refused(RefusalCode::Declined)).events();
    assert_eq!((world.status(alice, card), world.wallet(alice, USD)), (Status::Cancelled, usd(10_000)));
    assert_eq!((world.revenue(FeeKind::Issue), world.revenue(FeeKind::Service)), (0, 0));
    world.audit();
}

#[test]
fn an_issuance_past_its_deadline_is_given_up_but_refunded_only_on_the_issuers_word() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(100));
    let card = order.card;
    world.send(alice, Class::User, order).events();
    let request = world.card(alice, card).request().unwrap();
    assert_eq!(world.state.work(9)[0].task, Task::Issue);
    assert_eq!(world.send(alice, Class::Clock, LapseChange { card, request }).reason(), Reason::NotDue);
    world.wait(600_000);
    assert_eq!(world.state.due(world.now, 9), [Due::Change { account: alice, card, request }]);
    assert_eq!(names(&world.send(alice, Class::Clock, LapseChange { card, request }).events()), ["IssuanceAbandoned"]);
    assert!(world.state.due(world.now, 9).is_empty());
    assert_eq!(world.state.work(9)[0].task, Task::Abandon);
    assert_eq!(world.wallet(alice, USD), Minor(1_000_000 - 10_800), "its fate is not known yet");
    let events = world.settle(alice, card, issued()).events();
    assert_eq!(names(&events), ["SettlementIgnored"], "an answer that crossed the giving up");
    assert_eq!(world.status(alice, card), Status::Requested);
    world.settle(alice, card, Outcome::Refused(RefusalCode::Abandoned)).events();
    assert_eq!((world.status(alice, card), world.wallet(alice, USD)), (Status::Cancelled, usd(10_000)));
    assert!(world.state.work(9).is_empty());
    // The issuer made it after all: it is told that the card is cancelled.
    let late = world.send(alice, Class::Settlement, Settle { card, request, outcome: issued() }).events();
    assert_eq!(names(&late), ["ReconcileStarted"]);
    let work = world.state.work(9);
    assert!(matches!(work[0].task, Task::Assert { status: Status::Cancelled, .. }));
    world.send(alice, Class::Settlement, ConfirmReconcile { card, change: work[0].change }).events();
    assert!(world.state.work(9).is_empty());
    assert_eq!(world.wallet(alice, USD), usd(10_000));
    world.audit();
}

#[test]
fn the_same_answer_twice_settles_once() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(100));
    let card = order.card;
    world.send(alice, Class::User, order).events();
    let request = world.card(alice, card).request().unwrap();
    let settle = Settle { card, request, outcome: issued() };
    world.send(alice, Class::Settlement, settle.clone()).events();
    let balance = world.card(alice, card).balance;
    assert_eq!(names(&world.send(alice, Class::Settlement, settle).events()), ["SettlementIgnored"]);
    assert_eq!((world.status(alice, card), world.card(alice, card).balance), (Status::Active, balance));
    world.audit();
}

#[test]
fn an_old_freeze_answered_again_after_a_thaw_changes_nothing() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::User, card, Change::Freeze).events();
    let freeze = world.card(alice, card).request().unwrap();
    world.done(alice, card);
    world.changed(alice, Class::User, card, Change::Thaw);
    let events =
        world.send(alice, Class::Settlement, Settle { card, request: freeze, outcome: Outcome::Done }).events();
    assert_eq!(names(&events), ["ReconcileStarted"], "Florin's state is asserted, not changed");
    assert_eq!(world.status(alice, card), Status::Active);
    world.held(alice, card, usd(1));
}

#[test]
fn a_freeze_binds_from_its_acceptance_and_never_reverts_by_itself() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::User, card, Change::Freeze).events();
    assert_eq!(declined(world.authorize(alice, card, usd(1)).1).0.word(), "change_pending");
    let request = world.card(alice, card).request().unwrap();
    world.wait(600_000);
    assert_eq!(names(&world.send(alice, Class::Clock, LapseChange { card, request }).events()), ["ChangeOverdue"]);
    assert_eq!(world.card(alice, card).request(), Some(request), "it stays PROCESSING");
    assert_eq!(world.send(alice, Class::Clock, LapseChange { card, request }).reason(), Reason::NothingPending);
    assert_eq!(declined(world.authorize(alice, card, usd(1)).1).0.word(), "change_pending");
    world.done(alice, card);
    assert_eq!(world.status(alice, card), Status::Frozen);
    world.audit();
}

#[test]
fn a_thaw_binds_only_when_settled_and_reverts_at_its_deadline() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.changed(alice, Class::User, card, Change::Freeze);
    world.change(alice, Class::User, card, Change::Thaw).events();
    let request = world.card(alice, card).request().unwrap();
    assert_eq!(declined(world.authorize(alice, card, usd(1)).1).0.word(), "card_not_active");
    world.wait(600_000);
    let events = world.send(alice, Class::Clock, LapseChange { card, request }).events();
    assert_eq!(names(&events), ["ChangeLapsed", "ReconcileStarted"]);
    assert_eq!((world.status(alice, card), world.card(alice, card).pending), (Status::Frozen, None));
    // The thaw was done after all: Florin's state is asserted again, under a number above it.
    let before = world.card(alice, card).reconcile;
    world.send(alice, Class::Settlement, Settle { card, request, outcome: Outcome::Done }).events();
    let card_now = world.card(alice, card);
    assert!(card_now.reconcile > before && card_now.status == Status::Frozen);
    let old = ConfirmReconcile { card, change: before };
    assert_eq!(world.send(alice, Class::Settlement, old).reason(), Reason::NothingPending);
    world.audit();
}

fn set(card: florin_engine::ids::CardId, daily: Option<Minor>, monthly: Option<Minor>) -> ChangeLimits {
    ChangeLimits {
        card,
        update: LimitsUpdate { daily: Some(daily), monthly: Some(monthly), ..LimitsUpdate::default() },
    }
}

#[test]
fn a_lower_limit_binds_at_once_a_higher_one_when_settled() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(1_000));
    world.send(alice, Class::User, set(card, Some(usd(50)), Some(usd(500)))).events();
    assert_eq!(declined(world.authorize(alice, card, usd(51)).1).0.word(), "daily_limit");
    world.done(alice, card);
    // Lower by the month, higher by the day.
    world.send(alice, Class::User, set(card, Some(usd(400)), Some(usd(100)))).events();
    assert_eq!(declined(world.authorize(alice, card, usd(51)).1).0.word(), "daily_limit");
    let request = world.card(alice, card).request().unwrap();
    world.wait(600_000);
    let events = world.send(alice, Class::Clock, LapseChange { card, request }).events();
    assert_eq!(names(&events), ["ChangeLapsed", "ReconcileStarted"]);
    let expected = Limits { daily: Some(usd(50)), monthly: Some(usd(100)), ..Limits::default() };
    assert_eq!(world.card(alice, card).limits, expected, "what was raised reverts, what was lowered holds");
    world.audit();
}

#[test]
fn a_refused_limit_change_restores_the_limits_and_a_lowering_one_only_alarms() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(1_000));
    world.send(alice, Class::User, set(card, Some(usd(50)), None)).events();
    let request = world.card(alice, card).request().unwrap();
    world.wait(600_000);
    assert_eq!(names(&world.send(alice, Class::Clock, LapseChange { card, request }).events()), ["ChangeOverdue"]);
    assert_eq!(world.card(alice, card).limits.daily, Some(usd(50)));
    world.settle(alice, card, Outcome::Refused(RefusalCode::Declined)).events();
    assert_eq!(world.card(alice, card).limits, Limits::default());
}

#[test]
fn an_overtaken_lower_limit_stays_in_force_and_is_asserted() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(1_000));
    world.send(alice, Class::User, set(card, Some(usd(50)), None)).events();
    let events = world.change(alice, Class::Ops, card, Change::Freeze).events();
    assert_eq!(names(&events), ["StatusChangeRequested", "ReconcileStarted"]);
    assert!(
        matches!(world.state.work(9)[..], [work] if work.task == Task::SetStatus(Status::Frozen)),
        "the freeze first"
    );
    world.done(alice, card);
    let work = world.state.work(9);
    assert!(
        matches!(work[0].task, Task::Assert { status: Status::Frozen, limits, .. } if limits.daily == Some(usd(50)))
    );
    assert_eq!(work[0].change, world.card(alice, card).change, "under the newest number");
    world.audit();
}

#[test]
fn an_answer_of_the_wrong_kind_settles_nothing() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(100));
    let card = order.card;
    world.send(alice, Class::User, order).events();
    assert_eq!(world.settle(alice, card, Outcome::Done).reason(), Reason::InvalidField);
    world.settle_issue(alice, card);
    world.change(alice, Class::User, card, Change::Freeze).events();
    assert_eq!(world.settle(alice, card, issued()).reason(), Reason::InvalidField);
    assert!(matches!(world.done(alice, card)[..], [Event::StatusChanged(_)]));
}
