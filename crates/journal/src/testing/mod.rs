//! Real NATS servers for tests: one or three of them, on loopback, in temporary directories, killed with their owner.
//!
//! The program is `$FLORIN_NATS_SERVER`, else `nats-server` of the search path or of `/usr/sbin`; the old one is
//! `$FLORIN_OLD_NATS_SERVER`, else the distribution's. Ports are chosen below the range that the system gives to
//! outgoing connections, so that a client that retries while a server is down never connects to itself.

mod cluster;
mod process;

use std::path::Path;
use std::time::Duration;

use async_nats::ConnectOptions;

pub use cluster::NatsCluster;
use process::Process;

/// How long a server, or a cluster's first leader, may take to be there.
pub(crate) const READY_WITHIN: Duration = Duration::from_mins(1);

/// One server. Dropping it kills it and removes its store.
pub struct NatsServer {
    process: Process,
}

impl NatsServer {
    /// A current server with JetStream that syncs before it acknowledges (if this version can).
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// [`start`](Self::start) with more lines of configuration, for instance `max_payload: 64KB`.
    pub async fn start_with(configuration: &str) -> Self {
        Self::ready(Process::start(&process::current(), configuration)).await
    }

    /// The distribution's old server, which cannot sync before it acknowledges.
    pub async fn start_old() -> Self {
        Self::ready(Process::start(&process::old(), "")).await
    }

    /// Three current servers, replicating.
    pub async fn cluster(servers: usize) -> NatsCluster {
        NatsCluster::start(servers).await
    }

    async fn ready(process: Process) -> Self {
        let server = Self { process };
        server.await_jetstream().await;
        server
    }

    /// `nats://127.0.0.1:port`, the same after [`restart`](Self::restart).
    pub fn url(&self) -> String {
        self.process.url()
    }

    /// Process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Where streams are stored, as `jetstream/$G/streams/NAME/`.
    pub fn store(&self) -> &Path {
        self.process.store()
    }

    /// Major and minor version of the program.
    pub fn version(&self) -> (u32, u32) {
        self.process.version()
    }

    /// Whether the program is older than what money needs (2.12), so that `allow_old_server` must be set.
    pub fn is_old(&self) -> bool {
        self.version() < (2, 12)
    }

    /// A new connection, which reconnects quickly and for ever.
    pub async fn connect(&self) -> async_nats::Client {
        connect(&self.url()).await
    }

    /// SIGKILL: what was not synced by the server is the system's to keep or lose.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, after [`kill`](Self::kill) or killing it now, on the same port and store.
    pub async fn restart(&mut self) {
        self.process.restart();
        self.await_jetstream().await;
    }

    /// Another server over a copy of the store as it is now: what a machine would find after this moment.
    pub async fn copy(&self) -> Self {
        Self::ready(self.process.copy()).await
    }

    /// SIGSTOP: connections stay, nothing is answered.
    pub fn pause(&self) {
        self.process.signal(rustix::process::Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.signal(rustix::process::Signal::CONT);
    }

    async fn await_jetstream(&self) {
        let client = self.connect().await;
        await_answer(&client, &self.process).await;
    }
}

async fn connect(urls: &str) -> async_nats::Client {
    let options = ConnectOptions::new()
        .retry_on_initial_connect()
        .connection_timeout(Duration::from_secs(5))
        .reconnect_delay_callback(|attempts| Duration::from_millis(10 * attempts.min(20) as u64));
    let urls: Vec<&str> = urls.split(',').collect();
    options.connect(urls).await.expect("valid addresses")
}

/// Waits until JetStream answers, which in a cluster takes a leader.
async fn await_answer(client: &async_nats::Client, process: &Process) {
    let deadline = std::time::Instant::now() + READY_WITHIN;
    loop {
        let answer = tokio::time::timeout(Duration::from_secs(1), client.request("$JS.API.INFO", "".into())).await;
        if let Ok(Ok(answer)) = answer
            && !String::from_utf8_lossy(&answer.payload).contains("\"error\"")
        {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "nats-server is not ready:\n{}", process.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
