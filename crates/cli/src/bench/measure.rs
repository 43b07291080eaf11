//! The run between set-up and check: commands are driven, what follows them is waited for, and all of it is timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use florin_journal::Provider;
use metrics_exporter_prometheus::PrometheusHandle;

use super::args::Bench;
use super::authorizations::{self, Told};
use super::bar::{bar, bars};
use super::bed::{self, Bed};
use super::front::Front;
use super::http::{self, Ask};
use super::load::{self, Done, Range};
use super::process;
use super::reads::{self, Read, Reading};
use super::report::{Reads, Settlement, Views, rate};
use super::script::Script;
use super::settling::Settling;
use crate::failure::Failure;

/// Who drives what.
pub(super) struct Load<'a, P> {
    pub(super) args: &'a Bench,
    pub(super) script: &'a Arc<Script>,
    pub(super) bed: &'a Bed<P>,
    pub(super) front: Option<&'a Front>,
    pub(super) settling: Option<&'a Settling>,
}

/// What the measured part came to.
pub(super) struct Measured {
    pub(super) done: Done,
    pub(super) told: Told,
    pub(super) views: Option<Views>,
    pub(super) settlement: Option<Settlement>,
    pub(super) reads: Option<Read>,
}

impl<P: Provider> Load<'_, P> {
    /// Drives commands, with the issuer's authorizations from number `authorization` on beside them.
    pub(super) async fn drive(
        &self,
        doing: &'static str,
        first: u64,
        commands: u64,
        authorization: u64,
    ) -> Result<(Done, Told), Failure> {
        let progress = bar(doing, commands);
        let range = Range { first, end: first + commands, batch: self.args.batch() };
        let clients = self.args.clients();
        let issuer = match (self.front, self.args.authorizations) {
            (Some(front), Some(rate)) => Some(authorizations::start(front, self.script, rate, authorization).await?),
            _ => None,
        };
        let done = match self.front {
            Some(front) if self.args.http => {
                http::drive(front, self.script, &Arc::new(Ask::TopUp), range, clients, &progress).await
            }
            _ => {
                let changes = self.settling.map(|settling| &settling.changes);
                load::drive(&self.bed.handle, self.script, range, clients, changes, &progress).await
            }
        };
        progress.finish_and_clear();
        let told = match issuer {
            Some(issuer) => issuer.stop().await?,
            None => Told::default(),
        };
        Ok((done?, told))
    }

    /// Waits until the views show what is accepted and the changes of commands `0..end` are settled; how long each took.
    async fn drained(&self, end: u64) -> Result<[Duration; 2], Failure> {
        let begun = Instant::now();
        let changes = self.script.changes(end);
        let [views, settlement] = bars([("views follow", 0), ("settlement follows", changes)]);
        let shown = async { self.bed.drain(&views).await.map(|()| begun.elapsed()) };
        let settled = async {
            match self.settling {
                Some(settling) => settling.drain(changes, &settlement).await.map(|()| begun.elapsed()),
                None => Ok(Duration::ZERO),
            }
        };
        let (shown, settled) = tokio::try_join!(shown, settled)?;
        settlement.finish_and_clear();
        if self.settling.is_some() {
            // What settled meanwhile is to be seen too.
            self.bed.drain(&views).await?;
        }
        views.finish_and_clear();
        Ok([shown, settled])
    }

    /// The same, of a part that is not measured.
    pub(super) async fn drain(&self, end: u64) -> Result<(), Failure> {
        self.drained(end).await.map(drop)
    }

    /// The measured part: until the last answer, and until views and settlement are at it.
    pub(super) async fn measure(
        &self,
        recorder: &PrometheusHandle,
        first: u64,
        authorization: u64,
    ) -> Result<Measured, Failure> {
        let commands = self.args.commands();
        let rows = bed::rows(recorder);
        let reading = match (&self.bed.views, self.args.reads()) {
            (Some(views), per_second @ 1..) => Some(reads::start(views, self.script, per_second)?),
            _ => None,
        };
        let used = process::used();
        let (mut done, told) = self.drive("topping up", first, commands, authorization).await?;
        done.processor_us = process::each_us(used, commands);
        // From the first request on, once there were connections, to the last answer.
        let accepted = done.elapsed.max(told.elapsed);
        let [shown, settled] = self.drained(first + commands).await?;
        let reads = reading.map(Reading::stop).transpose()?;
        let views = self.bed.views.as_ref().map(|_| Views {
            drain_s: shown.as_secs_f64(),
            caught_up_per_s: rate(commands, accepted + shown),
            rows_per_s: rate(bed::rows(recorder) - rows, accepted + shown.max(settled)),
        });
        let changes = self.script.changes(first + commands) - self.script.changes(first);
        let settlement = self.settling.map(|_| Settlement {
            drain_s: settled.as_secs_f64(),
            changes,
            settled_per_s: rate(changes, accepted + settled),
        });
        Ok(Measured { done, told, views, settlement, reads })
    }

    /// Reads over HTTP, with nothing written beside them: card lists, then single cards.
    pub(super) async fn read(&self) -> Result<(Option<Reads>, Option<Reads>), Failure> {
        let Some(front) = self.front.filter(|_| self.args.http) else { return Ok((None, None)) };
        let lists = self.read_as("reading card lists", front, Ask::cards(self.script)).await?;
        let cards = self.read_as("reading cards", front, Ask::card(self.script, front)?).await?;
        Ok((Some(lists), Some(cards)))
    }

    async fn read_as(&self, doing: &'static str, front: &Front, ask: Ask) -> Result<Reads, Failure> {
        let (reads, ask, clients) = (self.args.commands(), Arc::new(ask), self.args.clients());
        let warm_up = Range { first: 0, end: self.args.warm_up(), batch: 1 };
        let progress = bar(doing, warm_up.end + reads);
        let measured = Range { first: warm_up.end, end: warm_up.end + reads, batch: 1 };
        http::drive(front, self.script, &ask, warm_up, clients, &progress).await?;
        let used = process::used();
        let mut done = http::drive(front, self.script, &ask, measured, clients, &progress).await?;
        progress.finish_and_clear();
        let processor_us = process::each_us(used, reads);
        Ok(Reads { per_s: rate(reads, done.elapsed), processor_us, latency: done.latencies.percentiles() })
    }
}
