//! Processors in several processes: each runs the partitions whose leases it holds.
//!
//! A partition gained is recovered, claimed (with a live lease only), run and served. One that is lost, or in doubt, is no
//! longer served: what was taken is answered or told that it moves, the state is dropped, the lease is let go. If its loop
//! ends by itself, because another writer claimed it or the journal could not be written, the state is dropped too and the
//! partition is started anew, with growing pauses, while the lease lives: the process goes on. One that cannot be run here,
//! as its start failed thrice or this binary lacks its rules, is sat out for some leases, so that another process has it; it
//! is tried on here as long as there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use florin_journal::{LedgerId, PartitionId, Provider};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::placement::{self, Lease, Placement};
use crate::service::{self, Serving};
use crate::shared::Shared;
use crate::{Processor, processor, recovery};

/// The group in which processors share the partitions.
pub const GROUP: &str = "processor";

/// First and longest pause before a partition that failed is started anew.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often a new snapshot is looked for, and how often to share them is tried where it cannot be done.
const PUBLISH: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// Starts that may fail before the partition is left to others.
const FAILED_MAX: u32 = 3;

/// How long a partition must have run for the pause to begin short again.
const GOOD: Duration = Duration::from_secs(30);

/// Settings of [`Owner::run`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Of each partition's loop. A directory for snapshots is this process's own; the newest are shared through a bucket, so
    /// that a partition's next owner begins with one. Without a directory the journal is folded.
    pub processor: crate::Options,
    /// The lease (default 5 s).
    pub ttl: Duration,
    /// Replicas of the placement's bucket, if it has to be made (default 1).
    pub replicas: usize,
    /// What people should see of this process beside its lease: a host, a name.
    pub label: String,
    /// Is told which partitions run here, whenever that changes (default: a sender of its own, that nobody listens to).
    pub running: Arc<watch::Sender<BTreeSet<u16>>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            processor: crate::Options::default(),
            ttl: placement::TTL,
            replicas: 1,
            label: String::new(),
            running: Arc::default(),
        }
    }
}

/// Why processors cannot be run here. What happens to a partition later is logged, and tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The group of processors cannot be joined.
    #[error("the processors cannot be joined")]
    Placement(#[from] placement::Error),
}

/// Runs the partitions of a ledger that fall to this process.
pub struct Owner;

/// Why one partition ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Processor(#[from] processor::Error),
    #[error(transparent)]
    Service(#[from] service::Error),
    #[error("it ended by itself after {ran:?}")]
    Ran {
        ran: Duration,
        #[source]
        source: processor::Error,
    },
}

impl Owner {
    /// Joins the processors of the ledger `name` and runs what falls to this process, until `shutdown` resolves; then
    /// answers what is in, writes it, and frees its leases at once.
    ///
    /// `client` is of the same servers as the provider's; must be called within a tokio runtime with time.
    pub async fn run<P: Provider>(
        provider: P,
        client: async_nats::Client,
        name: &str,
        options: Options,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let settings = placement::Settings {
            ttl: options.ttl,
            replicas: options.replicas,
            label: options.label.clone(),
            confirmed: true,
            ..placement::Settings::new(name, GROUP, provider.ledger().partitions)
        };
        let partitions = provider.ledger().partitions;
        let placement = Placement::join_with(client.clone(), settings).await?;
        let mut held = placement.held();
        let mut owned = Owned { tasks: JoinSet::new(), stops: BTreeMap::new() };
        let start = |owned: &mut Owned, partition: u16| {
            let (stop, stopped) = watch::channel(false);
            let lease = placement.lease(partition);
            let task =
                own(provider.clone(), client.clone(), name.to_owned(), partition, options.clone(), lease, stopped);
            owned.tasks.spawn(task);
            owned.stops.insert(partition, stop);
        };
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let now = held.borrow_and_update().clone();
            for (_, stop) in owned.stops.iter().filter(|(partition, _)| !now.contains(partition)) {
                stop.send_replace(true);
            }
            let gained: BTreeSet<u16> = now.iter().copied().filter(|slot| !owned.stops.contains_key(slot)).collect();
            for partition in gained {
                start(&mut owned, partition);
            }
            // What came and went before it was seen here never ran.
            for slot in (0..partitions).filter(|slot| !now.contains(slot) && !owned.stops.contains_key(slot)) {
                placement.released(slot);
            }
            tokio::select! {
                () = &mut shutdown => break,
                // The sender lives as long as the placement.
                _ = held.changed() => {}
                Some(ended) = owned.tasks.join_next() => owned.ended(ended, &placement),
            }
        }
        let leaving = placement.leaving();
        for stop in owned.stops.values() {
            stop.send_replace(true);
        }
        let ending = async {
            while let Some(ended) = owned.tasks.join_next().await {
                owned.ended(ended, &placement);
            }
        };
        tokio::join!(ending, leaving);
        Ok(())
    }
}

/// What runs here.
struct Owned {
    tasks: JoinSet<u16>,
    stops: BTreeMap<u16, watch::Sender<bool>>,
}

