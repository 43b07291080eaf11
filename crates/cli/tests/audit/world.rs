//! A real ledger for audits: two partitions on the embedded journal, written by the processor, with views beside it and
//! signed heads at the very end. Built once; every story gets a copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use florin_engine::command::{
    self, AdoptPolicy, Authorize, ChangeLimits, Class, Clear, Deposit, Envelope, ForcePost, Increment, IssueCard,
    Issued, Merchant, Refund, RegisterUser, Reverse, Settle, TopUp, Unload, Withdraw,
};
use florin_engine::ids::{self, AccountId, AuthorizationId, CardId, Digest, Key, Kind as Id};
use florin_engine::limits::{Limits, LimitsUpdate};
use florin_engine::money::{Asset, Country, Factor, Minor, Sealed};
use florin_engine::policy::{AssetPolicy, Bounds, CardKind, Funding, Policy, Programme, ProgrammeCode, Spans};
use florin_journal::embedded::Embedded;
use florin_journal::{PartitionId, Provider, SigningKey, Writer};
use florin_processor::{Handle, ManualClock, Options, Processor};
use florin_projector::{Projector, Views};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PARTITIONS: u16 = 2;
const NOON: u64 = 1_800_000_000_000;
const DAY: u64 = 86_400_000;

/// One ledger's data directory, and the heads that its auditor kept.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) head: PathBuf,
}

pub(crate) fn signing() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn public_key() -> String {
    blake3::Hash::from_bytes(signing().verifying_key().to_bytes()).to_hex().to_string()
}

/// Kind, partition, record and entry.
pub(crate) type Place = (String, Option<u64>, Option<u64>, Option<u64>);

/// What an audit said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) report: Value,
}

impl Said {
    /// Where every finding is, and of what kind.
    pub(crate) fn findings(&self) -> Vec<Place> {
        let findings = self.report["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|finding| {
                let number = |field: &str| finding[field].as_u64();
                (finding["kind"].as_str().unwrap().into(), number("partition"), number("index"), number("entry"))
            })
            .collect()
    }

    /// Panics unless there is a finding of this kind at this record.
    pub(crate) fn has(&self, kind: &str, partition: u16, index: u64) {
        let wanted = (Some(u64::from(partition)), Some(index));
        let found = self.findings().iter().any(|finding| finding.0 == kind && (finding.1, finding.2) == wanted);
        assert!(found && self.code == 1, "{kind} at {partition}.{index} is not in {:#}", self.report);
    }
}

impl World {
    /// A copy of the ledger.
    pub(crate) fn new() -> Self {
        static FIRST: OnceLock<World> = OnceLock::new();
        let first = FIRST.get_or_init(Self::build);
        let dir = tempfile::tempdir().unwrap();
        copy(first.dir.path(), dir.path());
        let head = dir.path().join("kept.head");
        Self { dir, head }
    }

    fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("ledger/journal");
        fs::create_dir_all(&journal).unwrap();
        Embedded::create(&journal, PARTITIONS, signing()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(write(dir.path(), &journal));
        // What the auditor keeps is what the ledger signed last.
        let head = dir.path().join("kept.head");
        let published = fs::read_to_string(journal.join("heads.jsonl")).unwrap();
        let lines: Vec<&str> = published.lines().collect();
        fs::write(&head, lines[lines.len() - usize::from(PARTITIONS)..].join("\n")).unwrap();
        Self { dir, head }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path().join("ledger/journal")
    }

    pub(crate) fn segment(&self, partition: u16) -> PathBuf {
        self.journal().join(format!("p{partition:05}")).join(format!("{:020}.journal", 0))
    }

    /// Takes away what the ledger says of itself, as whoever rewrites it can.
    pub(crate) fn publish(&self, lines: &str) {
        fs::write(self.journal().join("heads.jsonl"), lines).unwrap();
    }

    /// Verifies with the kept head.
    pub(crate) fn verify(&self) -> Said {
        let head = self.head.to_str().unwrap().to_owned();
        self.verify_with(&["--trusted-head", &head, "--public-key", &public_key()])
    }

    /// Verifies as by somebody who kept no head.
    pub(crate) fn verify_with(&self, options: &[&str]) -> Said {
        verify(self.path(), options)
    }

    /// Runs another command of `audit` on the data directory.
    pub(crate) fn audit(&self, command: &str, options: &[&str]) -> Output {
        audit(&[&[command, self.path().to_str().unwrap()], options].concat())
    }
}

