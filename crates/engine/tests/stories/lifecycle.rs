//! Stories of a card's states: the table of lifecycle.md, arrow by arrow, and who may walk it.

use florin_engine::{
    command::{Activate, Class, ExpireCard, Outcome, SetNoPinAmount, TopUp, Tried},
    event::Event,
    ids::{AccountId, CardId},
    limits::month_end_ms,
    money::Minor,
    policy::{CardKind, ProgrammeCode},
    reject::{Figure, Reason},
    terms::{Change, RefusalCode, Status},
};

use crate::world::*;

/// An issued plastic card of the mobile programme, not yet activated.
fn plastic(world: &mut World, account: AccountId) -> CardId {
    let mut order = world.order(account, ProgrammeCode::Mobile, Minor::ZERO);
    order.kind = CardKind::Physical;
    let card = order.card;
    world.send(account, Class::User, order).events();
    world.settle_issue(account, card);
    card
}

#[expect(clippy::unnecessary_wraps, reason = "as the command takes it")]
const fn tried(last4: u16, expiry: u16) -> Option<Tried> {
    Some(Tried { last4, expiry })
}

#[test]
fn a_virtual_card_is_activated_by_the_system_and_both_steps_are_told() {
    let mut world = World::new();
    let alice = world.user(1);
    let order = world.order(alice, ProgrammeCode::Dashboard, usd(100));
    let card = order.card;
    let events = world.send(alice, Class::User, order).events();
    assert_eq!(names(&events), ["CardRequested"]);
    assert_eq!(world.status(alice, card), Status::Requested);
    assert_eq!(names(&world.settle_issue(alice, card)), ["CardIssued", "CardActivated"]);
    assert_eq!(world.status(alice, card), Status::Active);
    world.audit();
}

#[test]
fn a_plastic_card_waits_for_last_four_and_expiry() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = plastic(&mut world, alice);
    assert_eq!(world.status(alice, card), Status::NotActivated);
    for wrong in [tried(1235, EXPIRY), tried(1234, EXPIRY + 1)] {
        let events = world.send(alice, Class::User, Activate { card, tried: wrong }).events();
        assert_eq!(names(&events), ["ActivationFailed"]);
    }
    let blind = world.send(alice, Class::User, Activate { card, tried: None });
    assert_eq!(blind.reason(), Reason::InvalidField, "only ops activate without the secret");
    let events = world.send(alice, Class::User, Activate { card, tried: tried(1234, EXPIRY) }).events();
    assert_eq!(names(&events), ["CardActivated", "ReconcileStarted"], "the issuer is told");
    assert_eq!(world.status(alice, card), Status::Active);
    let again = world.send(alice, Class::User, Activate { card, tried: tried(1234, EXPIRY) });
    assert_eq!(again.reason(), Reason::InvalidStatus);
    world.audit();
}

#[test]
fn five_wrong_tries_block_and_an_unblock_gives_five_more() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = plastic(&mut world, alice);
    for round in 0..2 {
        for n in 1..=5 {
            let events = world.send(alice, Class::User, Activate { card, tried: tried(0, EXPIRY) }).events();
            let blocks = names(&events).contains(&"StatusChanged");
            assert_eq!(blocks, n == 5, "round {round}, try {n}");
        }
        assert_eq!(world.status(alice, card), Status::Blocked);
        let right = world.send(alice, Class::User, Activate { card, tried: tried(1234, EXPIRY) });
        assert_eq!(right.reason(), Reason::InvalidStatus);
        world.changed(alice, Class::Ops, card, Change::Unblock);
        assert_eq!((world.status(alice, card), world.card(alice, card).tries), (Status::NotActivated, 0));
    }
    world.audit();
}

