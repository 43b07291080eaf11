//! The parts of the server, opened in the order in which they need each other.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use florin_gateway::Ports;
use florin_gateway::http::{metrics, serve as http_serve};
use florin_issuer::sandbox::{self, BehaviourUpdate, Sandbox};
use florin_issuer::signature;
use florin_issuer::{Http, Issuer, http};
use florin_journal::Provider;
use florin_journal::embedded::Embedded;
use florin_processor::{Handle, Processor};
use florin_projector::{Projector, Views};
use florin_vault::{MasterKey, Vault};
use florin_workers::{Clock, Settlement, clock, queue, settlement};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;

use super::{Running, Tasks, connections, letters, routers};
use crate::command::ledger;
use crate::config::{self, Config};
use crate::data::{Content, Data};
use crate::failure::{Exit, Failure};
use crate::progress::Meter;
use crate::{causes, secrets};

/// Everything that is open and not yet serving.
pub(super) struct Stack {
    journal: Embedded,
    vault: Vault,
    views: Views,
    handle: Handle,
    processor: florin_processor::Running,
    issuer: Arc<dyn Issuer>,
    sandbox: Option<Arc<Sandbox>>,
    queue: queue::Embedded,
}

impl Stack {
    /// Opens the ledger (makes it in an empty directory), recovers the processor, and brings the views to its end.
    pub(super) async fn open(config: &Config, data: &Data) -> Result<Self, Failure> {
        if data.content()? == Content::Nothing {
            let ledger = ledger::make(config, data)?;
            tracing::info!(ledger = %ledger.id, partitions = ledger.partitions, "made a new ledger");
        }
        let master = secrets::master_key(&config.master_key_file(data), false)?;
        let signing = secrets::signing_key(&config.signing_key_file(data), false)?;
        let journal =
            Embedded::open(&data.journal(), signing).map_err(|error| causes::journal("open the journal", error))?;
        let vault = Vault::open(&data.vault(), &master).map_err(causes::vault)?;
        // Whatever remembers the journal is compared with it before the processor may write to it: the views, the
        // settlement's queue, and, by the processor itself, the snapshots.
        let views = open_views(config, data, &journal).await?;
        let ledger = journal.ledger().id;
        let queue =
            queue::Embedded::open(&data.settlement(), ledger, queue::Settings::default()).map_err(causes::queue)?;
        Settlement::confirm(&journal, &queue).await.map_err(causes::confirm)?;
        let (handle, processor) = start_processor(config, data, &journal).await?;
        catch_up(&journal, &views).await?;
        let (issuer, sandbox) = open_issuer(config, data, &master, &vault)?;
        Ok(Self { journal, vault, views, handle, processor, issuer, sandbox, queue })
    }

    /// Starts the followers, the workers and the listeners.
    pub(super) fn start(
        self,
        config: &Config,
        metrics: PrometheusHandle,
        public: TcpListener,
        ops: TcpListener,
        preparing: Arc<AtomicBool>,
    ) -> Result<Running, Failure> {
        let upkeep = tokio::spawn(metrics::upkeep(metrics.clone()));

        let mut views = Tasks::new();
        let projector = Projector::new(self.journal.clone(), self.views.clone()).run(views.told());
        views.spawn(async move {
            let followed = projector.await;
            followed.map_err(|error| causes::views("follow the journal", error).stopped())
        });

        let mut workers = Tasks::new();
        let settlement = Settlement::run(
            self.handle.clone(),
            self.journal,
            Arc::clone(&self.issuer),
            self.queue.clone(),
            settlement::Options {
                consumers: config.settlement.concurrency,
                call_timeout: Duration::from_millis(config.settlement.timeout_ms),
                tries_max: config.settlement.tries,
                ..settlement::Options::default()
            },
            workers.told(),
        );
        workers.spawn(async move { settlement.await.map_err(causes::settlement) });
        let clock = Clock::run(self.handle.clone(), clock::Options::default(), workers.told());
        workers.spawn(async move {
            clock.await;
            Ok(())
        });

        let ports = Ports {
            preparing,
            handle: self.handle,
            followers: Arc::new(self.views.clone()),
            views: self.views,
            vault: self.vault,
            issuer: self.issuer,
            dead_letters: Some(letters::of(self.queue)),
            sandbox: self.sandbox,
        };
        let mut listeners = Tasks::new();
        let (public_router, ops_router) = routers::both(config, ports, metrics)?;
        let drain = Duration::from_millis(config.gateway.drain_ms);
        let (public_most, ops_most) = connections::bounds();
        let mut listen = |listener: TcpListener, router, connections| {
            let failed = |cause| Failure::new(Exit::Stopped, "a listener failed").because(cause);
            let address = listener.local_addr().map_err(failed)?;
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            let settings = http_serve::Settings { drain, connections, ..http_serve::Settings::default() };
            let served = http_serve::serve_with(listener, router, settings, listeners.told());
            listeners.spawn(async move { served.await.map_err(failed) });
            Ok::<_, Failure>(address)
        };
        Ok(Running {
            public: listen(public, public_router, public_most)?,
            ops: listen(ops, ops_router, ops_most)?,
            listeners,
            workers,
            views,
            processor: self.processor,
            upkeep,
        })
    }
}

