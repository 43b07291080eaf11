//! The story of a batch that does not balance.

mod support;

use florin_engine::{event::Event, ids::AccountId, money::Minor, postings};

use florin_processor::{Error, processor};
use support::{World, deposit, top_up};

/// Postings as the engine's, but a cent more on one side of every top-up of 13.
fn crooked(account: AccountId, event: &Event, out: &mut Vec<postings::Posting>) {
    postings::postings(account, event, out);
    if let (Event::ToppedUp(event), Some(last)) = (event, out.last_mut())
        && event.amount == Minor(13)
    {
        last.amount = Minor(14);
    }
}

#[tokio::test]
async fn a_batch_that_does_not_balance_is_not_written_and_stops_the_partition() {
    // Given a processor that works, with a sound record in flight,
    let mut world = World::new();
    world.options.expand = crooked;
    let mut run = world.start_furnished().await;
    world.disk.hold();
    let submit = |envelope| {
        let handle = run.handle.clone();
        tokio::spawn(async move { handle.submit(envelope).await })
    };
    let sound = submit(top_up("sound", 12));
    run.in_flight(1).await;
    // when the next batch has a top-up whose postings differ by a cent,
    let beside = submit(deposit("beside", 5));
    let crooked = submit(top_up("crooked", 13));
    while run.handle.status(0).await.is_ok_and(|status| status.user_queued > 0 || status.in_flight == 0) {
        tokio::task::yield_now().await;
    }
    world.disk.let_go();
    // then what was in flight is answered, the rest is told that it has stopped,
    assert!(sound.await.unwrap().is_ok());
    for told in [beside.await.unwrap(), crooked.await.unwrap()] {
        assert!(matches!(told, Err(Error::Stopped { .. })), "{told:?}");
    }
    assert!(matches!(run.running.failed().await, processor::Error::Unbalanced { .. }));
    // and the journal has nothing of that batch.
    drop(run);
    world.options.expand = postings::postings;
    let run = world.start().await;
    assert!(run.handle.submit(top_up("sound", 12)).await.unwrap().replayed);
    assert!(!run.handle.submit(deposit("beside", 5)).await.unwrap().replayed);
    run.stop().await.unwrap();
}
