//! Stories of load: bounds that hold, a lane that is never filled by the other, an end that answers everybody.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod support;

use florin_processor::{Error, processor};
use support::*;

/// Whether two records are in flight, the one under construction is full, and the lane is: then nothing grows further,
/// and what is queued stays queued, however often one looks.
async fn saturated(run: &Run) -> bool {
    let queued = run.handle.status(0).await.unwrap().user_queued;
    for _ in 0..50 {
        let status = run.handle.status(0).await.unwrap();
        if status.in_flight < 2 || status.user_queued != queued || queued == 0 {
            return false;
        }
    }
    true
}

/// Fills the user lane behind a held disk; gives the batches that were let in.
async fn flood(run: &Run) -> Vec<tokio::task::JoinHandle<Result<Vec<florin_processor::Reply>, Error>>> {
    let mut batches = Vec::new();
    for n in 0.. {
        let batch = (0..500).map(|m| top_up(&format!("{n} {m}"), 1)).collect();
        let handle = run.handle.clone();
        let sent = tokio::spawn(async move { handle.submit_batch(0, batch).await });
        tokio::task::yield_now().await;
        if sent.is_finished() {
            let refused = sent.await.unwrap();
            assert!(matches!(refused, Err(Error::Busy { retry_after_ms: 1..=1_000 })), "{refused:?}");
            if saturated(run).await {
                return batches;
            }
        } else {
            batches.push(sent);
        }
    }
    batches
}

#[tokio::test]
async fn a_full_lane_says_busy_and_what_was_let_in_is_answered() {
    let mut world = World::new();
    world.options.user_lane = 100;
    let run = world.start_furnished().await;
    world.disk.hold();
    let batches = flood(&run).await;
    assert!(matches!(run.handle.submit(top_up("one more", 1)).await, Err(Error::Busy { .. })));
    world.disk.let_go();
    for batch in batches {
        assert_eq!(batch.await.unwrap().unwrap().len(), 500);
    }
    // What was refused was not admitted: its key is new.
    assert!(!run.handle.submit(top_up("one more", 1)).await.unwrap().replayed);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn the_network_passes_a_flood_of_users() {
    let mut world = World::new();
    world.options.user_lane = 1_000;
    let run = world.start_furnished().await;
    world.disk.hold();
    // Given a user lane that is full, with more than a batch waiting,
    let batches = flood(&run).await;
    // when the network asks,
    let handle = run.handle.clone();
    let asked = tokio::spawn(async move { handle.submit(authorize(1, 300)).await });
    while run.handle.status(0).await.unwrap().network_queued == 0 {
        tokio::task::yield_now().await;
    }
    world.disk.let_go();
    // then it is let in, and decided before what waits in the user lane.
    let authorized = asked.await.unwrap();
    accepted(&authorized);
    let mut last = None;
    for batch in batches {
        last = batch.await.unwrap().unwrap().last().map(|reply| reply.position);
    }
    assert!(authorized.unwrap().position < last.unwrap());
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_record_that_the_network_waits_for_is_not_filled_up_first() {
    let world = World::new();
    let run = world.start_furnished().await;
    for (asked, in_flight) in [(false, 1), (true, 2)] {
        world.disk.hold();
        let handle = run.handle.clone();
        let first = tokio::spawn(async move { handle.submit(top_up(&format!("first {asked}"), 1)).await });
        run.in_flight(1).await;
        // Given a record under way and users' commands for a part of the next,
        let batch = (0..400).map(|n| top_up(&format!("{asked} {n}"), 1)).collect();
        let handle = run.handle.clone();
        let batch = tokio::spawn(async move { handle.submit_batch(0, batch).await });
        // when the network asks too, or does not,
        let handle = run.handle.clone();
        let network =
            tokio::spawn(async move { if asked { Some(handle.submit(authorize(1, 1)).await) } else { None } });
        loop {
            tokio::task::yield_now().await;
            let status = run.handle.status(0).await.unwrap();
            // The furniture, the first and the batch are decided.
            if status.user_queued == 0 && status.remembered > 400 && status.in_flight >= in_flight {
                break;
            }
        }
        // then only what it waits for is written beside the first.
        assert_eq!(run.handle.status(0).await.unwrap().in_flight, in_flight);
        world.disk.let_go();
        first.await.unwrap().unwrap();
        assert_eq!(batch.await.unwrap().unwrap().len(), 400);
        if let Some(answer) = network.await.unwrap() {
            accepted(&answer);
        }
    }
    run.stop().await.unwrap();
}

#[tokio::test]
async fn the_network_lane_is_bounded_too() {
    let mut world = World::new();
    world.options.network_lane = 1;
    world.options.user_lane = 1_000;
    let run = world.start_furnished().await;
    world.disk.hold();
    let _batches = flood(&run).await;
    let handle = run.handle.clone();
    let first = tokio::spawn(async move { handle.submit(authorize(1, 1)).await });
    while run.handle.status(0).await.unwrap().network_queued == 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(run.handle.submit(authorize(2, 1)).await, Err(Error::Busy { .. })));
    world.disk.let_go();
    accepted(&first.await.unwrap());
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_graceful_stop_answers_everything_that_is_in() {
    let world = World::new();
    let run = world.start_furnished().await;
    world.disk.hold();
    let (handle, submits): (_, Vec<_>) = (run.handle.clone(), (0..100).collect());
    let submits: Vec<_> = submits
        .into_iter()
        .map(|n| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.submit(top_up(&format!("n {n}"), 1)).await })
        })
        .collect();
    run.in_flight(1).await;
    // When it is stopped while the disk is held up,
    let stopping = tokio::spawn(run.stop());
    tokio::task::yield_now().await;
    world.disk.let_go();
    stopping.await.unwrap().unwrap();
    // then everybody has an answer that is durable,
    let mut positions = Vec::new();
    for submit in submits {
        positions.push(submit.await.unwrap().unwrap().position);
    }
    // and who comes later hears that it has stopped.
    assert!(matches!(handle.submit(top_up("late", 1)).await, Err(Error::Stopped { .. })));
    assert!(matches!(handle.status(0).await, Err(Error::Stopped { .. })));
    drop(handle);
    let run = world.start().await;
    for (n, position) in positions.into_iter().enumerate() {
        let again = run.handle.submit(top_up(&format!("n {n}"), 1)).await.unwrap();
        assert!(again.replayed && again.position == position);
    }
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_stops_the_partition_and_nobody_is_told_success() {
    let world = World::new();
    let mut run = world.start_furnished().await;
    world.disk.hold();
    let handle = run.handle.clone();
    let flying = tokio::spawn(async move { handle.submit(top_up("a", 1)).await });
    run.in_flight(1).await;
    let handle = run.handle.clone();
    let behind = tokio::spawn(async move { handle.submit(top_up("b", 1)).await });
    // When the sync fails,
    world.disk.break_down();
    // then the processor says why and everybody hears that it has stopped.
    assert!(matches!(run.running.failed().await, processor::Error::Journal(_)));
    for told in [flying.await.unwrap(), behind.await.unwrap(), run.handle.submit(top_up("c", 1)).await] {
        let Err(Error::Stopped { reason }) = told else { panic!("stopped, not {told:?}") };
        assert!(reason.contains("the disk is broken"), "{reason}");
    }
}