pub(crate) fn verify(path: &Path, options: &[&str]) -> Said {
    let output = audit(&[&["verify", path.to_str().unwrap(), "--json"], options].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    assert!(!report.is_null() || output.status.code() == Some(2), "{output:?}");
    Said { code: output.status.code().unwrap(), report }
}

pub(crate) fn audit(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_florin")).arg("audit").args(arguments).output().unwrap()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Users: one in partition 0, two in partition 1.
pub(crate) fn account(user: u8) -> AccountId {
    AccountId::from_pseudonym([user; 16], PARTITIONS)
}

pub(crate) const USERS: [u8; 3] = [8, 9, 11];

pub(crate) fn card(user: u8) -> CardId {
    CardId(ids::mint(account(user), Key::of(account(user), b"card"), Id::Card))
}

pub(crate) fn authorization(user: u8, n: u32) -> AuthorizationId {
    AuthorizationId(ids::mint(account(user), Key::of(account(user), &n.to_le_bytes()), Id::Authorization))
}

fn envelope(
    account: AccountId,
    class: Class,
    key: &str,
    now_ms: u64,
    command: impl Into<command::Command>,
) -> Envelope {
    let dated_ms = if matches!(class, Class::Network | Class::Settlement) { now_ms } else { 0 };
    let key = Key::of(account, key.as_bytes());
    Envelope { account, class, actor: 1, key, digest: Digest([1; 16]), dated_ms, command: command.into() }
}

/// A ledger of some four days: purchases in all their ways, rejects, declines, retries, batches, restarts, checkpoints.
async fn write(dir: &Path, journal: &Path) {
    let clock = Arc::new(ManualClock::new(NOON));
    let options = || Options {
        clock: Arc::clone(&clock) as _,
        snapshots: Some(dir.join("snapshots")),
        snapshot_entries: 60,
        ..Options::default()
    };
    let opened = Embedded::open(journal, signing()).unwrap();
    for day in 0..4_u64 {
        let now_ms = NOON + day * DAY;
        // A restart a day: claims with higher terms.
        let partitions = opened.ledger().partitions();
        let (handle, running) = Processor::start(opened.clone(), partitions, options()).await.unwrap();
        if day == 0 {
            begin(&handle, now_ms).await;
        }
        for user in USERS {
            spend(&handle, user, day, now_ms).await;
        }
        running.stop().await.unwrap();
        clock.advance_ms(DAY);
    }
    for partition in opened.ledger().partitions() {
        let mut writer = opened.claim(partition).await.unwrap();
        writer.sign_head().await.unwrap();
    }
    let (views, _) = Views::open(&dir.join("views"), &opened, florin_projector::Options::default()).await.unwrap();
    Projector::new(opened, views).catch_up().await.unwrap();
}

async fn begin(handle: &Handle, now_ms: u64) {
    for partition in 0..PARTITIONS {
        let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy: Box::new(policy()) };
        let account = AccountId::of_partition(partition);
        handle.submit(envelope(account, Class::Ops, "policy", now_ms, adopt)).await.unwrap();
    }
    for user in USERS {
        let account = account(user);
        let register = RegisterUser { company: "acme".into(), country: Country::parse("DE").unwrap() };
        let funds = Deposit { asset: Asset::USD, amount: Minor(5_000_000), reference: Sealed(vec![1, 2, 3]) };
        let issue = IssueCard {
            card: card(user),
            programme: ProgrammeCode::Dashboard,
            kind: CardKind::Virtual,
            initial: Minor(100_000),
            invoice: 0,
            provider: String::new(),
            country: Country::NONE,
            profile: Sealed::NONE,
        };
        let issued = Issued { issuer_card: format!("i{user}"), first4: 4000, last4: 42, expiry: 2031 * 12 };
        let outcome = command::Outcome::Issued(issued);
        let settle = Settle { card: card(user), request: ids::request_id(card(user), 1), outcome };
        let update = LimitsUpdate { daily: Some(Some(Minor(60_000))), ..LimitsUpdate::default() };
        let limit = ChangeLimits { card: card(user), update };
        let limited =
            Settle { card: card(user), request: ids::request_id(card(user), 2), outcome: command::Outcome::Done };
        let begin = [
            envelope(account, Class::Ops, "register", now_ms, register),
            envelope(account, Class::Ops, "funds", now_ms, funds),
            envelope(account, Class::User, "issue", now_ms, issue),
            envelope(account, Class::Settlement, "settle", now_ms, settle),
            envelope(account, Class::User, "limit", now_ms, limit),
            envelope(account, Class::Settlement, "limited", now_ms, limited),
        ];
        for envelope in begin {
            handle.submit(envelope).await.unwrap();
        }
    }
}

async fn spend(handle: &Handle, user: u8, day: u64, now_ms: u64) {
    let (account, card) = (account(user), card(user));
    let id = |n: u32| authorization(user, u32::try_from(day).unwrap() * 100 + n);
    let merchant = || Merchant { name: "Books".into(), mcc: 5942, country: Country::NONE };
    let network =
        |key: &str, body: command::Command| envelope(account, Class::Network, &format!("{key} {day}"), now_ms, body);
    let authorize = |n: u32, amount: i64| {
        let body = Authorize {
            card,
            authorization: id(n),
            amount: Minor(amount),
            currency: Asset::USD,
            merchant: merchant(),
            card_present: false,
            pin_entered: false,
        };
        network(&format!("authorize {n}"), body.into())
    };
    let clear =
        |n, amount, last| network(&format!("clear {n}"), Clear { card, authorization: id(n), amount, last }.into());
    let mut batch = Vec::new();
    for n in 0..12 {
        let top_up = TopUp { card, amount: Minor(1_001 + n) };
        batch.push(envelope(account, Class::User, &format!("top up {day} {n}"), now_ms, top_up));
    }
    // Below the minimum, far too much, and the first one again.
    batch.push(envelope(account, Class::User, &format!("little {day}"), now_ms, TopUp { card, amount: Minor(1) }));
    batch.push(envelope(account, Class::User, &format!("much {day}"), now_ms, Unload { card, amount: Minor(1 << 40) }));
    batch.push(batch[0].clone());
    handle.submit_batch(account.partition(), batch).await.unwrap();
    let unload = Unload { card, amount: Minor(500) };
    let withdraw = Withdraw { asset: Asset::USD, amount: Minor(777), reference: Sealed::NONE };
    let increment = Increment { card, authorization: id(2), amount: Minor(300) };
    let reverse = |n, amount| Reverse { card, authorization: id(n), amount };
    let refund = Refund { card, authorization: id(1), amount: Some(Minor(400)), merchant: merchant() };
    let credit = Refund { card, authorization: AuthorizationId::NIL, amount: Some(Minor(55)), merchant: merchant() };
    let singles = [
        envelope(account, Class::User, &format!("unload {day}"), now_ms, unload),
        envelope(account, Class::Ops, &format!("withdraw {day}"), now_ms, withdraw),
        authorize(1, 2_000),
        clear(1, Some(Minor(1_500)), true),
        network("refund", refund.into()),
        network("credit", credit.into()),
        authorize(2, 4_000),
        network("increment", increment.into()),
        network("partly", reverse(2, Some(Minor(1_000))).into()),
        // More than was held, and then the rest of the day's limit is too small.
        clear(2, Some(Minor(9_000)), true),
        authorize(3, 55_000),
        authorize(4, 10_000),
        network("reverse", reverse(4, None).into()),
        // Left open over night.
        authorize(5, 1_200),
        // Its reversal came first.
        network("early", reverse(6, None).into()),
        authorize(6, 100),
    ];
    for envelope in singles {
        handle.submit(envelope).await.unwrap();
    }
    if day == 3 {
        let force = ForcePost { card, authorization: id(9), amount: Minor(900_000), merchant: merchant() };
        handle.submit(network("force", force.into())).await.unwrap();
    }
}

fn policy() -> Policy {
    let bounds = Bounds { min: Minor(100), max: Minor(1_000_000) };
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
            issue_fee: Minor(500),
            issue_service: Factor::new("0.03".parse().unwrap()).unwrap(),
            top_up_service: Factor::new("0.03".parse().unwrap()).unwrap(),
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
        remembered_max: 100_000,
        authorizations_max: 1_000,
        bin: "400000".into(),
        generation: "1".into(),
        provider: "sandbox".into(),
        treasury_address: String::new(),
    }
}

/// The partition, for those who need its type.
pub(crate) fn id(partition: u16) -> PartitionId {
    PartitionId(partition)
}
