//! Starting and stopping: recovers each partition, then runs its loop on a thread of its own.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use florin_engine::money::Asset;
use florin_journal::{PartitionId, Provider, Writer};
use tokio::sync::{mpsc, oneshot, watch};

use crate::handle::Handle;
use crate::lanes::{Inbox, Question, lanes};
use crate::options::Options;
use crate::partition::Loop;
use crate::recovery::{self, Recovered, recover};
use crate::snapshotter::{Requests, Snapshotter};

/// Why a processor did not start, or has stopped by itself. The process should exit: nothing is retried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A partition could not be recovered.
    #[error(transparent)]
    Recovery(#[from] recovery::Error),
    /// The journal could not be claimed or written.
    #[error("the journal cannot be written")]
    Journal(#[from] florin_journal::Error),
    /// A batch whose debits and credits differ was about to be written. It was not.
    #[error("record {index} of partition {partition} would not balance in {asset}: nothing of it was written")]
    Unbalanced {
        /// Where.
        partition: PartitionId,
        /// The index the record would have had.
        index: u64,
        /// The asset.
        asset: Asset,
    },
    /// The lease was lost before the claim: nothing was claimed.
    #[error("the lease was lost while recovering")]
    NotHeld,
    /// No thread could be started.
    #[error("no thread could be started")]
    Thread(#[source] std::io::Error),
    /// A partition's loop broke down: a defect of the program. What was in flight may be durable or not.
    #[error("the loop of partition {0} panicked")]
    Panicked(PartitionId),
}

/// Starts loops over the journal of a provider.
pub struct Processor<P>(PhantomData<P>);

/// The loops that run. Keep it: [`stop`](Self::stop) is the graceful end, [`failed`](Self::failed) tells of any other.
pub struct Running {
    loops: Vec<(PartitionId, mpsc::Sender<Question>, JoinHandle<()>)>,
    ended: mpsc::UnboundedReceiver<(PartitionId, Result<(), Error>)>,
    snapshotter: Option<Snapshotter>,
}

impl<P: Provider> Processor<P> {
    /// Recovers `partitions`, all at once, then claims them and runs their loops. Resolves when every one can decide. If
    /// one cannot be recovered, none is claimed: nothing is written to a journal of which a part does not fit.
    pub async fn start(
        provider: P,
        partitions: impl IntoIterator<Item = PartitionId>,
        options: Options,
    ) -> Result<(Handle, Running), Error> {
        Self::start_if(provider, partitions, options, || true).await
    }

    /// As [`start`](Self::start), but nothing is claimed unless `may_claim` says so once everything is recovered; nor if
    /// this future is dropped before. Then [`Error::NotHeld`].
    pub(crate) async fn start_if(
        provider: P,
        partitions: impl IntoIterator<Item = PartitionId>,
        options: Options,
        may_claim: impl FnOnce() -> bool,
    ) -> Result<(Handle, Running), Error> {
        let granted = may_claim;
        let options = Arc::new(options);
        let mut ports = vec![None; usize::from(provider.ledger().partitions)];
        let mut inboxes = Vec::new();
        for partition in partitions {
            let Some(place) = ports.get_mut(usize::from(partition.0)) else {
                return Err(florin_journal::Error::UnknownPartition(partition).into());
            };
            let (port, inbox) = lanes(&options);
            inboxes.push((partition, port.questions.clone(), inbox));
            *place = Some(port);
        }
        let mut snapshotter = None;
        let mut requests = None;
        if let Some(dir) = &options.snapshots {
            let questions = inboxes.iter().map(|(partition, questions, _)| (*partition, questions.clone())).collect();
            let started = Snapshotter::start(provider.clone(), dir.clone(), questions).map_err(Error::Thread)?;
            (snapshotter, requests) = (Some(started.0), Some(started.1));
        }
        let (ends, ended) = mpsc::unbounded_channel();
        let mut running = Running { loops: Vec::new(), ended, snapshotter };
        let mut ready = Vec::new();
        let mut recovering = Vec::new();
        let (claim, may_claim) = watch::channel(false);
        for (partition, questions, inbox) in inboxes {
            let (started, starting) = oneshot::channel();
            ready.push((partition, starting));
            let (recovered, recovery) = oneshot::channel();
            recovering.push(recovery);
            let seat = Seat {
                partition,
                inbox,
                requests: requests.clone(),
                options: Arc::clone(&options),
                recovered,
                may_claim: may_claim.clone(),
                started,
            };
            match seat.run(provider.clone(), ends.clone()) {
                Ok(thread) => running.loops.push((partition, questions, thread)),
                Err(error) => {
                    drop((requests, ready, claim));
                    running.end().await;
                    return Err(Error::Thread(error));
                }
            }
        }
        drop((requests, ends));
        let mut all = true;
        for recovery in recovering {
            all &= recovery.await.is_ok();
        }
        let held = granted();
        if all && held {
            claim.send_replace(true);
        }
        // Who waits for a leave that does not come, now gives up.
        drop(claim);
        let mut failure = None;
        for (partition, starting) in ready {
            let started = starting.await.unwrap_or(Err(Error::Panicked(partition)));
            failure = failure.or(started.err());
        }
        if !held {
            failure = failure.or(Some(Error::NotHeld));
        }
        if let Some(failure) = failure {
            running.end().await;
            return Err(failure);
        }
        Ok((Handle::new(ports, Arc::new(provider)), running))
    }
}

impl Running {
    /// Resolves when a partition has stopped by itself, with why. Cancel-safe.
    pub async fn failed(&mut self) -> Error {
        loop {
            match self.ended.recv().await {
                Some((_, Ok(()))) => {}
                Some((_, Err(error))) => return error,
                None => std::future::pending().await,
            }
        }
    }

    /// Lets nothing in any more, decides, writes and answers everything that is in, and ends the loops. The first error
    /// is what ended a loop before that. Handles live on and answer that it has stopped; they, too, hold the journal
    /// open for reading.
    pub async fn stop(mut self) -> Result<(), Error> {
        let failed = self.end().await;
        failed.map_or(Ok(()), Err)
    }

    async fn end(&mut self) -> Option<Error> {
        for (_, questions, _) in &self.loops {
            // One that has ended already takes no questions.
            let _ = questions.send(Question::Stop).await;
        }
        let mut failed = None;
        while let Some((_, ended)) = self.ended.recv().await {
            failed = failed.or(ended.err());
        }
        for (partition, questions, thread) in self.loops.drain(..) {
            drop(questions);
            if thread.join().is_err() {
                failed = failed.or(Some(Error::Panicked(partition)));
            }
        }
        if let Some(snapshotter) = self.snapshotter.take() {
            snapshotter.stop();
        }
        failed
    }
}

/// Where a partition's loop sits: everything its thread takes along.
struct Seat {
    partition: PartitionId,
    inbox: Inbox,
    requests: Option<Requests>,
    options: Arc<Options>,
    /// Told once the partition is recovered; dropped if it cannot be.
    recovered: oneshot::Sender<()>,
    /// True once every partition is recovered; gone if one cannot be.
    may_claim: watch::Receiver<bool>,
    started: oneshot::Sender<Result<(), Error>>,
}

impl Seat {
    fn run<P: Provider>(
        self,
        provider: P,
        ends: mpsc::UnboundedSender<(PartitionId, Result<(), Error>)>,
    ) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name(format!("processor-{}", self.partition)).spawn(move || {
            let partition = self.partition;
            let gate = Arc::clone(&self.inbox.gate);
            // Unconstrained: the loop has this thread to itself, and takes its own turns.
            let sitting = || runtime.block_on(tokio::task::unconstrained(self.sit(provider)));
            // Unwind safe: nothing of what it left half done is looked at again.
            let ended = catch_unwind(AssertUnwindSafe(sitting)).unwrap_or_else(|_| {
                let panicked = Error::Panicked(partition);
                gate.stopped.get_or_init(|| panicked.to_string());
                Err(panicked)
            });
            // Nobody listens if the handle to it was dropped.
            let _ = ends.send((partition, ended));
        })
    }

    async fn sit<P: Provider>(self, provider: P) -> Result<(), Error> {
        let Self { partition, inbox, requests, options, recovered: told, mut may_claim, started } = self;
        let recovered = match recover_and_check(&provider, partition, &options).await {
            Ok(recovered) => recovered,
            Err(error) => {
                let _ = started.send(Err(error));
                return Ok(());
            }
        };
        let _ = told.send(());
        if may_claim.wait_for(|may| *may).await.is_err() {
            // Another partition's failure is what is told.
            let _ = started.send(Ok(()));
            return Ok(());
        }
        match claim(&provider, recovered, &options).await {
            Ok((recovered, writer)) => {
                // The provider is not needed beyond this: the writer holds what it must.
                drop(provider);
                let loops = Loop::new(recovered, writer, inbox, requests, &options);
                if started.send(Ok(())).is_err() {
                    return Ok(());
                }
                loops.run().await
            }
            Err(error) => {
                let _ = started.send(Err(error));
                Ok(())
            }
        }
    }
}

/// Everything is checked before the claim, so that a journal that does not fit is not written to.
async fn recover_and_check<P: Provider>(
    provider: &P,
    partition: PartitionId,
    options: &Options,
) -> Result<Recovered, Error> {
    let recovered = recover(provider, partition, options.snapshots.as_deref(), options.progress.as_ref()).await?;
    recovered.check_rules()?;
    Ok(recovered)
}

async fn claim<P: Provider>(
    provider: &P,
    mut recovered: Recovered,
    options: &Options,
) -> Result<(Recovered, P::Writer), Error> {
    let writer = provider.claim(recovered.partition).await?;
    // An earlier owner may have written on until the claim.
    recovered.follow(provider, writer.head().index, options.progress.as_ref(), || false).await?;
    recovered.check_rules()?;
    Ok((recovered, writer))
}
