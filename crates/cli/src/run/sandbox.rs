//! The role `issuer-sandbox`: the sandbox behind the REST contract of a real issuer, with a state of its own.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use florin_issuer::Sandbox;
use florin_issuer::sandbox::server;
use florin_issuer::signature;
use secrecy::ExposeSecret;

use super::Node;
use crate::config::{Config, Issuer};
use crate::failure::{Exit, Failure};
use crate::serve::listening;
use crate::serve::running::Tasks;
use crate::serve::stack::open_sandbox;

/// Most connections at once.
const CONNECTIONS: usize = 256;

/// Opens the sandbox and serves its contract until the listeners are told to stop; the sandbox, and where it is.
pub(super) fn serve(
    config: &Config,
    node: &Node,
    listener: TcpListener,
    listeners: &mut Tasks,
    drain: Duration,
) -> Result<(Arc<Sandbox>, SocketAddr), Failure> {
    let Issuer::Http { secret, .. } = &config.issuer else {
        return Err(Failure::new(Exit::Config, "the sandbox issuer needs the secret that calls are signed with")
            .advise(
                "set [issuer] kind = \"http\", url and secret_file, the same for this role and for those that call it",
            ));
    };
    let key = signature::Key::new(secret.expose_secret().as_bytes())
        .map_err(|error| Failure::new(Exit::Config, "the issuer's secret cannot be used").because(error))?;
    // It is sent in clear what it needs, so it has no part in the ledger's vault.
    let sandbox = open_sandbox(config, &node.sandbox(), &node.master_key(config, true)?, None)?;
    let router = server::router(sandbox.clone(), key);
    let address = listening::serve(listeners, (listener, router), CONNECTIONS, drain)?;
    Ok((Arc::new(sandbox), address))
}
