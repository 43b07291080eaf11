//! What goes out to partners and staff: the stores of webhooks and mail, in files of this process or shared on NATS, and how
//! their workers are started.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use florin_engine::ids::AccountId;
use florin_engine::money::Sealed;
use florin_gateway::ops::requests::MESSAGE_CONTEXT;
use florin_journal::{LedgerId, Provider};
use florin_projector::{DueKeep, Views};
use florin_vault::{MasterKey, Sealing, Vault};
use florin_workers::mail::{self, Outbox};
use florin_workers::webhooks::{self, Desk, Embedded, Error, Seal, Shared, Source};
use florin_workers::{Mail, Webhooks};
use tokio::sync::watch;

use super::running::Tasks;
use super::stack::persist;
use crate::causes;
use crate::config::{self, Config};
use crate::data::Data;
use crate::failure::Failure;

/// Context of the key that seals the endpoints' secrets.
const SECRETS: &str = "florin vault 2026 webhook secrets v1";
/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// How often it is looked how far the mail of other processes is.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Where the webhooks are kept.
#[derive(Clone)]
enum Store {
    Own(Embedded),
    Shared(Shared),
}

/// Stores of what goes out.
#[derive(Clone)]
pub(crate) struct Outbound {
    ledger: LedgerId,
    seal: Arc<dyn Seal>,
    webhooks: Store,
    pub(super) outbox: Outbox,
}

impl Outbound {
    /// Opens the stores in a data directory, and compares them with the journal before anything is written to that.
    pub(crate) async fn open<P: Provider>(data: &Data, journal: &P, master: &MasterKey) -> Result<Self, Failure> {
        let ledger = journal.ledger().id;
        let webhooks = Embedded::open(&data.webhooks(), ledger).map_err(causes::webhooks_store)?;
        let outbox = Outbox::open(&data.mail(), ledger).map_err(causes::mail_store)?;
        Webhooks::confirm(journal, &webhooks).await.map_err(causes::webhooks_store)?;
        Mail::confirm(journal, &outbox).await.map_err(causes::mail_store)?;
        Ok(Self { ledger, seal: seal(master), webhooks: Store::Own(webhooks), outbox })
    }

    /// Opens the stores that the processes of a ledger on NATS share, and compares them with the journal.
    pub(crate) async fn open_shared<P: Provider>(
        config: &Config,
        client: Client,
        journal: &P,
        master: &MasterKey,
    ) -> Result<Self, Failure> {
        let ledger = journal.ledger().id;
        let (webhooks, outbox) = make_shared(config, client, ledger).await?;
        Webhooks::confirm(journal, &webhooks).await.map_err(causes::webhooks_store)?;
        Mail::confirm(journal, &outbox).await.map_err(causes::mail_store)?;
        Ok(Self { ledger, seal: seal(master), webhooks: Store::Shared(webhooks), outbox })
    }

    /// Tells the views which of what is due must be kept, before they are brought up.
    pub(crate) async fn keep(&self, config: &Config, views: &Views) -> Result<(), Failure> {
        match &self.webhooks {
            Store::Own(store) => keep(config, store, views).await,
            Store::Shared(store) => keep(config, store, views).await,
        }
    }

    /// Starts the webhooks; what ops ask of them.
    pub(super) fn tell_companies(
        &self,
        config: &Config,
        source: impl Source,
        held: Option<watch::Receiver<BTreeSet<u16>>>,
        persistent: bool,
        workers: &mut Tasks,
    ) -> Desk {
        match &self.webhooks {
            Store::Own(store) => self.tell(store, config, source, held, persistent, workers),
            // What is known of revisions is a worker's own.
            Store::Shared(store) => self.tell(&store.anew(), config, source, held, persistent, workers),
        }
    }

    fn tell<T: webhooks::Store>(
        &self,
        store: &T,
        config: &Config,
        source: impl Source,
        held: Option<watch::Receiver<BTreeSet<u16>>>,
        persistent: bool,
        workers: &mut Tasks,
    ) -> Desk {
        let (desk, inbox) = Desk::open();
        let (options, store) = (self.options(config), store.clone());
        let stop = workers.told();
        workers.spawn(persist(persistent, stop, move |stop| {
            let (source, store, options) = (source.clone(), store.clone(), options.clone());
            let (inbox, held) = (inbox.clone(), held.clone());
            async move {
                let told = Webhooks::run(source, store, options, inbox, held, stop).await;
                told.map_err(|error| (causes::webhooks_passing(&error), causes::webhooks(error)))
            }
        }));
        desk
    }

