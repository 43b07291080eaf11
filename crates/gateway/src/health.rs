//! `/healthz` and `/readyz` of every listener, `/metrics` of the ops listener.
//!
//! Healthy means that the process answers. Ready means that every partition decides and that the views are at hand; a load
//! balancer should send requests only then.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router, extract,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use crate::{http::plain::json, ports::Ports};

/// How long a partition may take to say how it is.
const ASKED_WITHIN: Duration = Duration::from_secs(1);
/// How many records the views may be behind once they were caught up: more, and reads would be told to come back.
const LAG_MAX: u64 = 1_000;

#[derive(Clone)]
struct Probe {
    ports: Ports,
    caught_up: Arc<AtomicBool>,
}

/// What is in the way of being ready.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<BTreeSet<u16>>,
}

/// `/healthz` and `/readyz`.
pub fn routes(ports: &Ports) -> Router {
    let probe = Probe { ports: ports.clone(), caught_up: Arc::new(AtomicBool::new(false)) };
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(probe)
}

/// How a process without a gateway is, or one whose gateway is not there yet.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What is in the way of being ready, in words; nothing: ready.
    pub reasons: Vec<String>,
    /// The partitions that are run here; `None` where none ever are. It may be none of them: shares move, and a process
    /// without one is as ready to take one as any.
    pub partitions: Option<BTreeSet<u16>>,
}

/// Tells how the process is, when asked.
pub type Asked = Arc<dyn Fn() -> State + Send + Sync>;

/// `/healthz` and `/readyz` of a process without a gateway, or whose gateway is not there yet.
pub fn bare_routes(asked: Asked) -> Router {
    let ready = async move || ready_unless(asked());
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready))
}

/// `/metrics`, in the format of Prometheus.
pub fn metrics_route(handle: PrometheusHandle) -> Router {
    let render = async move |extract::State(handle): extract::State<PrometheusHandle>| {
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        ([(header::CONTENT_TYPE, text)], handle.render())
    };
    Router::new().route("/metrics", get(render)).with_state(handle)
}

async fn ready(extract::State(probe): extract::State<Probe>) -> Response {
    let mut reasons = Vec::new();
    for partition in 0..probe.ports.handle.partitions() {
        let asked = probe.ports.handle.status(partition);
        match tokio::time::timeout(ASKED_WITHIN, asked).await {
            Ok(Ok(status)) => {
                if let Some(refused) = status.clock_refused {
                    reasons.push(refused.to_string());
                } else if status.policy == 0 {
                    reasons.push(format!("partition {partition} has no policy"));
                }
            }
            Ok(Err(error)) => reasons.push(error.to_string()),
            Err(_) => reasons.push(format!("partition {partition} does not answer")),
        }
    }
    reasons.extend(probe.views_behind());
    if probe.ports.preparing.load(Ordering::Acquire) {
        reasons.push("what is there from the start is still being made".to_owned());
    }
    ready_unless(State { reasons, partitions: None })
}

fn ready_unless(State { reasons, partitions }: State) -> Response {
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Readiness { ready, reasons, partitions }).into_response()
}

impl Probe {
    /// The views are at hand once they were at the journal's end, as long as they do not fall far behind it.
    fn views_behind(&self) -> Option<String> {
        let views = &self.ports.views;
        if views.caught_up() {
            self.caught_up.store(true, Ordering::Relaxed);
            return None;
        }
        let lag = (0..views.partitions()).map(|partition| views.lag(partition));
        let lag = lag.max().unwrap_or(0);
        let near = lag <= LAG_MAX && self.caught_up.load(Ordering::Relaxed);
        (!near).then(|| format!("the views are {lag} records behind"))
    }
}
