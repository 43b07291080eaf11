//! The load over HTTP: connections to the gateway, each with one request in flight.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use florin_gateway::dialects::{dashboard, mobile};
use indicatif::ProgressBar;
use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use super::front::{Front, KEY};
use super::load::{Done, Range};
use super::people::{self, User};
use super::script::{self, Does, Meant, Script};
use super::wire::Connection;
use crate::failure::{Exit, Failure};

/// Most users who read; their requests are written before the clock starts.
const READERS_MAX: usize = 10_000;
/// Requests that a connection takes at once, so that all of them do not meet at one counter.
const TAKEN: u64 = 16;

/// What is asked of the gateway.
pub(super) enum Ask {
    /// `POST …/topup` for command `n`.
    TopUp,
    /// Somebody of these reads: their requests.
    Reads(Vec<Vec<u8>>),
}

impl Ask {
    /// The company reads a user's cards: `GET …/cards` of the dashboard API.
    pub(super) fn cards(script: &Script) -> Self {
        let prefix = dashboard::PREFIX;
        let read = |user: &User| {
            let name = people::name(user.number);
            format!("GET {prefix}/users/{name}/cards HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n\r\n")
        };
        Self::Reads(readers(script).map(|user| read(user).into_bytes()).collect())
    }

    /// A user reads a card, masked: `GET …/cards/{uuid}` of the mobile API, with a token of the user's own.
    pub(super) fn card(script: &Script, front: &Front) -> Result<Self, Failure> {
        let prefix = mobile::PREFIX;
        let read = |user: &User| {
            let token = front.token(&people::name(user.number))?;
            let text = format!(
                "GET {prefix}/api/v1/cards/{} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n",
                user.card(0),
                token.expose_secret()
            );
            Ok(text.into_bytes())
        };
        Ok(Self::Reads(readers(script).map(read).collect::<Result<_, Failure>>()?))
    }
}

fn readers(script: &Script) -> impl Iterator<Item = &User> {
    script.users.iter().flatten().take(READERS_MAX)
}

/// Drives `range` over `connections` and waits for all answers.
pub(super) async fn drive(
    front: &Front,
    script: &Arc<Script>,
    ask: &Arc<Ask>,
    range: Range,
    connections: u16,
    bar: &ProgressBar,
) -> Result<Done, Failure> {
    let next = Arc::new(AtomicU64::new(range.first));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(front.address).await?);
    }
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for mut connection in open {
        let (script, ask, next) = (Arc::clone(script), Arc::clone(ask), Arc::clone(&next));
        let (bar, end) = (bar.clone(), range.end);
        running.spawn(async move {
            let mut done = Done::default();
            let mut request = Vec::with_capacity(512);
            loop {
                let first = next.fetch_add(TAKEN, Ordering::Relaxed);
                if first >= end {
                    return Ok(done);
                }
                for n in first..end.min(first + TAKEN) {
                    let request = match &*ask {
                        Ask::TopUp => {
                            top_up(&mut request, &script, n);
                            &request
                        }
                        Ask::Reads(reads) => &reads[script.reader(n, reads.len())],
                    };
                    let since = Instant::now();
                    connection.ask(request).await?.ok()?;
                    let now = Instant::now();
                    done.latencies.add(now - begun, now - since);
                }
                bar.inc(end.min(first + TAKEN) - first);
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

/// Writes the request of command `n`.
fn top_up(request: &mut Vec<u8>, script: &Script, n: u64) {
    let Meant { user, card, does: Does::TopUp(amount) } = script.meant(n) else { return };
    let body = format!("{{\"amount\": {}.{:02}}}", amount.0 / 100, amount.0 % 100);
    request.clear();
    // Writing to memory cannot fail.
    let _ = write!(
        request,
        "POST {}/users/{}/cards/{}/topup HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n\
         idempotency-key: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        dashboard::PREFIX,
        people::name(user.number),
        card,
        script::http_key(n),
        body.len(),
    );
}
