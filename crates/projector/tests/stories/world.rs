//! A ledger on a real embedded journal, written with entries made by hand, beside the engine's own state for comparison.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use florin_engine::{
    codec::encode,
    command::{Admitted, Class, Envelope, ExpireCard, Issued, Merchant},
    event::{Authorized, CardIssued, CardRequested, Deposited, Event, PolicyAdopted, UserRegistered},
    evolve::evolve,
    fees::FeeTaken,
    holds::Leg,
    ids::{AccountId, AuthorizationId, CardId, Digest, Key, Kind, Position, mint},
    limits::Limits,
    money::{Asset, Country, Factor, Minor, Sealed},
    policy::{CardKind, Funding, Policy, ProgrammeCode, RULES_LATEST, Spans},
    reject::{Reason, Reject},
    state::{Phase, State, Waiting},
};
use florin_journal::{Batch, PartitionId, Provider, SigningKey, Writer, embedded::Embedded};
use florin_projector::{Error, Options, PendingKind, Projector, Rebuild, Views};
use tempfile::TempDir;

pub(crate) const USD: Asset = Asset::USD;
/// 2026-01-01 00:00 UTC.
pub(crate) const NEW_YEAR_MS: u64 = 1_767_225_600_000;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) journal: Embedded,
    writers: Vec<<Embedded as Provider>::Writer>,
    states: Vec<State>,
    pub(crate) now_ms: u64,
    keys: u64,
}

impl World {
    pub(crate) async fn new(partitions: u16) -> Self {
        let dir = TempDir::new().expect("a directory");
        Embedded::create(&dir.path().join("journal"), partitions, signing()).expect("a ledger");
        let mut world = Self::over(dir, partitions).await;
        world.adopt(partitions).await;
        world
    }

    async fn over(dir: TempDir, partitions: u16) -> Self {
        let journal = Embedded::open(&dir.path().join("journal"), signing()).expect("a journal");
        let mut writers = Vec::new();
        for partition in 0..partitions {
            writers.push(journal.claim(PartitionId(partition)).await.expect("a claim"));
        }
        let states = (0..partitions).map(|partition| State::new(partition, partitions)).collect();
        Self { dir, journal, writers, states, now_ms: NEW_YEAR_MS, keys: 0 }
    }

    /// Adopts a policy in every partition, in force at once.
    async fn adopt(&mut self, partitions: u16) {
        for partition in 0..partitions {
            let adopted = PolicyAdopted { version: 1, effective_at_ms: 0, policy: Box::new(policy()) };
            self.happen(AccountId::of_partition(partition), Class::Ops, &[adopted.into()]).await;
        }
    }

    pub(crate) fn views_dir(&self) -> PathBuf {
        self.dir.path().join("views")
    }

    /// Opens the views, and applies what the journal holds.
    pub(crate) async fn views(&self) -> Views {
        let views = self.open().await.expect("views").0;
        self.catch_up(&views).await;
        views
    }

    pub(crate) async fn open(&self) -> Result<(Views, Option<Rebuild>), Error> {
        Views::open(
            &self.views_dir(),
            &self.journal,
            Options { cache_bytes: 8 << 20, batch_rows_max: 24, ..Options::default() },
        )
        .await
    }

    pub(crate) async fn catch_up(&self, views: &Views) {
        Projector::new(self.journal.clone(), views.clone()).catch_up().await.expect("caught up");
    }

    /// Writes one record of one entry.
    pub(crate) async fn happen(&mut self, account: AccountId, class: Class, events: &[Event]) -> Position {
        self.happen_all(&[(account, class, events.to_vec())]).await
    }

    /// Writes one record of many entries of one partition; returns the position of the last.
    pub(crate) async fn happen_all(&mut self, entries: &[(AccountId, Class, Vec<Event>)]) -> Position {
        let partition = entries[0].0.partition();
        let index = self.writers[usize::from(partition)].next_index();
        let mut batch = Batch::new();
        for (n, (account, class, events)) in (0_u32..).zip(entries) {
            self.now_ms += 1;
            let admitted = self.admitted(*account, *class);
            let mut bytes = Vec::new();
            encode(&admitted, Ok(events), &mut bytes);
            batch.push(admitted.time_ms, &bytes).expect("room");
            evolve(&mut self.states[usize::from(partition)], Position::new(index, n), &admitted, Ok(events));
        }
        self.append(partition, batch).await;
        Position::new(index, u32::try_from(entries.len()).expect("few") - 1)
    }

