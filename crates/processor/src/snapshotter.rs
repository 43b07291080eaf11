//! The snapshotter: makes snapshots off the loops, on one thread of low priority and one that folds for it, one partition at a time.
//!
//! It follows the journal as anybody could: loads the last snapshot, folds the records since, writes the next. So a
//! snapshot costs a loop nothing, and at most one partition's state is held twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use florin_engine::snapshot::hash;
use florin_journal::{PartitionId, Provider};
use tokio::sync::mpsc;

use crate::lanes::Question;
use crate::recovery::{self, restore};
use crate::snapshot::{self, Header};

/// A snapshot that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) index: u64,
    pub(crate) state_hash: [u8; 32],
}

struct Request {
    partition: PartitionId,
    index: u64,
}

/// The loops' way to ask for a snapshot. A loop has one request at a time, so this is bounded by their number.
#[derive(Clone)]
pub(crate) struct Requests(mpsc::UnboundedSender<Request>);

impl Requests {
    /// Asks for a snapshot as of record `index`; says whether somebody will make it.
    pub(crate) fn request(&self, partition: PartitionId, index: u64) -> bool {
        self.0.send(Request { partition, index }).is_ok()
    }
}

/// The thread.
pub(crate) struct Snapshotter {
    thread: JoinHandle<()>,
    given_up: Arc<AtomicBool>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Recovery(#[from] recovery::Error),
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
}

impl Snapshotter {
    pub(crate) fn start<P: Provider>(
        provider: P,
        dir: PathBuf,
        loops: Vec<(PartitionId, mpsc::Sender<Question>)>,
    ) -> std::io::Result<(Self, Requests)> {
        let (requests, mut inbox) = mpsc::unbounded_channel::<Request>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let given_up = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&given_up);
        let thread = thread::Builder::new().name("snapshotter".into()).spawn(move || {
            lower_priority();
            runtime.block_on(async move {
                while let Some(request) = inbox.recv().await {
                    let partition = request.partition;
                    let finished = match make(&provider, &dir, &request, &stop).await {
                        Ok(finished) => Some(finished),
                        Err(error) => {
                            let error: &dyn std::error::Error = &error;
                            tracing::warn!(%partition, error, "no snapshot was made");
                            None
                        }
                    };
                    if let Some((_, questions)) = loops.iter().find(|(id, _)| *id == partition) {
                        // A loop that has stopped needs no checkpoint.
                        let _ = questions.send(Question::Snapshot(finished)).await;
                    }
                }
            });
        })?;
        Ok((Self { thread, given_up }, Requests(requests)))
    }

    /// Stops at the next record; to be called once the loops, which hold the requests, are gone.
    pub(crate) fn stop(self) {
        self.given_up.store(true, Ordering::Release);
        if self.thread.join().is_err() {
            tracing::warn!("the snapshotter had panicked");
        }
    }
}

async fn make<P: Provider>(
    provider: &P,
    dir: &std::path::Path,
    request: &Request,
    stop: &AtomicBool,
) -> Result<Finished, Error> {
    let partition = request.partition;
    let mut state = restore(provider, partition, Some(dir)).await?;
    state.follow(provider, request.index, None, || stop.load(Ordering::Acquire)).await?;
    let Some((index, record)) = state.last else {
        return Err(recovery::Error::GivenUp(partition).into());
    };
    let state_hash = hash(&state.state);
    let rules = state.state.rules();
    let header = Header { ledger: provider.ledger().id, partition, index, record, rules, state_hash };
    let path = snapshot::save(dir, &header, &state.state)?;
    tracing::debug!(%partition, index, path = %path.display(), "snapshot made");
    Ok(Finished { index, state_hash })
}

/// So that folding takes only time that nobody else wants. Best effort: a snapshot is made either way.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 15) {
        tracing::debug!(%error, "the snapshotter keeps its priority");
    }
}
