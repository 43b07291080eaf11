//! A whole stack in one process on a temporary directory: journal, processor, projector, vault, sandbox issuer, a settlement that can be
//! held, and the gateway on a loopback port.
#![allow(clippy::unwrap_used, reason = "helpers of stories; what does not unwrap fails the story")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use florin_engine::{
    agenda::{Task, Work},
    codec::{Entry, Outcome},
    command::{
        AdoptPolicy, ChangeStatus, Class, Command, Deposit, Envelope, Issued, Outcome as Settled, RegisterUser, Settle,
    },
    event::Event,
    ids::{AccountId, CardId, Digest, Key},
    money::{Asset, Country, Minor, Sealed},
    terms::{Change, RefusalCode, expiry_of},
};
use florin_gateway::{
    Gateway, Ports, Settings,
    http::{keys::ApiKey, serve::serve},
    people, policy_document, public_router,
};
use florin_issuer::{
    Abandoned, Answer, CardStatus, Error, IssueRequest, Issuer, Kind, LateAnswer, LimitsRequest, OneTimeCode, Pending,
    RequestState, Reveal, Revealed, Sandbox, StatusRequest, sandbox,
};
use florin_journal::embedded::Embedded;
use florin_journal::{PartitionId, Provider, SigningKey};
use florin_processor::{Handle, Options, Processor, Reply, Running};
use florin_projector::{Views, open, projector::Projector};
use florin_vault::{MasterKey, Vault};
use reqwest::{Method, StatusCode};
use serde_json::value::RawValue;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const PARTITIONS: u16 = 2;
pub(crate) const KEY: &str = "key-of-demo";

/// The sandbox, until it is out of reach.
pub(crate) struct Line {
    sandbox: Sandbox,
    cut: AtomicBool,
}

impl Line {
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    fn reach<'a, T: Send + 'a>(&'a self, call: Pending<'a, T>) -> Pending<'a, T> {
        if self.cut.load(Ordering::SeqCst) {
            return Box::pin(async { Err(Error::TimedOut) });
        }
        call
    }
}

impl Issuer for Line {
    fn issue(&self, request: IssueRequest) -> Pending<'_, Answer<florin_issuer::Issued>> {
        self.reach(self.sandbox.issue(request))
    }

    fn set_status(&self, request: StatusRequest) -> Pending<'_, Answer<()>> {
        self.reach(self.sandbox.set_status(request))
    }

    fn set_limits(&self, request: LimitsRequest) -> Pending<'_, Answer<()>> {
        self.reach(self.sandbox.set_limits(request))
    }

    fn request(&self, request_id: uuid::Uuid) -> Pending<'_, RequestState> {
        self.reach(self.sandbox.request(request_id))
    }

    fn abandon(&self, request_id: uuid::Uuid, card_id: uuid::Uuid) -> Pending<'_, Abandoned> {
        self.reach(self.sandbox.abandon(request_id, card_id))
    }

    fn reveal(&self, card_id: uuid::Uuid, what: Reveal) -> Pending<'_, Revealed> {
        self.reach(self.sandbox.reveal(card_id, what))
    }

    fn one_time_code(&self, card_id: uuid::Uuid) -> Pending<'_, OneTimeCode> {
        self.reach(self.sandbox.one_time_code(card_id))
    }

    fn find_by_number(&self, pan: &str) -> Pending<'_, Option<uuid::Uuid>> {
        self.reach(self.sandbox.find_by_number(pan))
    }

    fn late_answers(&self) -> Option<tokio::sync::mpsc::Receiver<LateAnswer>> {
        None
    }
}

/// What runs.
pub(crate) struct Stack {
    pub(crate) handle: Handle,
    pub(crate) views: Views,
    pub(crate) vault: Vault,
    pub(crate) line: Arc<Line>,
    pub(crate) settling: Arc<AtomicBool>,
    base: String,
    client: reqwest::Client,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    running: Mutex<Option<Running>>,
    dir: Mutex<Option<TempDir>>,
}

/// An answer: status, headers that matter, body as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Got {
    /// The raw text of a field of the body, named with dots: digits are compared as they were written.
    pub(crate) fn raw(&self, path: &str) -> String {
        let mut text = self.body.clone();
        for name in path.split('.') {
            let inner = if let Ok(n) = name.parse::<usize>() {
                serde_json::from_str::<Vec<Box<RawValue>>>(&text).unwrap()[n].get().to_owned()
            } else {
                let fields: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
                fields.get(name).unwrap_or_else(|| panic!("{path} is not in {text}")).get().to_owned()
            };
            text = inner;
        }
        text
    }

    /// A text of the body.
    pub(crate) fn text(&self, path: &str) -> String {
        serde_json::from_str(&self.raw(path)).unwrap()
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.text("error.code"))
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn key(text: &str, account: AccountId) -> Key {
    Key::of(account, text.as_bytes())
}

