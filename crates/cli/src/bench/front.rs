//! The gateway of a run on loopback, with one company's key, the issuer's, and a key for users' tokens.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use florin_gateway::http::keys::ApiKey;
use florin_gateway::http::serve;
use florin_gateway::http::tokens::{self, Algorithm, Grant, Key, KeyPair, SigningKey};
use florin_gateway::{Gateway, Ports, Settings, issuer_inbound, public_router};
use florin_issuer::sandbox::{self, Sandbox};
use florin_issuer::signature;
use florin_journal::Provider;
use florin_projector::Views;
use florin_vault::{MasterKey, Vault};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::bed::Bed;
use super::people;
use super::script::{COMPANY, Script};
use crate::causes;
use crate::failure::{Exit, Failure};

/// The only API key. The listener is on loopback and lives as long as the run.
pub(super) const KEY: &str = "florin-bench";
/// What the issuer signs with; the same holds for it.
const ISSUER_SECRET: &[u8] = b"florin-bench-issuer";
/// Who signs the users' tokens.
const TOKEN_ISSUER: &str = "bench";
/// Longer than a run takes.
const TOKENS_LAST: Duration = Duration::from_hours(48);
/// Users whose keys are made by one transaction of the vault.
const USERS_PER_TRANSACTION: usize = 10_000;
const DRAIN: Duration = Duration::from_secs(10);

/// The vault of a run, and the master key it was made with.
pub(super) fn vault(dir: &Path) -> Result<(Vault, MasterKey), Failure> {
    let master =
        MasterKey::generate().map_err(|cause| Failure::new(Exit::Other, "cannot make a master key").because(cause))?;
    let vault = Vault::open(&dir.join("vault.redb"), &master).map_err(causes::vault)?;
    Ok((vault, master))
}

/// The issuer of a run.
pub(super) fn sandbox(dir: &Path, vault: &Vault, master: &MasterKey) -> Result<Arc<Sandbox>, Failure> {
    let opened = Sandbox::open(&dir.join("issuer.redb"), master, Some(vault.clone()), sandbox::Settings::default());
    let failed = |cause| Failure::new(Exit::Disk, "cannot open the sandbox issuer").because(cause);
    opened.map_err(failed).map(Arc::new)
}

/// Makes the keys of all users.
pub(super) fn register(vault: &Vault, script: &Script) -> Result<(), Failure> {
    for users in script.users.iter().flat_map(|users| users.chunks(USERS_PER_TRANSACTION)) {
        let names: Vec<String> = users.iter().map(|user| people::name(user.number)).collect();
        let people: Vec<_> =
            users.iter().zip(&names).map(|(user, name)| (user.account.0, COMPANY, name.as_str())).collect();
        vault.register_all(&people).map_err(causes::vault)?;
    }
    Ok(())
}

/// The gateway as it serves.
pub(super) struct Front {
    pub(super) address: SocketAddr,
    /// What the issuer signs with.
    pub(super) issuer: signature::Key,
    tokens: SigningKey,
    stop: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
}

impl Front {
    pub(super) async fn open<P: Provider>(
        bed: &Bed<P>,
        views: Views,
        vault: Vault,
        sandbox: Arc<Sandbox>,
    ) -> Result<Self, Failure> {
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
        let (tokens, key) = token_keys()?;
        let settings = Settings {
            dashboard_keys: vec![ApiKey::new(COMPANY, KEY)],
            tokens: tokens::Settings { keys: vec![key], ..tokens::Settings::default() },
            ..Settings::default()
        };
        let issuer = signature::Key::new(ISSUER_SECRET)
            .map_err(|cause| Failure::new(Exit::Other, "cannot make the issuer's key").because(cause))?;
        let gateway = Gateway::new(ports, settings);
        let inbound = issuer_inbound::router(&gateway, issuer.clone());
        let router = public_router(&gateway, Some(inbound));
        let failed = |cause| Failure::new(Exit::Listen, "cannot listen on loopback").because(cause);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, mut told) = watch::channel(false);
        let serving = tokio::spawn(serve::serve(listener, router, DRAIN, async move {
            let _ = told.wait_for(|stop| *stop).await;
        }));
        Ok(Self { address, issuer, tokens, stop, serving })
    }

    /// A user's token, as the company would sign it.
    pub(super) fn token(&self, user: &str) -> Result<SecretString, Failure> {
        let grant = Grant {
            issuer: TOKEN_ISSUER,
            audience: "florin",
            company: COMPANY,
            subject: Some(user),
            expires_in: TOKENS_LAST,
            kid: None,
        };
        self.tokens.token(&grant).map_err(|cause| Failure::new(Exit::Other, "cannot sign a token").because(cause))
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

/// What signs the users' tokens (Ed25519), and what verifies them.
fn token_keys() -> Result<(SigningKey, Key), Failure> {
    let failed = |what| Failure::new(Exit::Other, what);
    let pair = KeyPair::generate().map_err(|cause| failed("cannot make a key for tokens").because(cause))?;
    let signing = SigningKey::new(pair.private.expose_secret().as_bytes())
        .map_err(|cause| failed("the key for tokens cannot sign").because(cause))?;
    let key = Key::new(COMPANY, TOKEN_ISSUER, Algorithm::EdDSA, None, pair.public.as_bytes())
        .map_err(|cause| failed("the key for tokens cannot verify").because(cause))?;
    Ok((signing, key))
}
