//! The stories that every queue passes. A kit says how a queue is opened, again and by others, and how time passes.

use std::time::Duration;

use florin_engine::ids::{AccountId, CardId, Position, request_id};
use florin_journal::Hash;
use florin_workers::queue::{Checkpoint, Death, Error, Item, Kind, Lease, Queue};

/// What a kit's queues hold at most.
pub(crate) const CAPACITY: usize = 8;

/// A queue with all that a story needs around it.
pub(crate) trait Kit {
    /// The queue.
    type Queue: Queue;
    /// How long a lease holds.
    const LEASE: Duration;
    /// A new place, empty.
    async fn new() -> Self;
    /// The queue as another consumer has it, in another process where that is possible.
    async fn queue(&mut self) -> Self::Queue;
    /// Every process ends where it stands, and one begins anew.
    async fn crash(&mut self) -> Self::Queue;
    /// Time passes.
    async fn passes(&self, time: Duration);
    /// What can be taken now.
    async fn ready(&self, queue: &Self::Queue) -> Option<Lease>;
}

pub(crate) fn item(card: u8, change: u32) -> Item {
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

pub(crate) fn death(reason: &str) -> Death {
    Death { died_ms: 77, reason: reason.into(), again: false }
}

pub(crate) async fn an_item_is_there_once_however_often_it_is_enqueued<K: Kit>() {
    let mut kit = K::new().await;
    let queue = kit.queue().await;
    // Given an item that was enqueued twice, and once more while it is leased,
    assert_eq!(queue.enqueue(vec![item(1, 2), item(1, 2)], None).await.unwrap(), 1);
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 0);
    let lease = queue.take().await.unwrap();
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 0);
    // when it is done,
    queue.ack(lease).await.unwrap();
    // then there is nothing more,
    assert!(kit.ready(&queue).await.is_none());
    // and enqueued again it is new; as a dead letter it is there as well.
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 1);
    let lease = queue.take().await.unwrap();
    queue.bury(lease, death("no"), None).await.unwrap();
    assert_eq!(queue.enqueue(vec![item(1, 2)], None).await.unwrap(), 0);
    assert!(kit.ready(&queue).await.is_none());
}

pub(crate) async fn items_dead_letters_and_positions_outlive_the_process_and_leases_do_not<K: Kit>() {
    let mut kit = K::new().await;
    let reached = Checkpoint { index: 9, hash: Hash([3; 32]) };
    let queue = kit.queue().await;
    queue.enqueue(vec![item(1, 2), item(2, 2), item(3, 2)], Some((0, reached))).await.unwrap();
    // Given one leased, one buried, one waiting for its next try, and then a crash,
    let first = queue.take().await.unwrap();
    let second = queue.take().await.unwrap();
    let dead = second.item;
    queue.bury(second, death("no"), None).await.unwrap();
    let third = queue.take().await.unwrap();
    let mut left = [first.item.card, third.item.card];
    queue.nak(third, K::LEASE, true).await.unwrap();
    drop(queue);
    let queue = kit.crash().await;
    // then the position and the letter are there,
    assert_eq!(queue.reached(0).await.unwrap(), Some(reached));
    assert_eq!(queue.reached(1).await.unwrap(), None);
    let letters = queue.letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].item, letters[0].tries, &letters[0].death), (dead, 1, &death("no")));
    // and the other two come, at the latest when the lease and the delay are over.
    kit.passes(K::LEASE).await;
    let (one, other) = (queue.take().await.unwrap(), queue.take().await.unwrap());
    let mut cards = [one.item.card, other.item.card];
    cards.sort_unstable();
    left.sort_unstable();
    assert_eq!(cards, left);
    queue.ack(one).await.unwrap();
    queue.ack(other).await.unwrap();
    assert!(kit.ready(&queue).await.is_none());
}

