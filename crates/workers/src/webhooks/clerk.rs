//! The clerk: answers operators in a process that sends no webhooks itself, from the store that it shares with those that do.
//!
//! What concerns an endpoint is written at once; what concerns a partition is an order, which its holder does within seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::PoisonError;
use std::time::Duration;

use florin_engine::ids::Position;
use secrecy::SecretString;
use tokio::time::MissedTickBehavior;

use super::client::Client;
use super::courier::SHOWN_MAX;
use super::delivery::{Cursor, Mark};
use super::desk::{Asked, EndpointShown, Inbox, Lag, Order, Shown};
use super::endpoint::{Endpoint, State, apply};
use super::id::MessageId;
use super::office::{Webhooks, forget_stored};
use super::order::{Standing, Task};
use super::shared::Shared;
use super::source::Source;
use super::store::{Kept, Store};
use super::{COMPANIES_MAX, Error, Options, now_ms};
use crate::bucket;

/// How often the lag is looked at.
const LAG_EVERY: Duration = Duration::from_secs(2);
/// How often an endpoint is set anew that somebody else has changed meanwhile.
const RACES_MAX: usize = 8;

impl Webhooks {
    /// Answers operators until `shutdown` resolves.
    pub async fn attend<S: Source>(
        source: S,
        store: Shared,
        options: Options,
        inbox: Inbox,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let client = Client::new(&options)?;
        let clerk = Clerk { source, store, options, client };
        let mut orders = inbox.orders.lock().await;
        let mut forget = tokio::time::interval(clerk.options.forget_every);
        let mut lag = tokio::time::interval(LAG_EVERY);
        for ticks in [&mut forget, &mut lag] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                Some(asked) = orders.recv() => clerk.answer(asked).await,
                _ = forget.tick() => clerk.forget().await,
                _ = lag.tick() => match clerk.lags().await {
                    Ok(lags) => *inbox.lags.lock().unwrap_or_else(PoisonError::into_inner) = lags,
                    Err(error) => tracing::debug!(%error, "the webhooks' lag is not known"),
                },
            }
        }
    }
}

struct Clerk<S> {
    source: S,
    store: Shared,
    options: Options,
    client: Client,
}

impl<S: Source> Clerk<S> {
    async fn answer(&self, asked: Asked) {
        // Whoever asked may have gone; that changes nothing.
        match asked {
            Asked::Put(order, reply) => {
                let _ = reply.send(self.put(order).await);
            }
            Asked::List(reply) => {
                let _ = reply.send(self.list().await);
            }
            Asked::Letters(reply) => {
                let _ = reply.send(self.letters().await);
            }
            Asked::Resend(id, reply) => {
                let _ = reply.send(self.resend(id).await);
            }
            Asked::Retry(id, reply) => {
                let _ = reply.send(self.of_letter(id, Task::Retry).await);
            }
            Asked::Discard(id, reply) => {
                let _ = reply.send(self.of_letter(id, Task::Discard).await);
            }
            Asked::Replay(company, from, reply) => {
                let _ = reply.send(self.replay(&company, from).await);
            }
        }
    }

    async fn endpoints(&self) -> Result<BTreeMap<String, Endpoint>, Error> {
        let rows = self.store.endpoints().await?;
        let read = |(company, bytes): (String, Vec<u8>)| {
            let endpoint = Endpoint::decode(&company, &bytes, &*self.options.seal)?;
            Ok((company, endpoint))
        };
        rows.into_iter().map(read).collect()
    }

    async fn enabled(&self, company: &str) -> Result<(), Error> {
        match self.endpoints().await?.get(company) {
            None => Err(Error::Unknown("endpoint")),
            Some(endpoint) if endpoint.state != State::Enabled => Err(Error::Disabled(company.to_owned())),
            Some(_) => Ok(()),
        }
    }

    async fn put(&self, order: Order) -> Result<(EndpointShown, Option<SecretString>), Error> {
        self.client.check(&order.url)?;
        let company = order.company.clone();
        if order.enabled {
            self.begin(&company).await?;
        }
        let mut races = 0;
        let made = loop {
            let mut endpoints = self.endpoints().await?;
            if endpoints.len() >= COMPANIES_MAX && !endpoints.contains_key(&company) {
                return Err(Error::Full);
            }
            let mut endpoint = endpoints.remove(&company).unwrap_or_else(|| Endpoint::new(&company));
            let made = apply(&mut endpoint, order.clone(), now_ms(), self.options.rotation)?;
            match self.store.put_endpoint(&company, endpoint.encode(&*self.options.seal)?).await {
                Ok(()) => break made,
                Err(Error::Bucket(bucket::Error::Changed { .. })) if races < RACES_MAX => races += 1,
                Err(error) => return Err(error),
            }
        };
        tracing::info!(company, new_secret = made.is_some(), "ops set a webhook endpoint");
        let shown = self.list().await?.into_iter().find(|shown| shown.company == company);
        Ok((shown.ok_or(Error::Unknown("endpoint"))?, made))
    }

    /// A new endpoint is told what happens from now on, whoever notices it when.
    async fn begin(&self, company: &str) -> Result<(), Error> {
        let mut at = Vec::new();
        for partition in 0..self.source.partitions() {
            if let Some(reached) = self.source.reached(partition)? {
                let cursor = Cursor { mark: Mark::end_of(reached.position), checkpoint: reached.checkpoint };
                at.push((partition, cursor));
            }
        }
        match self.store.begin(company, at).await {
            // Who holds a partition was faster.
            Err(Error::Bucket(bucket::Error::Changed { .. })) => Ok(()),
            begun => begun,
        }
    }

