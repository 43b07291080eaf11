//! `florin serve`: everything in one process, on the embedded journal.
//!
//! Start: addresses are taken first, so that a taken port leaves nothing behind; then the data directory, the ledger, the
//! views, the workers; the listeners answer last. End: listeners stop accepting and drain, the workers stop, the processor
//! decides, writes and answers what it holds, the views follow to the end. What stops by itself ends the process.

pub(crate) mod connections;
pub(crate) mod demo;
mod demo_tokens;
pub(crate) mod door;
mod embedded;
mod letters;
pub(crate) mod listening;
pub(crate) mod outbound;
pub(crate) mod roles;
mod routers;
pub(crate) mod running;
pub(crate) mod stack;
mod webhooks;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use florin_gateway::http::metrics;

use crate::args::Serve;
use crate::config::{self, Config};
use crate::data::Data;
use crate::failure::{Exit, Failure};

use listening::{bind, bind_own, both};
use roles::Roles;
use running::Stop;

/// Runs until told to stop, or until something fails that must not be survived.
pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    let mut config = config::load(args.place.config.as_deref())?;
    config.apply(&args.place);
    if let Some(address) = args.listen {
        config.serve.listen = address;
    }
    if let Some(address) = args.ops_listen {
        config.serve.ops_listen = address;
    }
    if args.demo {
        demo::allowed(&config)?;
    }
    runtime()?.block_on(serve(config, args.demo))
}

/// The threads that everything but the processor's loops runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::new(Exit::Other, "cannot start threads").because(cause))
}

async fn serve(mut config: Config, with_demo: bool) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let metrics =
        metrics::install().map_err(|cause| Failure::new(Exit::Other, "cannot record metrics").because(cause))?;
    // The lock's message says more than a taken port's, so it comes first where there is a directory to lock.
    let locked = config.serve.data.is_dir();
    let early = locked.then(|| Data::lock(&config.serve.data)).transpose()?;
    let public = bind(config.serve.listen, "--listen")?;
    let ops = bind(config.serve.ops_listen, "--ops-listen")?;
    let own = bind_own(&config)?;
    let data = early.map_or_else(|| Data::lock(&config.serve.data), Ok)?;

    let demo = with_demo.then(|| demo::Demo::prepare(&data, &public, &ops)).transpose()?;
    if let Some(demo) = &demo {
        demo.admit(&mut config);
    }
    for (keys, section) in [(&config.dashboard.keys, "dashboard"), (&config.ops.keys, "ops")] {
        if keys.is_empty() {
            tracing::warn!(
                "no [[{section}.keys]] are configured, so nobody can use that API: see `florin token {section}`"
            );
        }
    }

    let stack = tokio::select! {
        stack = embedded::open(&config, &data) => stack?,
        () = stop.asked() => return Ok(()),
    };
    let preparing = Arc::new(AtomicBool::new(with_demo));
    let (mut running, routers) = stack.start(&config, &Roles::all(), metrics, Arc::clone(&preparing))?;
    let Some(routers) = routers else {
        return running.stop(None).await;
    };
    let [public, ops] = both(&config, &mut running, [(public, routers.public), (ops, routers.ops)])?;
    let own = listening::own(&config, &mut running.listeners, own, routers.own)?;
    if let Some(demo) = &demo {
        let seeded = tokio::select! {
            seeded = demo.seed() => seeded,
            () = stop.asked() => return running.stop(None).await,
        };
        match seeded.and_then(|()| demo.write()) {
            Ok(()) => {
                preparing.store(false, Ordering::Release);
                say(&demo.announce());
            }
            Err(failure) => return running.stop(Some(failure)).await,
        }
    }
    say(&format!("public APIs   http://{public}\n{own}ops listener  http://{ops}\nready"));
    running.until(stop).await
}

/// Prints a text. A server does not end because nobody reads what it prints.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