pub(crate) async fn a_later_change_of_a_card_waits_while_an_earlier_one_is_leased<K: Kit>() {
    let mut kit = K::new().await;
    let (queue, others) = (kit.queue().await, kit.queue().await);
    // Given two changes of a card, enqueued in the wrong order, and one of another card,
    queue.enqueue(vec![item(1, 3)], None).await.unwrap();
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    // when two consumers take what they can,
    let first = queue.take().await.unwrap();
    queue.enqueue(vec![item(2, 9)], None).await.unwrap();
    let other = others.take().await.unwrap();
    // then of the one card it is the earlier change, and nothing but the other card beside it.
    assert_eq!((first.item, other.item), (item(1, 2), item(2, 9)));
    assert!(kit.ready(&others).await.is_none());
    others.ack(other).await.unwrap();
    // When the earlier one is put off, the later may go, and now the earlier waits for it.
    queue.nak(first, K::LEASE / 2, true).await.unwrap();
    let later = others.take().await.unwrap();
    assert_eq!(later.item, item(1, 3));
    kit.passes(K::LEASE / 2).await;
    others.in_progress(&later).await.unwrap();
    assert!(kit.ready(&queue).await.is_none());
    others.ack(later).await.unwrap();
    let again = queue.take().await.unwrap();
    assert_eq!((again.item, again.tries), (item(1, 2), 1));
}

pub(crate) async fn a_dead_letter_holds_up_no_other_item_of_its_card<K: Kit>() {
    let mut kit = K::new().await;
    let queue = kit.queue().await;
    queue.enqueue(vec![item(1, 2), item(1, 3)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    queue.bury(lease, death("no"), Some(K::LEASE * 100)).await.unwrap();
    assert_eq!(queue.take().await.unwrap().item, item(1, 3));
}

pub(crate) async fn what_is_put_off_comes_after_its_delay_to_a_consumer_that_waits<K: Kit>() {
    let mut kit = K::new().await;
    let queue = kit.queue().await;
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    queue.nak(lease, K::LEASE, false).await.unwrap();
    assert!(kit.ready(&queue).await.is_none());
    let lease = queue.take().await.unwrap();
    assert_eq!((lease.item, lease.tries), (item(1, 2), 0));
}

pub(crate) async fn a_lease_that_is_not_extended_is_over_and_its_holder_is_told<K: Kit>() {
    let mut kit = K::new().await;
    let (queue, others) = (kit.queue().await, kit.queue().await);
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let held = queue.take().await.unwrap();
    // Given that it was extended, again and again, for longer than a lease,
    for _ in 0..4 {
        kit.passes(K::LEASE / 2).await;
        queue.in_progress(&held).await.unwrap();
    }
    assert!(kit.ready(&others).await.is_none());
    // when its time is over, another takes the item,
    kit.passes(K::LEASE).await;
    let taken = others.take().await.unwrap();
    assert_eq!((taken.item, taken.tries), (held.item, 1));
    // and whoever held it can do nothing with it any more.
    assert!(matches!(queue.in_progress(&held).await, Err(Error::LeaseLost(_))));
    assert!(matches!(queue.nak(held.clone(), K::LEASE, true).await, Err(Error::LeaseLost(_))));
    assert!(matches!(queue.bury(held.clone(), death("no"), None).await, Err(Error::LeaseLost(_))));
    assert!(matches!(queue.ack(held).await, Err(Error::LeaseLost(_))));
    assert!(queue.letters().await.unwrap().is_empty());
    others.ack(taken).await.unwrap();
}

pub(crate) async fn a_letter_that_must_arrive_is_tried_again_and_stays_a_letter_until_done<K: Kit>() {
    let mut kit = K::new().await;
    let queue = kit.queue().await;
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    queue.bury(lease, death("the first reason"), Some(K::LEASE)).await.unwrap();
    assert!(kit.ready(&queue).await.is_none());
    // Given that it is tried again and fails again, later,
    let lease = queue.take().await.unwrap();
    assert!(lease.dead);
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.leased, depth.dead), (0, 1, 1));
    let later = Death { died_ms: 99, ..death("the second reason") };
    queue.bury(lease, later, Some(K::LEASE / 2)).await.unwrap();
    // then it shows the latest reason and how long it has been dead.
    let letter = queue.letters().await.unwrap().remove(0);
    assert_eq!(letter.death, Death { died_ms: 77, reason: "the second reason".into(), again: true });
    assert_eq!(letter.tries, 2);
    // When it is done at last, it is gone.
    let lease = queue.take().await.unwrap();
    queue.ack(lease).await.unwrap();
    let depth = queue.depth().await.unwrap();
    assert_eq!((queue.letters().await.unwrap().len(), depth.waiting, depth.leased, depth.dead), (0, 0, 0, 0));
}