#[test]
fn every_arrow_of_the_table_and_no_other() {
    use Change::{Block, BlockForFraud, Cancel, Freeze, Thaw, Unblock};
    use Status::{Active, Blocked, Cancelled, Frozen, NotActivated};
    // From, change, by user, by ops: what it comes to once settled, or why it is refused.
    let bad = Err(Reason::InvalidStatus);
    let (class, same) = (Err(Reason::WrongClass), Err(Reason::NothingToChange));
    let table: [(Status, Change, Result<Status, Reason>, Result<Status, Reason>); 24] = [
        (NotActivated, Freeze, bad, bad),
        (NotActivated, Thaw, bad, bad),
        (NotActivated, Block, class, bad),
        (NotActivated, BlockForFraud, class, bad),
        (NotActivated, Unblock, class, bad),
        (NotActivated, Cancel, bad, Ok(Cancelled)),
        (Active, Freeze, Ok(Frozen), Ok(Frozen)),
        (Active, Thaw, same, same),
        (Active, Block, class, Ok(Blocked)),
        (Active, BlockForFraud, class, Ok(Blocked)),
        (Active, Unblock, class, bad),
        (Active, Cancel, Ok(Cancelled), Ok(Cancelled)),
        (Frozen, Freeze, same, same),
        (Frozen, Thaw, Ok(Active), Ok(Active)),
        (Frozen, Block, class, Ok(Blocked)),
        (Frozen, BlockForFraud, class, Ok(Blocked)),
        (Frozen, Unblock, class, bad),
        (Frozen, Cancel, Ok(Cancelled), Ok(Cancelled)),
        (Blocked, Freeze, bad, bad),
        (Blocked, Thaw, bad, bad),
        (Blocked, Block, class, same),
        (Blocked, Unblock, class, Ok(Active)),
        (Blocked, Cancel, Ok(Cancelled), Ok(Cancelled)),
        (Cancelled, Cancel, bad, bad),
    ];
    for (from, change, by_user, by_ops) in table {
        for (who, expected) in [(Class::User, by_user), (Class::Ops, by_ops)] {
            let mut world = World::new();
            let alice = world.user(1);
            let card = plastic(&mut world, alice);
            if from != NotActivated {
                world.send(alice, Class::Ops, Activate { card, tried: None }).events();
            }
            match from {
                Frozen => world.changed(alice, Class::User, card, Freeze),
                Blocked => world.changed(alice, Class::Ops, card, Block),
                Cancelled => world.changed(alice, Class::User, card, Cancel),
                _ => {}
            }
            let told = world.change(alice, who, card, change);
            match expected {
                Err(reason) => assert_eq!(told.reason(), reason, "{from:?} {change:?} by {who:?}"),
                Ok(to) => {
                    told.events();
                    assert_eq!(world.status(alice, card), from, "nothing changes before it is settled");
                    world.done(alice, card);
                    assert_eq!(world.status(alice, card), to, "{from:?} {change:?} by {who:?}");
                }
            }
            world.audit();
        }
    }
}

#[test]
fn an_unblocked_card_is_again_what_it_was() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.changed(alice, Class::User, card, Change::Freeze);
    world.changed(alice, Class::Ops, card, Change::Block);
    world.changed(alice, Class::Ops, card, Change::Unblock);
    assert_eq!(world.status(alice, card), Status::Frozen);
}

#[test]
fn the_issuers_block_is_a_fact_at_once() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::Network, card, Change::BlockForFraud).events();
    assert_eq!((world.status(alice, card), world.card(alice, card).fraud), (Status::Blocked, true));
    assert_eq!(world.change(alice, Class::User, card, Change::Cancel).reason(), Reason::FraudBlock);
    assert_eq!(world.change(alice, Class::Network, card, Change::Block).reason(), Reason::NothingToChange);
    let mailed = plastic(&mut world, alice);
    world.change(alice, Class::Network, mailed, Change::Block).events();
    assert_eq!(world.status(alice, mailed), Status::Blocked, "before activation too");
}