impl Owned {
    fn ended(&mut self, ended: Result<u16, JoinError>, placement: &Placement) {
        match ended {
            Ok(partition) => {
                self.stops.remove(&partition);
                placement.released(partition);
            }
            Err(error) => {
                // Which one it was is found by who is gone: its receiver is.
                tracing::error!(%error, "a partition's task broke down");
                self.stops.retain(|partition, stop| {
                    let there = stop.receiver_count() > 0;
                    if !there {
                        placement.released(*partition);
                    }
                    there
                });
            }
        }
    }
}

/// Runs a partition, again and again, until told to stop.
async fn own<P: Provider>(
    provider: P,
    client: async_nats::Client,
    name: String,
    partition: u16,
    options: Options,
    lease: Lease,
    mut stopped: watch::Receiver<bool>,
) -> u16 {
    let (mut pause, mut failed) = (PAUSE.0, 0);
    while !*stopped.borrow() {
        let ran = once(&provider, &client, &name, partition, &options, &lease, &mut stopped).await;
        match ran {
            Ok(()) => continue,
            Err(error) => {
                let reason = crate::error::chain(&error);
                tracing::warn!(partition, reason, "a partition has stopped here: it is started anew while it is held");
                let good = matches!(error, Ended::Ran { ran, .. } if ran > GOOD);
                (pause, failed) = if good { (PAUSE.0, 1) } else { ((pause * 2).min(PAUSE.1), failed + 1) };
                if failed >= FAILED_MAX || hopeless(&error) {
                    failed = 0;
                    tracing::error!(partition, reason, "a partition cannot be run here: others are to have it");
                    metrics::counter!("florin_partitions_sat_out_total", "partition" => partition.to_string())
                        .increment(1);
                    lease.sit_out();
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }
    partition
}

/// Whether no further start in this process can go better.
fn hopeless(ended: &Ended) -> bool {
    matches!(ended, Ended::Processor(processor::Error::Recovery(recovery::Error::Rules { .. })))
}

/// Runs a partition once: `Ok` when told to stop.
async fn once<P: Provider>(
    provider: &P,
    client: &async_nats::Client,
    name: &str,
    partition: u16,
    options: &Options,
    lease: &Lease,
    stopped: &mut watch::Receiver<bool>,
) -> Result<(), Ended> {
    tokio::select! {
        () = fetch(client, name, provider.ledger().id, partition, options) => {}
        _ = stopped.wait_for(|stop| *stop) => return Ok(()),
    }
    let starting =
        Processor::start_if(provider.clone(), [PartitionId(partition)], options.processor.clone(), || lease.lives());
    let (handle, mut running) = tokio::select! {
        started = starting => started?,
        _ = stopped.wait_for(|stop| *stop) => return Ok(()),
    };
    let serving = Serving::start(client.clone(), name, partition, handle, Some(lease.clone())).await;
    let serving = match serving {
        Ok(serving) => serving,
        Err(error) => {
            // The cause is what is told; the loop was idle.
            let _ = running.stop().await;
            return Err(error.into());
        }
    };
    tracing::info!(partition, "a partition is run here");
    let begun = Instant::now();
    options.running.send_modify(|running| _ = running.insert(partition));
    let failed = tokio::select! {
        failed = running.failed() => Some(failed),
        _ = stopped.wait_for(|stop| *stop) => None,
        () = publish(client, name, partition, options) => None,
    };
    options.running.send_modify(|running| _ = running.remove(&partition));
    serving.stop().await;
    let ended = running.stop().await;
    if let Some(source) = failed {
        return Err(Ended::Ran { ran: begun.elapsed(), source });
    }
    tracing::info!(partition, "a partition is no longer run here");
    Ok(ended?)
}

/// Gets the newest shared snapshot, if there is one and it comes: nothing is made here, and nothing waited for that does not
/// go on, as nobody runs the partition meanwhile.
async fn fetch(client: &async_nats::Client, name: &str, ledger: LedgerId, partition: u16, options: &Options) {
    let Some(dir) = options.processor.snapshots.as_deref() else { return };
    let fetching = async { Shared::find(client, name).await?.fetch(dir, ledger, PartitionId(partition)).await };
    match fetching.await {
        Ok(Some(index)) => tracing::info!(partition, index, "begins with a snapshot of another process"),
        Ok(None) => {}
        Err(error) => tracing::info!(partition, %error, "no shared snapshot is used"),
    }
}

/// Copies new snapshots to where others find them; never ends.
async fn publish(client: &async_nats::Client, name: &str, partition: u16, options: &Options) {
    let Some(dir) = options.processor.snapshots.as_deref() else { return std::future::pending().await };
    let shared = loop {
        match Shared::open(client, name, options.replicas).await {
            Ok(shared) => break shared,
            Err(error) => tracing::warn!(partition, %error, "snapshots are not shared"),
        }
        tokio::time::sleep(PUBLISH.1).await;
    };
    loop {
        match shared.publish(dir, PartitionId(partition)).await {
            Ok(Some(index)) => tracing::debug!(partition, index, "a snapshot is shared"),
            Ok(None) => {}
            Err(error) => tracing::warn!(partition, %error, "a snapshot could not be shared"),
        }
        tokio::time::sleep(PUBLISH.0).await;
    }
}