async fn open_views(config: &Config, data: &Data, journal: &Embedded) -> Result<Views, Failure> {
    let options =
        florin_projector::Options { cache_bytes: config.views.cache_mib << 20, ..florin_projector::Options::default() };
    let opened = Views::open(&data.views(), journal, options).await;
    // Why they are rebuilt, if they are, is logged where it is found out.
    let (views, _) = opened.map_err(|error| causes::views("open the views", error))?;
    Ok(views)
}

async fn start_processor(
    config: &Config,
    data: &Data,
    journal: &Embedded,
) -> Result<(Handle, florin_processor::Running), Failure> {
    let meter = Arc::new(Meter::new("reading the journal"));
    let told = Arc::clone(&meter);
    let options = florin_processor::Options {
        user_lane: config.processor.queue,
        network_lane: config.processor.network_queue,
        snapshots: Some(data.snapshots()),
        snapshot_entries: config.processor.snapshot_entries,
        progress: Some(Arc::new(move |at| {
            told.tell(at.partition.0, at.index, at.last);
        })),
        ..florin_processor::Options::default()
    };
    let partitions = journal.ledger().partitions();
    let started = Processor::start(journal.clone(), partitions, options).await;
    meter.finish();
    started.map_err(causes::start)
}

async fn catch_up(journal: &Embedded, views: &Views) -> Result<(), Failure> {
    let meter = Arc::new(Meter::new("bringing the views up"));
    let told = Arc::clone(&meter);
    let caught_up = Projector::new(journal.clone(), views.clone())
        .on_progress(move |at| told.tell(at.partition, at.applied, at.records))
        .catch_up()
        .await;
    meter.finish();
    caught_up.map_err(|error| causes::views("bring the views up", error))
}

/// The issuer, and the sandbox if that is it.
type Issuing = (Arc<dyn Issuer>, Option<Arc<Sandbox>>);

fn open_issuer(config: &Config, data: &Data, master: &MasterKey, vault: &Vault) -> Result<Issuing, Failure> {
    match &config.issuer {
        config::Issuer::Sandbox { latency_ms, failure_rate } => {
            let settings = sandbox::Settings::default();
            let sandbox = Sandbox::open(&data.sandbox(), master, Some(vault.clone()), settings).map_err(|error| {
                Failure::new(Exit::Disk, "cannot open the sandbox issuer")
                    .advise("check the disk; the sandbox's file is issuer.redb in the data directory")
                    .because(error)
            })?;
            let behaviour = BehaviourUpdate {
                latency_ms: Some(*latency_ms),
                failure_rate: Some(*failure_rate),
                ..BehaviourUpdate::default()
            };
            sandbox
                .update_behaviour(behaviour)
                .map_err(|error| Failure::new(Exit::Config, "the sandbox's settings cannot be used").because(error))?;
            let sandbox = Arc::new(sandbox);
            Ok((sandbox.clone(), Some(sandbox)))
        }
        config::Issuer::Http { url, secret } => {
            let unusable = |what: &str| {
                Failure::new(Exit::Config, what)
                    .advise("look at [issuer] in the configuration, and at the issuer crate's CONTRACT.md")
            };
            let key = signature::Key::new(secret.expose_secret().as_bytes())
                .map_err(|error| unusable("the issuer's secret cannot be used").because(error))?;
            let issuer = Http::new(http::Settings {
                base_url: url.clone(),
                key,
                vault: Some(vault.clone()),
                timeout: Duration::from_millis(config.settlement.timeout_ms),
            })
            .map_err(|error| unusable("the issuer cannot be used").because(error))?;
            Ok((Arc::new(issuer), None))
        }
    }
}
