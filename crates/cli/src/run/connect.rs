//! The connection to the NATS servers: as whom, encrypted how, and what it means when it fails.

use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Event};
use secrecy::ExposeSecret;

use crate::config::nats::{Login, Nats};
use crate::failure::{Exit, Failure};

/// How long servers that are not there yet are waited for: roles and servers are started in any order.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often they are tried.
const EVERY: Duration = Duration::from_millis(500);
/// How often a quiet connection is asked whether it is one. Two unanswered questions end it.
const PING: Duration = Duration::from_secs(2);
/// Longest wait between two tries of a connection that was lost.
const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// Connects; `label` is what the servers show the connection as. Lost connections are made again for ever.
pub(crate) async fn connect(nats: &Nats, label: &str) -> Result<Client, Failure> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let options = options(nats, label)?;
        match options.connect(nats.urls.as_slice()).await {
            Ok(client) => return Ok(client),
            Err(error) => {
                let refused = matches!(
                    error.kind(),
                    async_nats::ConnectErrorKind::Authentication | async_nats::ConnectErrorKind::AuthorizationViolation
                );
                if refused || begun.elapsed() > PATIENCE {
                    return Err(failed(nats, refused).because(error));
                }
                if !told {
                    tracing::warn!(%error, "waiting for the NATS servers at {}", nats.urls.join(", "));
                    told = true;
                }
                tokio::time::sleep(EVERY).await;
            }
        }
    }
}

/// As whom, encrypted how; `label` is what the servers show the connection as.
pub(crate) fn options(nats: &Nats, label: &str) -> Result<ConnectOptions, Failure> {
    let mut options = match &nats.login {
        Login::Nobody => ConnectOptions::new(),
        Login::Credentials(file) => {
            let text = std::fs::read_to_string(file).map_err(|cause| Failure::io("read", file, cause))?;
            ConnectOptions::with_credentials(&text).map_err(|cause| {
                Failure::new(Exit::Config, format!("{} is no credentials file", file.display()))
                    .advise("make it anew with `nsc generate creds`")
                    .because(cause)
            })?
        }
        Login::Nkey(seed) => ConnectOptions::with_nkey(seed.expose_secret().to_owned()),
        Login::Password { user, password } => {
            ConnectOptions::with_user_and_password(user.clone(), password.expose_secret().to_owned())
        }
    };
    options = options
        .name(format!("florin {label}"))
        .custom_inbox_prefix(&nats.inbox_prefix)
        .ping_interval(PING)
        .require_tls(nats.tls_required)
        .reconnect_delay_callback(|tries| {
            let tries = u32::try_from(tries).unwrap_or(u32::MAX);
            Duration::from_millis(50).saturating_mul(tries).min(RECONNECT_MAX)
        })
        .event_callback(|event| async move {
            match event {
                Event::Connected => tracing::info!("connected to a NATS server"),
                Event::Disconnected => tracing::warn!("the connection to the NATS server is lost; trying again"),
                Event::ServerError(error) => tracing::warn!(%error, "the NATS server refuses something"),
                event => tracing::debug!(%event, "of the NATS connection"),
            }
        });
    if let Some(authorities) = &nats.tls_ca_file {
        options = options.add_root_certificates(authorities.clone());
    }
    if let Some((certificate, key)) = &nats.tls_identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

fn failed(nats: &Nats, refused: bool) -> Failure {
    let servers = nats.urls.join(", ");
    if refused {
        Failure::new(Exit::Nats, format!("the NATS servers at {servers} do not let this user in"))
            .advise("look at [nats] user and password_file (or nkey_file, credentials_file), and at the servers' users")
    } else {
        Failure::new(Exit::Nats, format!("the NATS servers at {servers} cannot be reached"))
            .advise("start them (deploy/nats), name them with --nats or [nats] url, and look at the TLS files")
    }
}