impl Stack {
    /// With the demo policy and nobody.
    pub(crate) async fn start(adjust: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master = MasterKey::generate().unwrap();
        let vault = Vault::open(&dir.path().join("vault"), &master).unwrap();
        let sandbox =
            Sandbox::open(&dir.path().join("sandbox"), &master, Some(vault.clone()), sandbox::Settings::default())
                .unwrap();
        let signing = SigningKey::from_bytes(&[7; 32]);
        Embedded::create(&dir.path().join("journal"), PARTITIONS, signing.clone()).unwrap();
        let journal = Embedded::open(&dir.path().join("journal"), signing).unwrap();
        let partitions = (0..PARTITIONS).map(PartitionId);
        let (handle, running) = Processor::start(journal.clone(), partitions, Options::default()).await.unwrap();
        let (views, _) = Views::open(&dir.path().join("views"), &journal, open::Options::default()).await.unwrap();
        let line = Arc::new(Line { sandbox, cut: AtomicBool::new(false) });
        let mut settings = Settings {
            dashboard_keys: vec![ApiKey::new("demo", KEY), ApiKey::new("other", "key-of-other")],
            ..Settings::default()
        };
        adjust(&mut settings);
        let ports = Ports {
            preparing: Arc::default(),
            handle: handle.clone(),
            views: views.clone(),
            vault: vault.clone(),
            issuer: Arc::clone(&line) as _,
            dead_letters: None,
            webhooks: None,
            sandbox: None,
            followers: Arc::new(views.clone()),
        };
        let router = public_router(&Gateway::new(ports, settings), []);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api/dashboard", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let ended = |mut stopped: watch::Receiver<bool>| async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let settling = Arc::new(AtomicBool::new(true));
        let settlement = Settlement {
            handle: handle.clone(),
            journal: journal.clone(),
            line: Arc::clone(&line),
            settling: Arc::clone(&settling),
        };
        let projector = Projector::new(journal.clone(), views.clone());
        let following = projector.run(ended(stopped.clone()));
        let serving = serve(listener, router, Duration::from_millis(200), ended(stopped.clone()));
        let settled = ended(stopped);
        let tasks = vec![
            tokio::spawn(async move { following.await.unwrap() }),
            tokio::spawn(async move { serving.await.unwrap() }),
            tokio::spawn(async move {
                tokio::select! { () = settlement.run() => (), () = settled => () }
            }),
        ];
        let stack = Self {
            handle,
            views,
            vault,
            line,
            settling,
            base,
            client: reqwest::Client::new(),
            stop,
            tasks: Mutex::new(tasks),
            running: Mutex::new(Some(running)),
            dir: Mutex::new(Some(dir)),
        };
        stack.adopt_demo_policy().await;
        stack
    }

    /// With alice and bob of `demo`, who have 10,000.00 USD each.
    pub(crate) async fn demo() -> Self {
        Self::demo_with(|_| ()).await
    }

