//! Which API answers on which listener, for whom, and how often.

use std::time::Duration;

use axum::Router;
use florin_gateway::dialects::{baas, dashboard, mobile};
use florin_gateway::http::keys::ApiKey;
use florin_gateway::http::rates::{Rate, Rates};
use florin_gateway::{Gateway, Ports, Settings, alone, health, issuer_inbound, listener, ops, public_router, sandbox};
use florin_issuer::signature;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;

use super::roles::{Role, Roles};
use crate::config::{CardApi, Config, Issuer, Key, Limits};
use crate::failure::{Exit, Failure};

/// What the listeners serve.
pub(crate) struct Routers {
    /// The card APIs and what a real issuer calls; without the gateway's role nothing but probes.
    pub(crate) public: Router,
    /// Those of [`crate::config::Serve::own`], in its order; without the gateway's role none.
    pub(crate) own: Vec<Router>,
    /// Ops, sandbox and metrics, which stay off public networks; probes.
    pub(crate) ops: Router,
    /// What they ask.
    pub(crate) gateway: Gateway,
}

/// The routers of these roles.
pub(super) fn of(config: &Config, roles: &Roles, ports: Ports, metrics: PrometheusHandle) -> Result<Routers, Failure> {
    let with_sandbox = ports.sandbox.is_some();
    let gateway = Gateway::new(ports, settings(config));
    let inbound = match &config.issuer {
        Issuer::Sandbox => None,
        Issuer::Http { secret, .. } => {
            let key = signature::Key::new(secret.expose_secret().as_bytes())
                .map_err(|cause| Failure::new(Exit::Config, "the issuer's secret cannot be used").because(cause))?;
            Some(issuer_inbound::router(&gateway, key))
        }
    };
    let public =
        if roles.has(Role::Gateway) { public_router(&gateway, inbound) } else { listener(&gateway, Router::new()) };
    let mut apis = health::metrics_route(metrics);
    if roles.has(Role::Ops) {
        apis = apis.nest(ops::PREFIX, ops::router(&gateway, &keys(&config.ops.keys), ops::PREFIX));
    }
    if with_sandbox {
        let keys = keys(&config.sandbox.keys);
        let api = sandbox::router(&gateway, Some(&keys), sandbox::PREFIX);
        apis = apis.nest(sandbox::PREFIX, api);
    }
    let own = config.serve.own.iter().filter(|_| roles.has(Role::Gateway));
    let own = own.map(|(api, _)| alone(&gateway, without_prefix(&gateway, *api))).collect();
    Ok(Routers { public, own, ops: listener(&gateway, apis), gateway })
}

fn without_prefix(gateway: &Gateway, api: CardApi) -> Router {
    match api {
        CardApi::Dashboard => dashboard::router(gateway, ""),
        CardApi::Baas => baas::router(gateway, ""),
        CardApi::Mobile => mobile::router(gateway, ""),
    }
}

fn settings(config: &Config) -> Settings {
    let gateway = &config.gateway;
    Settings {
        dashboard_keys: keys(&config.dashboard.keys),
        tokens: config.tokens.clone(),
        secure_page: config.secure_page.clone(),
        mobile: config.mobile,
        rates: rates(&config.limits),
        settlement_wait: Duration::from_millis(gateway.settlement_wait_ms),
        read_wait: Duration::from_millis(gateway.read_wait_ms),
        issuer_wait: Duration::from_millis(gateway.issuer_wait_ms),
        proxies: gateway.proxies,
        ..Settings::default()
    }
}

fn keys(keys: &[Key]) -> Vec<ApiKey> {
    keys.iter().map(|key| ApiKey { hash: key.hash, company: key.owner.as_str().into() }).collect()
}

fn rates(limits: &Limits) -> Rates {
    const MINUTE: Duration = Duration::from_mins(1);
    // A full bucket refills in as long as the rate takes for a burst.
    let per_key = (limits.requests_per_second > 0).then(|| {
        let refill = f64::from(limits.burst) / f64::from(limits.requests_per_second);
        Rate::new(limits.burst, Duration::from_secs_f64(refill))
    });
    Rates {
        per_key: per_key.flatten(),
        per_address: None,
        refused: Rate::new(limits.failed_authentications_per_minute, MINUTE),
        reveals: Rate::new(limits.reveals_per_minute, MINUTE),
    }
}
