//! Settlement: what the engine wants of the issuer goes to the issuer, and the issuer's answer to the engine.
//!
//! Shape: one [`fanout`] per partition puts items on the [`Queue`](crate::queue::Queue); any number of [`consumer`]s take
//! them, call the issuer and settle; [`late`] settles what comes unasked. In several processes the fan-out of a partition runs
//! where its lease is ([`Options::partitions`]), and the consumers of all share the queue.
//!
//! What it rests on: the engine lists everything unsettled, so that no item is the only copy of anything; the issuer knows
//! requests by id and refuses lower change numbers; the engine knows answers by key. So every step may happen again.
//!
//! Absent on purpose: deadlines. The clock worker brings them to the engine, and what then stands is what is worked on.

mod accounts;
mod consumer;
mod fanout;
mod late;
mod standing;
mod submit;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::ids::Position;
use florin_issuer::Issuer;
use florin_journal::Provider;
use florin_processor::{Clock as WallClock, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::queue::Queue;
use accounts::Accounts;
use consumer::Consumer;
use fanout::Fanout;
use late::Late;
use standing::Standing;

/// What stops settlement. Nothing at the issuer does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The journal cannot be followed.
    #[error("the settlement cannot follow the journal")]
    Journal(#[from] florin_journal::Error),
    /// An entry of the journal cannot be read.
    #[error("the settlement cannot read the entry at {position} of partition {partition}")]
    Entry {
        /// Where.
        partition: u16,
        /// Where there.
        position: Position,
        /// Why.
        #[source]
        source: florin_engine::codec::Error,
    },
    /// The queue fails.
    #[error("the settlement cannot use its queue")]
    Queue(#[from] crate::queue::Error),
    /// A part of it panicked.
    #[error("a part of the settlement broke down")]
    Broken(#[from] tokio::task::JoinError),
}

/// Settings of settlement.
#[derive(Clone)]
pub struct Options {
    /// Consumers in this process [16]: calls of the issuer at once.
    pub consumers: usize,
    /// How long one call of the issuer may take [10 s]; then its fate is unknown.
    pub call_timeout: Duration,
    /// Waits between tries.
    pub backoff: Backoff,
    /// Tries without a definite answer before an item is a dead letter [12].
    pub tries_max: u32,
    /// How often a dead letter that must arrive is tried nevertheless [5 min].
    pub slow: Duration,
    /// Wait when it is Florin itself that cannot go on, or a partition that is busy [1 s].
    pub pause: Duration,
    /// How often a lease is extended; well below the queue's lease [10 s].
    pub extend_every: Duration,
    /// How often the sweeper looks; it does so at start too [30 s].
    pub sweep_every: Duration,
    /// How long consumers may finish what they are at, at the end [5 s].
    pub grace: Duration,
    /// The partitions whose fan-out runs here, as `florin_processor::placement` says for the group `settlement`; `None`: all.
    /// Consumers take items of every partition anyway.
    pub partitions: Option<watch::Receiver<BTreeSet<u16>>>,
    /// Dates commands.
    pub clock: Arc<dyn WallClock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            consumers: 16,
            call_timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            tries_max: 12,
            slow: Duration::from_mins(5),
            pause: Duration::from_secs(1),
            extend_every: Duration::from_secs(10),
            sweep_every: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            partitions: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("consumers", &self.consumers)
            .field("call_timeout", &self.call_timeout)
            .field("backoff", &self.backoff)
            .field("tries_max", &self.tries_max)
            .finish_non_exhaustive()
    }
}

/// The settlement worker.
#[derive(Clone, Copy, Debug)]
pub struct Settlement;

impl Settlement {
    /// Finds out whether the journal has what the queue remembers of it. Ask before anything is written to the journal:
    /// a journal that has lost its end would be written over, and the loss could not be seen any more.
    ///
    /// [`Error::Journal`] with `Shorter` or `Mismatch`: acknowledged records are lost. A queue that lags behind the loss
    /// cannot know of it.
    pub async fn confirm<P: Provider, Q: Queue>(provider: &P, queue: &Q) -> Result<(), Error> {
        for partition in 0..provider.ledger().partitions {
            fanout::remembered(provider, queue, partition).await?;
        }
        Ok(())
    }

    /// Runs until `shutdown` resolves, and then until every consumer has finished its item or given it back.
    /// Ends earlier only with an error that a restart may mend.
    pub async fn run<E: Engine, P: Provider, Q: Queue>(
        engine: E,
        provider: P,
        issuer: Arc<dyn Issuer>,
        queue: Q,
        options: Options,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let partitions = provider.ledger().partitions;
        let standing = Arc::new(Standing::new(engine.clone()));
        let accounts = Arc::new(Accounts::default());
        let (stop, stopped) = watch::channel(false);
        let mut parts: JoinSet<Result<(), Error>> = JoinSet::new();
        for partition in 0..partitions {
            let fanout = Fanout {
                partition,
                provider: provider.clone(),
                queue: queue.clone(),
                standing: Arc::clone(&standing),
                accounts: Arc::clone(&accounts),
                options: options.clone(),
            };
            parts.spawn(fanout.run(stopped.clone()));
        }
        if let Some(answers) = issuer.late_answers() {
            let late = Late { engine: engine.clone(), accounts: Arc::clone(&accounts), options: options.clone() };
            let stopped = stopped.clone();
            parts.spawn(async move {
                late.run(answers, stopped).await;
                Ok(())
            });
        }
        let consumers = options.consumers.max(1);
        let consumer = Arc::new(Consumer { engine, provider, issuer, queue, standing, accounts, options });
        for _ in 0..consumers {
            parts.spawn(Arc::clone(&consumer).run(stopped.clone()));
        }
        drop((consumer, stopped));
        tokio::pin!(shutdown);
        let mut ended = Ok(());
        let mut stopping = false;
        loop {
            tokio::select! {
                () = &mut shutdown, if !stopping => {
                    stopping = true;
                    stop.send_replace(true);
                }
                part = parts.join_next() => match part {
                    None => return ended,
                    Some(part) => {
                        let part = part.map_err(Error::from).and_then(|part| part);
                        if let (Err(error), true) = (part, ended.is_ok()) {
                            // One part fails: the others finish what they are at, and the error is told.
                            ended = Err(error);
                            stopping = true;
                            stop.send_replace(true);
                        }
                    }
                },
            }
        }
    }
}
