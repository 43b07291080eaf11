//! Many consumers at once: one item of a card at a time, and every item.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use florin_engine::ids::CardId;
use florin_workers::queue::{ItemId, JetStream, Queue, SharedSettings};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::contract::{Kit, item};
use super::jetstream::{LEDGER, World, settings};

const CARDS: u8 = 6;
const CHANGES: u32 = 4;

#[derive(Default)]
struct Books {
    busy: HashSet<CardId>,
    order: HashMap<CardId, Vec<u32>>,
    done: HashMap<ItemId, u32>,
}

#[tokio::test]
async fn of_each_card_one_item_at_a_time_the_lowest_change_first_whoever_takes_them() {
    let world = World::new().await;
    let settings = SharedSettings { capacity: 1_000, lease: Duration::from_secs(20), ..settings() };
    let books = Arc::new(Mutex::new(Books::default()));
    // Given three processes with four consumers each,
    let mut consumers = JoinSet::new();
    let mut queues = Vec::new();
    for _ in 0..3 {
        let queue = JetStream::open(world.server.connect().await, "test", LEDGER, settings).await.unwrap();
        queues.push(queue.clone());
        for _ in 0..4 {
            let (queue, books) = (queue.clone(), Arc::clone(&books));
            consumers.spawn(async move {
                loop {
                    let lease = queue.take().await.unwrap();
                    let item = lease.item;
                    {
                        let mut books = books.lock().unwrap();
                        assert!(books.busy.insert(item.card), "two items of a card at once");
                        books.order.entry(item.card).or_default().push(item.change);
                    }
                    sleep(Duration::from_millis(5)).await;
                    {
                        let mut books = books.lock().unwrap();
                        books.busy.remove(&item.card);
                        *books.done.entry(item.id()).or_default() += 1;
                    }
                    queue.ack(lease).await.unwrap();
                }
            });
        }
    }
    // when the changes of many cards are enqueued at once,
    let items = (1..=CHANGES).flat_map(|change| (1..=CARDS).map(move |card| item(card, change))).collect();
    queues[0].enqueue(items, None).await.unwrap();
    // then each is worked on once, never two of a card together, and in the order of the card's changes.
    let all = usize::from(CARDS) * usize::try_from(CHANGES).unwrap();
    let finished = async {
        while books.lock().unwrap().done.len() < all {
            sleep(Duration::from_millis(20)).await;
            if let Some(ended) = consumers.try_join_next() {
                ended.unwrap();
            }
        }
    };
    timeout(Duration::from_secs(40), finished).await.unwrap();
    let books = books.lock().unwrap();
    assert!(books.done.values().all(|times| *times == 1), "{:?}", books.done);
    for (card, order) in &books.order {
        assert!(order.is_sorted(), "{card}: {order:?}");
    }
}
