//! A small world for stories: a real processor over a real journal in a temporary directory, a clock that is moved by
//! hand, a scripted issuer, and one user with a funded wallet.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each story file uses a part")]

mod issuer;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::codec::{Entry, Outcome};
use florin_engine::command::{AdoptPolicy, ChangeStatus, Class, Command, Deposit, Envelope, IssueCard, RegisterUser};
use florin_engine::event::Event;
use florin_engine::ids::{self, AccountId, CardId, Digest, Key, Kind as Id};
use florin_engine::limits::Limits;
use florin_engine::money::{Asset, Country, Factor, Minor, Sealed};
use florin_engine::policy::{AssetPolicy, Bounds, CardKind, Funding, Policy, Programme, ProgrammeCode, Spans};
use florin_engine::state::{Card as CardState, State};
use florin_engine::terms::{Change, Status};
use florin_journal::embedded::Embedded as Journal;
use florin_journal::{Kind, PartitionId, Provider, Reader, SigningKey};
use florin_processor::{Handle, ManualClock, Options as ProcessorOptions, Processor, Running, recover};
use florin_workers::queue::{Embedded, Settings};
use florin_workers::settlement::{self, Options};
use florin_workers::{Backoff, Clock, Settlement, clock};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use issuer::{Mood, Scripted};

pub const NOON: u64 = 1_800_000_000_000;
pub const FUNDS: i64 = 1_000_000;
/// What an issuance takes: the initial balance and the fee.
pub const TAKEN: i64 = 1_100;
const P0: PartitionId = PartitionId(0);
/// No story takes this long; one that does has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub dir: TempDir,
    pub clock: Arc<ManualClock>,
    pub journal: Journal,
    pub handle: Handle,
    pub issuer: Arc<Scripted>,
    pub options: Options,
    running: Running,
}

/// A settlement that runs.
pub struct Settling {
    pub queue: Embedded,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), settlement::Error>>,
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let signing = SigningKey::from_bytes(&[7; 32]);
        Journal::create(&path, 1, signing.clone()).unwrap();
        let journal = Journal::open(&path, signing).unwrap();
        let clock = Arc::new(ManualClock::new(NOON));
        let options = ProcessorOptions { clock: Arc::clone(&clock) as _, ..ProcessorOptions::default() };
        let (handle, running) = Processor::start(journal.clone(), [P0], options).await.unwrap();
        let options = Options {
            consumers: 4,
            call_timeout: Duration::from_millis(50),
            backoff: Backoff { first: Duration::from_millis(2), max: Duration::from_millis(10) },
            tries_max: 1_000,
            slow: Duration::from_millis(10),
            pause: Duration::from_millis(2),
            sweep_every: Duration::from_millis(20),
            grace: Duration::from_secs(5),
            clock: Arc::clone(&clock) as _,
            ..Options::default()
        };
        let world = Self { dir, clock, journal, handle, issuer: Arc::new(Scripted::new()), options, running };
        let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy: Box::new(policy()) };
        let deposit = Deposit { asset: Asset::USD, amount: Minor(FUNDS), reference: Sealed::NONE };
        let register = RegisterUser { company: "acme".into(), country: Country::parse("DE").unwrap() };
        world.does(envelope(AccountId::of_partition(0), Class::Ops, "policy", adopt)).await;
        world.does(envelope(account(), Class::Ops, "register", register)).await;
        world.does(envelope(account(), Class::Ops, "funds", deposit)).await;
        world
    }

    /// Sends a command that is accepted.
    pub async fn does(&self, envelope: Envelope) -> Vec<Event> {
        match self.handle.submit(envelope).await.unwrap().outcome {
            Outcome::Accepted(events) => events,
            Outcome::Rejected(reject) => panic!("accepted, not: {reject}"),
        }
    }

    pub async fn asks_for_card(&self, name: &str, kind: CardKind) -> CardId {
        let key = Key::of(account(), name.as_bytes());
        let card = CardId(ids::mint(account(), key, Id::Card));
        let issue = IssueCard {
            card,
            programme: ProgrammeCode::Dashboard,
            kind,
            initial: Minor(1_000),
            invoice: 0,
            provider: String::new(),
            country: Country::NONE,
            profile: Sealed::NONE,
        };
        self.does(Envelope { key, ..envelope(account(), Class::User, name, issue) }).await;
        card
    }

    pub async fn changes(&self, key: &str, card: CardId, change: Change) {
        let body = ChangeStatus { card, change, reason: Sealed::NONE };
        self.does(envelope(account(), Class::User, key, body)).await;
    }

    /// Asks for a change that may be rejected.
    pub async fn tries(&self, key: &str, card: CardId, change: Change) -> Outcome {
        let body = ChangeStatus { card, change, reason: Sealed::NONE };
        self.handle.submit(envelope(account(), Class::User, key, body)).await.unwrap().outcome
    }

    /// Time passes. The processor reads the two clocks one after the other, and may do so while they are moved: ops
    /// confirm that it is all right.
    pub async fn passes_ms(&self, ms: u64) {
        self.clock.advance_ms(ms);
        self.handle.confirm_clock(0).await.unwrap();
    }

    pub fn queue_path(&self) -> PathBuf {
        self.dir.path().join("queue.redb")
    }

    pub fn queue(&self) -> Embedded {
        Embedded::open(&self.queue_path(), self.journal.ledger().id, Settings::default()).unwrap()
    }

    pub fn settles(&self) -> Settling {
        self.settles_with(self.queue())
    }

    pub fn settles_with(&self, queue: Embedded) -> Settling {
        let (stop, mut stopped) = watch::channel(false);
        let shutdown = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let (handle, journal, options) = (self.handle.clone(), self.journal.clone(), self.options.clone());
        let issuer = Arc::clone(&self.issuer) as _;
        let task = tokio::spawn(Settlement::run(handle, journal, issuer, queue.clone(), options, shutdown));
        Settling { queue, stop, task }
    }

    /// The clock worker; ends with the test.
    pub fn ticks(&self) {
        let options = clock::Options {
            tick: Duration::from_millis(5),
            clock: Arc::clone(&self.clock) as _,
            ..clock::Options::default()
        };
        tokio::spawn(Clock::run(self.handle.clone(), options, std::future::pending()));
    }

    /// The durable state.
    pub async fn state(&self) -> State {
        recover(&self.journal, P0, None, None).await.unwrap().state
    }

    pub async fn card(&self, card: CardId) -> CardState {
        self.state().await.account(account()).unwrap().card(card).unwrap().clone()
    }

    pub async fn wallet(&self) -> i64 {
        self.state().await.account(account()).unwrap().wallet(Asset::USD).unwrap().balance.0
    }

    /// Waits until a card is in a state with nothing pending and nothing to assert.
    pub async fn rests(&self, card: CardId, status: Status) {
        eventually(|| async {
            let card = self.card(card).await;
            card.status == status && card.pending.is_none() && card.reconcile == 0
        })
        .await;
    }

    /// All entries there are.
    pub async fn entries(&self) -> Vec<Entry> {
        let mut reader = self.journal.reader(P0, 1).await.unwrap();
        let mut entries = Vec::new();
        while let Some(record) = reader.try_next().await.unwrap() {
            if record.kind() == Kind::Entries {
                entries.extend(record.entries().map(|entry| Entry::decode(entry).unwrap()));
            }
        }
        entries
    }

    /// All events there are.
    pub async fn events(&self) -> Vec<Event> {
        let outcomes = self.entries().await.into_iter().map(|entry| entry.outcome);
        let accepted = outcomes.filter_map(|outcome| match outcome {
            Outcome::Accepted(events) => Some(events),
            Outcome::Rejected(_) => None,
        });
        accepted.flatten().collect()
    }

    /// How many entries have such a command.
    pub async fn commands(&self, is: impl Fn(&Command) -> bool) -> usize {
        self.entries().await.iter().filter(|entry| is(&entry.admitted.envelope.command)).count()
    }

    pub async fn count(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.events().await.iter().filter(|event| is(event)).count()
    }

    /// Stops what is left; the journal may then be opened again.
    pub async fn ends(self) {
        self.running.stop().await.unwrap();
    }
}

