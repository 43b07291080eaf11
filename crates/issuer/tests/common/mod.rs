//! A sandbox with a clock of its own, alone or behind its server on loopback.
#![allow(dead_code, reason = "not every test file uses every helper")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use florin_issuer::http::Settings as HttpSettings;
use florin_issuer::sandbox::{BehaviourUpdate, Settings, server};
use florin_issuer::signature::Key;
use florin_issuer::{
    Answer, CardStatus, Http, IssueRequest, Issued, Issuer, Kind, Limits, LimitsRequest, PROFILE_CONTEXT, Profile,
    Sandbox, StatusRequest,
};
use florin_vault::{MasterKey, Vault};
use uuid::Uuid;

pub(crate) const ALICE: [u8; 16] = [0xa1; 16];
pub(crate) const SECRET: &[u8] = b"a secret of both sides";

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) master: MasterKey,
    pub(crate) vault: Vault,
    pub(crate) clock_ms: Arc<AtomicU64>,
    pub(crate) sandbox: Sandbox,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("temp dir");
        let master = MasterKey::generate().expect("random");
        let vault = Vault::open(&folder.path().join("vault.redb"), &master).expect("opens");
        vault.register(ALICE, "demo", "alice").expect("registers");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let clock_ms = Arc::new(AtomicU64::new(u64::try_from(now.as_millis()).expect("fits")));
        let sandbox = open(&folder.path().join("sandbox.redb"), &master, &vault, &clock_ms);
        Self { folder, master, vault, clock_ms, sandbox }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sandbox.redb")
    }

    /// Closes the sandbox and opens it again.
    pub(crate) fn restarted(self) -> Self {
        drop(self.sandbox);
        let path = self.folder.path().join("sandbox.redb");
        let sandbox = open(&path, &self.master, &self.vault, &self.clock_ms);
        Self { sandbox, ..self }
    }

    pub(crate) fn behave(&self, json: &str) {
        let update: BehaviourUpdate = serde_json::from_str(json).expect("an update");
        self.sandbox.update_behaviour(update).expect("valid");
    }

    pub(crate) fn later(&self, milliseconds: u64) {
        self.clock_ms.fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// The HTTP adapter, speaking to this sandbox on loopback.
    pub(crate) async fn http(&self) -> Http {
        self.http_with(SECRET).await
    }

    pub(crate) async fn http_with(&self, secret: &[u8]) -> Http {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let routes = server::router(self.sandbox.clone(), Key::new(SECRET).expect("long enough"));
        let routes = axum::Router::new().nest("/issuer", routes);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Http::new(HttpSettings {
            base_url: format!("http://{address}/issuer"),
            key: Key::new(secret).expect("long enough"),
            vault: Some(self.vault.clone()),
            timeout: Duration::from_secs(20),
        })
        .expect("settings")
    }

    /// A request for a card with these names on it.
    pub(crate) fn request(&self, number: u128, name_on_card: &str) -> IssueRequest {
        let profile = Profile { name_on_card: Some(name_on_card.to_owned()), ..Profile::default() };
        let json = serde_json::to_vec(&profile).expect("encodes");
        IssueRequest {
            request_id: request_id(number),
            card_id: card_id(number),
            account: ALICE,
            kind: Kind::Virtual,
            currency: "USD".into(),
            sealed_profile: Some(self.vault.seal(ALICE, PROFILE_CONTEXT, &json).expect("seals")),
            limits: Limits::default(),
        }
    }
}

fn open(path: &std::path::Path, master: &MasterKey, vault: &Vault, clock_ms: &Arc<AtomicU64>) -> Sandbox {
    let clock_ms = Arc::clone(clock_ms);
    let settings =
        Settings { clock: Arc::new(move || clock_ms.load(Ordering::SeqCst)), patience: Duration::from_millis(5) };
    Sandbox::open(path, master, Some(vault.clone()), settings).expect("opens")
}

pub(crate) fn request_id(number: u128) -> Uuid {
    Uuid::from_u128(0xaaaa_0000 + number)
}

pub(crate) fn card_id(number: u128) -> Uuid {
    Uuid::from_u128(0xcccc_0000 + number)
}

pub(crate) fn status(request: u128, card: u128, change: u32, status: CardStatus) -> StatusRequest {
    StatusRequest { request_id: request_id(request), card_id: card_id(card), change, status }
}

pub(crate) fn limits(request: u128, card: u128, change: u32, daily: u64) -> LimitsRequest {
    LimitsRequest {
        request_id: request_id(request),
        card_id: card_id(card),
        change,
        limits: Limits { daily: Some(daily), ..Limits::default() },
    }
}

/// Makes card `number`, which must succeed.
pub(crate) async fn made(issuer: &dyn Issuer, world: &World, number: u128) -> Issued {
    match issuer.issue(world.request(number, "ADA")).await.expect("definite") {
        Answer::Done(issued) => issued,
        Answer::Refused(refusal) => panic!("refused: {refusal}"),
    }
}