    /// Writes a reject.
    pub(crate) async fn refuse(&mut self, account: AccountId, reason: Reason) -> Position {
        let partition = account.partition();
        let index = self.writers[usize::from(partition)].next_index();
        self.now_ms += 1;
        let (admitted, mut bytes, mut batch) = (self.admitted(account, Class::User), Vec::new(), Batch::new());
        encode(&admitted, Err(&Reject::new(reason)), &mut bytes);
        batch.push(admitted.time_ms, &bytes).expect("room");
        self.append(partition, batch).await;
        Position::new(index, 0)
    }

    async fn append(&mut self, partition: u16, batch: Batch) {
        let writer = &mut self.writers[usize::from(partition)];
        writer.submit(batch).await.expect("taken");
        writer.acked().await.expect("durable");
    }

    fn admitted(&mut self, account: AccountId, class: Class) -> Admitted {
        self.keys += 1;
        // The projector goes by events alone, so any command will do.
        let command = ExpireCard { card: CardId::NIL }.into();
        let key = Key::of(account, &self.keys.to_le_bytes());
        let envelope = Envelope { account, class, actor: 7, key, digest: Digest([0; 16]), dated_ms: 0, command };
        Admitted { time_ms: self.now_ms, policy: 0, envelope }
    }

    pub(crate) fn mint(&mut self, account: AccountId, kind: Kind) -> [u8; 16] {
        self.keys += 1;
        mint(account, Key::of(account, &self.keys.to_le_bytes()), kind)
    }

    /// A registered user with 10,000.00 USD.
    pub(crate) async fn user(&mut self, seed: u8) -> AccountId {
        let partitions = u16::try_from(self.writers.len()).expect("few");
        let account = AccountId::from_pseudonym([seed; 16], partitions);
        let country = Country::parse("GB").expect("a country");
        self.happen(account, Class::Ops, &[UserRegistered { company: "demo".into(), country }.into()]).await;
        self.deposit(account, USD, 1_000_000).await;
        account
    }

    pub(crate) async fn deposit(&mut self, account: AccountId, asset: Asset, amount: i64) {
        let event = Deposited { asset, amount: Minor(amount), balance: Minor(0), reference: Sealed(vec![1]) };
        self.happen(account, Class::Ops, &[event.into()]).await;
    }

    /// A card as asked for, not yet settled.
    pub(crate) fn request(
        &mut self,
        account: AccountId,
        number: u64,
        initial: i64,
        fees: Vec<FeeTaken>,
    ) -> CardRequested {
        CardRequested {
            card: CardId(self.mint(account, Kind::Card)),
            number,
            programme: ProgrammeCode::Dashboard,
            kind: CardKind::Virtual,
            funding: Funding::Prepaid,
            currency: USD,
            initial: Minor(initial),
            fees,
            invoice: 0,
            provider: String::new(),
            wallet_balance: Minor(0),
            limits: Limits::default(),
            no_pin: None,
            change: 1,
            deadline_ms: self.now_ms + 600_000,
            profile: Sealed(vec![9]),
        }
    }

    /// An active prepaid card with 100.00 USD.
    pub(crate) async fn card(&mut self, account: AccountId, number: u64) -> CardId {
        let requested = self.request(account, number, 10_000, Vec::new());
        let card = requested.card;
        self.happen(account, Class::User, &[requested.into()]).await;
        let cause = florin_engine::terms::Cause::System;
        let activated = florin_engine::event::CardActivated { card, cause };
        self.happen(account, Class::Settlement, &[issued(card, number), activated.into()]).await;
        card
    }

    pub(crate) fn authorized(&mut self, account: AccountId, card: CardId, legs: Vec<Leg>) -> Authorized {
        Authorized {
            card,
            authorization: AuthorizationId(self.mint(account, Kind::Authorization)),
            amount: florin_engine::holds::billing(&legs),
            currency: USD,
            legs,
            expires_at_ms: self.now_ms + 7 * 86_400_000,
            merchant: Merchant { name: "cafe".into(), mcc: 5812, country: Country::NONE },
        }
    }

