//! Stories of changes to cards that exist: status, limits, assertions, old messages; and of what nobody can deliver.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use florin_engine::command::{Activate, ChangeLimits, Class, Command};
use florin_engine::event::Event;
use florin_engine::ids::{CardId, Position, request_id};
use florin_engine::limits::LimitsUpdate;
use florin_engine::money::Minor;
use florin_engine::policy::CardKind;
use florin_engine::terms::{Change, Status};
use florin_issuer::{Answer, CardStatus, Issuer, LateAnswer, Refusal, StatusRequest};
use florin_workers::DeadLetters;
use florin_workers::queue::{Item, ItemId, Kind, Queue};
use support::{Mood, NOON, World, account, envelope, eventually};

async fn active_card(world: &World, name: &str) -> CardId {
    let card = world.asks_for_card(name, CardKind::Virtual).await;
    world.rests(card, Status::Active).await;
    card
}

fn at_the_issuer(world: &World, card: CardId) -> CardStatus {
    world.issuer.card(card.uuid()).unwrap().status
}

fn is_reconcile(event: &Event) -> bool {
    matches!(event, Event::ReconcileStarted(_))
}

#[tokio::test]
async fn freeze_thaw_and_cancel_reach_the_issuer_in_every_mood_that_passes() {
    let world = World::new().await;
    let settling = world.settles();
    for (n, mood) in [Mood::Well, Mood::Slow(5), Mood::Lose].into_iter().enumerate() {
        world.issuer.mood(Mood::Well);
        let card = active_card(&world, &format!("card {n}")).await;
        world.issuer.mood(mood);
        for (change, ours, theirs) in [
            (Change::Freeze, Status::Frozen, CardStatus::Frozen),
            (Change::Thaw, Status::Active, CardStatus::Active),
            (Change::Cancel, Status::Cancelled, CardStatus::Terminated),
        ] {
            world.changes(&format!("{n} {change:?}"), card, change).await;
            world.rests(card, ours).await;
            assert_eq!(at_the_issuer(&world, card), theirs, "{mood:?} {change:?}");
        }
    }
    assert_eq!(world.count(is_reconcile).await, 0);
    settling.ends().await;
}

#[tokio::test]
async fn a_refused_thaw_leaves_the_card_as_it_was() {
    let world = World::new().await;
    let settling = world.settles();
    let card = active_card(&world, "card").await;
    world.changes("freeze", card, Change::Freeze).await;
    world.rests(card, Status::Frozen).await;
    world.issuer.mood(Mood::Refuse(Refusal::Declined));
    world.changes("thaw", card, Change::Thaw).await;
    eventually(|| async { world.count(|event| matches!(event, Event::ChangeRefused(_))).await == 1 }).await;
    world.rests(card, Status::Frozen).await;
    assert_eq!(at_the_issuer(&world, card), CardStatus::Frozen);
    settling.ends().await;
}

#[tokio::test]
async fn an_old_freeze_delivered_again_after_a_thaw_changes_nothing() {
    let world = World::new().await;
    let settling = world.settles();
    let card = active_card(&world, "card").await;
    world.changes("freeze", card, Change::Freeze).await;
    world.rests(card, Status::Frozen).await;
    world.changes("thaw", card, Change::Thaw).await;
    world.rests(card, Status::Active).await;
    let before = world.events().await;
    let old = request_id(card, 2);
    let calls = world.issuer.calls(old.uuid());
    // When the queue delivers the freeze once more,
    let item = Item {
        kind: Kind::Status,
        partition: 0,
        account: account(),
        card,
        request: old,
        change: 2,
        position: Position::new(1, 0),
        since_ms: NOON,
    };
    settling.queue.enqueue(vec![item], None).await.unwrap();
    eventually(|| async { settling.queue.depth().await.unwrap() == florin_workers::queue::Depth::default() }).await;
    // then nobody calls the issuer,
    assert_eq!(world.issuer.calls(old.uuid()), calls);
    // and if somebody did, under whatever id, the issuer would refuse it by its change number,
    let fresh = request_id(card, 77).uuid();
    let request = StatusRequest { request_id: fresh, card_id: card.uuid(), change: 2, status: CardStatus::Frozen };
    assert_eq!(world.issuer.set_status(request).await.unwrap(), Answer::Refused(Refusal::Stale));
    // and the issuer's old answer, come again, is told what it was told before.
    let (request_id, card_id) = (old.uuid(), card.uuid());
    world.issuer.send_late(LateAnswer::Status { request_id, card_id, answer: Answer::Done(()) });
    active_card(&world, "another").await;
    assert_eq!(at_the_issuer(&world, card), CardStatus::Active);
    let about = |events: Vec<Event>| {
        events
            .iter()
            .filter(|event| !matches!(event, Event::CardRequested(_) | Event::CardIssued(_) | Event::CardActivated(_)))
            .count()
    };
    assert_eq!(about(world.events().await), about(before));
    settling.ends().await;
}

