//! What runs until it is told to stop, and the order in which it then ends.

use std::future::Future;

use florin_gateway::http::metrics;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failure::{Exit, Failure};

/// The wish to stop: SIGTERM or SIGINT.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let on =
            |kind| signal(kind).map_err(|cause| Failure::new(Exit::Other, "cannot wait for signals").because(cause));
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tasks that run until they are told to stop. One that ends before that has failed.
pub(crate) struct Tasks {
    tell: watch::Sender<bool>,
    tasks: tokio::task::JoinSet<Result<(), Failure>>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { tell: watch::Sender::new(false), tasks: tokio::task::JoinSet::new() }
    }

    /// Resolves when this group is told to stop.
    pub(crate) fn told(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.tell.subscribe();
        async move {
            // A sender that is gone means the same.
            let _ = told.wait_for(|stop| *stop).await;
        }
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Resolves when a task ended although nobody told it to. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Failure {
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

/// A process as it runs, in groups that end one after another.
pub(crate) struct Running {
    pub(crate) listeners: Tasks,
    pub(super) workers: Tasks,
    /// What the workers of this process look after, which is given to others once they have stopped.
    pub(super) placements: Tasks,
    pub(super) processor: Tasks,
    pub(super) views: Tasks,
    pub(super) upkeep: JoinHandle<()>,
}

impl Running {
    /// A process that does nothing on a ledger.
    pub(crate) fn idle(metrics: PrometheusHandle) -> Self {
        let upkeep = tokio::spawn(metrics::upkeep(metrics));
        let [listeners, workers, placements, processor, views] = std::array::from_fn(|_| Tasks::new());
        Self { listeners, workers, placements, processor, views, upkeep }
    }

    /// Runs until a signal, or until a part fails.
    pub(crate) async fn until(mut self, mut stop: Stop) -> Result<(), Failure> {
        let failure = tokio::select! {
            () = stop.asked() => None,
            failure = self.processor.ended() => Some(failure),
            failure = self.listeners.ended() => Some(failure),
            failure = self.workers.ended() => Some(failure),
            failure = self.placements.ended() => Some(failure),
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
    pub(crate) async fn stop(self, failure: Option<Failure>) -> Result<(), Failure> {
        let mut failure = failure;
        failure = failure.or(self.listeners.stop().await);
        failure = failure.or(self.workers.stop().await);
        failure = failure.or(self.placements.stop().await);
        failure = failure.or(self.processor.stop().await);
        failure = failure.or(self.views.stop().await);
        self.upkeep.abort();
        failure.map_or(Ok(()), Err)
    }
}
