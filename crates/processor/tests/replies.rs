//! Stories of replies: durable first, in order, once, and the same again.

mod support;

use florin_engine::codec::Outcome;
use florin_engine::command::Class;
use florin_engine::event::Event;
use florin_engine::ids::{AccountId, Digest};
use florin_engine::reject::Reason;
use florin_journal::PartitionId;
use florin_processor::Error;
use florin_processor::handle::BATCH_COMMANDS_MAX;
use support::*;

#[tokio::test]
async fn a_reply_waits_for_the_disk() {
    // Given a disk that is held up,
    let world = World::new();
    let run = world.start_furnished().await;
    world.disk.hold();
    // when a command is decided and its record is in flight,
    let handle = run.handle.clone();
    let reply = tokio::spawn(async move { handle.submit(top_up("a", 500)).await });
    run.in_flight(1).await;
    // then nobody hears of it,
    assert!(!reply.is_finished());
    // until the disk has it.
    world.disk.let_go();
    assert!(matches!(accepted(&reply.await.unwrap()), [Event::ToppedUp(_)]));
    run.stop().await.unwrap();
}

#[tokio::test]
async fn replies_leave_in_the_order_of_their_entries() {
    let world = World::new();
    let run = world.start_furnished().await;
    world.disk.hold();
    // Given commands of which some share a record and some do not,
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..50 {
        let (handle, told) = (run.handle.clone(), told.clone());
        tokio::spawn(async move {
            let reply = handle.submit(top_up(&format!("n {n}"), 1)).await.unwrap();
            told.send(reply.position).unwrap();
        });
        if n == 0 {
            run.in_flight(1).await;
        }
    }
    drop(told);
    // that all wait for their replies, as one who asks late may be told before another who waits is woken:
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.disk.let_go();
    // then their replies come by position, without a gap within a record.
    let mut last = order.recv().await.unwrap();
    let mut heard = 1;
    while let Some(position) = order.recv().await {
        assert!(position > last, "{position} after {last}");
        last = position;
        heard += 1;
    }
    assert_eq!(heard, 50);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn the_same_key_in_flight_waits_for_the_first_and_is_told_the_same() {
    let world = World::new();
    let run = world.start_furnished().await;
    world.disk.hold();
    // Given a command in flight,
    let submit = |key: &'static str| {
        let handle = run.handle.clone();
        tokio::spawn(async move { handle.submit(top_up(key, 500)).await })
    };
    let first = submit("a");
    run.in_flight(1).await;
    // when it comes again, and something after it,
    let again = submit("a");
    let after = submit("b");
    while run.handle.status(0).await.unwrap().user_queued > 0 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    // then the second waits for the first's record,
    assert!(!first.is_finished() && !again.is_finished());
    world.disk.let_go();
    // and both hear the same; only the second that it is not new.
    let (first, again) = (first.await.unwrap().unwrap(), again.await.unwrap().unwrap());
    assert!(!first.replayed && again.replayed);
    assert_eq!((first.position, first.time_ms, &first.outcome), (again.position, again.time_ms, &again.outcome));
    assert!(!after.await.unwrap().unwrap().replayed);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_is_answered_alike_after_a_restart_rejects_included() {
    let world = World::new();
    let run = world.start_furnished().await;
    let done = run.handle.submit(top_up("a", 500)).await.unwrap();
    let refused = run.handle.submit(top_up("too much", 2_000_000)).await;
    assert_eq!(rejected(&refused), Reason::AmountAboveMaximum);
    run.stop().await.unwrap();
    world.clock.advance_ms(60_000);

    let run = world.start().await;
    for first in [done, refused.unwrap()] {
        let key = if matches!(first.outcome, Outcome::Accepted(_)) {
            top_up("a", 500)
        } else {
            top_up("too much", 2_000_000)
        };
        let again = run.handle.submit(key).await.unwrap();
        assert!(again.replayed);
        assert_eq!((first.position, first.time_ms, &first.outcome), (again.position, again.time_ms, &again.outcome));
    }
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_with_other_content_is_a_conflict() {
    let world = World::new();
    let run = world.start_furnished().await;
    run.handle.submit(top_up("a", 500)).await.unwrap();
    let mut other = top_up("a", 600);
    other.digest = Digest([2; 16]);
    assert_eq!(rejected(&run.handle.submit(other).await), Reason::IdempotencyConflict);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_batch_spans_records_and_each_command_has_its_own_outcome() {
    let world = World::new();
    let run = world.start_furnished().await;
    let known = run.handle.submit(top_up("known", 1)).await.unwrap();
    // Given a batch that fills several records, with one command too many cents, and one told before,
    let mut batch: Vec<_> = (0..4_000).map(|n| top_up(&format!("n {n}"), 1)).collect();
    batch[1_999] = top_up("too much", 2_000_000);
    batch[3_000] = top_up("known", 1);
    // then every one is answered in its place.
    let replies = run.handle.submit_batch(0, batch).await.unwrap();
    assert_eq!(replies.len(), 4_000);
    assert!(replies.last().unwrap().position.index() > replies[0].position.index() + 1);
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(matches!(reply.outcome, Outcome::Accepted(_)), n != 1_999, "{n}: {reply:?}");
        assert_eq!(reply.replayed, n == 3_000);
    }
    assert_eq!(replies[3_000].position, known.position);
    assert_eq!(replies[3_000].outcome, known.outcome);
    assert!(replies[..1_999].is_sorted_by(|a, b| a.position < b.position));
    run.stop().await.unwrap();
}

#[tokio::test]
async fn what_does_not_belong_here_is_not_admitted() {
    let world = World::new();
    let run = world.start_furnished().await;
    let head = run.handle.status(0).await.unwrap().head;
    let mut astray = top_up("a", 1);
    astray.account = AccountId::of_partition(3);
    assert_eq!(run.handle.submit(astray.clone()).await, Err(Error::Misrouted(PartitionId(3))));
    assert_eq!(run.handle.submit_batch(0, vec![astray]).await, Err(Error::Misrouted(PartitionId(3))));
    let many = vec![top_up("a", 1); BATCH_COMMANDS_MAX + 1];
    let refused = run.handle.submit_batch(0, many).await;
    assert!(matches!(refused, Err(Error::BatchTooLarge { .. })));
    assert_eq!(run.handle.submit_batch(0, Vec::new()).await, Ok(Vec::new()));
    assert_eq!(run.handle.status(0).await.unwrap().head, head);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn the_network_names_a_card_and_its_account_is_found() {
    let world = World::new();
    let run = world.start_furnished().await;
    let mut by_card = authorize(1, 300);
    by_card.account = AccountId::NIL;
    let reply = run.handle.submit(by_card.clone()).await;
    assert!(matches!(accepted(&reply), [Event::Authorized(_)]));
    assert_eq!(reply.unwrap().account, account());
    // The journal has the account; key and digest stay as they were sent.
    let entry = run.entry(|entry| entry.admitted.envelope.class == Class::Network).await;
    assert_eq!(entry.admitted.envelope.account, account());
    assert_eq!((entry.admitted.envelope.key, entry.admitted.envelope.digest), (by_card.key, by_card.digest));
    // Sent again, it is the same one.
    assert!(run.handle.submit(by_card).await.unwrap().replayed);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn work_is_told_only_when_what_asked_for_it_is_durable() {
    let world = World::new();
    let run = world.start().await;
    let mut furniture = furniture();
    let (_settle, issue) = (furniture.pop(), furniture.pop().unwrap());
    for envelope in furniture {
        run.handle.submit(envelope).await.unwrap();
    }
    // Given an issuance in flight,
    world.disk.hold();
    let handle = run.handle.clone();
    let issuing = tokio::spawn(async move { handle.submit(issue).await });
    run.in_flight(1).await;
    // when the settlement asks what to do,
    let handle = run.handle.clone();
    let work = tokio::spawn(async move { handle.work(0, 10).await });
    run.in_flight(1).await;
    tokio::task::yield_now().await;
    assert!(!work.is_finished());
    // then it is told when the journal has it.
    world.disk.let_go();
    let work = work.await.unwrap().unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].position, issuing.await.unwrap().unwrap().position);
    run.stop().await.unwrap();
}