    /// What ops ask of webhooks that other processes may send too; `own`: what they ask of those here.
    pub(super) fn answer_ops(
        &self,
        config: &Config,
        source: impl Source,
        own: Option<Desk>,
        workers: &mut Tasks,
    ) -> Option<Desk> {
        let Store::Shared(store) = &self.webhooks else { return own };
        let (desk, inbox) = Desk::open();
        let (options, store, stop) = (self.options(config), store.anew(), workers.told());
        workers.spawn(
            async move { Webhooks::attend(source, store, options, inbox, stop).await.map_err(causes::webhooks) },
        );
        let (outbox, stop) = (self.outbox.clone(), workers.told());
        workers.spawn(async move {
            let look = async {
                loop {
                    if let Err(error) = outbox.look().await {
                        tracing::debug!(%error, "how far mail is cannot be seen");
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            };
            tokio::select! {
                () = stop => Ok(()),
                () = look => Ok(()),
            }
        });
        Some(desk)
    }

    /// Starts the mail worker.
    #[expect(clippy::too_many_arguments, reason = "what it works with, one by one")]
    pub(super) fn send_mail<P: Provider>(
        &self,
        config: &config::outbound::Mail,
        handle: florin_processor::Handle,
        journal: P,
        vault: Vault,
        held: Option<watch::Receiver<BTreeSet<u16>>>,
        persistent: bool,
        workers: &mut Tasks,
    ) {
        let (options, outbox, opener) = (config.options(), self.outbox.clone(), Arc::new(Appeals(vault)));
        let stop = workers.told();
        workers.spawn(persist(persistent, stop, move |stop| {
            let (handle, journal, opener) = (handle.clone(), journal.clone(), Arc::clone(&opener));
            let (outbox, options, held) = (outbox.clone(), options.clone(), held.clone());
            async move {
                let sent = Mail::run(handle, journal, opener, outbox, options, held, stop).await;
                sent.map_err(|error| (causes::mail_passing(&error), causes::mail(error)))
            }
        }));
    }

    /// The webhook worker's settings.
    pub(super) fn options(&self, config: &Config) -> webhooks::Options {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        let of = &config.webhooks;
        webhooks::Options {
            schedule: of.schedule.clone(),
            timeout: Duration::from_millis(of.timeout_ms),
            concurrency: of.concurrency,
            window: of.window,
            allow_private: of.allow_private,
            allow_http: of.allow_http,
            rotation: hours(of.rotation_hours),
            replay: hours(of.replay_hours),
            ..webhooks::Options::new(self.ledger, Arc::clone(&self.seal))
        }
    }
}

/// As [`Outbound::keep`], of a data directory that no server uses.
pub(crate) async fn keep_of(config: &Config, data: &Data, ledger: LedgerId, views: &Views) -> Result<(), Failure> {
    let webhooks = Embedded::open(&data.webhooks(), ledger).map_err(causes::webhooks_store)?;
    keep(config, &webhooks, views).await
}

/// Opens the stores that the processes of a ledger on NATS share, or makes them.
pub(crate) async fn make_shared(
    config: &Config,
    client: Client,
    ledger: LedgerId,
) -> Result<(Shared, Outbox), Failure> {
    let (name, replicas) = (&config.nats.ledger, config.nats.replicas);
    let webhooks = Shared::open(client.clone(), name, ledger, replicas).await.map_err(causes::webhooks_store)?;
    let outbox = Outbox::shared(client, name, ledger, replicas).await.map_err(causes::mail_store)?;
    Ok((webhooks, outbox))
}

fn seal(master: &MasterKey) -> Arc<dyn Seal> {
    Arc::new(Secrets(master.sealing(SECRETS)))
}

async fn keep(config: &Config, webhooks: &impl webhooks::Store, views: &Views) -> Result<(), Failure> {
    let since_ms = now_ms().saturating_sub(config.webhooks.replay_hours * HOUR_MS);
    for partition in 0..views.partitions() {
        let needed = Webhooks::needed(webhooks, partition).await.map_err(causes::webhooks_store)?;
        views.keep_due(partition, DueKeep { since_ms, needed });
    }
    Ok(())
}

/// Seals endpoints' secrets under the master key.
struct Secrets(Sealing);

impl Seal for Secrets {
    fn seal(&self, company: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.seal(company, secret).map_err(|error| Error::Secret(Box::new(error)))
    }

    fn open(&self, company: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let opened = self.0.open(company, sealed).map_err(|error| Error::Secret(Box::new(error)))?;
        Ok(opened.to_vec())
    }
}

/// Opens appeals for the mail worker.
pub(super) struct Appeals(pub(super) Vault);

impl mail::Opener for Appeals {
    fn open(
        &self,
        account: AccountId,
        message: &Sealed,
    ) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
        match self.0.open_sealed(account.0, MESSAGE_CONTEXT, &message.0) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(florin_vault::Error::Erased | florin_vault::Error::Unknown) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The wall clock, ms since 1970.
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
