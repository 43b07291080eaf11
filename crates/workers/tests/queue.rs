//! The contract of a work queue, as stories over the embedded one. Time is tokio's and stands still unless all wait.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use florin_engine::ids::{AccountId, CardId, Position, request_id};
use florin_journal::{Hash, LedgerId};
use florin_workers::queue::{Checkpoint, Death, Depth, Embedded, Error, Item, Kind, Lease, Queue, Settings};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

const LEASE: Duration = Duration::from_secs(30);
const LEDGER: LedgerId = LedgerId([5; 16]);

struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn queue(&self) -> Embedded {
        self.queue_of(LEDGER)
    }

    fn queue_of(&self, ledger: LedgerId) -> Embedded {
        let settings = Settings { lease: LEASE, capacity: 8 };
        Embedded::open(&self.dir.path().join("queue.redb"), ledger, settings).unwrap()
    }
}

fn item(card: u8, change: u32) -> Item {
    let card = CardId([card; 16]);
    Item {
        kind: Kind::Status,
        partition: 0,
        account: AccountId([1; 16]),
        card,
        request: request_id(card, change),
        change,
        position: Position::new(3, 4),
        since_ms: 5,
    }
}

fn death(reason: &str) -> Death {
    Death { died_ms: 77, reason: reason.into(), again: false }
}

/// What can be taken without waiting.
async fn ready(queue: &Embedded) -> Option<Lease> {
    timeout(Duration::ZERO, queue.take()).await.ok().map(Result::unwrap)
}

