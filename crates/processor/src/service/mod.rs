//! Serves one partition as a NATS service (ADR-32): commands by class, and queries, each on a subject of its own.
//!
//! The class of a command is its subject's: permissions on subjects say who may send what. Nothing of a message that is
//! out of form is decided. Requests being worked on are bounded in number and bytes; beyond that the answer is *busy*.
//!
//! Every instance subscribes in a queue group of its own, so that a process that hangs, and still looks like an owner to
//! the servers, swallows nothing: the new owner gets every request too, and who has lost the lease is silent.

mod answer;
pub mod json;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::service::endpoint::Endpoint;
use async_nats::service::{Request, Service, ServiceExt};
use florin_engine::command::Class;
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use self::answer::answer;
use crate::placement::Lease;
use crate::wire::What;
use crate::wire::fault::Fault;
use crate::{Error as Refusal, Handle};

/// Name and version that the tools of NATS show.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Requests of one partition that are worked on at once.
const REQUESTS_MAX: usize = 4_096;

/// Bytes of requests of one partition that are worked on at once, in KiB.
const KIB_MAX: usize = 64 * 1_024;

/// How long the end waits for answers that are on their way.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a partition is not served.
#[derive(Debug, thiserror::Error)]
#[error("partition {partition} cannot be served: {reason}")]
pub struct Error {
    /// Which partition.
    pub partition: u16,
    /// What the client said.
    pub reason: String,
}

/// What a request needs to be answered.
struct Desk {
    handle: Handle,
    partition: u16,
    lease: Option<Lease>,
    requests: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    /// Bytes that an answer may have.
    most: usize,
}

impl Desk {
    /// Whether to answer at all.
    fn owns(&self) -> bool {
        self.lease.as_ref().is_none_or(Lease::unclaimed)
    }
}

/// A partition that is served. Keep it; [`stop`](Self::stop) is the graceful end. Dropped, it is no longer served.
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Serves a partition through the handle of its processor, as long as the lease (if there is one) lives.
    ///
    /// Resolves once the server has the subscriptions. Needs a tokio runtime with time.
    pub async fn start(
        client: async_nats::Client,
        ledger: &str,
        partition: u16,
        handle: Handle,
        lease: Option<Lease>,
    ) -> Result<Self, Error> {
        let failed = |reason: String| Error { partition, reason };
        let metadata =
            HashMap::from([("ledger".to_owned(), ledger.to_owned()), ("partition".to_owned(), partition.to_string())]);
        let own = client.new_inbox();
        let service = client
            .service_builder()
            .description(format!("florin: partition {partition} of ledger {ledger}"))
            .metadata(metadata)
            .queue_group(format!("p{partition}-{}", own.rsplit('.').next().unwrap_or("")))
            .start(format!("florin-{ledger}"), VERSION)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let mut endpoints = Vec::new();
        for what in What::ALL {
            let subject = what.subject(ledger, partition);
            let endpoint = service.endpoint_builder().name(what.name()).add(subject).await;
            endpoints.push(endpoint.map_err(|error| failed(error.to_string()))?.map(move |request| (what, request)));
        }
        client.flush().await.map_err(|error| failed(error.to_string()))?;
        // A little less than a message may have, for its headers.
        let most = client.server_info().max_payload.max(64 * 1_024) - 4 * 1_024;
        let (requests, kib) = (Arc::new(Semaphore::new(REQUESTS_MAX)), Arc::new(Semaphore::new(KIB_MAX)));
        let desk = Arc::new(Desk { handle, partition, lease, requests, kib, most });
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(service, select_all(endpoints), desk, stopped));
        Ok(Self { stop: Some(stop), task })
    }

    /// Takes nothing more, and resolves once what was taken is answered, or after some seconds.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        // Only cancelled if the runtime ends.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The task sees that its channel is gone, and ends by itself.
        drop(self.stop.take());
    }
}

async fn serve<F>(
    service: Service,
    mut requests: SelectAll<futures_util::stream::Map<Endpoint, F>>,
    desk: Arc<Desk>,
    mut stopped: oneshot::Receiver<()>,
) where
    F: FnMut(Request) -> (What, Request),
{
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            request = requests.next() => match request {
                Some((what, request)) => take(&desk, what, request),
                None => break,
            },
        }
    }
    if let Err(error) = service.stop().await {
        tracing::debug!(error, "the service could not be ended");
    }
    // What had come before the subscriptions ended is taken; what is being worked on is waited for.
    let drained = tokio::time::timeout(DRAIN, async {
        while let Some((what, request)) = requests.next().await {
            take(&desk, what, request);
        }
        let _ = desk.requests.acquire_many(u32::try_from(REQUESTS_MAX).unwrap_or(u32::MAX)).await;
    });
    if drained.await.is_err() {
        tracing::warn!(partition = desk.partition, "requests are left unanswered at the end of a partition's service");
    }
}

/// Whether somebody sent this, and waits for the answer. Servers send stored messages to any subject they are told to, whatever
/// he who stored them, or tells them, may publish: those have no reply, or JetStream's own.
fn is_asked(request: &Request) -> bool {
    request.message.reply.as_ref().is_some_and(|reply| !reply.starts_with("$JS."))
}

/// Works on a request beside the others, if there is room.
fn take(desk: &Arc<Desk>, what: What, request: Request) {
    if !desk.owns() {
        return;
    }
    if !is_asked(&request) {
        return tracing::warn!(partition = desk.partition, ?what, "a message that nobody asks with is not answered");
    }
    let kib = u32::try_from(request.message.payload.len() / 1_024 + 1).unwrap_or(u32::MAX);
    let room = (Arc::clone(&desk.requests).try_acquire_owned(), Arc::clone(&desk.kib).try_acquire_many_owned(kib));
    let desk = Arc::clone(desk);
    let (Ok(one), Ok(kib)) = room else {
        tokio::spawn(async move {
            let busy = Fault::Error(Refusal::Busy { retry_after_ms: 100 });
            respond(&request, Err(busy)).await;
        });
        return;
    };
    tokio::spawn(async move {
        let answered = answer(&desk, what, &request.message).await;
        respond(&request, answered).await;
        drop((one, kib));
    });
}

/// What is answered: bytes, and headers that go with them.
type Answered = Result<(async_nats::HeaderMap, Vec<u8>), Fault>;

async fn respond(request: &Request, answered: Answered) {
    let sent = match answered {
        Ok((headers, body)) => request.respond_with_headers(Ok(body.into()), headers).await,
        Err(fault) => {
            let error = async_nats::service::error::Error { status: fault.text(), code: fault.code() };
            let mut headers = fault.headers();
            // The client library writes the sentence itself, and would not take what cannot be in a header.
            let status = error.status.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect();
            headers.insert(crate::wire::CONTENT_TYPE, crate::wire::JSON);
            request.respond_with_headers(Err(async_nats::service::error::Error { status, ..error }), headers).await
        }
    };
    if let Err(error) = sent {
        // Nobody waits for it, or the connection is gone: who asked asks again.
        tracing::debug!(%error, "an answer could not be sent");
    }
}

/// Whether the class has the lane of the network.
fn is_network(class: Class) -> bool {
    class == Class::Network
}
