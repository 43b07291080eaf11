//! Stories of webhooks in several processes that share a bucket: each has its own connection, partitions move between them.

use std::collections::BTreeSet;
use std::time::Duration;

use florin_journal::testing::NatsServer;
use florin_workers::webhooks::{Error, Mark, MessageId, Schedule, State};
use tokio::sync::watch;

use super::receiver::Receiver;
use super::world::{Events, LEDGER, Place, Worker, bodies, of_card, order};

/// No story takes this long; one that does has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A worker as a process of its own has it, and what it holds.
fn process(events: &Events, server: &NatsServer, held: &[u16]) -> (Worker, watch::Sender<BTreeSet<u16>>) {
    let (hold, held) = watch::channel(held.iter().copied().collect());
    (Worker::start_with(events, server.kept(), Some(held), |_| {}), hold)
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < until, "not {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_while_webhooks_are_sent_and_every_card_is_told_all_in_order() {
    let (server, events, receiver) = (NatsServer::new().await, Events::over(2), Receiver::start().await);
    // Given a receiver that fails now and then, and is slow now and then
    receiver.answers(|_, before| match before % 11 {
        3 => 500,
        7 => 0,
        _ => 200,
    });
    let clerk = Worker::attend(&events, server.kept());
    clerk.endpoint("demo", &receiver).await;
    let (first, of_first) = process(&events, &server, &[0, 1]);
    let (second, of_second) = process(&events, &server, &[]);
    let set = |held: &[u16]| held.iter().copied().collect::<BTreeSet<u16>>();
    let happen = async |rounds: u32| {
        for _ in 0..rounds {
            for card in 0..6 {
                events.happen("demo", card);
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    };
    // When partitions go to and fro, handed over well,
    happen(5).await;
    of_first.send_replace(set(&[0]));
    of_second.send_replace(set(&[1]));
    happen(5).await;
    of_first.send_replace(set(&[]));
    of_second.send_replace(set(&[0, 1]));
    happen(5).await;
    of_second.send_replace(set(&[]));
    of_first.send_replace(set(&[0, 1]));
    happen(5).await;
    // or with one that has lost them and does not know it yet,
    of_second.send_replace(set(&[0, 1]));
    happen(5).await;
    // which then dies in the middle of what it sends
    first.crash().await;
    happen(5).await;
    // Then each card was told everything, in order
    let got = receiver.accepts(180).await;
    for card in 0..6_u8 {
        let told = of_card(&got, card);
        let at: Vec<u64> = (0..30).map(|round| round * 6 + u64::from(card) + 2).collect();
        let expected: Vec<String> = at.iter().map(|at| format!(r#"{{"card":{card},"at":{at}}}"#)).collect();
        assert_eq!(told, expected, "card {card}");
    }
    // and nothing is left
    until("all delivered", async || clerk.desk.list().await.unwrap()[0].waiting == 0).await;
    second.stop().await;
    clerk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_answered_by_a_process_that_sends_nothing() {
    let (server, events, receiver) = (NatsServer::new().await, Events::over(2), Receiver::start().await);
    let clerk = Worker::attend(&events, server.kept());
    let give_up = |options: &mut florin_workers::webhooks::Options| {
        options.schedule = Schedule::new(vec![Duration::ZERO; 2]).unwrap();
    };
    let (_hold, held) = watch::channel(BTreeSet::from([0, 1]));
    let worker = Worker::start_with(&events, server.kept(), Some(held), give_up);
    // Given an endpoint that was set elsewhere, what happens from then on is told although it is noticed later
    let before = events.happen("demo", 1);
    clerk.endpoint("demo", &receiver).await;
    let first = events.happen("demo", 1);
    events.happen("demo", 2);
    let got = receiver.accepts(2).await;
    assert_eq!(of_card(&got, 1), [r#"{"card":1,"at":3}"#]);
    assert_eq!(of_card(&got, 2), [r#"{"card":2,"at":4}"#]);
    // When one is sent again, and all from a position on
    let id = |position| MessageId::new(LEDGER, 1, Mark { position, number: 0 });
    clerk.desk.resend(id(first)).await.unwrap();
    until("sent again", async || receiver.got().len() == 3).await;
    assert_eq!(receiver.got()[2].id(), id(first).to_string());
    clerk.desk.replay("demo".into(), vec![(1, before)]).await.unwrap();
    until("replayed", async || receiver.got().len() == 5).await;
    assert_eq!(bodies(&receiver.got()[3..]), [r#"{"card":1,"at":2}"#, r#"{"card":1,"at":3}"#]);
    // When two are given up, they are seen, tried again, and dropped
    receiver.answers(|_, _| 500);
    events.happen("demo", 2);
    events.happen("demo", 3);
    until("dead", async || clerk.desk.list().await.unwrap()[0].dead == 2).await;
    let letters = clerk.desk.letters().await.unwrap();
    receiver.answers(|_, _| 200);
    clerk.desk.retry(letters[0].id.parse().unwrap()).await.unwrap();
    until("one letter", async || clerk.desk.letters().await.unwrap().len() == 1).await;
    clerk.desk.discard(letters[1].id.parse().unwrap()).await.unwrap();
    until("no letter", async || clerk.desk.letters().await.unwrap().is_empty()).await;
    assert!(receiver.accepted().iter().any(|got| got.id() == letters[0].id));
    assert!(matches!(clerk.desk.discard(letters[1].id.parse().unwrap()).await, Err(Error::Unknown(_))));
    // When it is switched off, nothing is sent until it is switched on, and then all
    clerk.desk.put(order("demo", &receiver.url(), false)).await.unwrap();
    until("off", async || worker.desk.list().await.unwrap()[0].state == State::Disabled).await;
    assert!(matches!(clerk.desk.resend(id(first)).await, Err(Error::Disabled(_))));
    let sent = receiver.got().len();
    events.happen("demo", 5);
    clerk.endpoint("demo", &receiver).await;
    until("on", async || receiver.got().len() > sent).await;
    assert_eq!(receiver.got()[sent].body, r#"{"card":5,"at":7}"#);
    worker.stop().await;
    clerk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_behind_the_cursor_is_taken_in_again_in_order() {
    use florin_engine::ids::{AccountId, CardId};
    use florin_workers::webhooks::{Change, Delivery, Kind, Store};
    let (server, events, receiver) = (NatsServer::start_old().await, Events::new(), Receiver::start().await);
    let clerk = Worker::attend(&events, server.kept());
    clerk.endpoint("demo", &receiver).await;
    let positions: Vec<_> = (0..3).map(|_| events.happen("demo", 1)).collect();
    // Given a process that died when it had kept the second and third of three, and no cursor
    let store = server.kept();
    for position in &positions[1..] {
        let delivery = Delivery {
            mark: Mark { position: *position, number: 0 },
            kind: Kind::Card,
            company: "demo".into(),
            account: AccountId::of_partition(0),
            card: CardId([1; 16]),
            tries: 0,
            next_ms: 0,
            died_ms: None,
            error: String::new(),
        };
        store.write(vec![Change::Put(delivery)], true).await.unwrap();
    }
    // When another goes on, with room for two, then all three come in order
    let worker = Worker::start_with(&events, server.kept(), None, |options| options.window = 2);
    let got = receiver.accepts(3).await;
    let expected = positions.iter().map(|position| format!(r#"{{"card":1,"at":{}}}"#, position.index()));
    assert_eq!(of_card(&got, 1), expected.collect::<Vec<_>>());
    worker.stop().await;
    clerk.stop().await;
}
