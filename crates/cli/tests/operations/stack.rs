//! A whole ledger in one process: embedded journal, processor, projector, vault, sandbox issuer, and the three APIs in front.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use florin_engine::{
    agenda::Task,
    codec::Outcome,
    command::{Class, Command, ConfirmReconcile, Envelope, IssueCard, Issued, Outcome as Settled, Settle},
    ids::{AccountId, CardId, Digest, Key, Kind, mint},
    money::{Country, Minor, Sealed, Text},
    policy::{CardKind, ProgrammeCode},
    terms::{Status, expiry_of},
};
use florin_gateway::{
    Gateway, Ports, Settings,
    dialects::dashboard,
    http::{keys::ApiKey, serve},
    issuer_inbound, ops,
    ports::{DeadLetter, DeadLetters, Error},
    public_router, sandbox,
};
use florin_issuer::{Answer, CardStatus, IssueRequest, Limits, Sandbox, StatusRequest, signature};
use florin_journal::{PartitionId, SigningKey, embedded::Embedded};
use florin_processor::{Options, Processor, Running};
use florin_projector::{Projector, Views};
use florin_vault::{MasterKey, Vault};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// Partitions of the ledger.
pub(crate) const PARTITIONS: u16 = 2;
const KEY: &str = "ops-key";
const SECRET: &[u8] = b"a secret of the issuer";

/// The stack.
pub(crate) struct Stack {
    pub(crate) gateway: Gateway,
    router: Router,
    running: Running,
    projecting: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    _dir: TempDir,
}

/// What was answered.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answered {
    /// The error's code.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The answer, which must be of this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

/// Dead letters of nobody's: one, until it is dealt with, and `6`, which is always being tried.
#[derive(Default)]
struct OneLetter(std::sync::Mutex<bool>);

impl DeadLetters for OneLetter {
    fn list(&self, _: usize) -> Result<Vec<DeadLetter>, Error> {
        let letter = DeadLetter {
            id: "7".into(),
            queue: "settlement".into(),
            account: AccountId([1; 16]),
            card: CardId([2; 16]),
            task: "issue".into(),
            tries: 12,
            error: "the issuer did not answer in time".into(),
            since_ms: 0,
        };
        let gone = *self.0.lock().unwrap();
        Ok(if gone { Vec::new() } else { vec![letter] })
    }

    fn retry(&self, id: &str) -> Result<bool, Error> {
        if id == "6" {
            return Err(Error::BeingTried);
        }
        Ok(id == "7" && !std::mem::replace(&mut *self.0.lock().unwrap(), true))
    }

    fn drop(&self, id: &str) -> Result<bool, Error> {
        self.retry(id)
    }
}

impl Stack {
    /// An empty ledger with the demo policy and the user `alice` of `demo` with 1,000.00 USD.
    pub(crate) async fn furnished() -> Self {
        let stack = Self::empty().await;
        let policy = florin_gateway::policy_document::DEMO;
        stack.ops("PUT", "/policy", policy).await.expect(200);
        let alice = r#"{"company":"demo","user":"alice","country":"GB"}"#;
        stack.ops("POST", "/users", alice).await.expect(201);
        let money = r#"{"asset":"USD","amount":1000,"reference":"seed"}"#;
        stack.ops("POST", "/users/demo/alice/deposits", money).await.expect(200);
        stack
    }