    async fn kept(&self) -> Result<Vec<(u16, Kept)>, Error> {
        let mut kept = Vec::new();
        for partition in 0..self.source.partitions() {
            kept.push((partition, self.store.load(partition).await?));
        }
        Ok(kept)
    }

    async fn list(&self) -> Result<Vec<EndpointShown>, Error> {
        let (endpoints, kept) = (self.endpoints().await?, self.kept().await?);
        let show = |endpoint: Endpoint| {
            let cursors = kept.iter().flat_map(|(partition, kept)| {
                let mine = kept.cursors.iter().filter(|(company, _)| *company == endpoint.company);
                mine.map(|(_, cursor)| (*partition, cursor.mark.done()))
            });
            let mine = || {
                let all = kept.iter().flat_map(|(_, kept)| &kept.deliveries);
                all.filter(|delivery| delivery.company == endpoint.company)
            };
            let dead = mine().filter(|delivery| delivery.died_ms.is_some()).count();
            EndpointShown {
                company: endpoint.company.clone(),
                url: endpoint.url.clone(),
                state: endpoint.state,
                secrets: endpoint.signing(now_ms()).count(),
                changed_ms: endpoint.changed_ms,
                positions: cursors.collect(),
                waiting: mine().count() - dead,
                dead,
                delivered_ms: None,
                failed: None,
                deliveries: mine().take(SHOWN_MAX.0).map(|delivery| self.shown(delivery)).collect(),
            }
        };
        Ok(endpoints.into_values().map(show).collect())
    }

    fn shown(&self, delivery: &super::Delivery) -> Shown {
        Shown::of(MessageId::new(self.options.ledger, delivery.partition(), delivery.mark), delivery)
    }

    async fn letters(&self) -> Result<Vec<Shown>, Error> {
        let kept = self.kept().await?;
        let all = kept.iter().flat_map(|(_, kept)| &kept.deliveries);
        let dead = all.filter(|delivery| delivery.died_ms.is_some());
        let mut letters: Vec<Shown> = dead.map(|delivery| self.shown(delivery)).collect();
        letters.sort_by_key(|letter| letter.died_ms);
        Ok(letters)
    }

    async fn resend(&self, id: MessageId) -> Result<(), Error> {
        if MessageId::new(self.options.ledger, id.partition, id.mark) != id {
            return Err(Error::Unknown("webhook"));
        }
        for company in self.endpoints().await?.into_keys() {
            if self.source.due(id.partition, &company, id.mark)?.is_some() {
                self.enabled(&company).await?;
                return self.order(id.partition, company, Task::Resend, id.mark).await;
            }
        }
        Err(Error::Unknown("webhook"))
    }

    async fn of_letter(&self, id: MessageId, task: Task) -> Result<(), Error> {
        let ours = MessageId::new(self.options.ledger, id.partition, id.mark) == id;
        let letter = if ours { self.store.delivery(id.partition, id.mark).await? } else { None };
        let letter = letter.filter(|letter| letter.died_ms.is_some()).ok_or(Error::Unknown("dead letter"))?;
        self.order(id.partition, letter.company, task, id.mark).await
    }

    async fn replay(&self, company: &str, from: Vec<(u16, Position)>) -> Result<(), Error> {
        self.enabled(company).await?;
        tracing::warn!(company, ?from, "ops replay webhooks");
        for (partition, position) in from {
            let mark = Mark { position, number: 0 };
            self.order(partition, company.to_owned(), Task::Replay, mark).await?;
        }
        Ok(())
    }

    async fn order(&self, partition: u16, company: String, task: Task, mark: Mark) -> Result<(), Error> {
        tracing::info!(company, ?task, partition, position = %mark.position, "ops order webhooks");
        self.store.order(&Standing { partition, company, task, mark }).await
    }

    /// Has the source forget what is old and sent by whoever sends.
    async fn forget(&self) {
        if let Err(error) = self.forget_now().await {
            tracing::debug!(%error, "what is old is forgotten later");
        }
    }

    async fn forget_now(&self) -> Result<(), Error> {
        let endpoints = self.endpoints().await?.into_values();
        let enabled = endpoints.filter(|endpoint| endpoint.state == State::Enabled);
        let enabled: BTreeSet<String> = enabled.map(|endpoint| endpoint.company).collect();
        for partition in 0..self.source.partitions() {
            forget_stored(&self.source, &self.store, &self.options, partition, &enabled).await?;
        }
        Ok(())
    }

    async fn lags(&self) -> Result<Vec<Lag>, Error> {
        let (endpoints, cursors) = (self.endpoints().await?, self.store.cursors().await?);
        let enabled: BTreeSet<&String> =
            endpoints.iter().filter(|(_, of)| of.state == State::Enabled).map(|(company, _)| company).collect();
        let mut lags = Vec::new();
        for partition in 0..self.source.partitions() {
            let Some(reached) = self.source.reached(partition)? else { continue };
            let of = cursors.iter().filter(|(of, company, _)| *of == partition && enabled.contains(company));
            let at = of.map(|(_, _, cursor)| cursor.mark.done()).min();
            let position = at.unwrap_or(reached.position).min(reached.position);
            let behind = reached.position.index().saturating_sub(position.index());
            lags.push(Lag { partition, position, behind_records: behind + self.source.lag(partition) });
        }
        Ok(lags)
    }
}
