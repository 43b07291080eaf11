//! Listeners: their addresses are taken at the start, so that a taken port leaves nothing behind, and answer when there is
//! something to answer with.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use florin_gateway::http::serve as http_serve;
use florin_journal::patiently;

use super::connections;
use super::running::{Running, Tasks};
use crate::config::Config;
use crate::failure::{Exit, Failure};

/// Takes an address.
pub(crate) fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
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

/// Serves the public listener and the ops listener; where they are.
pub(crate) fn both(
    config: &Config,
    running: &mut Running,
    [public, ops]: [(TcpListener, Router); 2],
) -> Result<[SocketAddr; 2], Failure> {
    let (public_most, ops_most) = connections::bounds();
    let drain = Duration::from_millis(config.gateway.drain_ms);
    Ok([
        serve(&mut running.listeners, public, public_most, drain)?,
        serve(&mut running.listeners, ops, ops_most, drain)?,
    ])
}

/// Takes the addresses of the card APIs that have one of their own.
pub(crate) fn bind_own(config: &Config) -> Result<Vec<TcpListener>, Failure> {
    config.serve.own.iter().map(|(api, address)| bind(*address, api.option())).collect()
}

/// Serves them; where they are, a line for each.
pub(crate) fn own(
    config: &Config,
    group: &mut Tasks,
    listeners: Vec<TcpListener>,
    routers: Vec<Router>,
) -> Result<String, Failure> {
    let (most, _) = connections::bounds();
    let drain = Duration::from_millis(config.gateway.drain_ms);
    let mut told = String::new();
    for (((api, _), listener), router) in config.serve.own.iter().zip(listeners).zip(routers) {
        let address = serve(group, (listener, router), most, drain)?;
        let name = format!("{} API", api.name());
        // Writing to a string cannot fail.
        let _ = writeln!(told, "{name:<14}http://{address}");
    }
    Ok(told)
}

/// Serves one listener until the group is told to stop.
pub(crate) fn serve(
    listeners: &mut Tasks,
    (listener, router): (TcpListener, Router),
    connections: usize,
    drain: Duration,
) -> Result<SocketAddr, Failure> {
    let failed = |cause| Failure::new(Exit::Stopped, "a listener failed").because(cause);
    let address = listener.local_addr().map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let settings = http_serve::Settings { drain, connections, ..http_serve::Settings::default() };
    let served = http_serve::serve_with(listener, router, settings, listeners.told());
    listeners.spawn(async move { served.await.map_err(failed) });
    Ok(address)
}
