//! What webhooks do wherever they are kept: the same stories for the store of one process and for the shared one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::ids::{CardId, Position};
use florin_workers::webhooks::{Error, Mark, MessageId, Options, Schedule, State, sign};

use super::receiver::Receiver;
use super::world::{Events, LEDGER, Place, Worker, bodies, of_card, order, secret};

/// Every story as a test of its own.
macro_rules! stories {
    ($place:ty) => {
        $crate::stories::stories!($place:
            what_happens_is_told_signed_and_in_order_from_when_the_endpoint_is_set
            a_failing_card_waits_in_order_while_others_and_other_companies_go_on
            a_crash_neither_loses_nor_reorders
            after_the_last_try_a_dead_letter_lets_its_card_go_on_until_ops_deal_with_it
            a_receiver_that_is_gone_gets_nothing_until_it_is_enabled_again_and_then_all
            what_was_sent_can_be_sent_again_one_or_all_from_a_position
            what_waits_is_bounded_and_needed_by_the_slowest
            inner_networks_are_refused_when_set_and_when_sent);
    };
    ($place:ty: $($story:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                $crate::stories::$story::<$place>().await;
            }
        )*
    };
}
pub(crate) use stories;

pub(crate) async fn what_happens_is_told_signed_and_in_order_from_when_the_endpoint_is_set<P: Place>() {
    let (dir, events, receiver) = (P::new().await, Events::new(), Receiver::start().await);
    events.happen("demo", 1);
    let worker = Worker::start(&events, &dir, |_| {});
    worker.endpoint("demo", &receiver).await;
    let first = events.happen("demo", 1);
    events.happen("other", 9);
    events.happen("demo", 1);
    let got = receiver.accepts(2).await;
    assert_eq!(bodies(&got), [r#"{"card":1,"at":3}"#, r#"{"card":1,"at":5}"#], "nothing older, nobody else's");
    let id = MessageId::new(LEDGER, 0, Mark { position: first, number: 0 }).to_string();
    assert_eq!((got[0].path.as_str(), got[0].id()), ("/v2/webhooks/cards", id.as_str()));
    for got in &got {
        let timestamp = got.headers["webhook-timestamp"].parse().unwrap();
        assert_eq!(got.headers["webhook-signature"], sign([&secret()], got.id(), timestamp, got.body.as_bytes()));
        assert_eq!(got.headers["content-type"], "application/json");
    }
    worker.stop().await;
}

pub(crate) async fn a_failing_card_waits_in_order_while_others_and_other_companies_go_on<P: Place>() {
    let (dir, events) = (P::new().await, Events::new());
    let (receiver, dead_end) = (Receiver::start().await, Receiver::start().await);
    // Given a receiver that refuses card 1 until it is told otherwise, redirects, and one that never answers
    let refuse = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let refuses = Arc::clone(&refuse);
    receiver.answers(move |got, before| match got.body.starts_with(r#"{"card":1,"#) {
        true if refuses.load(std::sync::atomic::Ordering::SeqCst) => {
            if before % 2 == 0 {
                500
            } else {
                307
            }
        }
        _ => 204,
    });
    dead_end.answers(|_, _| 0);
    let worker = Worker::start(&events, &dir, |options| {
        options.schedule = Schedule::new(vec![Duration::from_millis(20); 32]).unwrap()
    });
    worker.endpoint("demo", &receiver).await;
    worker.endpoint("slow", &dead_end).await;
    for _ in 0..5 {
        for card in 1..=3 {
            events.happen("demo", card);
            events.happen("slow", card);
        }
    }
    // Then cards 2 and 3 are told all, card 1 nothing
    let got = receiver.accepts(10).await;
    assert!(of_card(&got, 1).is_empty());
    assert!(receiver.got().iter().all(|got| got.path == "/v2/webhooks/cards"), "no redirect is followed");
    let tried: BTreeSet<_> =
        receiver.got().iter().filter(|got| got.answered >= 300).map(|got| got.body.clone()).collect();
    assert_eq!(tried.len(), 1, "of card 1 only the first is tried: {tried:?}");
    // And when it is well again, it gets them in order
    refuse.store(false, std::sync::atomic::Ordering::SeqCst);
    let got = receiver.accepts(15).await;
    for card in 1..=3 {
        let told = of_card(&got, card);
        let expected: Vec<_> =
            (0..5).map(|n| format!(r#"{{"card":{card},"at":{}}}"#, n * 6 + u64::from(card - 1) * 2 + 2)).collect();
        assert_eq!(told, expected);
    }
    worker.stop().await;
}

pub(crate) async fn a_crash_neither_loses_nor_reorders<P: Place>() {
    let (dir, events, mut receiver) = (P::new().await, Events::new(), Receiver::start().await);
    let worker = Worker::start(&events, &dir, |_| {});
    worker.endpoint("demo", &receiver).await;
    // Given a receiver that fails every third request, and is away at times
    receiver.answers(|_, before| if before % 3 == 2 { 503 } else { 200 });
    let mut worker = worker;
    for round in 0..6 {
        for card in 1..=4 {
            events.happen("demo", card);
        }
        if round % 2 == 1 {
            receiver.goes_down().await;
        }
        // When the worker crashes, again and again, whatever it is at
        tokio::time::sleep(Duration::from_millis(15)).await;
        worker.crash().await;
        events.happen("demo", 1);
        receiver.comes_up().await;
        worker = Worker::start(&events, &dir, |_| {});
    }
    // Then all came, of each card in order
    let got = receiver.accepts(30).await;
    assert_eq!(got.len(), 30);
    for card in 1..=4 {
        let told = of_card(&got, card);
        let due: Vec<_> = events
            .find("demo", |due| due.card == CardId([card; 16]))
            .iter()
            .map(|due| due.mark.position.index())
            .collect();
        let expected: Vec<_> = due.iter().map(|at| format!(r#"{{"card":{card},"at":{at}}}"#)).collect();
        assert_eq!(told, expected);
    }
    worker.stop().await;
}

pub(crate) async fn after_the_last_try_a_dead_letter_lets_its_card_go_on_until_ops_deal_with_it<P: Place>() {
    let (dir, events, receiver) = (P::new().await, Events::new(), Receiver::start().await);
    receiver
        .answers(|got, _| if got.body.ends_with(r#""at":2}"#) || got.body.ends_with(r#""at":3}"#) { 500 } else { 200 });
    let set = |options: &mut Options| options.schedule = Schedule::new(vec![Duration::from_millis(1); 3]).unwrap();
    let worker = Worker::start(&events, &dir, set);
    worker.endpoint("demo", &receiver).await;
    for _ in 0..3 {
        events.happen("demo", 1);
    }
    // Then the first two are dead after three tries each, and the third was told
    let got = receiver.accepts(1).await;
    assert_eq!(bodies(&got), [r#"{"card":1,"at":4}"#]);
    worker.until("two dead letters", |shown| shown.dead == 2).await;
    assert_eq!(receiver.got().len(), 7);
    let letters = worker.desk.letters().await.unwrap();
    assert_eq!((letters[0].state, letters[0].tries, letters[0].error.as_str()), ("dead", 3, "it answered 500"));
    // And they outlive a restart
    worker.stop().await;
    let worker = Worker::start(&events, &dir, set);
    assert_eq!(worker.desk.letters().await.unwrap(), letters);
    // When one is retried, it arrives; when the other is dropped, it is gone
    receiver.answers(|_, _| 200);
    worker.desk.retry(letters[1].id.parse().unwrap()).await.unwrap();
    assert_eq!(receiver.accepts(2).await[1].body, r#"{"card":1,"at":3}"#);
    worker.desk.discard(letters[0].id.parse().unwrap()).await.unwrap();
    assert!(worker.desk.letters().await.unwrap().is_empty());
    assert!(matches!(worker.desk.discard(letters[0].id.parse().unwrap()).await, Err(Error::Unknown(_))));
    worker.stop().await;
}

pub(crate) async fn a_receiver_that_is_gone_gets_nothing_until_it_is_enabled_again_and_then_all<P: Place>() {
    let (dir, events, receiver) = (P::new().await, Events::new(), Receiver::start().await);
    receiver.answers(|_, _| 410);
    let worker = Worker::start(&events, &dir, |_| {});
    worker.endpoint("demo", &receiver).await;
    events.happen("demo", 1);
    worker.until("gone", |shown| shown.state == State::Gone).await;
    receiver.answers(|_, _| 200);
    events.happen("demo", 1);
    events.happen("demo", 2);
    let first = receiver.got()[0].id().parse().unwrap();
    assert!(matches!(worker.desk.resend(first).await, Err(Error::Disabled(_))));
    // A restart does not change that
    worker.stop().await;
    let worker = Worker::start(&events, &dir, |_| {});
    worker.until("still gone", |shown| shown.state == State::Gone).await;
    assert_eq!(receiver.got().len(), 1);
    worker.endpoint("demo", &receiver).await;
    let got = receiver.accepts(3).await;
    assert_eq!(of_card(&got, 1), [r#"{"card":1,"at":2}"#, r#"{"card":1,"at":3}"#]);
    worker.stop().await;
}

pub(crate) async fn what_was_sent_can_be_sent_again_one_or_all_from_a_position<P: Place>() {
    let (dir, events, receiver) = (P::new().await, Events::new(), Receiver::start().await);
    let worker = Worker::start(&events, &dir, |_| {});
    worker.endpoint("demo", &receiver).await;
    let positions: Vec<Position> = (0..4).map(|_| events.happen("demo", 1)).collect();
    let first = receiver.accepts(4).await;
    // When one is sent again, it has the same id and body
    worker.desk.resend(first[1].id().parse().unwrap()).await.unwrap();
    let count = async |count: usize| {
        let until = tokio::time::Instant::now() + Duration::from_mins(1);
        while receiver.got().len() < count {
            assert!(tokio::time::Instant::now() < until, "{:?}", receiver.got());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        receiver.got()
    };
    let got = count(5).await;
    assert_eq!((got[4].id(), &got[4].body), (first[1].id(), &first[1].body));
    // When all from the third on is replayed, it comes in order
    worker.desk.replay("demo".into(), vec![(0, positions[2])]).await.unwrap();
    let got = count(7).await;
    assert_eq!(bodies(&got[5..]), bodies(&first[2..]));
    let unknown = MessageId::new(LEDGER, 0, Mark { position: Position::new(99, 0), number: 0 });
    assert!(matches!(worker.desk.resend(unknown).await, Err(Error::Unknown(_))));
    assert!(matches!(worker.desk.replay("nobody".into(), vec![(0, positions[0])]).await, Err(Error::Unknown(_))));
    worker.stop().await;
}

pub(crate) async fn what_waits_is_bounded_and_needed_by_the_slowest<P: Place>() {
    let (dir, events, receiver) = (P::new().await, Events::new(), Receiver::start().await);
    receiver.answers(|_, _| 500);
    let set = |options: &mut Options| {
        options.window = 4;
        options.schedule = Schedule::new(vec![Duration::ZERO, Duration::from_mins(10)]).unwrap();
    };
    let worker = Worker::start(&events, &dir, set);
    worker.endpoint("demo", &receiver).await;
    let first = events.happen("demo", 1);
    for card in 2..20 {
        events.happen("demo", card);
    }
    worker.until("full", |shown| shown.waiting == 4).await;
    // Then nothing that is not taken in is forgotten, and nothing that waits either
    let until = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        let last = events.forgotten.lock().unwrap().last().cloned();
        if let Some((needed, except)) = last
            && except.len() == 4
        {
            // The fourth was taken in, but its entry may have made more due.
            assert_eq!(needed.index(), first.index() + 2);
            assert!(except.contains(&Mark { position: first, number: 0 }));
            break;
        }
        assert!(tokio::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
}

pub(crate) async fn inner_networks_are_refused_when_set_and_when_sent<P: Place>() {
    let (dir, events, receiver) = (P::new().await, Events::new(), Receiver::start().await);
    // Given an endpoint that was set while loopback was allowed
    let worker = Worker::start(&events, &dir, |_| {});
    worker.endpoint("demo", &receiver).await;
    worker.stop().await;
    // When it is allowed no more, then nothing is sent there, and no other can be set
    let worker = Worker::start(&events, &dir, |options| options.allow_private = false);
    events.happen("demo", 1);
    worker.until("refused", |shown| shown.failed.as_ref().is_some_and(|(why, _)| why.contains("not allowed"))).await;
    for url in ["http://127.0.0.1:1", "http://169.254.169.254", "http://[::1]", "http://localhost"] {
        assert!(matches!(worker.desk.put(order("demo", url, true)).await, Err(Error::Url(_))), "{url}");
    }
    assert!(receiver.got().is_empty());
    worker.stop().await;
}