pub(crate) async fn a_letter_that_is_being_tried_is_neither_retried_nor_dropped<K: Kit>() {
    let mut kit = K::new().await;
    let (queue, others) = (kit.queue().await, kit.queue().await);
    // Given a letter that is tried once more, and a later change of the same card
    queue.enqueue(vec![item(1, 1)], None).await.unwrap();
    let lease = queue.take().await.unwrap();
    queue.bury(lease, death("no answer"), Some(K::LEASE / 4)).await.unwrap();
    let trying = queue.take().await.unwrap();
    assert!(trying.dead);
    let id = trying.item.id();
    queue.enqueue(vec![item(1, 2)], None).await.unwrap();
    // when ops retry or drop it meanwhile, then they are told so,
    assert!(matches!(others.retry(id).await, Err(Error::Leased(leased)) if leased == id));
    assert!(matches!(others.discard(id).await, Err(Error::Leased(leased)) if leased == id));
    // no second item of the card is taken,
    assert!(kit.ready(&others).await.is_none());
    // and the lease holds.
    queue.bury(trying, death("no answer again"), Some(K::LEASE * 100)).await.unwrap();
    others.retry(id).await.unwrap();
    let again = queue.take().await.unwrap();
    assert_eq!((again.item.id(), again.tries, again.dead), (id, 0, false));
}

pub(crate) async fn ops_retry_and_drop_letters_and_nothing_else<K: Kit>() {
    let mut kit = K::new().await;
    let queue = kit.queue().await;
    queue.enqueue(vec![item(1, 2), item(2, 2), item(3, 2)], None).await.unwrap();
    for again in [None, Some(K::LEASE * 100)] {
        let lease = queue.take().await.unwrap();
        queue.bury(lease, death("no"), again).await.unwrap();
    }
    let ids: Vec<_> = queue.letters().await.unwrap().iter().map(|letter| letter.item.id()).collect();
    // A retried letter is a living item with no tries,
    queue.retry(ids[0]).await.unwrap();
    // a dropped one is gone,
    queue.discard(ids[1]).await.unwrap();
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.leased, depth.dead), (2, 0, 0));
    let taken = [queue.take().await.unwrap(), queue.take().await.unwrap()];
    assert!(taken.iter().any(|lease| lease.item.id() == ids[0] && lease.tries == 0 && !lease.dead));
    // and what is no letter can be neither.
    for id in [ids[0], ids[1], taken[1].item.id()] {
        assert!(matches!(queue.retry(id).await, Err(Error::NoLetter(_))));
        assert!(matches!(queue.discard(id).await, Err(Error::NoLetter(_))));
    }
}

pub(crate) async fn a_full_queue_says_so_and_takes_what_fits_later<K: Kit>() {
    let mut kit = K::new().await;
    let queue = kit.queue().await;
    queue.enqueue((1..=8).map(|card| item(card, 1)).collect(), None).await.unwrap();
    assert!(matches!(queue.enqueue(vec![item(9, 1)], None).await, Err(Error::Full { max: CAPACITY })));
    // What is there already needs no room.
    assert_eq!(queue.enqueue(vec![item(8, 1)], None).await.unwrap(), 0);
    let lease = queue.take().await.unwrap();
    queue.ack(lease).await.unwrap();
    assert_eq!(queue.enqueue(vec![item(9, 1)], None).await.unwrap(), 1);
}

/// Makes the suite's tests for a kit.
macro_rules! contract {
    ($kit:ty, #[$test:meta], $($story:ident)*) => {$(
        #[$test]
        async fn $story() {
            crate::contract::$story::<$kit>().await;
        }
    )*};
    ($kit:ty, #[$test:meta]) => {
        contract! {
            $kit, #[$test],
            an_item_is_there_once_however_often_it_is_enqueued
            items_dead_letters_and_positions_outlive_the_process_and_leases_do_not
            a_later_change_of_a_card_waits_while_an_earlier_one_is_leased
            a_dead_letter_holds_up_no_other_item_of_its_card
            what_is_put_off_comes_after_its_delay_to_a_consumer_that_waits
            a_lease_that_is_not_extended_is_over_and_its_holder_is_told
            a_letter_that_must_arrive_is_tried_again_and_stays_a_letter_until_done
            a_letter_that_is_being_tried_is_neither_retried_nor_dropped
            ops_retry_and_drop_letters_and_nothing_else
            a_full_queue_says_so_and_takes_what_fits_later
        }
    };
}
pub(crate) use contract;