#[test]
fn while_a_change_is_pending_another_waits_but_a_stronger_one_of_ops_overtakes() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::User, card, Change::Freeze).events();
    let frozen = world.card(alice, card).request().unwrap();
    assert_eq!(world.change(alice, Class::User, card, Change::Cancel).reason(), Reason::ChangePending);
    assert_eq!(world.change(alice, Class::Ops, card, Change::Thaw).reason(), Reason::ChangePending);
    assert_eq!(world.change(alice, Class::Ops, card, Change::Freeze).reason(), Reason::NothingToChange);
    world.change(alice, Class::Ops, card, Change::Block).events();
    assert_eq!(world.change(alice, Class::Ops, card, Change::Freeze).reason(), Reason::ChangePending, "weaker");
    // The overtaken freeze was done after all: the issuer is told again what holds.
    let late = florin_engine::command::Settle { card, request: frozen, outcome: Outcome::Done };
    assert_eq!(names(&world.send(alice, Class::Settlement, late).events()), ["ReconcileStarted"]);
    let events = world.done(alice, card);
    assert_eq!(names(&events), ["StatusChanged", "ReconcileStarted"], "the assertion gets a number above the block's");
    assert_eq!(world.status(alice, card), Status::Blocked);
    world.audit();
}

#[test]
fn a_pending_cancel_goes_on_over_the_issuers_block_but_not_over_fraud() {
    for (block, goes_on) in [(Change::Block, true), (Change::BlockForFraud, false)] {
        let mut world = World::new();
        let alice = world.user(1);
        let card = world.active_card(alice, usd(100));
        world.change(alice, Class::User, card, Change::Cancel).events();
        world.change(alice, Class::Network, card, block).events();
        assert_eq!(world.status(alice, card), Status::Blocked);
        assert_eq!(world.card(alice, card).pending.is_some(), goes_on);
        world.audit();
    }
}

#[test]
fn a_cancelled_card_waits_for_its_holds_and_is_then_swept() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let first = world.held(alice, card, usd(30));
    let second = world.held(alice, card, usd(20));
    world.changed(alice, Class::User, card, Change::Cancel);
    assert_eq!(world.status(alice, card), Status::PreCancel);
    assert_eq!(world.card(alice, card).balance, usd(100), "nothing is swept while holds are open");
    world.clear(alice, card, first, Some(usd(25)), true).events();
    assert_eq!(world.status(alice, card), Status::PreCancel);
    let before = world.wallet(alice, USD);
    let events = world.reverse(alice, card, second, None).events();
    assert_eq!(names(&events), ["HoldReleased", "Swept", "StatusChanged"]);
    assert_eq!(world.status(alice, card), Status::Cancelled);
    assert_eq!(world.wallet(alice, USD), before.plus(usd(75)).unwrap());
    world.audit();
}

#[test]
fn a_closing_card_waits_for_its_fraud_block_and_its_debt() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let auth = world.held(alice, card, usd(25));
    world.clear(alice, card, auth, Some(usd(26)), true).events();
    world.changed(alice, Class::Ops, card, Change::BlockForFraud);
    world.changed(alice, Class::Ops, card, Change::Cancel);
    assert_eq!(world.status(alice, card), Status::PreCancel);
    let events = world.change(alice, Class::Ops, card, Change::Unblock).events();
    assert_eq!(names(&events), ["FraudCleared"], "the debt still keeps it");
    let events = world.refund(alice, card, auth, Some(usd(1))).events();
    assert_eq!(names(&events), ["Refunded", "StatusChanged"]);
    assert_eq!(world.status(alice, card), Status::Cancelled);
    world.audit();
}

