//! A small world for stories: a real embedded journal in a temporary directory, a clock that is moved by hand, a disk
//! whose sync can be held up or made to fail, one user with a funded wallet and an active card.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "helpers of stories; each file uses a part")]

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use florin_engine::codec::{Entry, Outcome};
use florin_engine::command::{
    AdoptPolicy, Authorize, Class, Command, Deposit, Envelope, IssueCard, Issued, Merchant, Outcome as Settled,
    RegisterUser, Settle, TopUp,
};
use florin_engine::event::Event;
use florin_engine::ids::{self, AccountId, AuthorizationId, CardId, Digest, Key, Kind as Id};
use florin_engine::limits::Limits;
use florin_engine::money::{Asset, Country, Factor, Minor, Sealed};
use florin_engine::policy::{AssetPolicy, Bounds, CardKind, Funding, Policy, Programme, ProgrammeCode, Spans};
use florin_engine::reject::{Reason, Reject};
use florin_journal::embedded::{self, Disk, Embedded, Os};
use florin_journal::{Kind, PartitionId, Provider, Reader, SigningKey};
use florin_processor::{Error, Handle, ManualClock, Options, Processor, Reply, Running, processor};
use tempfile::TempDir;

pub const P0: PartitionId = PartitionId(0);
pub const NOON: u64 = 1_800_000_000_000;

/// A disk whose syncs wait while it is held, and fail once it is broken.
#[derive(Default)]
pub struct GatedDisk {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl GatedDisk {
    pub fn hold(&self) {
        self.state.lock().unwrap().0 = true;
    }

    pub fn let_go(&self) {
        self.state.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    pub fn break_down(&self) {
        *self.state.lock().unwrap() = (false, true);
        self.changed.notify_all();
    }
}

impl Disk for GatedDisk {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        Os.write(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let state = self.changed.wait_while(self.state.lock().unwrap(), |(held, _)| *held).unwrap();
        if state.1 {
            return Err(io::Error::other("the disk is broken"));
        }
        drop(state);
        Os.sync(file)
    }
}

pub struct World {
    pub dir: TempDir,
    pub disk: Arc<GatedDisk>,
    pub clock: Arc<ManualClock>,
    pub options: Options,
}

/// A running processor over a world.
pub struct Run {
    pub handle: Handle,
    pub running: Running,
    pub journal: Embedded,
}

pub fn signing() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Embedded::create(&dir.path().join("journal"), 1, signing()).unwrap();
        let clock = Arc::new(ManualClock::new(NOON));
        let options = Options { clock: Arc::clone(&clock) as _, ..Options::default() };
        Self { dir, disk: Arc::default(), clock, options }
    }

    /// With snapshots every `entries` entries.
    pub fn with_snapshots(entries: u64) -> Self {
        let mut world = Self::new();
        world.options.snapshots = Some(world.snapshots());
        world.options.snapshot_entries = entries;
        world
    }

    pub fn snapshots(&self) -> PathBuf {
        self.dir.path().join("snapshots")
    }

    pub fn journal(&self) -> Embedded {
        let options = embedded::Options { disk: Arc::clone(&self.disk) as _, ..embedded::Options::default() };
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            match Embedded::open_with(&self.dir.path().join("journal"), signing(), &options) {
                // A server that another story starts just now has the lock for as long as it is half a copy of this process.
                Err(florin_journal::Error::Locked { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                opened => return opened.unwrap(),
            }
        }
    }

    pub async fn try_start(&self) -> Result<Run, processor::Error> {
        let journal = self.journal();
        let (handle, running) = Processor::start(journal.clone(), [P0], self.options.clone()).await?;
        Ok(Run { handle, running, journal })
    }

    pub async fn start(&self) -> Run {
        self.try_start().await.unwrap()
    }

    /// Started, with policy, user, funds and card.
    pub async fn start_furnished(&self) -> Run {
        let run = self.start().await;
        run.furnish().await;
        run
    }
}

impl Run {
    pub async fn stop(self) -> Result<(), processor::Error> {
        self.running.stop().await
    }

    pub async fn furnish(&self) {
        for envelope in furniture() {
            let reply = self.handle.submit(envelope).await.unwrap();
            assert!(matches!(reply.outcome, Outcome::Accepted(_)), "{reply:?}");
        }
    }

    /// Waits until so many records are in flight.
    pub async fn in_flight(&self, records: usize) {
        while self.handle.status(0).await.unwrap().in_flight != records {
            tokio::task::yield_now().await;
        }
    }