#[tokio::test]
async fn limits_reach_the_issuer_and_keep_the_no_pin_amount() {
    let world = World::new().await;
    let settling = world.settles();
    let card = active_card(&world, "card").await;
    let update = LimitsUpdate { monthly: Some(Some(Minor(700))), daily: Some(None), ..LimitsUpdate::default() };
    world.does(envelope(account(), Class::User, "limits", ChangeLimits { card, update })).await;
    world.rests(card, Status::Active).await;
    let limits = world.issuer.card(card.uuid()).unwrap().limits;
    assert_eq!((limits.daily, limits.monthly, limits.no_pin), (None, Some(700), Some(2_500)));
    settling.ends().await;
}

#[tokio::test]
async fn what_florin_did_by_itself_is_asserted_and_second_copies_of_that_start_nothing() {
    let world = World::new().await;
    // Given an issuer that answers everything twice, and a delivered card,
    world.issuer.twice(true);
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Physical).await;
    world.rests(card, Status::NotActivated).await;
    assert_eq!(at_the_issuer(&world, card), CardStatus::NotActivated);
    // when it is activated,
    world.does(envelope(account(), Class::Ops, "activate", Activate { card, tried: None })).await;
    // then the issuer learns it,
    world.rests(card, Status::Active).await;
    assert_eq!(at_the_issuer(&world, card), CardStatus::Active);
    // and the copies of its answers are no news.
    active_card(&world, "another").await;
    world.rests(card, Status::Active).await;
    assert_eq!(world.count(is_reconcile).await, 1);
    settling.ends().await;
}

#[tokio::test]
async fn an_assertion_that_was_refused_once_can_come_through_later() {
    let world = World::new().await;
    let settling = world.settles();
    let letters = DeadLetters::new(settling.queue.clone());
    let card = world.asks_for_card("card", CardKind::Physical).await;
    world.rests(card, Status::NotActivated).await;
    // Given an issuer that will not have the card active, and remembers having said so,
    world.issuer.mood(Mood::Refuse(Refusal::Declined));
    world.does(envelope(account(), Class::Ops, "activate", Activate { card, tried: None })).await;
    eventually(|| async { letters.list().await.unwrap().len() == 1 }).await;
    assert_eq!(
        letters.list().await.unwrap()[0].death.reason,
        "the issuer refuses the card's state: declined by the issuer"
    );
    // when it has changed its mind, then a later assertion is another request, and done.
    world.issuer.mood(Mood::Well);
    world.passes_ms(1_000).await;
    world.rests(card, Status::Active).await;
    assert_eq!(at_the_issuer(&world, card), CardStatus::Active);
    settling.ends().await;
}

#[tokio::test]
async fn a_thaw_that_comes_too_late_is_undone_at_the_issuer() {
    let world = World::new().await;
    let settling = world.settles();
    world.ticks();
    let card = active_card(&world, "card").await;
    world.changes("freeze", card, Change::Freeze).await;
    world.rests(card, Status::Frozen).await;
    // Given a thaw that the issuer carries out, and whose answer never comes,
    world.issuer.mood(Mood::Lose);
    world.issuer.deaf(true);
    world.changes("thaw", card, Change::Thaw).await;
    eventually(|| async { at_the_issuer(&world, card) == CardStatus::Active }).await;
    // when it is past its deadline,
    world.passes_ms(600_001).await;
    eventually(|| async { world.count(|event| matches!(event, Event::ChangeLapsed(_))).await == 1 }).await;
    // then it is given up, and the freeze asserted there until the issuer has confirmed it.
    world.issuer.mood(Mood::Well);
    world.issuer.deaf(false);
    world.rests(card, Status::Frozen).await;
    assert_eq!(at_the_issuer(&world, card), CardStatus::Frozen);
    settling.ends().await;
}