    pub(crate) async fn demo_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let stack = Self::start(adjust).await;
        for user in ["alice", "bob"] {
            stack.register("demo", user, 1_000_000).await;
        }
        stack
    }

    async fn adopt_demo_policy(&self) {
        for partition in 0..PARTITIONS {
            let policy = Box::new(policy_document::demo_policy().unwrap());
            let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy };
            self.ops(AccountId::of_partition(partition), "policy", adopt).await;
        }
    }

    pub(crate) fn account(&self, company: &str, user: &str) -> AccountId {
        people::account(&self.vault, PARTITIONS, company, user)
    }

    pub(crate) async fn register(&self, company: &str, user: &str, cents: i64) {
        let account = self.account(company, user);
        self.vault.register(account.0, company, user).unwrap();
        let country = Country::parse("GB").unwrap();
        self.ops(account, "register", RegisterUser { company: company.to_owned(), country }).await;
        let deposit = Deposit { asset: Asset::USD, amount: Minor(cents), reference: Sealed::NONE };
        let reply = self.ops(account, "deposit", deposit).await;
        self.views.wait(reply.partition, reply.position, Duration::from_secs(10)).await.unwrap();
    }

    /// A command of ops, which must be accepted.
    pub(crate) async fn ops(&self, account: AccountId, name: &str, command: impl Into<Command>) -> Reply {
        let reply = self.handle.submit(envelope(account, Class::Ops, name, command.into())).await.unwrap();
        assert!(matches!(reply.outcome, Outcome::Accepted(_)), "{name}: {reply:?}");
        reply
    }

    /// Brings a card to another status, settled.
    pub(crate) async fn change(&self, card: &str, change: Change) {
        let card = CardId::from(card.parse::<uuid::Uuid>().unwrap());
        let account = self.views.card(card).unwrap().unwrap().account;
        let name = format!("{change:?}");
        let mut position = self.ops(account, &name, ChangeStatus { card, change, reason: Sealed::NONE }).await.position;
        loop {
            self.views.wait(card.partition(), position, Duration::from_secs(10)).await.unwrap();
            if self.views.card(card).unwrap().unwrap().pending.is_none() {
                return;
            }
            position.0 += 1;
        }
    }

    /// What a user has in USD, by the views as they stand after everything written so far.
    pub(crate) async fn wallet(&self, user: &str) -> i64 {
        let account = self.account("demo", user);
        let head = self.handle.status(account.partition()).await.unwrap().head;
        let head = florin_engine::ids::Position::new(head.index, 0);
        self.views.wait(account.partition(), head, Duration::from_secs(10)).await.unwrap();
        self.views.wallet(account, Asset::USD).unwrap().unwrap().balance.0
    }

    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Got {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        Got {
            status: response.status().as_u16(),
            replayed: response.headers().get("idempotency-replayed").is_some_and(|value| value == "true"),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.call(Method::GET, path, &[("x-api-key", KEY)], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Got {
        self.call(Method::POST, path, &[("x-api-key", KEY)], Some(body)).await
    }

    pub(crate) async fn post_as(&self, path: &str, key: &str, body: &str) -> Got {
        let headers = [("x-api-key", KEY), ("idempotency-key", key)];
        self.call(Method::POST, path, &headers, Some(body)).await
    }

    /// A settled card of 100.00 of a user's.
    pub(crate) async fn card(&self, user: &str) -> String {
        let path = format!("/users/{user}/cards");
        let created = self.post(&path, r#"{"cardName":"Travel","initialBalance":100}"#).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
        created.text("cardId")
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        for task in tasks {
            task.await.unwrap();
        }
        let running = self.running.lock().unwrap().take().unwrap();
        running.stop().await.unwrap();
        drop(self.dir.lock().unwrap().take());
    }
}

fn envelope(account: AccountId, class: Class, name: &str, command: Command) -> Envelope {
    Envelope { account, class, actor: 1, key: key(name, account), digest: Digest([1; 16]), dated_ms: now_ms(), command }
}

/// As much of settlement as the stories need: issuances and status changes, each tried until the issuer answers.
struct Settlement {
    handle: Handle,
    journal: Embedded,
    line: Arc<Line>,
    settling: Arc<AtomicBool>,
}

impl Settlement {
    async fn run(self) {
        loop {
            if self.settling.load(Ordering::SeqCst) {
                for partition in 0..PARTITIONS {
                    for work in self.handle.work(partition, 100).await.unwrap_or_default() {
                        self.settle(&work).await;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn settle(&self, work: &Work) {
        let outcome = match &work.task {
            Task::Issue => self.issue(work).await,
            Task::SetStatus(status) => {
                let status = match status {
                    florin_engine::terms::Status::Active => CardStatus::Active,
                    florin_engine::terms::Status::Frozen => CardStatus::Frozen,
                    florin_engine::terms::Status::Blocked => CardStatus::Blocked,
                    _ => CardStatus::Terminated,
                };
                let (request_id, card_id) = (work.request.uuid(), work.card.uuid());
                let request = StatusRequest { request_id, card_id, change: work.change, status };
                match self.line.set_status(request).await {
                    Ok(Answer::Done(())) => Some(Settled::Done),
                    Ok(Answer::Refused(_)) => Some(Settled::Refused(RefusalCode::Declined)),
                    Err(_) => None,
                }
            }
            _ => None,
        };
        if let Some(outcome) = outcome {
            let settle = Settle { card: work.card, request: work.request, outcome };
            let name = work.request.to_string();
            let _ = self.handle.submit(envelope(work.account, Class::Settlement, &name, settle.into())).await;
        }
    }

    async fn issue(&self, work: &Work) -> Option<Settled> {
        let record = self.journal.read(PartitionId(work.account.partition()), work.position.index()).await.unwrap();
        let entry = Entry::decode(record.entry(work.position.entry()).unwrap()).unwrap();
        let Outcome::Accepted(events) = entry.outcome else { panic!("an issue that was accepted") };
        let requested = events.into_iter().find_map(|event| match event {
            Event::CardRequested(requested) => Some(requested),
            _ => None,
        })?;
        let request = IssueRequest {
            request_id: work.request.uuid(),
            card_id: work.card.uuid(),
            account: work.account.0,
            kind: Kind::Virtual,
            currency: "USD".to_owned(),
            sealed_profile: Some(requested.profile.0),
            limits: florin_issuer::Limits::default(),
        };
        match self.line.issue(request).await {
            Ok(Answer::Done(issued)) => Some(Settled::Issued(Issued {
                issuer_card: issued.issuer_card_id,
                first4: issued.first4,
                last4: issued.last4,
                expiry: expiry_of(issued.expiry.year, issued.expiry.month).unwrap(),
            })),
            Ok(Answer::Refused(_)) => Some(Settled::Refused(RefusalCode::Declined)),
            Err(_) => None,
        }
    }
}