#[test]
fn a_card_expires_when_its_month_is_over_and_is_swept() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.now = month_end_ms(EXPIRY) - 1;
    let reject = world.send(alice, Class::Clock, ExpireCard { card }).reject();
    assert_eq!(reject.reason, Reason::NotDue);
    assert_eq!(reject.figure(Figure::RetryAt), i64::try_from(month_end_ms(EXPIRY)).ok());
    assert!(world.state.due(world.now, 10).is_empty());
    world.wait(1);
    let (reason, _) = declined(world.authorize(alice, card, usd(1)).1);
    assert_eq!(reason.word(), "expired", "the month is over, whether the clock worker came or not");
    assert_eq!(world.send(alice, Class::User, TopUp { card, amount: usd(10) }).reason(), Reason::InvalidStatus);
    let due = world.state.due(world.now, 10);
    assert_eq!(due.len(), 1);
    let events = world.send(due[0].account(), Class::Clock, due[0].command()).events();
    assert_eq!(names(&events), ["StatusChanged", "ReconcileStarted", "Swept"]);
    assert_eq!((world.status(alice, card), world.card(alice, card).balance), (Status::Expired, Minor(0)));
    assert!(world.state.due(world.now, 10).is_empty());
    assert_eq!(declined(world.authorize(alice, card, usd(1)).1).0.word(), "expired");
    world.audit();
}

#[test]
fn a_refused_change_leaves_what_was_there() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let before = world.card(alice, card);
    world.change(alice, Class::User, card, Change::Freeze).events();
    let events = world.settle(alice, card, Outcome::Refused(RefusalCode::Declined)).events();
    assert_eq!(names(&events), ["ChangeRefused"]);
    let after = world.card(alice, card);
    assert_eq!((after.status, after.pending.clone()), (before.status, None));
    world.held(alice, card, usd(1));
}

#[test]
fn the_no_pin_amount_is_set_at_once_in_every_state_but_the_last() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let set = |amount| SetNoPinAmount { card, amount };
    assert_eq!(world.send(alice, Class::User, set(Minor(-1))).reason(), Reason::InvalidField);
    world.change(alice, Class::User, card, Change::Freeze).events();
    assert!(matches!(world.send(alice, Class::User, set(usd(50))).events()[..], [Event::NoPinAmountSet(_)]));
    world.done(alice, card);
    world.changed(alice, Class::User, card, Change::Cancel);
    assert_eq!(world.send(alice, Class::User, set(usd(50))).reason(), Reason::InvalidStatus);
}

#[test]
fn ops_freeze_over_a_thaw_and_block_over_an_unblock() {
    for (first, way_back, again, stays) in [
        (Change::Freeze, Change::Thaw, Change::Freeze, Status::Frozen),
        (Change::Block, Change::Unblock, Change::Block, Status::Blocked),
        (Change::BlockForFraud, Change::Unblock, Change::Block, Status::Blocked),
    ] {
        let mut world = World::new();
        let alice = world.user(1);
        let card = world.active_card(alice, usd(100));
        world.changed(alice, Class::Ops, card, first);
        world.change(alice, Class::Ops, card, way_back).events();
        let request = world.card(alice, card).request().unwrap();
        let events = world.change(alice, Class::Ops, card, again).events();
        assert_eq!(names(&events), ["StatusChangeRequested", "ReconcileStarted"]);
        let late = florin_engine::command::Settle { card, request, outcome: Outcome::Done };
        world.send(alice, Class::Settlement, late).events();
        assert_eq!(world.status(alice, card), stays, "the {way_back:?} was overtaken");
        world.done(alice, card);
        assert_eq!((world.status(alice, card), world.card(alice, card).pending), (stays, None));
        assert_eq!(world.card(alice, card).fraud, first == Change::BlockForFraud);
        world.audit();
    }
}

#[test]
fn the_issuers_block_overtakes_an_unblock_on_its_way() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.changed(alice, Class::Ops, card, Change::Block);
    world.change(alice, Class::Ops, card, Change::Unblock).events();
    let events = world.change(alice, Class::Network, card, Change::Block).events();
    assert_eq!(names(&events), ["StatusChanged", "ReconcileStarted"]);
    assert_eq!((world.status(alice, card), world.card(alice, card).pending), (Status::Blocked, None));
    world.changed(alice, Class::Ops, card, Change::Unblock);
    assert_eq!(world.status(alice, card), Status::Active, "what it was before the first block");
}

