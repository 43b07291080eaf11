//! The follower: reads every partition of a journal and applies it to the views, one task a partition.
//!
//! Records are applied on a thread of each partition's own, and stored by another. A record that comes alone is applied at once. While they come one after
//! the other, those of some milliseconds are applied together, in batches of a few thousand rows: what they change in common is then
//! written once. A reader who waits for its own write ends that time, so nobody waits for longer than it takes to write.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use florin_journal::{PartitionId, Provider, Reader as _};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use crate::{Error, Views, applier::Applier, fold::Fold};

/// How often the journal's end is looked up, for the lag.
const HEAD_EVERY: Duration = Duration::from_millis(250);
/// Bytes of records applied together at most; what has so much to apply is behind, and gathers no longer.
const GATHER_BYTES_MAX: usize = 1 << 20;

/// How far a partition has come, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which partition.
    pub partition: u16,
    /// Records applied.
    pub applied: u64,
    /// Records in the journal, as last seen.
    pub records: u64,
}

type Report = Arc<dyn Fn(Progress) + Send + Sync>;

/// Applies a journal to views. The only one that writes them: [`Views::open`] holds their lock.
#[derive(Clone)]
pub struct Projector<P> {
    provider: P,
    views: Views,
    report: Option<Report>,
}

impl<P: Provider> Projector<P> {
    /// A follower of the journal that `views` were opened with.
    pub fn new(provider: P, views: Views) -> Self {
        Self { provider, views, report: None }
    }

    /// Calls `report` as partitions catch up; not any more once they have.
    #[must_use]
    pub fn on_progress(mut self, report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.report = Some(Arc::new(report));
        self
    }

    /// Follows until `shutdown` resolves, then brings what is applied to disk. An error ends all partitions; after one that
    /// [is damage](Error::is_damage) the next opening rebuilds the views.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let (stop, stopped) = watch::channel(false);
        let mut partitions = self.start(&stopped, false);
        tokio::pin!(shutdown);
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                () = &mut shutdown, if !*stop.borrow() => {
                    stop.send_replace(true);
                }
                ended = partitions.join_next() => match ended {
                    None => break,
                    Some(ended) => {
                        outcome = outcome.and(joined(ended));
                        stop.send_replace(true);
                    }
                },
            }
        }
        outcome.and_then(|()| self.views.flush())
    }

    /// Applies what the journal holds now, and returns.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let (_stop, stopped) = watch::channel(false);
        let mut partitions = self.start(&stopped, true);
        let mut outcome = Ok(());
        while let Some(ended) = partitions.join_next().await {
            outcome = outcome.and(joined(ended));
        }
        outcome.and_then(|()| self.views.flush())
    }

    fn start(&self, stopped: &watch::Receiver<bool>, once: bool) -> JoinSet<Result<(), Error>> {
        let mut partitions = JoinSet::new();
        for partition in 0..self.views.partitions() {
            let (follower, stopped) = (self.clone(), stopped.clone());
            partitions.spawn(async move {
                let outcome = follower.follow(partition, stopped, once).await;
                follower.views.sound(outcome)
            });
        }
        partitions
    }

    async fn follow(&self, partition: u16, mut stopped: watch::Receiver<bool>, once: bool) -> Result<(), Error> {
        let journal = PartitionId(partition);
        let fold = Fold::resume(&self.views, partition)?;
        let reader = self.provider.reader(journal, fold.next_index()).await?;
        let mut applier = Applier::start(partition, fold)?;
        let outcome = self.apply(partition, reader, &mut applier, &mut stopped, once).await;
        let ended = applier.end(outcome.is_ok()).await;
        outcome.and(ended)
    }

    async fn apply(
        &self,
        partition: u16,
        mut reader: P::Reader,
        applier: &mut Applier,
        stopped: &mut watch::Receiver<bool>,
        once: bool,
    ) -> Result<(), Error> {
        let journal = PartitionId(partition);
        let mut looked = self.look(journal).await?;
        let mut next = reader.try_next().await?;
        let mut not_before = Instant::now();
        let mut catching_up = true;
        while !*stopped.borrow() {
            if looked.elapsed() >= HEAD_EVERY {
                looked = self.look(journal).await?;
            }
            let Some(first) = next.take() else {
                if catching_up {
                    self.progress(partition);
                    catching_up = false;
                }
                if once {
                    break;
                }
                tokio::select! {
                    record = reader.next() => next = Some(record?),
                    _ = stopped.changed() => break,
                    error = applier.failed() => return Err(error),
                    () = tokio::time::sleep(HEAD_EVERY) => {}
                }
                continue;
            };
            tokio::select! {
                biased;
                () = self.views.waited_for(partition) => {}
                () = tokio::time::sleep_until(not_before.into()) => {}
                _ = stopped.changed() => {}
            }
            let begun = Instant::now();
            let mut bytes = first.bytes().len();
            let mut records = vec![first];
            while bytes < GATHER_BYTES_MAX {
                let Some(record) = reader.try_next().await? else { break };
                bytes += record.bytes().len();
                records.push(record);
            }
            not_before = if bytes < GATHER_BYTES_MAX { begun + self.views.0.gather } else { begun };
            self.views.publish_end(partition, records[records.len() - 1].index());
            applier.apply(records).await?;
            if catching_up {
                self.progress(partition);
            }
            next = reader.try_next().await?;
        }
        Ok(())
    }

    /// Notes where the journal ends now.
    async fn look(&self, journal: PartitionId) -> Result<Instant, Error> {
        let head = self.provider.head(journal).await?;
        self.views.publish_end(journal.0, head.index);
        let lag = self.views.lag(journal.0);
        metrics::gauge!("florin_views_lag_records", "partition" => journal.0.to_string()).set(lag as f64);
        Ok(Instant::now())
    }

    fn progress(&self, partition: u16) {
        if let Some(report) = &self.report {
            let (applied, records) = self.views.records(partition);
            report(Progress { partition, applied, records });
        }
    }
}

fn joined(ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    ended.unwrap_or(Err(Error::Panicked))
}

#[cfg(test)]
mod tests {
    use florin_journal::{SigningKey, embedded::Embedded};

    use super::*;
    use crate::Options;

    /// Nothing more comes from the journal, so nobody would find out otherwise.
    #[tokio::test]
    async fn a_store_that_fails_ends_an_idle_follower() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("journal");
        Embedded::create(&place, 1, SigningKey::from_bytes(&[7; 32])).expect("a ledger");
        let journal = Embedded::open(&place, SigningKey::from_bytes(&[7; 32])).expect("a journal");
        let options = Options { behind: Duration::from_millis(50), ..Options::default() };
        let (views, _) = Views::open(&dir.path().join("views"), &journal, options).await.expect("views");
        // A store that takes no more:
        assert!(views.0.db.drop_tree("batches").expect("dropped"));
        let following = Projector::new(journal, views).run(std::future::pending());
        let ended = tokio::time::timeout(Duration::from_mins(1), following).await.expect("it ends by itself");
        assert!(matches!(ended, Err(Error::Store(_))), "{ended:?}");
    }
}
