//! Recovery: the newest snapshot that fits the journal, and the journal's tail folded over it.
//!
//! The tail is read, checked and decoded here, and folded on a thread beside: the two cost about the same.

use std::fs;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::mpsc as blocking;
use std::thread::{self, JoinHandle};

use florin_engine::{policy::RULES_LATEST, state::State};
use florin_journal::{Hash, PartitionId, Provider, Reader, Record};
use tokio::sync::mpsc;

use crate::fold::{self, Decoded};
use crate::options::{OnProgress, Progress};
use crate::snapshot;

/// Records between two reports of progress.
const REPORT_RECORDS: u64 = 256;

/// Records decoded ahead of the one that is folded.
const AHEAD: usize = 4;

/// Why a partition cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal does not hold what it should, or cannot be read. If it is shorter than a snapshot, acknowledged
    /// records are lost.
    #[error("the journal of partition {partition} cannot be recovered from")]
    Journal {
        /// Which partition.
        partition: PartitionId,
        /// Why.
        #[source]
        source: florin_journal::Error,
    },
    /// An entry cannot be folded.
    #[error(transparent)]
    Fold(#[from] fold::Error),
    /// A policy names rules that this binary does not have.
    #[error(
        "partition {partition} is decided by rules {rules}, this binary has rules up to {RULES_LATEST}: run a newer one"
    )]
    Rules {
        /// Which partition.
        partition: PartitionId,
        /// The rules named.
        rules: u32,
    },
    /// There is no thread to fold on.
    #[error("partition {partition} cannot be recovered: there is no thread for it")]
    Thread {
        /// Which partition.
        partition: PartitionId,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was told to give up.
    #[error("recovery of partition {0} was given up")]
    GivenUp(PartitionId),
}

/// A partition's state as of a record.
#[derive(Debug)]
pub struct Recovered {
    /// Which partition.
    pub partition: PartitionId,
    /// The state.
    pub state: State,
    /// The last record folded; `None`: not even genesis.
    pub last: Option<(u64, Hash)>,
    /// Entries folded since the snapshot.
    pub tail_entries: u64,
}

/// Recovers a partition as of the durable head. Reads only, but for snapshots that do not fit, which are deleted.
pub async fn recover<P: Provider>(
    provider: &P,
    partition: PartitionId,
    snapshots: Option<&Path>,
    progress: Option<&OnProgress>,
) -> Result<Recovered, Error> {
    let mut recovered = restore(provider, partition, snapshots).await?;
    let head = provider.head(partition).await.map_err(|source| Error::Journal { partition, source })?;
    recovered.follow(provider, head.index, progress, || false).await?;
    Ok(recovered)
}

/// The newest snapshot that fits the journal, or an empty state.
pub(crate) async fn restore<P: Provider>(
    provider: &P,
    partition: PartitionId,
    snapshots: Option<&Path>,
) -> Result<Recovered, Error> {
    let ledger = provider.ledger();
    let listed = snapshots.map(|dir| snapshot::list(dir, partition)).transpose();
    let paths = listed.unwrap_or_else(|error| {
        tracing::warn!(%partition, %error, "snapshots cannot be listed, the whole journal is folded");
        None
    });
    for path in paths.unwrap_or_default() {
        let unfit: Box<dyn std::error::Error> = match snapshot::load(&path, ledger.id, partition) {
            Err(error) => error.into(),
            Ok((_, state)) if state.partitions() != ledger.partitions => "it has another number of partitions".into(),
            Ok((header, state)) => match provider.confirm(partition, header.index, header.record).await {
                Ok(()) => {
                    let last = Some((header.index, header.record));
                    return Ok(Recovered { partition, state, last, tail_entries: 0 });
                }
                Err(error @ florin_journal::Error::Mismatch { .. }) => error.into(),
                Err(source) => return Err(Error::Journal { partition, source }),
            },
        };
        tracing::warn!(%partition, path = %path.display(), reason = %unfit, "a snapshot is thrown away");
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%partition, path = %path.display(), %error, "it cannot be deleted");
        }
    }
    let state = State::new(partition.0, ledger.partitions);
    Ok(Recovered { partition, state, last: None, tail_entries: 0 })
}

impl Recovered {
    /// Folds up to and including record `until`. After an error nothing is left to go on with.
    pub(crate) async fn follow<P: Provider>(
        &mut self,
        provider: &P,
        until: u64,
        progress: Option<&OnProgress>,
        given_up: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let partition = self.partition;
        let journal = |source| Error::Journal { partition, source };
        let mut next = self.last.map_or(0, |(index, _)| index + 1);
        if next > until {
            return Ok(());
        }
        let mut reader = provider.reader(partition, next).await.map_err(journal)?;
        let empty = State::new(partition.0, self.state.partitions());
        let folder = Folder::start(partition, mem::replace(&mut self.state, empty));
        let mut folder = folder.map_err(|source| Error::Thread { partition, source })?;
        while next <= until {
            if given_up() {
                return Err(Error::GivenUp(partition));
            }
            let record = reader.next().await.map_err(journal)?;
            self.tail_entries += folder.fold(&record).await?;
            self.last = Some((record.index(), record.hash()));
            next = record.index() + 1;
            if let Some(progress) = progress
                && (next > until || next.is_multiple_of(REPORT_RECORDS))
            {
                progress(Progress { partition, index: record.index(), last: until, entries: self.tail_entries });
            }
        }
        self.state = folder.finish();
        Ok(())
    }

    /// Refuses a state that this binary could not decide for.
    pub(crate) fn check_rules(&self) -> Result<(), Error> {
        let rules = self.state.rules();
        if rules > RULES_LATEST {
            return Err(Error::Rules { partition: self.partition, rules });
        }
        Ok(())
    }
}

/// The thread that folds. Stops once nothing more can come.
struct Folder {
    decoded: mpsc::Sender<Decoded>,
    /// What was folded, to be used again.
    used: blocking::Receiver<Decoded>,
    thread: JoinHandle<State>,
}

impl Folder {
    fn start(partition: PartitionId, mut state: State) -> io::Result<Self> {
        let (decoded, mut inbox) = mpsc::channel::<Decoded>(AHEAD);
        let (give_back, used) = blocking::channel();
        let thread = thread::Builder::new().name(format!("fold-{}", partition.0)).spawn(move || {
            while let Some(decoded) = inbox.blocking_recv() {
                decoded.fold(&mut state);
                // Nobody takes it back at the end.
                let _ = give_back.send(decoded);
            }
            state
        })?;
        Ok(Self { decoded, used, thread })
    }

    /// Decodes a record and leaves it to the thread; returns how many entries it has.
    async fn fold(&mut self, record: &Record) -> Result<u64, Error> {
        let mut decoded = self.used.try_recv().unwrap_or_default();
        let count = decoded.read(record)?;
        // If the thread has panicked, so does `finish`.
        let _ = self.decoded.send(decoded).await;
        Ok(count)
    }

    fn finish(self) -> State {
        drop(self.decoded);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