#[tokio::test(start_paused = true)]
async fn an_item_is_there_once_however_often_it_is_enqueued() {
    let world = World::new();
    let queue = world.queue();
    // Given an item that was enqueued twice, and once more while it is leased,
    assert_eq!(queue.enqueue(vec![item(1, 2), item(1, 2)], None).await.unwrap(), 1);
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 0);
    let lease = queue.take().await.unwrap();
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 0);
    // when it is done,
    queue.ack(lease).await.unwrap();
    // then there is nothing more,
    assert!(ready(&queue).await.is_none());
    // and enqueued again it is new.
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn items_dead_letters_and_positions_outlive_the_process_and_leases_do_not() {
    let world = World::new();
    let reached = Checkpoint { index: 9, hash: Hash([3; 32]) };
    {
        let queue = world.queue();
        queue.enqueue(vec![item(1, 2), item(2, 2), item(3, 2)], Some((0, reached))).await.unwrap();
        // Given one leased, one buried, one waiting for its next try, and then a crash,
        let first = queue.take().await.unwrap();
        let second = queue.take().await.unwrap();
        queue.bury(second, death("no"), None).await.unwrap();
        let third = queue.take().await.unwrap();
        queue.nak(third, Duration::from_hours(1), true).await.unwrap();
        drop(first);
    }
    let queue = world.queue();
    // then the position and the letter are there,
    assert_eq!(queue.reached(0).await.unwrap(), Some(reached));
    assert_eq!(queue.reached(1).await.unwrap(), None);
    let letters = queue.letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].item, letters[0].tries, &letters[0].death), (item(2, 2), 1, &death("no")));
    // and the other two are ready at once.
    let (one, other) = (queue.take().await.unwrap(), queue.take().await.unwrap());
    let mut cards = [one.item.card, other.item.card];
    cards.sort_unstable();
    assert_eq!(cards, [item(1, 2).card, item(3, 2).card]);
    assert!(ready(&queue).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_later_change_of_a_card_waits_while_an_earlier_one_is_leased() {
    let queue = World::new().queue();
    // Given two changes of a card, enqueued in the wrong order, and one of another card,
    queue.enqueue(vec![item(1, 3), item(1, 2), item(2, 9)], None).await.unwrap();
    // when all that can be is taken,
    let first = queue.take().await.unwrap();
    let other = queue.take().await.unwrap();
    // then of the one card it is the earlier change, and nothing but the other card beside it.
    assert_eq!((first.item, other.item), (item(1, 2), item(2, 9)));
    assert!(ready(&queue).await.is_none());
    // When the earlier one is put off, the later may go, and now the earlier waits for it.
    queue.nak(first, Duration::from_secs(1), true).await.unwrap();
    let later = ready(&queue).await.unwrap();
    assert_eq!(later.item, item(1, 3));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(ready(&queue).await.is_none());
    queue.ack(later).await.unwrap();
    let again = ready(&queue).await.unwrap();
    assert_eq!((again.item, again.tries), (item(1, 2), 1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_holds_up_no_other_item_of_its_card() {
    let queue = World::new().queue();
    queue.enqueue(vec![item(1, 2), item(1, 3)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    queue.bury(lease, death("no"), None).await.unwrap();
    assert_eq!(ready(&queue).await.unwrap().item, item(1, 3));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_comes_after_its_delay_to_a_consumer_that_waits() {
    let queue = World::new().queue();
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    let begun = Instant::now();
    queue.nak(lease, Duration::from_secs(7), false).await.unwrap();
    let lease = queue.take().await.unwrap();
    assert_eq!((lease.tries, begun.elapsed().as_secs()), (0, 7));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_extended_is_over_and_its_holder_is_told() {
    let queue = World::new().queue();
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let held = queue.take().await.unwrap();
    // Given that it was extended once,
    tokio::time::advance(Duration::from_secs(29)).await;
    queue.in_progress(&held).await.unwrap();
    tokio::time::advance(Duration::from_secs(29)).await;
    assert!(ready(&queue).await.is_none());
    // when its time is over, another takes the item,
    tokio::time::advance(Duration::from_secs(2)).await;
    let taken = ready(&queue).await.unwrap();
    assert_eq!((taken.item, taken.tries), (held.item, 1));
    // and whoever held it can do nothing with it any more.
    assert!(matches!(queue.in_progress(&held).await, Err(Error::LeaseLost(_))));
    assert!(matches!(queue.nak(held.clone(), LEASE, true).await, Err(Error::LeaseLost(_))));
    assert!(matches!(queue.bury(held.clone(), death("no"), None).await, Err(Error::LeaseLost(_))));
    assert!(matches!(queue.ack(held).await, Err(Error::LeaseLost(_))));
    queue.ack(taken).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_must_arrive_is_tried_again_and_stays_a_letter_until_done() {
    let world = World::new();
    let queue = world.queue();
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    queue.bury(lease, death("the first reason"), Some(Duration::from_mins(5))).await.unwrap();
    assert!(ready(&queue).await.is_none());
    // Given that it is tried again and fails again, later,
    let lease = queue.take().await.unwrap();
    assert!(lease.dead);
    assert_eq!(queue.depth(), Depth { waiting: 0, leased: 1, dead: 1 });
    let later = Death { died_ms: 99, ..death("the second reason") };
    queue.bury(lease, later, Some(Duration::from_mins(5))).await.unwrap();
    // then it shows the latest reason and how long it has been dead.
    let letter = queue.letters().await.unwrap().remove(0);
    assert_eq!(letter.death, Death { died_ms: 77, reason: "the second reason".into(), again: true });
    assert_eq!(letter.tries, 2);
    // When it is done at last, it is gone.
    let lease = queue.take().await.unwrap();
    queue.ack(lease).await.unwrap();
    assert_eq!((queue.letters().await.unwrap().len(), queue.depth()), (0, Depth::default()));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_being_tried_is_neither_retried_nor_dropped() {
    let world = World::new();
    let queue = world.queue();
    // Given a letter that is tried once more, and a later change of the same card
    queue.enqueue(vec![item(1, 1)], None).await.unwrap();
    let lease = ready(&queue).await.unwrap();
    queue.bury(lease, death("no answer"), Some(Duration::from_secs(1))).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let trying = ready(&queue).await.unwrap();
    assert!(trying.dead);
    let id = trying.item.id();
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    // when ops retry or drop it meanwhile, then they are told so,
    assert!(matches!(queue.retry(id).await, Err(Error::Leased(leased)) if leased == id));
    assert!(matches!(queue.discard(id).await, Err(Error::Leased(leased)) if leased == id));
    // no second item of the card is taken,
    assert!(ready(&queue).await.is_none());
    // and the lease holds.
    queue.bury(trying, death("no answer again"), Some(Duration::from_mins(5))).await.unwrap();
    queue.retry(id).await.unwrap();
    let again = ready(&queue).await.unwrap();
    assert_eq!((again.item.id(), again.tries, again.dead), (id, 0, false));
}

#[tokio::test(start_paused = true)]
async fn ops_retry_and_drop_letters_and_nothing_else() {
    let queue = World::new().queue();
    queue.enqueue(vec![item(1, 2), item(2, 2), item(3, 2)], None).await.unwrap();
    for _ in 0..2 {
        let lease = queue.take().await.unwrap();
        queue.bury(lease, death("no"), None).await.unwrap();
    }
    let ids: Vec<_> = queue.letters().await.unwrap().iter().map(|letter| letter.item.id()).collect();
    // A retried letter is a living item with no tries,
    queue.retry(ids[0]).await.unwrap();
    // a dropped one is gone,
    queue.discard(ids[1]).await.unwrap();
    assert_eq!(queue.depth(), Depth { waiting: 2, leased: 0, dead: 0 });
    let taken = [queue.take().await.unwrap(), queue.take().await.unwrap()];
    assert!(taken.iter().any(|lease| lease.item.id() == ids[0] && lease.tries == 0 && !lease.dead));
    // and what is no letter can be neither.
    for id in [ids[0], ids[1], taken[1].item.id()] {
        assert!(matches!(queue.retry(id).await, Err(Error::NoLetter(_))));
        assert!(matches!(queue.discard(id).await, Err(Error::NoLetter(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_so_and_takes_what_fits_later() {
    let queue = World::new().queue();
    queue.enqueue((1..=8).map(|card| item(card, 1)).collect(), None).await.unwrap();
    assert!(matches!(queue.enqueue(vec![item(9, 1)], None).await, Err(Error::Full { max: 8 })));
    // What is there already needs no room.
    assert_eq!(queue.enqueue(vec![item(8, 1)], None).await.unwrap(), 0);
    let lease = queue.take().await.unwrap();
    queue.ack(lease).await.unwrap();
    assert_eq!(queue.enqueue(vec![item(9, 1)], None).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_ledgers_queue_is_emptied_and_a_damaged_file_put_aside() {
    let world = World::new();
    let reached = Checkpoint { index: 9, hash: Hash([3; 32]) };
    world.queue().enqueue(vec![item(1, 2)], Some((0, reached))).await.unwrap();
    let queue = world.queue_of(LedgerId([6; 16]));
    assert_eq!((queue.depth(), queue.reached(0).await.unwrap()), (Depth::default(), None));
    drop(queue);
    std::fs::write(world.dir.path().join("queue.redb"), b"this is no database, and long enough to be looked at")
        .unwrap();
    let queue = world.queue();
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 1);
    assert!(world.dir.path().join("queue.redb.damaged").exists());
}

#[tokio::test(start_paused = true)]
async fn a_second_process_on_the_file_is_told_so() {
    let world = World::new();
    let _queue = world.queue();
    let second = Embedded::open(&world.dir.path().join("queue.redb"), LEDGER, Settings::default());
    assert!(matches!(second.err(), Some(Error::Locked { .. })));
}
