//! What a run loads: a ledger of its own, on segment files or on NATS, its processors, and views that follow.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::ids::Position;
use florin_issuer::sandbox::Sandbox;
use florin_journal::{Provider, SigningKey, embedded::Embedded};
use florin_processor::{Handle, Options, Processor, Running};
use florin_projector::{Projector, Views};
use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::args::Bench;
use super::people;
use super::script::Script;
use super::settling;
use crate::causes;
use crate::failure::{Exit, Failure};

/// Users made by one batch.
const USERS_PER_BATCH: usize = 2_000;
/// Bounds the wait for views and settlement that follow a whole run.
pub(super) const DRAIN_MAX: Duration = Duration::from_hours(4);
/// How often a bar moves meanwhile.
const BAR_EVERY: Duration = Duration::from_millis(200);

/// Everything that runs.
pub(super) struct Bed<P> {
    pub(super) journal: P,
    pub(super) handle: Handle,
    processor: Running,
    pub(super) views: Option<Views>,
    projector: Option<JoinHandle<Result<(), florin_projector::Error>>>,
    stop: watch::Sender<bool>,
}

/// Writes genesis.
pub(super) fn create(dir: &Path, args: &Bench) -> Result<(), Failure> {
    let made = Embedded::create(&dir.join("journal"), args.partitions, signing());
    made.map(drop).map_err(|error| causes::journal("make the ledger", error))
}

/// Nobody relies on a ledger that is thrown away, so its key need not be secret.
pub(super) fn signing() -> SigningKey {
    SigningKey::from_bytes(&[0xBE; 32])
}

/// Opens the journal of segment files.
pub(super) fn journal(dir: &Path) -> Result<Embedded, Failure> {
    Embedded::open(&dir.join("journal"), signing()).map_err(|error| causes::journal("open the journal", error))
}

impl<P: Provider> Bed<P> {
    pub(super) async fn open(dir: &Path, args: &Bench, journal: P) -> Result<Self, Failure> {
        let (stop, _) = watch::channel(false);
        let (mut views, mut projector) = (None, None);
        if !args.no_views {
            let failed = |error| causes::views("open the views", error);
            let (opened, _) = Views::open(&dir.join("views"), &journal, florin_projector::Options::default())
                .await
                .map_err(failed)?;
            let mut told = stop.subscribe();
            projector = Some(tokio::spawn(Projector::new(journal.clone(), opened.clone()).run(async move {
                let _ = told.wait_for(|stop| *stop).await;
            })));
            views = Some(opened);
        }
        let snapshots = (!args.no_snapshots).then(|| dir.join("snapshots"));
        let options = Options { snapshots, ..Options::default() };
        let partitions = journal.ledger().partitions();
        let started = Processor::start(journal.clone(), partitions, options).await;
        let (handle, processor) = started.map_err(causes::start)?;
        Ok(Self { journal, handle, processor, views, projector, stop })
    }

    /// Makes the policy and everybody; their cards by the issuer, if it is to know them.
    pub(super) async fn set_up(
        &self,
        script: &Script,
        issuer: Option<&Arc<Sandbox>>,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        for (partition, users) in (0_u16..).zip(&script.users) {
            self.handle.submit(script.adopt(partition)).await.map_err(refused)?;
            for users in users.chunks(USERS_PER_BATCH) {
                let cards = match issuer {
                    Some(issuer) => settling::issue(issuer, users, script.cards).await?,
                    None => HashMap::new(),
                };
                let card = |card| cards.get(&card).cloned().unwrap_or_else(people::unmade);
                let made = users.iter().map(|user| script.user(user, card)).collect::<Result<Vec<_>, _>>()?;
                let envelopes = made.into_iter().flatten().collect();
                let replies = self.handle.submit_batch(partition, envelopes).await.map_err(refused)?;
                replies.iter().try_for_each(super::load::accepted)?;
                bar.inc(users.len() as u64 * script.commands_per_user());
            }
        }
        Ok(())
    }

    /// Waits until the views show all that is durable now.
    pub(super) async fn drain(&self, bar: &ProgressBar) -> Result<(), Failure> {
        let Some(views) = &self.views else { return Ok(()) };
        let mut ends = Vec::new();
        for partition in self.journal.ledger().partitions() {
            let failed = |error| causes::journal("read the end of the journal", error);
            let head = self.journal.head(partition).await.map_err(failed)?;
            let last = self.journal.read(partition, head.index).await.map_err(failed)?;
            let entry = u32::try_from(last.len().saturating_sub(1)).unwrap_or(u32::MAX);
            ends.push((partition.0, Position::new(head.index, entry)));
        }
        let records =
            |(partition, end): &(u16, Position)| end.index().saturating_sub(views.position(*partition).index());
        let behind = || ends.iter().map(records).sum::<u64>();
        let all = behind();
        bar.set_length(all);
        let mut tick = tokio::time::interval(BAR_EVERY);
        for (partition, end) in &ends {
            let shown = views.wait(*partition, *end, DRAIN_MAX);
            tokio::pin!(shown);
            let shown = loop {
                tokio::select! {
                    shown = &mut shown => break shown,
                    _ = tick.tick() => bar.set_position(all.saturating_sub(behind())),
                }
            };
            shown.map_err(|late| Failure::new(Exit::Stopped, "the views do not come up").because(late))?;
        }
        Ok(())
    }

    /// Stops all of it, in the order that loses nothing.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.processor.stop().await.map_err(causes::stopped)?;
        self.stop.send_replace(true);
        if let Some(projector) = self.projector {
            let panicked = |cause| Failure::new(Exit::Stopped, "the projector panicked").because(cause);
            let ended = projector.await.map_err(panicked)?;
            ended.map_err(|error| causes::views("follow the journal", error))?;
        }
        Ok(())
    }
}

/// A command had no outcome.
pub(super) fn refused(cause: florin_processor::Error) -> Failure {
    Failure::new(Exit::Stopped, "the processor gave no outcome").because(cause)
}

/// Rows written to the views so far; 0 where it cannot be told.
pub(super) fn rows(metrics: &metrics_exporter_prometheus::PrometheusHandle) -> u64 {
    let text = metrics.render();
    let value = text.lines().find_map(|line| line.strip_prefix("florin_views_rows_total "));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
