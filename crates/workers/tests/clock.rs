//! Stories of the clock worker, over an engine that is played. Time is tokio's and stands still unless all wait.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use florin_engine::agenda::{Due, Work};
use florin_engine::codec::Outcome;
use florin_engine::command::{Class, Command, Envelope};
use florin_engine::ids::{AccountId, CardId, Key, Position};
use florin_engine::reject::{Reason, Reject};
use florin_processor::{Error, ManualClock, Reply};
use florin_workers::clock::Options;
use florin_workers::{Clock, Engine};

const NOON: u64 = 1_800_000_000_000;

/// An engine with invoices that are due, two partitions, and moods.
#[derive(Clone, Default)]
struct Played(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    due: Vec<u64>,
    busy: u32,
    /// Numbers that are rejected, and stay due.
    rejected: HashSet<u64>,
    first_is_down: bool,
    sent: Vec<(u64, Key)>,
}

impl Played {
    fn with(due: impl IntoIterator<Item = u64>) -> Self {
        Self(Arc::new(Mutex::new(Inner { due: due.into_iter().collect(), ..Inner::default() })))
    }

    fn set(&self, set: impl FnOnce(&mut Inner)) {
        set(&mut self.0.lock().unwrap());
    }

    fn sent(&self) -> Vec<u64> {
        self.0.lock().unwrap().sent.iter().map(|(number, _)| *number).collect()
    }
}

impl Engine for Played {
    fn partitions(&self) -> u16 {
        2
    }

    async fn submit(&self, envelope: Envelope) -> Result<Reply, Error> {
        let mut inner = self.0.lock().unwrap();
        if inner.busy > 0 {
            inner.busy -= 1;
            return Err(Error::Busy { retry_after_ms: 5 });
        }
        assert_eq!((envelope.class, envelope.dated_ms >= NOON), (Class::Clock, true));
        let Command::ExpireInvoice(command) = envelope.command else { panic!("an invoice") };
        inner.sent.push((command.number, envelope.key));
        let outcome = if inner.rejected.contains(&command.number) {
            Outcome::Rejected(Reject::new(Reason::InvoiceInvalid))
        } else {
            inner.due.retain(|number| *number != command.number);
            Outcome::Accepted(Vec::new())
        };
        let position = Position::new(1, 0);
        Ok(Reply { partition: 1, position, time_ms: NOON, replayed: false, account: envelope.account, outcome })
    }

    async fn work(&self, _: u16, _: usize) -> Result<Vec<Work>, Error> {
        Ok(Vec::new())
    }

    async fn work_of_card(&self, _: CardId) -> Result<Option<Work>, Error> {
        Ok(None)
    }

    async fn due(&self, partition: u16, max: usize) -> Result<Vec<Due>, Error> {
        let inner = self.0.lock().unwrap();
        if partition == 0 {
            return match inner.first_is_down {
                true => Err(Error::Stopped { reason: "down".into() }),
                false => Ok(Vec::new()),
            };
        }
        let account = AccountId::of_partition(1);
        Ok(inner.due.iter().take(max).map(|number| Due::Invoice { account, number: *number }).collect())
    }
}

struct Ticking {
    clock: Arc<ManualClock>,
    _task: tokio::task::JoinHandle<()>,
}

fn tick(engine: &Played) -> Ticking {
    let clock = Arc::new(ManualClock::new(NOON));
    let options = Options {
        tick: Duration::from_secs(1),
        batch: 4,
        batches: 2,
        partitions: None,
        clock: Arc::clone(&clock) as _,
    };
    Ticking { clock, _task: tokio::spawn(Clock::run(engine.clone(), options, std::future::pending())) }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(500)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_sent_in_order_a_bounded_number_a_tick() {
    let engine = Played::with(0..10);
    let _ticking = tick(&engine);
    seconds(0).await;
    assert_eq!(engine.sent(), (0..8).collect::<Vec<_>>(), "two batches of four");
    seconds(1).await;
    assert_eq!(engine.sent(), (0..10).collect::<Vec<_>>());
    seconds(10).await;
    assert_eq!(engine.sent().len(), 10, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_busy_partition_is_asked_again_and_nothing_is_left_out_or_overtaken() {
    let engine = Played::with(0..3);
    engine.set(|inner| inner.busy = 2);
    let _ticking = tick(&engine);
    seconds(5).await;
    assert_eq!(engine.sent(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_down_does_not_keep_the_others_waiting() {
    let engine = Played::with([7]);
    engine.set(|inner| inner.first_is_down = true);
    let _ticking = tick(&engine);
    seconds(0).await;
    assert_eq!(engine.sent(), [7]);
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_rests_for_the_hour_and_is_in_nobodys_way() {
    // Given more rejected items than a batch holds, before two that are not,
    let engine = Played::with(0..8);
    engine.set(|inner| inner.rejected.extend(0..6));
    let ticking = tick(&engine);
    seconds(5).await;
    // then each was sent once, the last two too.
    assert_eq!(engine.sent(), (0..8).collect::<Vec<_>>());
    // When the hour is over, the rejected are sent again, under new keys, so that their outcome is not a replay.
    ticking.clock.advance_ms(3_600_000);
    seconds(5).await;
    assert_eq!(engine.sent().len(), 14);
    let keys: HashSet<Key> = engine.0.lock().unwrap().sent.iter().map(|(_, key)| *key).collect();
    assert_eq!(keys.len(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_begins_anew_sends_the_same_key() {
    let engine = Played::with([7]);
    engine.set(|inner| inner.rejected.extend([7]));
    let _first = tick(&engine);
    let _second = tick(&engine);
    seconds(3).await;
    let keys: Vec<Key> = engine.0.lock().unwrap().sent.iter().map(|(_, key)| *key).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}
