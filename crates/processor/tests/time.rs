//! Stories of time: deadlines, callers who give up, clocks that jump.

mod support;

use std::time::{Duration, Instant};

use florin_engine::codec::Outcome;
use florin_engine::command::Command;
use florin_engine::event::Event;
use florin_processor::{Clock, Error};
use support::*;

#[tokio::test]
async fn what_is_past_its_deadline_is_not_decided() {
    let world = World::new();
    let run = world.start_furnished().await;
    let deadline = world.clock.monotonic();
    world.clock.advance_ms(1);
    // When the deadline has passed before the loop sees the command,
    assert_eq!(run.handle.submit_by(authorize(1, 300), deadline).await, Err(Error::DeadlinePassed));
    // then nothing is written of it, and nothing is to be reversed.
    run.handle.submit(top_up("after", 1)).await.unwrap();
    let network =
        |entry: &florin_engine::codec::Entry| matches!(entry.admitted.envelope.command, Command::Authorize(_));
    assert!(!run.entries().await.iter().any(network));
    // In time it is decided.
    let reply = run.handle.submit_by(authorize(1, 300), Instant::now() + Duration::from_mins(1)).await;
    assert!(!reply.unwrap().replayed);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn an_approval_whose_caller_is_gone_is_reversed() {
    let world = World::new();
    let run = world.start_furnished().await;
    world.disk.hold();
    // Given an approved authorization in flight,
    let handle = run.handle.clone();
    let caller = tokio::spawn(async move { handle.submit(authorize(1, 300)).await });
    run.in_flight(1).await;
    // when its caller goes away,
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    world.disk.let_go();
    // then the hold is released, by a command that the journal shows.
    let reversal = run.entry(|entry| matches!(entry.admitted.envelope.command, Command::Reverse(_))).await;
    let Outcome::Accepted(events) = reversal.outcome else { panic!("accepted, not {:?}", reversal.outcome) };
    assert!(matches!(&events[..], [Event::HoldReleased(_)]), "{events:?}");
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_deadline_that_passes_in_flight_reverses_the_approval() {
    let world = World::new();
    let run = world.start_furnished().await;
    world.disk.hold();
    let told = run.handle.submit_by(authorize(1, 300), Instant::now() + Duration::from_millis(20)).await;
    assert_eq!(told, Err(Error::DeadlinePassed));
    world.disk.let_go();
    run.entry(|entry| matches!(entry.admitted.envelope.command, Command::Reverse(_))).await;
    run.stop().await.unwrap();
}

/// Whoever asks again must be told what the first was told, whatever came of it meanwhile.
#[tokio::test]
async fn an_authorization_given_up_is_taken_back_for_every_later_copy() {
    let world = World::new();
    let run = world.start_furnished().await;
    // Given one that is answered too late: decided, not durable in time;
    world.disk.hold();
    let (late, never) = (authorize(1, 300), authorize(2, 300));
    let told = run.handle.submit_by(late.clone(), Instant::now() + Duration::from_millis(20)).await;
    assert_eq!(told, Err(Error::DeadlinePassed));
    run.handle.give_up(&late).unwrap();
    // and one whose first copy was never decided.
    run.handle.give_up(&never).unwrap();
    // When copies of both come while the first record is still in flight,
    let copies = [late.clone(), never.clone()].map(|envelope| {
        let handle = run.handle.clone();
        tokio::spawn(async move {
            let reply = handle.submit(envelope.clone()).await.unwrap();
            (reply, handle.taken_back(&envelope).await.unwrap())
        })
    });
    tokio::task::yield_now().await;
    world.disk.let_go();
    let [late_copy, never_copy] = copies;
    // then the one is replayed, and known to be taken back; the other finds its reversal and is declined.
    let (reply, taken_back) = late_copy.await.unwrap();
    assert!(reply.replayed && taken_back, "{reply:?}");
    let (reply, _) = never_copy.await.unwrap();
    let Outcome::Accepted(events) = reply.outcome else { panic!("{:?}", reply.outcome) };
    assert!(matches!(&events[..], [Event::Declined(_)]), "{events:?}");
    // One that was heard is not taken back.
    let heard = authorize(3, 300);
    run.handle.submit(heard.clone()).await.unwrap();
    assert!(!run.handle.taken_back(&heard).await.unwrap());
    run.stop().await.unwrap();
}

#[tokio::test]
async fn what_approved_nothing_is_not_reversed_and_a_heard_answer_neither() {
    let world = World::new();
    let run = world.start_furnished().await;
    // Given one approval that is heard, and in flight one declined and one of a user whose callers go away,
    run.handle.submit(authorize(1, 300)).await.unwrap();
    world.disk.hold();
    for envelope in [authorize(2, 1_000_000_000), top_up("a", 1)] {
        let handle = run.handle.clone();
        let caller = tokio::spawn(async move { handle.submit(envelope).await });
        run.in_flight(1).await;
        while run.handle.status(0).await.is_ok_and(|status| status.user_queued + status.network_queued > 0) {
            tokio::task::yield_now().await;
        }
        caller.abort();
    }
    world.disk.let_go();
    // then there is no reversal, also not after everything was answered.
    run.handle.submit(top_up("after", 1)).await.unwrap();
    run.handle.submit(top_up("after that", 1)).await.unwrap();
    let entries = run.entries().await;
    assert!(!entries.iter().any(|entry| matches!(entry.admitted.envelope.command, Command::Reverse(_))));
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_closes_the_door_until_ops_confirm() {
    let world = World::new();
    let run = world.start_furnished().await;
    world.clock.set_wall_ms(NOON + 3_600_000);
    let refused = Error::ClockRefused { partition: P0, wall_ms: NOON + 3_600_000, off_ms: 3_600_000 };
    assert_eq!(run.handle.submit(top_up("a", 1)).await, Err(refused.clone()));
    assert_eq!(run.handle.submit_batch(0, vec![top_up("a", 1)]).await, Err(refused.clone()));
    assert_eq!(run.handle.status(0).await.unwrap().clock_refused, Some(refused));
    // Confirmed, the very same is decided, at the new time.
    run.handle.confirm_clock(0).await.unwrap();
    let reply = run.handle.submit(top_up("a", 1)).await.unwrap();
    assert!(!reply.replayed);
    assert_eq!(reply.time_ms, NOON + 3_600_000);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn time_never_goes_back_and_a_late_start_is_refused() {
    let world = World::new();
    let run = world.start_furnished().await;
    world.clock.advance_ms(10_000);
    run.handle.submit(top_up("a", 1)).await.unwrap();
    world.clock.set_wall_ms(NOON + 7_000);
    // A little back: the last time again.
    assert_eq!(run.handle.submit(top_up("b", 1)).await.unwrap().time_ms, NOON + 10_000);
    run.stop().await.unwrap();
    // Started six seconds behind the last record: refused.
    world.clock.set_wall_ms(NOON + 4_000);
    let run = world.start().await;
    let refused = Error::ClockRefused { partition: P0, wall_ms: NOON + 4_000, off_ms: -6_000 };
    assert_eq!(run.handle.submit(top_up("c", 1)).await, Err(refused));
    run.handle.confirm_clock(0).await.unwrap();
    assert_eq!(run.handle.submit(top_up("c", 1)).await.unwrap().time_ms, NOON + 10_000);
    run.stop().await.unwrap();
}
