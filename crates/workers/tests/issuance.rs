//! Stories of issuances: whatever the issuer does, a card ends Active, or Cancelled with everything refunded, and never is
//! there a usable card at the issuer that Florin has refunded.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use florin_engine::event::Event;
use florin_engine::ids::{CardId, request_id};
use florin_engine::policy::CardKind;
use florin_engine::terms::Status;
use florin_issuer::{Answer, CardStatus, Expiry, Issued, LateAnswer, Refusal};
use florin_journal::Hash;
use florin_workers::queue::{Checkpoint, Queue};
use florin_workers::settlement;
use support::{FUNDS, Mood, NOON, TAKEN, World, eventually};

/// The card is usable on both sides, made once, and paid for.
async fn is_active(world: &World, card: CardId) {
    world.rests(card, Status::Active).await;
    let theirs = world.issuer.card(card.uuid()).unwrap();
    assert_eq!((theirs.status, theirs.times_issued), (CardStatus::Active, 1));
    assert_eq!(world.wallet().await, FUNDS - TAKEN);
}

/// The card is over, everything was given back, and the issuer has none that could be used.
async fn is_refunded(world: &World, card: CardId) {
    world.rests(card, Status::Cancelled).await;
    let theirs = world.issuer.card(card.uuid()).map(|card| card.status);
    assert!(matches!(theirs, None | Some(CardStatus::Terminated)), "{theirs:?}");
    assert_eq!(world.wallet().await, FUNDS);
    assert_eq!(world.count(|event| matches!(event, Event::IssuanceFailed(_))).await, 1);
}

#[tokio::test]
async fn a_slow_issuer_makes_the_card_once() {
    let world = World::new().await;
    world.issuer.mood(Mood::Slow(20));
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    is_active(&world, card).await;
    assert_eq!(world.issuer.calls(request_id(card, 1).uuid()), 1);
    // The card begins with the limits that the policy gave it.
    let limits = world.issuer.card(card.uuid()).unwrap().limits;
    assert_eq!((limits.daily, limits.monthly, limits.no_pin), (Some(50_000), None, Some(2_500)));
    settling.ends().await;
}

#[tokio::test]
async fn an_issuer_that_fails_is_asked_until_it_does_not() {
    let world = World::new().await;
    world.issuer.mood(Mood::Fail);
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    eventually(|| async { world.issuer.calls(request_id(card, 1).uuid()) >= 3 }).await;
    world.issuer.mood(Mood::Well);
    is_active(&world, card).await;
    settling.ends().await;
}

#[tokio::test]
async fn a_refused_card_is_refunded() {
    let world = World::new().await;
    world.issuer.mood(Mood::Refuse(Refusal::Declined));
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    is_refunded(&world, card).await;
    settling.ends().await;
}

