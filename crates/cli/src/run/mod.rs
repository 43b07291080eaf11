//! `florin run`: some of the roles in one process, on a ledger that NATS JetStream keeps.
//!
//! Start: addresses are taken and answer probes at once; then the servers are reached, the ledger is opened, the views are
//! brought to its end, and only then do the APIs answer. End: as that of `serve`, and before it what this process holds is
//! given to others. While the servers are away nothing ends: calls are told to come again, followers go on where they were.

pub(crate) mod connect;
mod node;
pub(crate) mod on_nats;
mod sandbox;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_nats::Client;
use async_nats::connection::State;
use florin_gateway::health;
use florin_gateway::http::metrics;
use florin_gateway::{nats_reads, waiting_listener};
use tokio::sync::watch;

use crate::args::{OnNats, Run};
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};
use crate::serve::demo::Demo;
use crate::serve::door::Door;
use crate::serve::listening::{self, bind, bind_own, serve};
use crate::serve::roles::{Role, Roles};
use crate::serve::running::{Running, Stop, Tasks};
use crate::serve::{connections, runtime, say};

pub(crate) use node::Node;

/// Runs until told to stop, or until something fails that must not be survived.
pub(crate) fn run(args: &Run) -> Result<(), Failure> {
    let mut config = config::load(args.place.config.as_deref())?;
    config.apply(&args.place);
    config.apply_nats(&args.ledger)?;
    for (address, given) in [
        (&mut config.serve.listen, args.listen),
        (&mut config.serve.ops_listen, args.ops_listen),
        (&mut config.sandbox.listen, args.issuer_listen),
    ] {
        if let Some(given) = given {
            *address = given;
        }
    }
    let roles = Roles::of(&args.roles);
    runtime()?.block_on(process(config, &roles, args.demo.as_deref()))
}

/// What is in the way of being ready, while the process starts.
#[derive(Clone, Default)]
struct Stage {
    what: Arc<Mutex<String>>,
    client: Arc<OnceLock<Client>>,
    /// The partitions that run here.
    owned: Arc<watch::Sender<BTreeSet<u16>>>,
}

impl Stage {
    fn say(&self, what: impl Into<String>) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    /// Answers to `/readyz`; with the role processor they name the partitions that run here.
    fn asked(&self, roles: &Roles) -> health::Asked {
        let processor = roles.has(Role::Processor);
        let stage = self.clone();
        Arc::new(move || {
            let what = stage.what.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let connected = stage.client.get().is_none_or(|client| client.connection_state() == State::Connected);
            let away = (!connected).then(|| "no NATS server can be reached".to_owned());
            health::State {
                reasons: away.into_iter().chain((!what.is_empty()).then_some(what)).collect(),
                partitions: processor.then(|| stage.owned.borrow().clone()),
            }
        })
    }
}

async fn process(mut config: Config, roles: &Roles, demo: Option<&Path>) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let metrics =
        metrics::install().map_err(|cause| Failure::new(Exit::Other, "cannot record metrics").because(cause))?;
    if let Some(file) = demo {
        crate::serve::demo::loopback(&config)?;
        Demo::read(file)?.admit(&mut config);
    }
    let public = roles.has(Role::Gateway).then(|| bind(config.serve.listen, "--listen")).transpose()?;
    let ops = bind(config.serve.ops_listen, "--ops-listen")?;
    let own = if roles.has(Role::Gateway) { bind_own(&config)? } else { Vec::new() };
    let issuer = roles.has(Role::IssuerSandbox).then(|| bind(config.sandbox.listen, "--issuer-listen")).transpose()?;
    let node = Node::lock(&config, roles)?;

    let stage = Stage::default();
    stage.say("the process is starting");
    let mut listeners = Tasks::new();
    let drain = std::time::Duration::from_millis(config.gateway.drain_ms);
    let (public_most, ops_most) = connections::bounds();
    let (public_door, ops_door) = (Door::default(), Door::default());
    let waiting = waiting_listener(stage.asked(roles), health::metrics_route(metrics.clone()));
    let ops = serve(&mut listeners, (ops, ops_door.router(waiting)), ops_most, drain)?;
    let public = match public {
        Some(public) => {
            let waiting = waiting_listener(stage.asked(roles), axum::Router::new());
            Some(serve(&mut listeners, (public, public_door.router(waiting)), public_most, drain)?)
        }
        None => None,
    };
    let issuer = match issuer {
        Some(issuer) => Some(sandbox::serve(&config, &node, issuer, &mut listeners, drain)?),
        None => None,
    };

    let (sandbox, issuer) = issuer.unzip();
    let mut own_told = String::new();
    let mut running = if roles.on_ledger() {
        let opening = async {
            stage.say("the NATS servers are being reached");
            let client = connect::connect(&config.nats, &roles.to_string()).await?;
            let _ = stage.client.set(client.clone());
            let told = stage.clone();
            let owned = Arc::clone(&stage.owned);
            on_nats::open(&config, &node, roles, (client, owned), sandbox, move |what| told.say(what)).await
        };
        let stack = tokio::select! {
            stack = opening => stack?,
            () = stop.asked() => return Ok(()),
            failure = listeners.ended() => return Err(failure),
        };
        let (running, routers) = stack.start(&config, roles, metrics, Arc::default())?;
        if let Some(routers) = routers {
            if let (true, Some(client)) = (roles.has(Role::Gateway), stage.client.get()) {
                let (gateway, client) = (routers.gateway, client.clone());
                let (name, told) = (config.nats.ledger.clone(), listeners.told());
                listeners.spawn(async move {
                    let served = nats_reads::serve(gateway, client, &name, told).await;
                    served.map_err(|cause| Failure::new(Exit::Nats, "cannot serve reads over NATS").because(cause))
                });
            }
            own_told = listening::own(&config, &mut listeners, own, routers.own)?;
            public_door.open(routers.public);
            ops_door.open(routers.ops);
        }
        running
    } else {
        Running::idle(metrics)
    };
    running.listeners = listeners;
    stage.say("");
    let places = [("card APIs     ", public), ("ops listener  ", Some(ops)), ("sandbox issuer", issuer)];
    let places = places.iter().filter_map(|(name, place)| place.map(|place| format!("{name}  http://{place}\n")));
    say(&format!("{}{own_told}{roles}: ready", places.collect::<String>()));
    running.until(stop).await
}

impl Config {
    /// Options come before file and environment.
    pub(crate) fn apply_nats(&mut self, on: &OnNats) -> Result<(), Failure> {
        let wrong = |option: &str, what: String| Failure::new(Exit::Usage, format!("{option} {what}"));
        if let Some(urls) = &on.nats {
            self.nats.urls = config::nats::urls(urls).map_err(|what| wrong("--nats", what))?;
        }
        if let Some(ledger) = &on.ledger {
            self.nats.ledger = config::nats::ledger_name(ledger).map_err(|what| wrong("--ledger", what))?;
        }
        Ok(())
    }
}
