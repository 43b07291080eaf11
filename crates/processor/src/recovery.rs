//! Recovery: the newest snapshot that fits the journal, and the journal's tail folded over it.

use std::fs;
use std::path::Path;

use florin_engine::{policy::RULES_LATEST, state::State};
use florin_journal::{Hash, PartitionId, Provider, Reader};

use crate::options::{OnProgress, Progress};
use crate::{fold, snapshot};

/// Records between two reports of progress.
const REPORT_RECORDS: u64 = 256;

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
    /// Folds up to and including record `until`.
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
        while next <= until {
            if given_up() {
                return Err(Error::GivenUp(partition));
            }
            let record = reader.next().await.map_err(journal)?;
            self.tail_entries += fold::fold(&mut self.state, &record)?;
            self.last = Some((record.index(), record.hash()));
            next = record.index() + 1;
            if let Some(progress) = progress
                && (next > until || next.is_multiple_of(REPORT_RECORDS))
            {
                progress(Progress { partition, index: record.index(), last: until, entries: self.tail_entries });
            }
        }
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
