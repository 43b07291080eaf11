//! The parts of a process on some journal and some queue, and how those that its roles need are started.
//!
//! What they rest on is opened elsewhere: in a data directory by `embedded.rs`, on NATS by `run/`.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use florin_gateway::Ports;
use florin_gateway::http::metrics;
use florin_issuer::sandbox::{self, BehaviourUpdate, Sandbox};
use florin_issuer::signature;
use florin_issuer::{Http, Issuer, http};
use florin_journal::Provider;
use florin_processor::Handle;
use florin_projector::{Projector, Views};
use florin_vault::{MasterKey, Vault};
use florin_workers::queue::Queue;
use florin_workers::{Clock, Settlement, clock, settlement};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::outbound::Outbound;
use super::roles::{Role, Roles};
use super::routers::Routers;
use super::running::{Running, Tasks};
use super::{letters, routers, webhooks};
use crate::causes;
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};
use crate::progress::Meter;

/// How long a part of a persistent process rests before it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Everything that is open and not yet serving.
pub(crate) struct Stack<P, Q> {
    pub(crate) journal: P,
    pub(crate) handle: Handle,
    /// Whatever runs partitions in this process.
    pub(crate) processor: Tasks,
    pub(crate) views: Option<Views>,
    pub(crate) vault: Option<Vault>,
    pub(crate) issuer: Option<Arc<dyn Issuer>>,
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    pub(crate) queue: Option<Q>,
    pub(crate) outbound: Option<Outbound>,
    pub(crate) held: Held,
    /// What holds them; told to stop after the workers.
    pub(crate) placements: Tasks,
    /// Whether followers and workers are tried again after what may pass, such as servers that are away.
    pub(crate) persistent: bool,
}

/// Which partitions the workers of this process look after; `None`: all.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) settlement: Option<watch::Receiver<BTreeSet<u16>>>,
    pub(crate) clock: Option<watch::Receiver<BTreeSet<u16>>>,
    pub(crate) webhooks: Option<watch::Receiver<BTreeSet<u16>>>,
    pub(crate) mail: Option<watch::Receiver<BTreeSet<u16>>>,
}

impl<P: Provider, Q: Queue> Stack<P, Q> {
    /// Starts the followers and the workers of these roles; what the listeners have to serve, if a gateway is among them.
    pub(crate) fn start(
        self,
        config: &Config,
        roles: &Roles,
        metrics: PrometheusHandle,
        preparing: Arc<AtomicBool>,
    ) -> Result<(Running, Option<Routers>), Failure> {
        let upkeep = tokio::spawn(metrics::upkeep(metrics.clone()));
        let persistent = self.persistent;

        let mut views = Tasks::new();
        if let Some(shown) = &self.views {
            let projector = Projector::new(self.journal.clone(), shown.clone());
            let stop = views.told();
            views.spawn(persist(persistent, stop, move |stop| {
                let projector = projector.clone();
                async move {
                    let followed = projector.run(stop).await;
                    followed.map_err(|error| {
                        let passing =
                            matches!(&error, florin_projector::Error::Journal(error) if causes::passing(error));
                        (passing, causes::views("follow the journal", error).stopped())
                    })
                }
            }));
        }

        let mut workers = Tasks::new();
        if let (true, Some(queue), Some(issuer)) = (roles.has(Role::Settlement), &self.queue, &self.issuer) {
            let (handle, journal, queue, issuer) =
                (self.handle.clone(), self.journal.clone(), queue.clone(), Arc::clone(issuer));
            let options = settlement::Options {
                consumers: config.settlement.concurrency,
                call_timeout: Duration::from_millis(config.settlement.timeout_ms),
                tries_max: config.settlement.tries,
                partitions: self.held.settlement.clone(),
                ..settlement::Options::default()
            };
            let stop = workers.told();
            workers.spawn(persist(persistent, stop, move |stop| {
                let (handle, journal, queue, issuer, options) =
                    (handle.clone(), journal.clone(), queue.clone(), Arc::clone(&issuer), options.clone());
                async move {
                    let worked = Settlement::run(handle, journal, issuer, queue, options, stop).await;
                    worked.map_err(|error| (causes::settlement_passing(&error), causes::settlement(error)))
                }
            }));
        }
        if roles.has(Role::Clock) {
            let options = clock::Options { partitions: self.held.clock.clone(), ..clock::Options::default() };
            let clock = Clock::run(self.handle.clone(), options, workers.told());
            workers.spawn(async move {
                clock.await;
                Ok(())
            });
        }

        let mut desk = None;
        if let (Some(outbound), Some(vault)) = (&self.outbound, &self.vault) {
            if let Some(views) = &self.views {
                let source = webhooks::Listed { views: views.clone(), vault: vault.clone() };
                if roles.has(Role::Webhooks) {
                    let (source, held) = (source.clone(), self.held.webhooks);
                    desk = Some(outbound.tell_companies(config, source, held, persistent, &mut workers));
                }
                if roles.has(Role::Ops) {
                    desk = outbound.answer_ops(config, source, desk, &mut workers);
                }
            }
            if let (true, Some(mail)) = (roles.has(Role::Mail), &config.mail) {
                let (handle, journal) = (self.handle.clone(), self.journal.clone());
                outbound.send_mail(mail, handle, journal, vault.clone(), self.held.mail, persistent, &mut workers);
            }
        }

        let mail = self.outbound.as_ref().map(|outbound| outbound.outbox.clone());
        let ports = match (self.views, self.vault, self.issuer) {
            (Some(views), Some(vault), Some(issuer)) if roles.reads() => Some(Ports {
                preparing,
                handle: self.handle,
                followers: Arc::new(webhooks::Following { views: views.clone(), desk: desk.clone(), mail }),
                views,
                vault,
                issuer,
                dead_letters: letters::all(self.queue.map(letters::of), desk.clone()),
                webhooks: desk.map(|desk| Arc::new(webhooks::Asked::new(desk)) as _),
                sandbox: self.sandbox,
            }),
            _ => None,
        };
        let routers = ports.map(|ports| routers::of(config, roles, ports, metrics)).transpose()?;
        let running = Running {
            listeners: Tasks::new(),
            workers,
            placements: self.placements,
            processor: self.processor,
            views,
            upkeep,
        };
        Ok((running, routers))
    }
}