    /// The views must say what the engine's state says, of every account.
    pub(crate) fn agree(&self, views: &Views) {
        for state in &self.states {
            for account in state.all_accounts() {
                for wallet in &account.wallets {
                    let row = views.wallet(account.id, wallet.asset).expect("a read").expect("a wallet");
                    assert_eq!((row.balance, row.held), (wallet.balance, wallet.held), "wallet {}", wallet.asset);
                }
                assert_eq!(views.wallets(account.id).expect("a read").len(), account.wallets.len());
                for card in &account.cards {
                    let row = views.card(card.id).expect("a read").expect("a card");
                    assert_eq!(row.account, account.id);
                    assert_eq!((row.status, row.fraud, row.tries), (card.status, card.fraud, card.tries));
                    assert_eq!((row.balance, row.held), (card.balance, card.held));
                    assert_eq!((row.limits, row.no_pin, row.usage), (card.limits, card.no_pin, card.usage));
                    assert_eq!(row.reconcile.unwrap_or(0), card.reconcile);
                    let waits = card.pending.as_ref().map(|pending| (pending.change, pending.since_ms));
                    let shown = row.pending.as_ref().map(|pending| (pending.change, pending.since_ms));
                    assert_eq!(shown, waits);
                    if let (Some(shown), Some(waits)) = (&row.pending, &card.pending) {
                        assert_eq!(Some(shown.request), card.request());
                        match (&shown.kind, &waits.what) {
                            (PendingKind::Issue, Waiting::Issue { abandoned, .. }) => {
                                assert_eq!(shown.abandoned, *abandoned)
                            }
                            (PendingKind::Limits { target, before }, Waiting::Limits { target: t, before: b }) => {
                                assert_eq!((target, before), (t, b))
                            }
                            (
                                PendingKind::Status { what, target, cause },
                                Waiting::Status { what: w, target: t, cause: c },
                            ) => assert_eq!((what, target, cause), (w, t, c)),
                            other => panic!("pending differs: {other:?}"),
                        }
                    }
                }
                for hold in views.holds(account.id).expect("a read") {
                    let known = account.authorization(hold.authorization).expect("an authorization");
                    assert_eq!(known.phase, Phase::Open);
                    assert_eq!((hold.authorized, hold.held), (known.amount, known.held_billing()));
                    assert_eq!(hold.used, known.used);
                }
            }
        }
        let trial = views.trial_balance().expect("a read");
        assert_eq!(trial.unbalanced(), None);
        for (asset, sums) in &trial.assets {
            let balances: i128 = sums.accounts.values().map(|account| account.balance).sum();
            assert_eq!(balances - sums.receivable, 0, "{asset}");
        }
    }

    /// A journal that was kept, opened and claimed.
    pub(crate) async fn written_on(journal: &Path, partitions: u16) -> Self {
        let dir = TempDir::new().expect("a directory");
        fs::rename(journal, dir.path().join("journal")).expect("moved");
        let mut world = Self::over(dir, partitions).await;
        // Not before what is written already.
        world.now_ms += 3_600_000;
        world
    }

    /// Index of the last record of a partition.
    pub(crate) fn last_index(&self, partition: u16) -> u64 {
        self.writers[usize::from(partition)].next_index() - 1
    }
}

/// A policy with no programmes: the projector decides nothing, the state only needs its spans.
pub(crate) fn policy() -> Policy {
    let day_ms = 86_400_000;
    Policy {
        rules: RULES_LATEST,
        assets: Vec::new(),
        levels: Vec::new(),
        capabilities: Vec::new(),
        programmes: Vec::new(),
        fee_currency: USD,
        order_fees: Vec::new(),
        deliveries: Vec::new(),
        spans: Spans {
            change_ms: day_ms,
            issuance_ms: day_ms,
            hold_ms: day_ms,
            invoice_ms: day_ms,
            purchase_ms: day_ms,
        },
        cards_max: 5,
        activation_tries_max: 5,
        remembered_max: 1_000,
        authorizations_max: 1_000,
        bin: "400000".into(),
        generation: "Gen2".into(),
        provider: "demo".into(),
        treasury_address: String::new(),
    }
}

pub(crate) fn signing() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn issued(card: CardId, number: u64) -> Event {
    let issued = Issued { issuer_card: format!("iss-{number}"), first4: 4000, last4: 1234, expiry: 2030 * 12 };
    CardIssued { card, issued }.into()
}

/// Money of the card's own balance.
pub(crate) fn on_card(amount: i64) -> Leg {
    Leg { wallet: false, asset: USD, amount: Minor(amount), billing: Minor(amount), rate: Factor::ONE }
}

/// Money of a wallet, worth `billing` in USD.
pub(crate) fn on_wallet(asset: &str, amount: i64, billing: i64) -> Leg {
    let asset = Asset::parse(asset).expect("an asset");
    Leg { wallet: true, asset, amount: Minor(amount), billing: Minor(billing), rate: Factor::ONE }
}

pub(crate) const SOON: Duration = Duration::from_secs(10);