    /// Waits for an entry that is as asked, from the beginning.
    pub async fn entry(&self, wanted: impl Fn(&Entry) -> bool) -> Entry {
        let mut reader = self.journal.reader(P0, 1).await.unwrap();
        loop {
            let record = reader.next().await.unwrap();
            if record.kind() == Kind::Entries {
                let entries = record.entries().map(|bytes| Entry::decode(bytes).unwrap());
                if let Some(entry) = entries.into_iter().find(&wanted) {
                    return entry;
                }
            }
        }
    }

    /// Every durable entry.
    pub async fn entries(&self) -> Vec<Entry> {
        let mut reader = self.journal.reader(P0, 1).await.unwrap();
        let mut entries = Vec::new();
        while let Some(record) = reader.try_next().await.unwrap() {
            if record.kind() == Kind::Entries {
                entries.extend(record.entries().map(|bytes| Entry::decode(bytes).unwrap()));
            }
        }
        entries
    }
}

pub fn account() -> AccountId {
    AccountId::from_pseudonym([9; 16], 1)
}

pub fn card() -> CardId {
    CardId(ids::mint(account(), Key::of(account(), b"card"), Id::Card))
}

pub fn authorization(n: u32) -> AuthorizationId {
    AuthorizationId(ids::mint(account(), Key::of(account(), &n.to_le_bytes()), Id::Authorization))
}

pub fn envelope(account: AccountId, class: Class, key: &str, command: impl Into<Command>) -> Envelope {
    let dated_ms = if matches!(class, Class::Network | Class::Settlement) { NOON } else { 0 };
    let key = Key::of(account, key.as_bytes());
    Envelope { account, class, actor: 1, key, digest: Digest([1; 16]), dated_ms, command: command.into() }
}

pub fn deposit(key: &str, amount: i64) -> Envelope {
    let body = Deposit { asset: Asset::USD, amount: Minor(amount), reference: Sealed::NONE };
    envelope(account(), Class::Ops, key, body)
}

pub fn top_up(key: &str, amount: i64) -> Envelope {
    envelope(account(), Class::User, key, TopUp { card: card(), amount: Minor(amount) })
}

pub fn authorize(n: u32, amount: i64) -> Envelope {
    let body = Authorize {
        card: card(),
        authorization: authorization(n),
        amount: Minor(amount),
        currency: Asset::USD,
        merchant: Merchant::default(),
        card_present: false,
        pin_entered: false,
    };
    envelope(account(), Class::Network, &format!("authorization {n}"), body)
}

/// Policy, user, funds, card, and the issuer's answer.
pub fn furniture() -> Vec<Envelope> {
    let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy: Box::new(policy()) };
    let register = RegisterUser { company: "acme".into(), country: Country::parse("DE").unwrap() };
    let issue = IssueCard {
        card: card(),
        programme: ProgrammeCode::Dashboard,
        kind: CardKind::Virtual,
        initial: Minor(1_000),
        invoice: 0,
        provider: String::new(),
        country: Country::NONE,
        profile: Sealed::NONE,
    };
    let issued = Issued { issuer_card: "i1".into(), first4: 4000, last4: 42, expiry: 2031 * 12 };
    let settle = Settle { card: card(), request: ids::request_id(card(), 1), outcome: Settled::Issued(issued) };
    vec![
        envelope(AccountId::of_partition(0), Class::Ops, "policy", adopt),
        envelope(account(), Class::Ops, "register", register),
        deposit("funds", 100_000_000),
        envelope(account(), Class::User, "issue", issue),
        envelope(account(), Class::Settlement, "settle", settle),
    ]
}

pub fn policy() -> Policy {
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
            limits: Limits::default(),
            no_pin: None,
            requests_approved: false,
        }],
        fee_currency: Asset::USD,
        order_fees: Vec::new(),
        deliveries: Vec::new(),
        spans: Spans {
            change_ms: 600_000,
            issuance_ms: 600_000,
            hold_ms: 604_800_000,
            invoice_ms: 900_000,
            purchase_ms: 2_592_000_000,
        },
        cards_max: 5,
        activation_tries_max: 5,
        remembered_max: 1_000_000,
        authorizations_max: 10_000,
        bin: "400000".into(),
        generation: "1".into(),
        provider: "sandbox".into(),
        treasury_address: String::new(),
    }
}

pub fn accepted(reply: &Result<Reply, Error>) -> &[Event] {
    match reply {
        Ok(Reply { outcome: Outcome::Accepted(events), .. }) => events,
        other => panic!("accepted, not {other:?}"),
    }
}

pub fn rejected(reply: &Result<Reply, Error>) -> Reason {
    match reply {
        Ok(Reply { outcome: Outcome::Rejected(Reject { reason, .. }), .. }) => *reason,
        other => panic!("rejected, not {other:?}"),
    }
}