    /// An empty ledger.
    pub(crate) async fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let signing = || SigningKey::from_bytes(&[7; 32]);
        Embedded::create(&at("journal"), PARTITIONS, signing()).unwrap();
        let journal = Embedded::open(&at("journal"), signing()).unwrap();
        let partitions = (0..PARTITIONS).map(PartitionId);
        let started = Processor::start(journal.clone(), partitions, Options::default()).await;
        let (handle, running) = started.unwrap();
        let opened = Views::open(&at("views"), &journal, florin_projector::Options::default()).await;
        let (views, _) = opened.unwrap();
        let projector = Projector::new(journal, views.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let projecting = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
            };
            projector.run(stopped).await.unwrap();
        });
        let master = MasterKey::generate().unwrap();
        let vault = Vault::open(&at("vault"), &master).unwrap();
        let settings = florin_issuer::sandbox::Settings::default();
        let issuer = Sandbox::open(&at("issuer"), &master, Some(vault.clone()), settings).unwrap();
        let ports = Ports {
            preparing: Arc::default(),
            handle,
            views: views.clone(),
            vault,
            issuer: Arc::new(issuer.clone()),
            dead_letters: Some(Arc::new(OneLetter::default())),
            webhooks: None,
            sandbox: Some(Arc::new(issuer)),
            followers: Arc::new(views),
        };
        // Stories are about what is decided, not about how fast this machine is.
        let authorization_wait = std::time::Duration::from_mins(1);
        let settings = Settings { authorization_wait, ..Settings::default() };
        let gateway = Gateway::new(ports, settings);
        let keys = [ApiKey::new("ops", KEY)];
        let secret = signature::Key::new(SECRET).unwrap();
        let router = Router::new()
            .nest(ops::PREFIX, ops::router(&gateway, &keys, ops::PREFIX))
            .nest(sandbox::PREFIX, sandbox::router(&gateway, None, sandbox::PREFIX))
            .merge(issuer_inbound::router(&gateway, secret));
        let router = public_router(&gateway, [router]);
        Self { gateway, router, running, projecting, stop, _dir: dir }
    }

    /// Ends everything; what failed in the background fails the test.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(());
        self.projecting.await.unwrap();
        self.running.stop().await.unwrap();
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = serve::answer(&self.router, request).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answered { status: parts.status, headers: parts.headers, text, body }
    }

    /// Sends a request with a key, a body and headers.
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Calls the ops API with its key.
    pub(crate) async fn ops(&self, method: &str, path: &str, body: &str) -> Answered {
        self.ops_with(method, path, &[], body).await
    }

    /// Calls the ops API with an idempotency key.
    pub(crate) async fn ops_once(&self, key: &str, path: &str, body: &str) -> Answered {
        self.ops_with("POST", path, &[("idempotency-key", key)], body).await
    }

    /// Calls any API with the operator's key.
    pub(crate) async fn keyed(&self, method: &str, path: &str) -> Answered {
        self.call(method, path, &[("x-api-key", KEY)], "").await
    }

    async fn ops_with(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answered {
        let headers = [&[("x-api-key", KEY)], more].concat();
        self.call(method, &format!("{}{path}", ops::PREFIX), &headers, body).await
    }

    /// Calls the sandbox API.
    pub(crate) async fn sandbox(&self, method: &str, path: &str, body: &str) -> Answered {
        self.call(method, &format!("{}{path}", sandbox::PREFIX), &[], body).await
    }

    /// Posts to the sandbox API with an idempotency key.
    pub(crate) async fn sandbox_once(&self, key: &str, path: &str, body: &str) -> Answered {
        let path = format!("{}{path}", sandbox::PREFIX);
        self.call("POST", &path, &[("idempotency-key", key)], body).await
    }

    /// Posts to the issuer's API, signed.
    pub(crate) async fn issuer(&self, path: &str, body: &str) -> Answered {
        let path = format!("{}{path}", issuer_inbound::PREFIX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let now = u64::try_from(now).unwrap();
        let signature = signature::Key::new(SECRET).unwrap().sign("POST", &path, now, body.as_bytes());
        let headers = [("florin-timestamp", now.to_string()), ("florin-signature", signature)];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.call("POST", &path, &headers, body).await
    }

    /// The documents as they are served, by the prefix of their paths.
    pub(crate) async fn documents(&self) -> Vec<(&'static str, Value)> {
        let mut documents = Vec::new();
        for prefix in [dashboard::PREFIX, ops::PREFIX, sandbox::PREFIX] {
            let served = self.call("GET", &format!("{prefix}/openapi.json"), &[], "").await.expect(200);
            documents.push((prefix, served.body));
        }
        documents
    }

    /// Issues alice a virtual card with 100.00 USD on it, and settles it.
    pub(crate) async fn card(&self, key: &str) -> String {
        let account = self.gateway.account("demo", "alice");
        let key = Key::of(account, key.as_bytes());
        let card = CardId(mint(account, key, Kind::Card));
        let command = IssueCard {
            card,
            programme: ProgrammeCode::Dashboard,
            kind: CardKind::Virtual,
            initial: Minor(10_000),
            invoice: 0,
            provider: Text::new(),
            country: Country::NONE,
            profile: Sealed::NONE,
        };
        self.command(account, Class::User, key, command.into()).await;
        self.settle().await;
        card.to_string()
    }

    async fn command(&self, account: AccountId, class: Class, key: Key, command: Command) {
        let dated_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let envelope = Envelope { account, class, actor: 0, key, digest: Digest::default(), dated_ms, command };
        let ports = self.gateway.ports();
        let reply = ports.handle.submit(envelope).await.unwrap();
        assert!(matches!(reply.outcome, Outcome::Accepted(_)), "{reply:?}");
        let wait = std::time::Duration::from_secs(10);
        ports.views.wait(reply.partition, reply.position, wait).await.unwrap();
    }

    /// Does at the issuer what is to be done, and settles it.
    pub(crate) async fn settle(&self) {
        let ports = self.gateway.ports();
        for partition in 0..PARTITIONS {
            for work in ports.handle.work(partition, 100).await.unwrap() {
                let (request_id, card_id) = (work.request.uuid(), work.card.uuid());
                let outcome = match work.task {
                    Task::Issue => {
                        let request = IssueRequest {
                            request_id,
                            card_id,
                            account: work.account.0,
                            kind: florin_issuer::Kind::Virtual,
                            currency: "USD".into(),
                            sealed_profile: None,
                            limits: Limits::default(),
                        };
                        let Answer::Done(issued) = ports.issuer.issue(request).await.unwrap() else {
                            panic!("the sandbox refuses");
                        };
                        Settled::Issued(Issued {
                            issuer_card: issued.issuer_card_id,
                            first4: issued.first4,
                            last4: issued.last4,
                            expiry: expiry_of(issued.expiry.year, issued.expiry.month).unwrap(),
                        })
                    }
                    Task::SetStatus(status) => {
                        let status = status_of(status);
                        let request = StatusRequest { request_id, card_id, change: work.change, status };
                        let Answer::Done(()) = ports.issuer.set_status(request).await.unwrap() else {
                            panic!("the sandbox refuses");
                        };
                        Settled::Done
                    }
                    Task::Assert { .. } => {
                        let key = Key::of(work.account, request_id.as_bytes());
                        let command = ConfirmReconcile { card: work.card, change: work.change };
                        self.command(work.account, Class::Settlement, key, command.into()).await;
                        continue;
                    }
                    other => panic!("nobody asked for {other:?}"),
                };
                let key = Key::of(work.account, request_id.as_bytes());
                let command = Settle { card: work.card, request: work.request, outcome };
                self.command(work.account, Class::Settlement, key, command.into()).await;
            }
        }
    }
}

fn status_of(status: Status) -> CardStatus {
    match status {
        Status::Active => CardStatus::Active,
        Status::Frozen => CardStatus::Frozen,
        Status::Blocked => CardStatus::Blocked,
        Status::PreCancel | Status::Cancelled => CardStatus::Terminated,
        other => panic!("{other:?} is not set at the issuer"),
    }
}