#[tokio::test]
async fn a_second_copy_of_an_answer_changes_nothing() {
    let world = World::new().await;
    world.issuer.twice(true);
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    is_active(&world, card).await;
    // Another card's copies come after this one's, so that these have been through.
    let other = world.asks_for_card("other", CardKind::Virtual).await;
    world.rests(other, Status::Active).await;
    let made = |event: &Event| matches!(event, Event::CardIssued(_));
    let stray = |event: &Event| matches!(event, Event::ReconcileStarted(_) | Event::SettlementIgnored(_));
    assert_eq!((world.count(made).await, world.count(stray).await), (2, 0));
    settling.ends().await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_and_the_card_not_made_twice() {
    let world = World::new().await;
    world.issuer.mood(Mood::Lose);
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    is_active(&world, card).await;
    assert_eq!(world.issuer.calls(request_id(card, 1).uuid()), 1, "the second time it was asked, not told");
    settling.ends().await;
}

#[tokio::test]
async fn a_card_made_behind_a_lost_answer_is_terminated_before_anything_is_refunded() {
    let world = World::new().await;
    // Given an issuer that makes the card, loses the answer, and then cannot be reached,
    world.issuer.mood(Mood::Lose);
    world.issuer.deaf(true);
    let settling = world.settles();
    world.ticks();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    eventually(|| async { world.issuer.card(card.uuid()).is_some() }).await;
    // when the issuance is past its deadline,
    world.passes_ms(900_001).await;
    eventually(|| async { world.count(|event| matches!(event, Event::IssuanceAbandoned(_))).await == 1 }).await;
    // then nothing is refunded while its fate is unknown,
    assert_eq!(world.wallet().await, FUNDS - TAKEN);
    assert_eq!(world.card(card).await.status, Status::Requested);
    // and once the issuer can be reached the card is terminated there, and only then refunded.
    world.issuer.deaf(false);
    is_refunded(&world, card).await;
    assert_eq!(world.issuer.card(card.uuid()).unwrap().status, CardStatus::Terminated);
    settling.ends().await;
}

#[tokio::test]
async fn an_issuer_that_never_answers_ends_in_a_refund_and_makes_no_card_later() {
    let world = World::new().await;
    world.issuer.mood(Mood::Silent);
    let settling = world.settles();
    world.ticks();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    eventually(|| async { world.issuer.calls(request_id(card, 1).uuid()) >= 1 }).await;
    world.passes_ms(900_001).await;
    is_refunded(&world, card).await;
    assert_eq!(world.issuer.card(card.uuid()), None);
    settling.ends().await;
}

#[tokio::test]
async fn an_answer_that_comes_after_the_refund_has_the_card_closed_at_the_issuer() {
    let world = World::new().await;
    // Given an issuance that was refused and refunded,
    world.issuer.mood(Mood::Refuse(Refusal::Declined));
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    is_refunded(&world, card).await;
    // when the issuer says later that it has made the card after all,
    world.issuer.mood(Mood::Well);
    let expiry = Expiry { year: 2031, month: 7 };
    let issued = Issued { issuer_card_id: "i".into(), first4: 4000, last4: 1, expiry };
    let (request_id, card_id) = (request_id(card, 1).uuid(), card.uuid());
    world.issuer.send_late(LateAnswer::Issue { request_id, card_id, answer: Answer::Done(issued) });
    // then its closing is asserted there, and confirmed.
    eventually(|| async { world.count(|event| matches!(event, Event::Reconciled(_))).await == 1 }).await;
    is_refunded(&world, card).await;
    settling.ends().await;
}

#[tokio::test]
async fn a_crash_between_the_issuers_work_and_the_acknowledgement_makes_no_second_card() {
    let world = World::new().await;
    // Given that the issuer has made the card, and the process dies before it hears so,
    world.issuer.mood(Mood::Hold);
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    eventually(|| async { world.issuer.card(card.uuid()).is_some() }).await;
    settling.crashes(&world).await;
    assert_eq!(world.card(card).await.status, Status::Requested);
    // when it runs again,
    world.issuer.mood(Mood::Well);
    let settling = world.settles();
    // then the card is Active, and was made once.
    is_active(&world, card).await;
    settling.ends().await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_is_filled_again() {
    let world = World::new().await;
    world.issuer.mood(Mood::Fail);
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    eventually(|| async { world.issuer.calls(request_id(card, 1).uuid()) >= 1 }).await;
    settling.ends().await;
    std::fs::remove_file(world.queue_path()).unwrap();
    // The new queue follows the journal from its head, so what comes of this comes from the sweeper.
    world.issuer.mood(Mood::Well);
    let settling = world.settles();
    is_active(&world, card).await;
    settling.ends().await;
}

#[tokio::test]
async fn the_fan_out_brings_what_is_asked_for_while_it_runs() {
    let mut world = World::new().await;
    // Given a sweeper that looks once, at the start,
    world.options.sweep_every = std::time::Duration::from_hours(1);
    let settling = world.settles();
    // then of cards asked for one after the other all but one can only come from the journal.
    for n in 0..4 {
        let card = world.asks_for_card(&format!("card {n}"), CardKind::Virtual).await;
        world.rests(card, Status::Active).await;
    }
    settling.ends().await;
}

#[tokio::test]
async fn a_queue_that_remembers_another_record_or_one_beyond_the_end_stops_it_and_keeps_what_it_has() {
    let world = World::new().await;
    let remembered = |index| Some((0, Checkpoint { index, hash: Hash([1; 32]) }));
    // Given a queue whose position has another record's hash, acknowledged records are lost:
    let queue = world.queue();
    queue.enqueue(Vec::new(), remembered(1)).await.unwrap();
    let error = settlement::Settlement::confirm(&world.journal, &queue).await.unwrap_err();
    assert!(matches!(error, settlement::Error::Journal(florin_journal::Error::Mismatch { .. })), "{error:?}");
    // nothing goes on, and the queue still remembers.
    let error = world.settles_with(queue.clone()).fails().await;
    assert!(matches!(error, settlement::Error::Journal(florin_journal::Error::Mismatch { .. })), "{error:?}");
    assert_eq!(queue.reached(0).await.unwrap().unwrap().hash, Hash([1; 32]));
    // Given one whose position is beyond the journal's end, the same.
    queue.enqueue(Vec::new(), remembered(1_000_000)).await.unwrap();
    let error = settlement::Settlement::confirm(&world.journal, &queue).await.unwrap_err();
    assert!(matches!(error, settlement::Error::Journal(florin_journal::Error::Shorter { .. })), "{error:?}");
    let error = world.settles_with(queue).fails().await;
    assert!(matches!(error, settlement::Error::Journal(florin_journal::Error::Shorter { .. })), "{error:?}");
}

#[tokio::test]
async fn consumers_share_the_work_and_do_nothing_twice() {
    let mut world = World::new().await;
    world.options.consumers = 2;
    world.issuer.mood(Mood::Slow(1));
    let settling = world.settles();
    let mut cards = Vec::new();
    for n in 0..20 {
        cards.push(world.asks_for_card(&format!("card {n}"), CardKind::Virtual).await);
    }
    for card in cards {
        world.rests(card, Status::Active).await;
    }
    assert_eq!(world.issuer.calls_of_all(), [1; 20]);
    assert!(!world.issuer.crowded());
    settling.ends().await;
}

#[tokio::test]
async fn at_shutdown_what_cannot_be_finished_is_given_back() {
    let mut world = World::new().await;
    world.options.grace = std::time::Duration::ZERO;
    world.options.call_timeout = std::time::Duration::from_hours(1);
    world.issuer.mood(Mood::Silent);
    let settling = world.settles();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    eventually(|| async { world.issuer.calls(request_id(card, 1).uuid()) == 1 }).await;
    let queue = settling.queue.clone();
    settling.ends().await;
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.leased, depth.waiting), (0, 1));
    assert_eq!(queue.take().await.unwrap().tries, 0, "and it does not count as a try");
}

#[tokio::test]
async fn a_conflict_about_the_ids_is_never_taken_for_a_refusal() {
    let world = World::new().await;
    world.issuer.mood(Mood::Refuse(Refusal::Conflict));
    let settling = world.settles();
    world.ticks();
    let card = world.asks_for_card("card", CardKind::Virtual).await;
    let letters = florin_workers::DeadLetters::new(settling.queue.clone());
    eventually(|| async { letters.list().await.unwrap().len() == 1 }).await;
    // There may be a card: nothing is given back,
    assert_eq!(world.wallet().await, FUNDS - TAKEN);
    let letter = letters.list().await.unwrap().remove(0);
    assert_eq!((letter.death.died_ms, letter.death.again), (NOON, false));
    // until the deadline has it given up; then the letter is gone too.
    world.passes_ms(900_001).await;
    is_refunded(&world, card).await;
    eventually(|| async { letters.list().await.unwrap().is_empty() }).await;
    settling.ends().await;
}
