//! The thread that applies a partition's records: always the same one, so that what it works with stays in its caches.
//!
//! It gives way to the threads that decide and answer when there are fewer cores than work: a view that is late is waited
//! for or refused, a decision that is late is an authorization declined. What it misses meanwhile it applies in larger
//! batches.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
};

use florin_journal::Record;
use tokio::sync::oneshot;

use crate::{Error, fold::Fold};

/// How much it gives way: a third of the share of a thread that does not.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

struct Work {
    records: Vec<Record>,
    done: oneshot::Sender<Result<(), Error>>,
}

/// The thread of one partition. Dropping it waits for the records at hand, and until they are stored.
pub(crate) struct Applier {
    work: Option<mpsc::Sender<Work>>,
    failed: oneshot::Receiver<Error>,
    thread: Option<JoinHandle<Fold>>,
}

impl Applier {
    pub(crate) fn start(partition: u16, mut fold: Fold) -> Result<Self, Error> {
        let (work, todo) = mpsc::channel::<Work>();
        let (fails, failed) = oneshot::channel();
        let mut fails = Some(fails);
        let thread = thread::Builder::new().name(format!("views-{partition}")).spawn(move || {
            lower_priority();
            loop {
                let next = match fold.pause_in() {
                    Some(after) => todo.recv_timeout(after),
                    None => todo.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                let Work { records, done } = match next {
                    Ok(work) => work,
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(error) = fold.pause()
                            && let Some(fails) = fails.take()
                        {
                            // Nobody listens to it at the end, which says it again.
                            let _ = fails.send(error);
                        }
                        continue;
                    }
                };
                let written = records.iter().try_for_each(|record| fold.record(record)).and_then(|()| fold.write());
                // Nobody waits any more where the follower was dropped; the next opening goes on from what is written.
                let _ = done.send(written);
            }
            fold
        });
        Ok(Self { work: Some(work), failed, thread: Some(thread.map_err(Error::Thread)?) })
    }

    /// Applies the next records: they are read from then on.
    pub(crate) async fn apply(&self, records: Vec<Record>) -> Result<(), Error> {
        let (done, applied) = oneshot::channel();
        let work = self.work.as_ref().ok_or(Error::Panicked)?;
        work.send(Work { records, done }).map_err(|_| Error::Panicked)?;
        applied.await.map_err(|_| Error::Panicked)?
    }

    /// Resolves if what was applied cannot be stored.
    pub(crate) async fn failed(&mut self) -> Error {
        (&mut self.failed).await.unwrap_or(Error::Panicked)
    }

    /// Brings what was applied to the store, and ends. `whole`: what is gathered of the records at hand, too.
    pub(crate) async fn end(mut self, whole: bool) -> Result<(), Error> {
        let ended = tokio::task::spawn_blocking(move || self.join(whole)).await;
        ended.map_err(|_| Error::Panicked)?
    }

    fn join(&mut self, whole: bool) -> Result<(), Error> {
        self.work = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let mut fold = thread.join().map_err(|_| Error::Panicked)?;
        if whole {
            fold.write()?;
        }
        fold.end()
    }
}

impl Drop for Applier {
    /// Of one that nobody ended, as its task was dropped.
    fn drop(&mut self) {
        if let Err(error) = self.join(false) {
            tracing::warn!(%error, "what the views' last batches changed is not stored");
        }
    }
}

/// Best effort: the views follow either way.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the views' thread keeps its priority");
    }
}
