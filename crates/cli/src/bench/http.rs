//! The same load over HTTP: the gateway on loopback, and a client that costs next to nothing beside it.
//!
//! A connection has one request in flight and is kept. Of an answer the client reads the status line and the length, and
//! skips the body; that is all a load generator needs, and a full client would take the cores from what is measured.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use florin_gateway::http::{keys::ApiKey, serve};
use florin_gateway::{Gateway, Ports, Settings, public_router};
use florin_issuer::sandbox::{self, Sandbox};
use florin_journal::Provider;
use florin_projector::Views;
use florin_vault::{MasterKey, Vault};
use indicatif::ProgressBar;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::bed::Bed;
use super::load::{Done, Range};
use super::script::{self, COMPANY, Script};
use crate::causes;
use crate::failure::{Exit, Failure};

/// The only API key. The listener is on loopback and lives as long as the run.
const KEY: &str = "florin-bench";
/// Users whose keys are made by one transaction of the vault.
const USERS_PER_TRANSACTION: usize = 10_000;
const DRAIN: Duration = Duration::from_secs(10);

/// What is asked of the gateway.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    /// `POST …/topup` for command `n`.
    TopUp,
    /// `GET …/cards` of the user of command `n`.
    Cards,
}

/// The vault of a run, and the master key it was made with.
pub(super) fn vault(dir: &Path) -> Result<(Vault, MasterKey), Failure> {
    let master =
        MasterKey::generate().map_err(|cause| Failure::new(Exit::Other, "cannot make a master key").because(cause))?;
    let vault = Vault::open(&dir.join("vault.redb"), &master).map_err(causes::vault)?;
    Ok((vault, master))
}

/// Makes the keys of all users.
pub(super) fn register(vault: &Vault, script: &Script) -> Result<(), Failure> {
    for users in script.users.iter().flat_map(|users| users.chunks(USERS_PER_TRANSACTION)) {
        let names: Vec<String> = users.iter().map(|user| script::name(user.number)).collect();
        let people: Vec<_> =
            users.iter().zip(&names).map(|(user, name)| (user.account.0, COMPANY, name.as_str())).collect();
        vault.register_all(&people).map_err(causes::vault)?;
    }
    Ok(())
}

/// The gateway as it serves.
pub(super) struct Front {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
}

impl Front {
    pub(super) async fn open<P: Provider>(
        dir: &Path,
        bed: &Bed<P>,
        views: Views,
        (vault, master): (Vault, MasterKey),
    ) -> Result<Self, Failure> {
        let sandbox =
            Sandbox::open(&dir.join("issuer.redb"), &master, Some(vault.clone()), sandbox::Settings::default());
        let sandbox = sandbox
            .map_err(|cause| Failure::new(Exit::Disk, "cannot open the sandbox issuer").because(cause))
            .map(Arc::new)?;
        let ports = Ports {
            handle: bed.handle.clone(),
            followers: Arc::new(views.clone()),
            views,
            vault,
            issuer: sandbox.clone(),
            dead_letters: None,
            webhooks: None,
            sandbox: Some(sandbox),
            preparing: Arc::default(),
        };
        let settings = Settings { dashboard_keys: vec![ApiKey::new(COMPANY, KEY)], ..Settings::default() };
        let router = public_router(&Gateway::new(ports, settings), None);
        let failed = |cause| Failure::new(Exit::Listen, "cannot listen on loopback").because(cause);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, mut told) = watch::channel(false);
        let serving = tokio::spawn(serve::serve(listener, router, DRAIN, async move {
            let _ = told.wait_for(|stop| *stop).await;
        }));
        Ok(Self { address, stop, serving })
    }

    /// Drives `range` over `connections` and waits for all answers.
    pub(super) async fn drive(
        &self,
        script: &Arc<Script>,
        ask: Ask,
        range: Range,
        connections: u16,
        bar: &ProgressBar,
    ) -> Result<Done, Failure> {
        let next = Arc::new(AtomicU64::new(range.first));
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(self.address).await.map_err(broken)?);
        }
        let begun = Instant::now();
        let mut running = JoinSet::new();
        for mut connection in open {
            let (script, next, bar, end) = (Arc::clone(script), Arc::clone(&next), bar.clone(), range.end);
            running.spawn(async move {
                let mut done = Done::default();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        return Ok(done);
                    }
                    connection.prepare(&script, ask, n);
                    let since = Instant::now();
                    connection.ask().await?;
                    done.latencies.add(begun.elapsed(), since.elapsed());
                    bar.inc(1);
                }
            });
        }
        let mut all = Done::default();
        while let Some(ended) = running.join_next().await {
            let panicked = |cause| Failure::new(Exit::Stopped, "a client panicked").because(cause);
            all.join(ended.map_err(panicked)??);
        }
        all.elapsed = begun.elapsed();
        Ok(all)
    }

    /// Lets go of the ledger.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let failed = |cause| Failure::new(Exit::Stopped, "the gateway failed").because(cause);
        let served =
            self.serving.await.map_err(|cause| Failure::new(Exit::Stopped, "the gateway panicked").because(cause));
        served?.map_err(failed)
    }
}

/// One kept connection.
struct Connection {
    stream: TcpStream,
    request: String,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: String::new(), answer: Vec::with_capacity(4096) })
    }

    fn prepare(&mut self, script: &Script, ask: Ask, n: u64) {
        let (user, amount) = script.top_up(n);
        let name = script::name(user.number);
        let prefix = florin_gateway::dialects::dashboard::PREFIX;
        self.request = match ask {
            Ask::TopUp => {
                let body = format!("{{\"amount\": {}.{:02}}}", amount.0 / 100, amount.0 % 100);
                format!(
                    "POST {prefix}/users/{name}/cards/{}/topup HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n\
                     idempotency-key: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    user.card,
                    script::http_key(n),
                    body.len(),
                )
            }
            Ask::Cards => format!(
                "GET {prefix}/users/{name}/cards HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n\r\n"
            ),
        };
    }

    /// Sends the request and reads the whole answer, which must be a 200.
    async fn ask(&mut self) -> Result<(), Failure> {
        self.stream.write_all(self.request.as_bytes()).await.map_err(broken)?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await.map_err(broken)? == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(bytes) = whole(&self.answer) {
                if self.answer.len() < bytes {
                    continue;
                }
                if self.answer.starts_with(b"HTTP/1.1 200 ") {
                    return Ok(());
                }
                let answer = String::from_utf8_lossy(&self.answer);
                return Err(super::load::wrong(format!("a request was not answered with 200 but {answer}")));
            }
        }
    }
}

/// How long an answer is in all, once its head is there. One without a length has no body.
fn whole(answer: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length:";
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let line = answer[..head]
        .split(|byte| *byte == b'\n')
        .find(|line| line.get(..LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(LENGTH)));
    let length = line.and_then(|line| std::str::from_utf8(&line[LENGTH.len()..]).ok()?.trim().parse().ok());
    Some(head + 4 + length.unwrap_or(0))
}

fn broken(cause: io::Error) -> Failure {
    Failure::new(Exit::Stopped, "a connection to the gateway broke").because(cause)
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), None);
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), Some(43));
        assert_eq!(whole(b"HTTP/1.1 204 No\r\n\r\n"), Some(19));
    }
}