impl Settling {
    /// The graceful end.
    pub async fn ends(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }

    /// Ends by itself, with an error.
    pub async fn fails(self) -> settlement::Error {
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap_err()
    }

    /// The other one: nothing is finished and nothing given back.
    pub async fn crashes(self, world: &World) {
        self.task.abort();
        let _ = self.task.await;
        drop(self.queue);
        // What was being written is written, and then the file is closed.
        let ledger = world.journal.ledger().id;
        eventually(|| async { Embedded::open(&world.queue_path(), ledger, Settings::default()).is_ok() }).await;
    }
}

/// Waits until something is so.
pub async fn eventually<F: Future<Output = bool>>(so: impl Fn() -> F) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it happens");
}

pub fn account() -> AccountId {
    AccountId::from_pseudonym([9; 16], 1)
}

pub fn envelope(account: AccountId, class: Class, key: &str, command: impl Into<Command>) -> Envelope {
    let key = Key::of(account, key.as_bytes());
    Envelope { account, class, actor: 1, key, digest: Digest([1; 16]), dated_ms: 0, command: command.into() }
}

fn policy() -> Policy {
    let bounds = Bounds { min: Minor(1), max: Minor(1_000_000) };
    Policy {
        rules: 1,
        assets: vec![AssetPolicy { code: Asset::USD, decimals: 2, token: None }],
        levels: Vec::new(),
        capabilities: Vec::new(),
        programmes: vec![Programme {
            code: ProgrammeCode::Dashboard,
            funding: Funding::Prepaid,
            currency: Asset::USD,
            wallet_assets: Vec::new(),
            needs_capability: false,
            needs_invoice: false,
            issue_fee: Minor(100),
            issue_service: Factor::ZERO,
            top_up_service: Factor::ZERO,
            initial: Some(bounds),
            top_up: bounds,
            limits: Limits { daily: Some(Minor(50_000)), ..Limits::default() },
            no_pin: Some(Minor(2_500)),
            requests_approved: false,
        }],
        fee_currency: Asset::USD,
        order_fees: Vec::new(),
        deliveries: Vec::new(),
        spans: Spans {
            change_ms: 600_000,
            issuance_ms: 900_000,
            hold_ms: 604_800_000,
            invoice_ms: 900_000,
            purchase_ms: 2_592_000_000,
        },
        cards_max: 50,
        activation_tries_max: 5,
        remembered_max: 1_000_000,
        authorizations_max: 10_000,
        bin: "400000".into(),
        generation: "1".into(),
        provider: "scripted".into(),
        treasury_address: String::new(),
    }
}