#[test]
fn a_block_makes_an_assertion_on_its_way_worthless() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = plastic(&mut world, alice);
    world.send(alice, Class::User, Activate { card, tried: tried(1234, EXPIRY) }).events();
    let old = world.state.work(9)[0].change;
    world.change(alice, Class::Network, card, Change::BlockForFraud).events();
    let confirm = florin_engine::command::ConfirmReconcile { card, change: old };
    assert_eq!(world.send(alice, Class::Settlement, confirm).reason(), Reason::NothingPending);
    assert!(world.state.work(9)[0].change > old, "the block is asserted under a higher number");
}

#[test]
fn a_fraud_mark_over_an_unblock_on_its_way_is_asserted() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.changed(alice, Class::Ops, card, Change::Block);
    world.change(alice, Class::Ops, card, Change::Unblock).events();
    let events = world.change(alice, Class::Ops, card, Change::BlockForFraud).events();
    assert_eq!(names(&events), ["StatusChanged", "ReconcileStarted"]);
    let work = world.state.work(9);
    assert!(
        matches!(work[..], [work] if matches!(work.task, florin_engine::agenda::Task::Assert { status: Status::Blocked, .. }))
    );
}

#[test]
fn an_overtaken_freeze_is_asked_for_again_or_outlives_the_block() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::User, card, Change::Freeze).events();
    world.change(alice, Class::Ops, card, Change::Block).events();
    let events = world.settle(alice, card, Outcome::Refused(RefusalCode::Declined)).events();
    assert_eq!(names(&events), ["ChangeRefused", "ReconcileStarted", "StatusChangeRequested"]);
    assert_eq!(declined(world.authorize(alice, card, usd(1)).1).0.word(), "change_pending", "it binds all along");
    world.done(alice, card);
    assert_eq!(world.status(alice, card), Status::Frozen);
    world.audit();
    // Done instead of refused, the block is lifted to the freeze below it.
    for class in [Class::Ops, Class::Network] {
        let mut world = World::new();
        let alice = world.user(1);
        let card = world.active_card(alice, usd(100));
        world.change(alice, Class::User, card, Change::Freeze).events();
        world.change(alice, class, card, Change::Block).events();
        if class == Class::Ops {
            world.done(alice, card);
        }
        world.changed(alice, Class::Ops, card, Change::Unblock);
        assert_eq!(world.status(alice, card), Status::Frozen, "blocked by {class:?}");
        world.audit();
    }
}

#[test]
fn a_freeze_below_two_stronger_changes_is_not_forgotten() {
    let refused = || Outcome::Refused(RefusalCode::Declined);
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::User, card, Change::Freeze).events();
    world.change(alice, Class::Ops, card, Change::Block).events();
    world.change(alice, Class::Ops, card, Change::BlockForFraud).events();
    // Refused one after the other: each leaves what is below it.
    world.settle(alice, card, refused()).events();
    world.settle(alice, card, refused()).events();
    world.done(alice, card);
    assert_eq!(world.status(alice, card), Status::Frozen);
    world.audit();

    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::User, card, Change::Freeze).events();
    world.change(alice, Class::Ops, card, Change::Block).events();
    world.change(alice, Class::Ops, card, Change::BlockForFraud).events();
    world.done(alice, card);
    world.changed(alice, Class::Ops, card, Change::Unblock);
    assert_eq!(world.status(alice, card), Status::Frozen, "lifted to the freeze below it");
}

#[test]
fn a_refused_cancel_does_not_lift_the_issuers_block() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.change(alice, Class::User, card, Change::Freeze).events();
    world.change(alice, Class::Ops, card, Change::Cancel).events();
    world.change(alice, Class::Network, card, Change::BlockForFraud).events();
    world.settle(alice, card, Outcome::Refused(RefusalCode::Declined)).events();
    let now = world.card(alice, card);
    assert_eq!((now.status, now.fraud, now.pending), (Status::Blocked, true, None));
    world.changed(alice, Class::Ops, card, Change::Unblock);
    assert_eq!(world.status(alice, card), Status::Frozen);
    world.audit();
}
