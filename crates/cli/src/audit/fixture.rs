//! A small ledger for tests that try every byte: two partitions, each in several segments, sealed by the journal itself.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use florin_engine::codec::encode;
use florin_engine::command::{Admitted, AdoptPolicy, Class, Command, Deposit, Envelope, RegisterUser, Withdraw};
use florin_engine::decide::{Decision, decide};
use florin_engine::evolve::evolve;
use florin_engine::ids::{AccountId, Digest, Key, Position};
use florin_engine::money::{Asset, Country, Minor, Sealed};
use florin_engine::policy::{AssetPolicy, Policy, Spans};
use florin_engine::state::State;
use florin_journal::embedded::{self, Embedded};
use florin_journal::header::Header;
use florin_journal::{Batch, PartitionId, Provider, SignedHead, SigningKey, Writer, export};
use tempfile::TempDir;

const PARTITIONS: u16 = 2;

/// Small enough that one to three records fill a segment.
const SEGMENT_BYTES: u64 = 900;

/// Zeros behind the last record of each segment.
pub(super) const ZEROS: usize = 5;

/// A ledger, and the heads that its auditor kept.
pub(super) struct Small {
    dir: TempDir,
    pub(super) heads: Vec<SignedHead>,
}

impl Small {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let heads = runtime.block_on(write(&dir.path().join("journal")));
        let small = Self { dir, heads };
        // Zeros ahead of the log are its end: a few tell as much as thousands.
        for partition in 0..PARTITIONS {
            for path in small.segments(partition) {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, [&bytes[..end(&bytes)], &[0; ZEROS]].concat()).unwrap();
            }
        }
        small
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    /// Segments of a partition in order.
    pub(super) fn segments(&self, partition: u16) -> Vec<PathBuf> {
        let listing = fs::read_dir(self.journal().join(format!("p{partition:05}"))).unwrap();
        let mut found: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
        found.sort();
        found
    }

    /// A partition's records, one after another.
    pub(super) fn bytes(&self, partition: u16) -> Vec<u8> {
        let whole = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap();
            bytes[..end(&bytes)].to_vec()
        };
        self.segments(partition).iter().flat_map(whole).collect()
    }

    /// Where a partition's records begin in [`bytes`](Self::bytes).
    pub(super) fn offsets(&self, partition: u16) -> Vec<u64> {
        offsets(&self.bytes(partition)).into_iter().map(|offset| offset as u64).collect()
    }

    /// What the ledger says of itself is gone.
    pub(super) fn forget_heads(&self) {
        fs::write(self.journal().join("heads.jsonl"), "").unwrap();
    }

    /// An export, each partition from `from` on.
    pub(super) fn export(&self, from: [u64; 2]) -> PathBuf {
        let path = self.dir.path().join("ledger.export");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let journal = Embedded::open_read_only(&self.journal()).unwrap();
            let mut file = fs::File::create(&path).unwrap();
            export::write(&journal, |partition| from[usize::from(partition.0)], &mut file, |_| {}).await.unwrap();
        });
        path
    }
}

/// Where records begin in a run of them.
pub(super) fn offsets(bytes: &[u8]) -> Vec<usize> {
    let (mut found, mut offset) = (Vec::new(), 0);
    while let Ok((header, _)) = Header::decode(&bytes[offset..]) {
        found.push(offset);
        offset += header.record_bytes();
    }
    found
}

/// Where the last of them ends.
fn end(bytes: &[u8]) -> usize {
    let last = offsets(bytes).pop().unwrap();
    last + Header::decode(&bytes[last..]).unwrap().0.record_bytes()
}

/// Puts another byte in a place for as long as `then` runs.
pub(super) fn with_byte<T>(path: &Path, at: usize, byte: u8, then: impl FnOnce() -> T) -> T {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut before = [0];
    file.read_exact_at(&mut before, at as u64).unwrap();
    file.write_all_at(&[byte], at as u64).unwrap();
    let done = then();
    file.write_all_at(&before, at as u64).unwrap();
    done
}

async fn write(dir: &Path) -> Vec<SignedHead> {
    let signing = SigningKey::from_bytes(&[7; 32]);
    fs::create_dir_all(dir).unwrap();
    Embedded::create(dir, PARTITIONS, signing.clone()).unwrap();
    let options = embedded::Options { segment_bytes: SEGMENT_BYTES, ..embedded::Options::default() };
    let journal = Embedded::open_with(dir, signing, &options).unwrap();
    let mut heads = Vec::new();
    for partition in 0..PARTITIONS {
        let mut state = State::new(partition, PARTITIONS);
        let mut writer = journal.claim(PartitionId(partition)).await.unwrap();
        let (mut events, mut bytes) = (Vec::new(), Vec::new());
        for (time_ms, envelope) in (1_800_000_000_000..).zip(envelopes(partition)) {
            let admitted = Admitted { time_ms, policy: state.policy_version_at(time_ms), envelope };
            let position = Position::new(writer.next_index(), 0);
            let outcome = match decide(&state, &admitted, &mut events) {
                Decision::Accepted => Ok(events.as_slice()),
                Decision::Rejected(reject) => {
                    events.clear();
                    Err(reject)
                }
                Decision::Replayed(first) => panic!("{first} again"),
            };
            let outcome = outcome.as_ref().map(|events| *events);
            bytes.clear();
            encode(&admitted, outcome, &mut bytes);
            evolve(&mut state, position, &admitted, outcome);
            let mut batch = Batch::new();
            batch.push(time_ms, &bytes).unwrap();
            writer.submit(batch).await.unwrap();
            writer.acked().await.unwrap();
        }
        heads.push(writer.sign_head().await.unwrap());
    }
    heads
}

/// A policy, a user with some money, and a withdrawal of more than that.
fn envelopes(partition: u16) -> Vec<Envelope> {
    let user = (0..=u8::MAX).map(|user| AccountId::from_pseudonym([user; 16], PARTITIONS));
    let user = user.clone().find(|account| account.partition() == partition).unwrap();
    let of = |account, key: &str, command: Command| Envelope {
        account,
        class: Class::Ops,
        actor: 1,
        key: Key::of(account, key.as_bytes()),
        digest: Digest([1; 16]),
        dated_ms: 0,
        command,
    };
    let deposit = |amount| Deposit { asset: Asset::USD, amount: Minor(amount), reference: Sealed::NONE };
    let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy: Box::new(policy()) };
    let register = RegisterUser { company: "acme".into(), country: Country::parse("DE").unwrap() };
    let much = Withdraw { asset: Asset::USD, amount: Minor(5_000), reference: Sealed::NONE };
    vec![
        of(AccountId::of_partition(partition), "policy", adopt.into()),
        of(user, "register", register.into()),
        of(user, "first", deposit(100).into()),
        of(user, "second", deposit(300).into()),
        of(user, "much", much.into()),
        of(user, "third", deposit(77).into()),
    ]
}

fn policy() -> Policy {
    Policy {
        rules: 1,
        assets: vec![AssetPolicy { code: Asset::USD, decimals: 2, token: None }],
        levels: Vec::new(),
        capabilities: Vec::new(),
        programmes: Vec::new(),
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
        remembered_max: 1_000,
        authorizations_max: 10,
        bin: "400000".into(),
        generation: "1".into(),
        provider: "sandbox".into(),
        treasury_address: String::new(),
    }
}