/// Runs a part until it is told to stop. Where processes are persistent, a part that ended with something that may pass
/// is tried again; anything else ends the process.
pub(super) async fn persist<F: Future<Output = Result<(), (bool, Failure)>> + Send>(
    persistent: bool,
    stop: impl Future<Output = ()> + Send + 'static,
    part: impl Fn(Told) -> F + Send,
) -> Result<(), Failure> {
    let told = watch::Sender::new(false);
    let signal = told.clone();
    let waiting = tokio::spawn(async move {
        stop.await;
        signal.send_replace(true);
    });
    let ended = loop {
        match part(Box::pin(heard(told.subscribe()))).await {
            Err((true, failure)) if persistent && !*told.borrow() => {
                tracing::warn!("a part is tried again: {failure}");
                let _ = tokio::time::timeout(AGAIN, heard(told.subscribe())).await;
            }
            ended => break ended.map_err(|(_, failure)| failure),
        }
    };
    waiting.abort();
    ended
}

/// The wish to stop, as a part is told.
pub(super) type Told = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn heard(mut told: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = told.wait_for(|stop| *stop).await;
}

/// Opens the views, which are then as far as they were.
pub(crate) async fn open_views<P: Provider>(config: &Config, dir: &Path, journal: &P) -> Result<Views, Failure> {
    let options =
        florin_projector::Options { cache_bytes: config.views.cache_mib << 20, ..florin_projector::Options::default() };
    let opened = Views::open(dir, journal, options).await;
    // Why they are rebuilt, if they are, is logged where it is found out.
    let (views, _) = opened.map_err(|error| causes::views("open the views", error))?;
    Ok(views)
}

/// Brings the views to the end that the journal has now.
pub(crate) async fn catch_up<P: Provider>(journal: &P, views: &Views, meter: Meter) -> Result<(), Failure> {
    let meter = Arc::new(meter);
    let told = Arc::clone(&meter);
    let caught_up = Projector::new(journal.clone(), views.clone())
        .on_progress(move |at| told.tell(at.partition, at.applied, at.records))
        .catch_up()
        .await;
    meter.finish();
    caught_up.map_err(|error| causes::views("bring the views up", error))
}

/// The issuer, and the sandbox if that is it.
pub(crate) type Issuing = (Arc<dyn Issuer>, Option<Arc<Sandbox>>);

/// The issuer that the configuration names; a sandbox keeps its state in `file`.
pub(crate) fn open_issuer(config: &Config, file: &Path, master: &MasterKey, vault: &Vault) -> Result<Issuing, Failure> {
    match &config.issuer {
        config::Issuer::Sandbox => {
            let sandbox = Arc::new(open_sandbox(config, file, master, Some(vault.clone()))?);
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

/// The sandbox issuer, as the configuration has it behave.
pub(crate) fn open_sandbox(
    config: &Config,
    file: &Path,
    master: &MasterKey,
    vault: Option<Vault>,
) -> Result<Sandbox, Failure> {
    let sandbox = Sandbox::open(file, master, vault, sandbox::Settings::default()).map_err(|error| {
        Failure::new(Exit::Disk, "cannot open the sandbox issuer")
            .advise("check the disk; the sandbox's file is issuer.redb in the data directory")
            .because(error)
    })?;
    let behaviour = BehaviourUpdate {
        latency_ms: Some(config.sandbox.latency_ms),
        failure_rate: Some(config.sandbox.failure_rate),
        ..BehaviourUpdate::default()
    };
    sandbox
        .update_behaviour(behaviour)
        .map_err(|error| Failure::new(Exit::Config, "the sandbox's settings cannot be used").because(error))?;
    Ok(sandbox)
}
