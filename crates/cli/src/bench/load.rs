//! The embedded load: clients in this process, each with one batch in flight, on threads of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use florin_engine::codec::Outcome;
use florin_processor::{Error, Handle, Reply};
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::bed::refused;
use super::latency::Latencies;
use super::script::Script;
use super::settling::Changes;
use crate::failure::{Exit, Failure};

/// What a load came to.
#[derive(Default)]
pub(super) struct Done {
    pub(super) elapsed: Duration,
    pub(super) latencies: Latencies,
    /// How often a full queue answered *busy*.
    pub(super) busy: u64,
    /// How long clients waited, all of them together, before batches with cards whose last change was on its way.
    pub(super) held: Duration,
    /// Processor time for each command, microseconds: clients, views and kernel included.
    pub(super) processor_us: f64,
}

impl Done {
    pub(super) fn join(&mut self, other: Self) {
        self.latencies.join(other.latencies);
        self.busy += other.busy;
        self.held += other.held;
    }
}

/// Commands from `first` to `end`, in batches.
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) batch: u64,
}

/// Drives `range` by `clients` and waits until all of it is durable.
pub(super) async fn drive(
    handle: &Handle,
    script: &Arc<Script>,
    range: Range,
    clients: u16,
    changes: Option<&Arc<Changes>>,
    bar: &ProgressBar,
) -> Result<Done, Failure> {
    let next = Arc::new(AtomicU64::new(range.first));
    // Making thousands of commands takes milliseconds, which a request to the gateway must not wait for.
    let threads = Threads::start()?;
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let (handle, script, next, bar) = (handle.clone(), Arc::clone(script), Arc::clone(&next), bar.clone());
        let (end, batch, changes) = (range.end, range.batch, changes.cloned());
        let client = async move {
            let mut done = Done::default();
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= end {
                    return Ok(done);
                }
                let last = (first + batch).min(end);
                if let Some(changes) = &changes {
                    // What is waited for was sent with an earlier batch, so that clients never wait for each other.
                    done.held += changes.ready(&script, first..last).await?;
                }
                send(&handle, &script, first..last, begun, &mut done).await?;
                bar.inc(last - first);
            }
        };
        running.spawn_on(client, &threads.handle);
    }
    let mut all = Ok(Done::default());
    while let Some(ended) = running.join_next().await {
        let panicked = |cause| Failure::new(Exit::Stopped, "a client panicked").because(cause);
        all = all.and_then(|mut all| {
            all.join(ended.map_err(panicked)??);
            Ok(all)
        });
    }
    let elapsed = begun.elapsed();
    all.map(|all| Done { elapsed, ..all })
}

/// The clients' own threads.
struct Threads {
    handle: tokio::runtime::Handle,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Threads {
    fn start() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("client").enable_all().build();
        let runtime = runtime.map_err(|cause| Failure::new(Exit::Other, "cannot start threads").because(cause))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not be waited for on a thread of another.
            runtime.shutdown_background();
        }
    }
}

/// Sends one batch, again while the queue is full; the latency runs from the first try.
async fn send(
    handle: &Handle,
    script: &Script,
    commands: std::ops::Range<u64>,
    begun: Instant,
    done: &mut Done,
) -> Result<(), Failure> {
    let partition = script.partition(commands.start);
    let mut since = None;
    loop {
        let single = commands.end - commands.start == 1;
        let answer = if single {
            let envelope = script.envelope(commands.start);
            let since = *since.get_or_insert_with(Instant::now);
            handle.submit(envelope).await.map(|reply| (since.elapsed(), vec![reply]))
        } else {
            let envelopes = script.envelopes(commands.clone());
            let since = *since.get_or_insert_with(Instant::now);
            handle.submit_batch(partition, envelopes).await.map(|replies| (since.elapsed(), replies))
        };
        match answer {
            Ok((latency, replies)) => {
                done.latencies.add(begun.elapsed(), latency);
                return replies.iter().try_for_each(accepted);
            }
            Err(Error::Busy { retry_after_ms }) => {
                done.busy += 1;
                tokio::time::sleep(Duration::from_millis(retry_after_ms)).await;
            }
            Err(error) => return Err(refused(error)),
        }
    }
}

/// Every command of a run is new and must be accepted.
pub(super) fn accepted(reply: &Reply) -> Result<(), Failure> {
    match &reply.outcome {
        Outcome::Accepted(_) if !reply.replayed => Ok(()),
        Outcome::Accepted(_) => Err(wrong(format!("the command at {} was taken for a repetition", reply.position))),
        Outcome::Rejected(reject) => {
            Err(wrong(format!("the command at {} was rejected: {:?}", reply.position, reject.reason)))
        }
    }
}

/// Something that must not be.
pub(super) fn wrong(what: String) -> Failure {
    Failure::new(Exit::Other, what).advise("this is a fault of florin: please report it with the options of this run")
}
