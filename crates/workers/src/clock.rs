//! The clock worker: what has fallen due is sent to the engine as commands.
//!
//! The engine decides what is due and what comes of it; the worker only carries. A command's key is derived from what is
//! due and the hour, so that sending it again within the hour is a replay, and what is still due after it is asked anew.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::{
    agenda::Due,
    codec::Outcome,
    command::{Class, Command, Envelope},
    ids::Key,
};
use florin_processor::{Clock as WallClock, Error, SystemClock};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::derive;
use crate::engine::Engine;
use crate::held::Held;

/// How long what came to nothing is left alone; also the time in which a command is a replay.
const HOUR_MS: u64 = 3_600_000;
/// Most items that are left alone; beyond it they are asked again early.
const RESTING_MAX: usize = 65_536;

/// Settings of the clock worker.
#[derive(Clone)]
pub struct Options {
    /// How often it looks [1 s].
    pub tick: Duration,
    /// How many items it sends before it looks again [256].
    pub batch: usize,
    /// How many batches of a partition before the next partition has its turn [16].
    pub batches: usize,
    /// The partitions that are looked after here, as `florin_processor::placement` says for the group `clock`; `None`: all.
    pub partitions: Option<watch::Receiver<BTreeSet<u16>>>,
    /// Dates the commands.
    pub clock: Arc<dyn WallClock>,
}

impl Default for Options {
    fn default() -> Self {
        Self { tick: Duration::from_secs(1), batch: 256, batches: 16, partitions: None, clock: Arc::new(SystemClock) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("tick", &self.tick).field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// The clock worker.
#[derive(Clone, Copy, Debug)]
pub struct Clock;

impl Clock {
    /// Ticks until `shutdown` resolves.
    pub async fn run<E: Engine>(engine: E, options: Options, shutdown: impl Future<Output = ()> + Send) {
        let mut ticks = tokio::time::interval(options.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let partitions = engine.partitions();
        let held = Held::new(options.partitions.clone());
        let mut round = Round { engine, options, resting: HashMap::new() };
        let work = async {
            loop {
                ticks.tick().await;
                for partition in (0..partitions).filter(|partition| held.has(*partition)) {
                    if let Err(error) = round.partition(partition).await {
                        metrics::counter!("florin_clock_put_off_total").increment(1);
                        tracing::debug!(partition, %error, "what is due is put off");
                    }
                }
            }
        };
        // A command under way may be left: whether it was decided or not, what is then due is due.
        tokio::select! {
            () = work => {}
            () = shutdown => {}
        }
    }
}

struct Round<E> {
    engine: E,
    options: Options,
    /// What came to nothing, and until when it is left alone, so that a disagreement does not fill the journal.
    resting: HashMap<Key, u64>,
}

impl<E: Engine> Round<E> {
    /// Sends what is due in one partition, in order.
    async fn partition(&mut self, partition: u16) -> Result<(), Error> {
        let now_ms = self.options.clock.wall_ms();
        self.resting.retain(|_, until_ms| *until_ms > now_ms);
        for _ in 0..self.options.batches {
            // What rests is still listed, and must not take the places of what does not.
            let max = self.options.batch + self.resting.len();
            let due = self.engine.due(partition, max).await?;
            let more = due.len() >= max;
            for due in due {
                self.send(&due, now_ms).await?;
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    async fn send(&mut self, due: &Due, now_ms: u64) -> Result<(), Error> {
        let envelope = envelope(due, now_ms);
        let key = envelope.key;
        if self.resting.contains_key(&key) {
            return Ok(());
        }
        let reply = self.engine.submit(envelope).await?;
        let outcome = match &reply.outcome {
            _ if reply.replayed => "replayed",
            Outcome::Accepted(_) => "accepted",
            Outcome::Rejected(reject) => {
                tracing::warn!(?due, %reject, "what is due is rejected");
                "rejected"
            }
        };
        metrics::counter!("florin_clock_sent_total", "outcome" => outcome).increment(1);
        if outcome != "accepted" && self.resting.len() < RESTING_MAX {
            self.resting.insert(key, (now_ms / HOUR_MS + 1) * HOUR_MS);
        }
        Ok(())
    }
}

fn envelope(due: &Due, now_ms: u64) -> Envelope {
    let command = due.command();
    let content = match &command {
        Command::ExpireInvoice(command) => command.number.to_le_bytes().to_vec(),
        Command::LapseChange(command) => [command.card.0, command.request.0].concat(),
        Command::ExpireHold(command) => [command.card.0, command.authorization.0].concat(),
        Command::ExpireCard(command) => command.card.0.to_vec(),
        // Nothing else falls due; told apart by its code alone, it would be sent once an hour.
        _ => Vec::new(),
    };
    derive::envelope(due.account(), Class::Clock, command, &content, now_ms / HOUR_MS, now_ms)
}
