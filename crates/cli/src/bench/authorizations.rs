//! Authorizations beside a load: as the issuer sends and signs them, over HTTP, at a rate of their own that waits for nobody.
//!
//! Each has a time at which it is due, and its latency runs from then, whenever it was sent: what a stall holds up counts as
//! the late answers that a cardholder would have had, not as a pause of the clock. A thread of its own sends them, since the
//! issuer does not share the server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use florin_gateway::issuer_inbound;
use florin_issuer::signature::{self, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::front::Front;
use super::latency::Latencies;
use super::script::{self, MERCHANT, Script};
use super::wire::{Answer, Connection};
use crate::failure::{Exit, Failure};

/// Connections that the issuer keeps; when all of them wait for an answer, what is due waits for the first.
const CONNECTIONS: usize = 512;

/// What came of them.
#[derive(Default)]
pub(super) struct Told {
    pub(super) elapsed: Duration,
    pub(super) latencies: Latencies,
    pub(super) sent: u64,
    pub(super) approved: u64,
    pub(super) declined: u64,
    /// Declined because nothing was decided in time.
    pub(super) too_late: u64,
    /// Answered *busy*: nothing was decided.
    pub(super) busy: u64,
    /// Those that were too late or found the ledger busy: the journal may have them or not.
    pub(super) undecided: Vec<u64>,
}

impl Told {
    pub(super) fn join(&mut self, other: Self) {
        self.latencies.join(other.latencies);
        self.sent += other.sent;
        self.approved += other.approved;
        self.declined += other.declined;
        self.too_late += other.too_late;
        self.busy += other.busy;
        self.undecided.extend(other.undecided);
    }

    fn count(&mut self, n: u64, answer: Answer<'_>) -> Result<(), Failure> {
        let says = |what: &str| answer.body.windows(what.len()).any(|part| part == what.as_bytes());
        self.sent += 1;
        if matches!(answer.status, 429 | 503) {
            self.busy += 1;
            self.undecided.push(n);
            return Ok(());
        }
        answer.ok()?;
        if says(r#""approved":true"#) {
            self.approved += 1;
        } else if says(r#""reason":"too_late""#) {
            self.too_late += 1;
            self.undecided.push(n);
        } else {
            self.declined += 1;
        }
        Ok(())
    }
}

/// Authorizations that are being sent, until [`Running::stop`].
pub(super) struct Running {
    stop: watch::Sender<Option<Instant>>,
    ended: oneshot::Receiver<Result<Told, Failure>>,
}

/// Connects, then sends authorizations from number `first` on, so many a second.
pub(super) async fn start(
    front: &Front,
    script: &Arc<Script>,
    per_second: u32,
    first: u64,
) -> Result<Running, Failure> {
    let failed = |cause| Failure::new(Exit::Other, "cannot start a thread").because(cause);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (stop, stopped) = watch::channel(None);
    let (tell, ended) = oneshot::channel();
    let (ready, connected) = oneshot::channel();
    let sender = Sender {
        address: front.address,
        issuer: front.issuer.clone(),
        script: Arc::clone(script),
        per_second,
        first,
        next: AtomicU64::new(0),
        stopped,
    };
    let thread = thread::Builder::new().name("issuer".to_owned());
    let sent = move || drop(tell.send(runtime.block_on(Arc::new(sender).send(ready))));
    thread.spawn(sent).map_err(failed)?;
    // One that cannot connect has ended, and tells why when it is stopped.
    let _ = connected.await;
    Ok(Running { stop, ended })
}

impl Running {
    /// Waits for the answers to all that was due by now.
    pub(super) async fn stop(self) -> Result<Told, Failure> {
        self.stop.send_replace(Some(Instant::now()));
        let panicked = |cause| Failure::new(Exit::Stopped, "the issuer's thread panicked").because(cause);
        self.ended.await.map_err(panicked)?
    }
}

struct Sender {
    address: std::net::SocketAddr,
    issuer: signature::Key,
    script: Arc<Script>,
    per_second: u32,
    first: u64,
    /// The next to be due.
    next: AtomicU64,
    /// What is due later than this is not sent.
    stopped: watch::Receiver<Option<Instant>>,
}

impl Sender {
    async fn send(self: Arc<Self>, ready: oneshot::Sender<()>) -> Result<Told, Failure> {
        let mut open = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            open.push(Connection::open(self.address).await?);
        }
        let _ = ready.send(());
        let begun = Instant::now();
        let mut running = JoinSet::new();
        for connection in open {
            running.spawn(Arc::clone(&self).send_by(connection, begun));
        }
        let mut all = Told::default();
        while let Some(ended) = running.join_next().await {
            let panicked = |cause| Failure::new(Exit::Stopped, "the issuer panicked").because(cause);
            all.join(ended.map_err(panicked)??);
        }
        all.elapsed = begun.elapsed();
        Ok(all)
    }

    /// One connection: takes what is due next, waits until it is, sends it, waits for the answer.
    async fn send_by(self: Arc<Self>, mut connection: Connection, begun: Instant) -> Result<Told, Failure> {
        let mut stopped = self.stopped.clone();
        let mut told = Told::default();
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let due = begun + after(n, self.per_second);
            if due > Instant::now() {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(due.into()) => {}
                    _ = stopped.wait_for(Option::is_some) => {}
                }
            }
            if stopped.borrow().is_some_and(|end| end < due) {
                return Ok(told);
            }
            let request = self.request(self.first + n);
            let answer = connection.ask(&request).await?;
            let now = Instant::now();
            told.latencies.add(now - begun, now.saturating_duration_since(due));
            told.count(self.first + n, answer)?;
        }
    }

    /// Authorization `n` as the issuer writes and signs it now.
    fn request(&self, n: u64) -> Vec<u8> {
        let path = format!("{}/authorizations", issuer_inbound::PREFIX);
        let now = SystemTime::now();
        let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let timestamp = u64::try_from(timestamp).unwrap_or(u64::MAX);
        let id = script::network_id(n);
        let body = format!(
            "{{\"message_id\":\"{id}\",\"occurred_at\":\"{}\",\"authorization_id\":\"{id}\",\"card_id\":\"{}\",\
             \"amount\":1.00,\"merchant\":\"{MERCHANT}\",\"mcc\":5411,\"country\":\"GB\",\"card_present\":true,\
             \"pin_entered\":true}}",
            humantime::format_rfc3339_millis(now),
            self.script.cardholder(n).1,
        );
        let signature = self.issuer.sign("POST", &path, timestamp, body.as_bytes());
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\n{TIMESTAMP_HEADER}: {timestamp}\r\n{SIGNATURE_HEADER}: {signature}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        request.into_bytes()
    }
}

/// When the `n`-th of so many a second is due, after the first.
pub(super) fn after(n: u64, per_second: u32) -> Duration {
    let rate = u64::from(per_second.max(1));
    Duration::from_secs(n / rate) + Duration::from_secs(n % rate) / per_second.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_at_its_own_time_however_long_it_goes_on() {
        assert_eq!(after(0, 5_000), Duration::ZERO);
        assert_eq!(after(1, 5_000), Duration::from_micros(200));
        assert_eq!(after(5_000 * 3_600 + 2_500, 5_000), Duration::from_millis(3_600_500));
        assert_eq!(after(7, 3), Duration::new(2, 333_333_333));
    }
}
