//! `florin serve`: everything in one process, on the embedded journal.
//!
//! Start: addresses are taken first, so that a taken port leaves nothing behind; then the data directory, the ledger, the
//! views, the workers; the listeners answer last. End: listeners stop accepting and drain, the workers stop, the processor
//! decides, writes and answers what it holds, the views follow to the end. What stops by itself ends the process.

mod connections;
mod demo;
mod letters;
mod routers;
mod stack;

use std::future::Future;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use florin_gateway::http::metrics;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::args::Serve;
use crate::config::{self, Config};
use crate::data::{Data, patiently};
use crate::failure::{Exit, Failure};

use stack::Stack;

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
        stack = Stack::open(&config, &data) => stack?,
        () = stop.asked() => return Ok(()),
    };
    let preparing = Arc::new(AtomicBool::new(with_demo));
    let running = stack.start(&config, metrics, public, ops, Arc::clone(&preparing))?;
    if let Some(demo) = &demo {
        let seeded = tokio::select! {
            seeded = demo.seed() => seeded,
            () = stop.asked() => return running.stop(None).await,
        };
        match seeded.and_then(|()| demo.announce(&data)) {
            Ok(text) => {
                preparing.store(false, Ordering::Release);
                say(&text);
            }
            Err(failure) => return running.stop(Some(failure)).await,
        }
    }
    say(&format!("public APIs   http://{}\nops listener  http://{}\nready", running.public, running.ops));
    running.until(stop).await
}

/// Prints a text. A server does not end because nobody reads what it prints.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
    let taken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::AddrInUse;
    let bound = patiently(|| TcpListener::bind(address), taken).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|cause| {
        let advice = match cause.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "another program uses it: stop that one, or choose another with {option} (port 0: any that is free)"
            ),
            std::io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need a privilege: choose another with {option}")
            }
            _ => format!("choose an address of this machine with {option}"),
        };
        Failure::new(Exit::Listen, format!("cannot listen on {address}")).advise(advice).because(cause)
    })
}

/// The wish to stop: SIGTERM or SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let on =
            |kind| signal(kind).map_err(|cause| Failure::new(Exit::Other, "cannot wait for signals").because(cause));
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tasks that run until they are told to stop. One that ends before that has failed.
struct Tasks {
    tell: watch::Sender<bool>,
    tasks: tokio::task::JoinSet<Result<(), Failure>>,
}

impl Tasks {
    fn new() -> Self {
        Self { tell: watch::Sender::new(false), tasks: tokio::task::JoinSet::new() }
    }

    /// Resolves when this group is told to stop.
    fn told(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.tell.subscribe();
        async move {
            // A sender that is gone means the same.
            let _ = told.wait_for(|stop| *stop).await;
        }
    }

    fn spawn(&mut self, task: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Resolves when a task ended although nobody told it to. Cancel-safe.
    async fn ended(&mut self) -> Failure {
        match self.tasks.join_next().await {
            Some(ended) => joined(ended).err().unwrap_or_else(|| {
                Failure::new(Exit::Stopped, "a part of the server ended without being told to")
                    .advise("read the log, then start again; everything that was acknowledged is there")
            }),
            None => std::future::pending().await,
        }
    }

    /// Tells all to stop and waits for them; the first failure.
    async fn stop(mut self) -> Option<Failure> {
        self.tell.send_replace(true);
        let mut failed = None;
        while let Some(ended) = self.tasks.join_next().await {
            failed = failed.or(joined(ended).err());
        }
        failed
    }
}

fn joined(ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    ended.unwrap_or_else(|cause| {
        Err(Failure::new(Exit::Stopped, "a part of the server panicked")
            .advise("start again; everything that was acknowledged is there. Please report the log")
            .because(cause))
    })
}

/// The server as it runs.
struct Running {
    public: SocketAddr,
    ops: SocketAddr,
    listeners: Tasks,
    workers: Tasks,
    views: Tasks,
    processor: florin_processor::Running,
    upkeep: JoinHandle<()>,
}

impl Running {
    /// Runs until a signal, or until a part fails.
    async fn until(mut self, mut stop: Stop) -> Result<(), Failure> {
        let failure = tokio::select! {
            () = stop.asked() => None,
            error = self.processor.failed() => Some(crate::causes::stopped(error)),
            failure = self.listeners.ended() => Some(failure),
            failure = self.workers.ended() => Some(failure),
            failure = self.views.ended() => Some(failure),
        };
        match &failure {
            None => tracing::info!("stopping: told to"),
            Some(failure) => tracing::error!("stopping: {failure}"),
        }
        // A second signal ends the wait.
        tokio::select! {
            ended = self.stop(failure) => ended,
            () = stop.asked() => Err(Failure::new(Exit::Stopped, "stopped before everything had ended")
                .advise("start again; everything that was acknowledged is there")),
        }
    }

    /// The graceful end, in the order that loses nothing; `failure` is what led to it.
    async fn stop(self, failure: Option<Failure>) -> Result<(), Failure> {
        let mut failure = failure;
        failure = failure.or(self.listeners.stop().await);
        failure = failure.or(self.workers.stop().await);
        let stopped = self.processor.stop().await.map_err(crate::causes::stopped);
        failure = failure.or(stopped.err());
        failure = failure.or(self.views.stop().await);
        self.upkeep.abort();
        failure.map_or(Ok(()), Err)
    }
}
