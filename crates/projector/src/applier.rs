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

/// The thread of one partition. Dropping it waits for the records at hand.
pub(crate) struct Applier {
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<Fold>>,
}

impl Applier {
    pub(crate) fn start(partition: u16, mut fold: Fold) -> Result<Self, Error> {
        let (work, todo) = mpsc::channel::<Work>();
        let thread = thread::Builder::new().name(format!("views-{partition}")).spawn(move || {
            lower_priority();
            let mut paused = Ok(());
            loop {
                let next = match fold.pause_in() {
                    Some(after) => todo.recv_timeout(after),
                    None => todo.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                let Work { records, done } = match next {
                    Ok(work) => work,
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        // Who brings the next records is told.
                        paused = paused.and_then(|()| fold.pause());
                        continue;
                    }
                };
                let before = std::mem::replace(&mut paused, Ok(()));
                let all = before.and_then(|()| records.iter().try_for_each(|record| fold.record(record)));
                let written = all.and_then(|()| fold.write());
                // Nobody waits any more where the follower was dropped; the next opening goes on from what is written.
                let _ = done.send(written);
            }
            fold
        });
        Ok(Self { work: Some(work), thread: Some(thread.map_err(Error::Thread)?) })
    }

    /// Applies the next records, and brings them to the store.
    pub(crate) async fn apply(&self, records: Vec<Record>) -> Result<(), Error> {
        let (done, applied) = oneshot::channel();
        let work = self.work.as_ref().ok_or(Error::Panicked)?;
        work.send(Work { records, done }).map_err(|_| Error::Panicked)?;
        applied.await.map_err(|_| Error::Panicked)?
    }

    /// Brings what was gathered to the store, and ends.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        self.work = None;
        let fold = self.thread.take().map(JoinHandle::join);
        let mut fold = fold.and_then(Result::ok).ok_or(Error::Panicked)?;
        fold.write()?;
        fold.end()
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told to who waited for the records.
            if let Ok(mut fold) = thread.join()
                && let Err(error) = fold.end()
            {
                tracing::warn!(%error, "what the views' last batches changed is not stored");
            }
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
