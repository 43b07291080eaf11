//! The writer, and the committer thread that seals, writes and syncs for it.
//!
//! Group commit: whatever was submitted while the last sync ran is written and synced together. There is no timer.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, mpsc};

use super::Shared;
use super::partition::Partition;
use crate::fate::Fate;
use crate::{Batch, Error, Head, IN_FLIGHT_MAX, SignedHead, Writer};

/// Writer of the embedded provider. Dropping it waits until what was submitted is written.
pub struct EmbeddedWriter {
    shared: Arc<Shared>,
    partition: Arc<Partition>,
    head: Head,
    next_index: u64,
    time_ms: u64,
    work: Option<Sender<Batch>>,
    acks: mpsc::UnboundedReceiver<Result<Head, Error>>,
    in_flight: Arc<Semaphore>,
    fate: Arc<OnceLock<Fate>>,
    committer: Option<JoinHandle<()>>,
}

impl EmbeddedWriter {
    pub(super) fn start(shared: Arc<Shared>, partition: Arc<Partition>) -> Result<Self, Error> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let head = partition.claim(nonce)?;
        let (work, todo) = channel();
        let (done, acks) = mpsc::unbounded_channel();
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let fate = Arc::new(OnceLock::new());
        let committer = Committer {
            partition: partition.clone(),
            nonce,
            todo,
            done,
            in_flight: in_flight.clone(),
            fate: fate.clone(),
        };
        let committer = std::thread::Builder::new()
            .name(format!("journal-{}", partition.id))
            .spawn(move || committer.run())
            .map_err(|error| Error::io("starting the committer", error))?;
        Ok(Self {
            shared,
            partition,
            head,
            next_index: head.index + 1,
            time_ms: head.time_ms,
            work: Some(work),
            acks,
            in_flight,
            fate,
            committer: Some(committer),
        })
    }

    fn finished(&self) -> Error {
        self.fate.get().map_or_else(|| Error::Dead("the committer has ended".into()), Fate::error)
    }
}

impl Writer for EmbeddedWriter {
    fn head(&self) -> Head {
        self.head
    }

    fn next_index(&self) -> u64 {
        self.next_index
    }

    async fn submit(&mut self, batch: Batch) -> Result<u64, Error> {
        if batch.is_empty() {
            return Err(Error::EmptyBatch);
        }
        if batch.first_time_ms < self.time_ms {
            return Err(Error::TimeBack { last: self.time_ms, found: batch.first_time_ms });
        }
        let permit = self.in_flight.acquire().await.map_err(|_| self.finished())?;
        let time_ms = batch.last_time_ms;
        let sent = self.work.as_ref().is_some_and(|work| work.send(batch).is_ok());
        if !sent {
            return Err(self.finished());
        }
        // The committer gives the permit back when the record is durable.
        permit.forget();
        self.time_ms = time_ms;
        self.next_index += 1;
        Ok(self.next_index - 1)
    }

    async fn acked(&mut self) -> Result<Head, Error> {
        match self.acks.recv().await {
            Some(Ok(head)) => {
                self.head = head;
                Ok(head)
            }
            Some(Err(error)) => Err(error),
            None => Err(self.finished()),
        }
    }

    async fn sign_head(&mut self) -> Result<SignedHead, Error> {
        if self.fate.get().is_some() {
            return Err(self.finished());
        }
        self.shared.sign(self.partition.id, self.head)
    }
}

impl Drop for EmbeddedWriter {
    fn drop(&mut self) {
        self.work = None;
        if let Some(committer) = self.committer.take() {
            // A committer that panicked has poisoned the log, which every later claim reports.
            let _ = committer.join();
        }
    }
}

struct Committer {
    partition: Arc<Partition>,
    nonce: [u8; 16],
    todo: Receiver<Batch>,
    done: mpsc::UnboundedSender<Result<Head, Error>>,
    in_flight: Arc<Semaphore>,
    fate: Arc<OnceLock<Fate>>,
}

impl Committer {
    fn run(self) {
        while let Ok(first) = self.todo.recv() {
            let mut group = vec![first];
            group.extend(self.todo.try_iter().take(IN_FLIGHT_MAX - 1));
            let records = group.len();
            match self.partition.commit(self.nonce, group) {
                Ok(heads) => {
                    for head in heads {
                        // Nobody left to tell is no failure: the record is durable all the same.
                        let _ = self.done.send(Ok(head));
                    }
                    self.in_flight.add_permits(records);
                }
                Err(error) => {
                    let _ = self.fate.set(Fate::of(&error));
                    // Closed first: who has seen the error can submit no more.
                    self.in_flight.close();
                    let _ = self.done.send(Err(error));
                    return;
                }
            }
        }
    }
}