#[tokio::test]
async fn a_freeze_is_retried_beyond_its_last_try_and_its_deadline() {
    let mut world = World::new().await;
    world.options.tries_max = 2;
    let settling = world.settles();
    world.ticks();
    let letters = DeadLetters::new(settling.queue.clone());
    let card = active_card(&world, "card").await;
    world.issuer.mood(Mood::Fail);
    world.changes("freeze", card, Change::Freeze).await;
    // Given a freeze that is a dead letter and overdue,
    eventually(|| async { letters.list().await.unwrap().len() == 1 }).await;
    assert!(letters.list().await.unwrap()[0].death.again);
    world.passes_ms(600_001).await;
    eventually(|| async { world.count(|event| matches!(event, Event::ChangeOverdue(_))).await == 1 }).await;
    // when the issuer is well again, then it arrives, with nobody's help.
    world.issuer.mood(Mood::Well);
    world.rests(card, Status::Frozen).await;
    eventually(|| async { letters.list().await.unwrap().is_empty() }).await;
    settling.ends().await;
}

#[tokio::test]
async fn a_dead_letter_is_listed_retried_and_blocks_no_other_card() {
    let mut world = World::new().await;
    world.options.tries_max = 2;
    let settling = world.settles();
    let letters = DeadLetters::new(settling.queue.clone());
    // Given an issuer that fails for one card,
    let key = florin_engine::ids::Key::of(account(), b"bad");
    let bad = CardId(florin_engine::ids::mint(account(), key, florin_engine::ids::Kind::Card));
    world.issuer.mood_of(bad.uuid(), Mood::Fail);
    assert_eq!(world.asks_for_card("bad", CardKind::Virtual).await, bad);
    eventually(|| async { letters.list().await.unwrap().len() == 1 }).await;
    // then other cards go on,
    active_card(&world, "good").await;
    // and ops see which, how often and why.
    let id = ItemId { request: request_id(bad, 1), kind: Kind::Issue };
    let letter = letters.get(id).await.unwrap();
    assert_eq!((letter.item.card, letter.item.account, letter.tries), (bad, account(), 2));
    assert_eq!(letter.death.reason, "the issuer answered with HTTP status 503");
    // It lies still until it is retried.
    let calls = world.issuer.calls(request_id(bad, 1).uuid());
    world.issuer.mood_of(bad.uuid(), Mood::Well);
    active_card(&world, "another").await;
    assert_eq!(world.issuer.calls(request_id(bad, 1).uuid()), calls);
    letters.retry(id).await.unwrap();
    world.rests(bad, Status::Active).await;
    assert!(letters.get(id).await.is_err());
    settling.ends().await;
}

#[tokio::test]
async fn a_dropped_letter_whose_request_still_stands_comes_back() {
    let mut world = World::new().await;
    world.options.tries_max = 1;
    let settling = world.settles();
    let letters = DeadLetters::new(settling.queue.clone());
    world.issuer.mood(Mood::Fail);
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    eventually(|| async { letters.list().await.unwrap().len() == 1 }).await;
    world.issuer.mood(Mood::Well);
    letters.discard(ItemId { request: request_id(card, 1), kind: Kind::Issue }).await.unwrap();
    world.rests(card, Status::Active).await;
    settling.ends().await;
}

#[tokio::test]
async fn a_cancelled_card_that_the_issuer_has_already_closed_is_closed() {
    let world = World::new().await;
    let settling = world.settles();
    let card = active_card(&world, "card").await;
    let theirs = request_id(card, 50).uuid();
    let closed = StatusRequest { request_id: theirs, card_id: card.uuid(), change: 2, status: CardStatus::Terminated };
    assert_eq!(world.issuer.set_status(closed).await.unwrap(), Answer::Done(()));
    world.changes("cancel", card, Change::Cancel).await;
    world.rests(card, Status::Cancelled).await;
    settling.ends().await;
}

#[tokio::test]
async fn settling_twice_is_one_entry() {
    let mut world = World::new().await;
    // Given two settlements over queues of their own, as after a split,
    world.options.sweep_every = Duration::from_millis(5);
    let first = world.settles();
    let path = world.dir.path().join("other.redb");
    let ledger = florin_journal::Provider::ledger(&world.journal).id;
    let other =
        florin_workers::queue::Embedded::open(&path, ledger, florin_workers::queue::Settings::default()).unwrap();
    let second = world.settles_with(other);
    // when both do the same work,
    world.issuer.mood(Mood::Slow(3));
    let mut cards = Vec::new();
    for n in 0..8 {
        cards.push(world.asks_for_card(&format!("card {n}"), CardKind::Virtual).await);
    }
    for card in &cards {
        world.rests(*card, Status::Active).await;
    }
    first.ends().await;
    second.ends().await;
    // then every card was made once and settled once.
    assert!(world.issuer.cards().iter().all(|card| card.times_issued == 1));
    assert_eq!(world.count(|event| matches!(event, Event::CardIssued(_))).await, 8);
    assert_eq!(world.commands(|command| matches!(command, Command::Settle(_))).await, 8);
}
