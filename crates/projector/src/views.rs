//! The reading side: cheap to clone, and on the way to a row no lock but that row's own, held while its value is copied or replaced.
//!
//! A read never waits for the store to write. Each row that it sees is as some entry left it, and no older than the position that a partition is
//! said to be applied to; of several rows one may be newer than another. Lists are bounded by what one account or card has; those that grow
//! without bound take a limit. A read that must see a write names its position with [`Views::wait`] first.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use florin_engine::{
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Position},
    money::Asset,
    policy::Policy,
};
use tokio::sync::{Notify, watch};

use crate::{
    Error, Late,
    accounts::{self, AccountRow},
    appeals::{self, AppealRow, Decision},
    authorizations::{self, AuthorizationRow},
    card_requests::{self, CardRequestRow},
    cards::{self, CardRow, PendingCard},
    checkpoint::{self, Checkpoint},
    due::DueKeep,
    history::{self, HistoryRow},
    invoices::{self, InvoiceRow},
    key::{Key, Table, tail16},
    ledger::{self, LedgerRow, TrialBalance},
    policies::{Policies, PolicyRow},
    redo::Redo,
    row::{self, Row},
    statements,
    store::Store,
    transactions::{Cursor, Page, Statement, TransactionRow},
    wallets::{self, WalletRow},
};

/// Most rows a page or an unbounded list gives.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// The views.
#[derive(Clone)]
pub struct Views(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    /// Rounds of rows on their way into it.
    pub(crate) batches: sled::Tree,
    pub(crate) db: sled::Db,
    pub(crate) meta: checkpoint::Meta,
    pub(crate) batch_rows_max: usize,
    pub(crate) gather: Duration,
    /// How long, and how many bytes of each partition's, changed rows are kept in memory.
    pub(crate) behind: (Duration, usize),
    /// Whether it is noted what is due to companies.
    pub(crate) due: bool,
    /// Which due rows of each partition are kept.
    pub(crate) due_keep: RwLock<BTreeMap<u16, DueKeep>>,
    pub(crate) partitions: Vec<Followed>,
    pub(crate) policies: RwLock<Policies>,
    /// A file that makes the next opening rebuild.
    pub(crate) marker: PathBuf,
    pub(crate) damaged: AtomicBool,
    /// Held while the views are open. After the store, so that it is let go last.
    pub(crate) _lock: File,
}

/// How far one partition is followed.
pub(crate) struct Followed {
    pub(crate) applied: watch::Sender<Position>,
    /// Whether somebody writes its rows, or did and left some of them in memory.
    pub(crate) taken: AtomicBool,
    /// Told by who begins to wait, and held by everybody who does.
    pub(crate) waited_for: Arc<Notify>,
    /// The same, without a lock.
    pub(crate) position: AtomicU64,
    /// Time of the last entry applied.
    pub(crate) time_ms: AtomicU64,
    /// Index after the last record that is applied as a whole.
    pub(crate) next: AtomicU64,
    /// Index after the journal's durable head, as last seen.
    pub(crate) end: AtomicU64,
}

impl Views {
    /// A card.
    pub fn card(&self, card: CardId) -> Result<Option<CardRow>, Error> {
        self.row(cards::key(card))
    }

    /// A card by its numeric id.
    pub fn card_by_number(&self, number: u64) -> Result<Option<CardRow>, Error> {
        self.card_by(cards::by_number_key(number))
    }

    /// A card by the issuer's id.
    pub fn card_by_issuer_id(&self, issuer_card: &str) -> Result<Option<CardRow>, Error> {
        self.card_by(cards::by_issuer_key(issuer_card))
    }

    /// All cards of an account in every state, newest first, then by id.
    pub fn cards_of(&self, account: AccountId) -> Result<Vec<CardRow>, Error> {
        self.rows_of_index(cards::of_account(account), usize::MAX, |id| cards::key(CardId(id)))
    }

    /// A registered user.
    pub fn account(&self, account: AccountId) -> Result<Option<AccountRow>, Error> {
        self.row(accounts::key(account))
    }

    /// The wallets of an account that money ever touched, by asset.
    pub fn wallets(&self, account: AccountId) -> Result<Vec<WalletRow>, Error> {
        self.rows_under(wallets::of_account(account), usize::MAX)
    }

    /// One wallet; `None`: money never touched it.
    pub fn wallet(&self, account: AccountId, asset: Asset) -> Result<Option<WalletRow>, Error> {
        self.row(wallets::key(account, asset))
    }

    /// A page of a card's statement, newest first; `limit` is 1 to [`PAGE_ROWS_MAX`].
    pub fn transactions_of_card(
        &self,
        card: CardId,
        limit: usize,
        before: Option<Cursor>,
    ) -> Result<Page<TransactionRow>, Error> {
        self.statement(Statement::Card(card), limit, before)
    }

    /// A page of a wallet's statement, newest first; `limit` is 1 to [`PAGE_ROWS_MAX`].
    pub fn transactions_of_wallet(
        &self,
        account: AccountId,
        asset: Asset,
        limit: usize,
        before: Option<Cursor>,
    ) -> Result<Page<TransactionRow>, Error> {
        self.statement(Statement::Wallet(account, asset), limit, before)
    }

    /// An authorization, declined ones and force posts included.
    pub fn authorization(&self, authorization: AuthorizationId) -> Result<Option<AuthorizationRow>, Error> {
        self.row(authorizations::key(authorization))
    }

    /// The open holds of an account, by id.
    pub fn holds(&self, account: AccountId) -> Result<Vec<AuthorizationRow>, Error> {
        self.rows_of_index(authorizations::holds_of(account), usize::MAX, |id| authorizations::key(AuthorizationId(id)))
    }

    /// Debits, credits and balances of all ledger accounts. Partitions are at their own positions; each balances by itself.
    pub fn trial_balance(&self) -> Result<TrialBalance, Error> {
        let mut trial = TrialBalance::default();
        for pair in self.0.store.prefix(Key::of(Table::Ledger)) {
            let (key, value) = self.sound(pair)?;
            let row: LedgerRow = self.sound(row::decode(&value))?;
            let named = ledger::of_key(&key)
                .ok_or(Error::Damaged { table: LedgerRow::NAME, source: postcard::Error::DeserializeBadEncoding });
            let (kind, asset) = self.sound(named)?;
            trial.add(kind, asset, row);
        }
        Ok(trial)
    }

    /// Cards with a pending change, the oldest change first; at most [`PAGE_ROWS_MAX`].
    pub fn pending(&self) -> Result<Vec<PendingCard>, Error> {
        let cards: Vec<CardRow> =
            self.rows_of_index(Key::of(Table::CardPending), PAGE_ROWS_MAX, |id| cards::key(CardId(id)))?;
        let mut pending: Vec<_> = cards
            .into_iter()
            .filter_map(|row| {
                Some(PendingCard { card: row.card, account: row.account, company: row.company, pending: row.pending? })
            })
            .collect();
        pending.sort_by_key(|card| (card.pending.since_ms, card.card));
        Ok(pending)
    }

    /// Appeals of one state, newest first; at most `limit`.
    pub fn appeals(&self, decision: Decision, limit: usize) -> Result<Vec<AppealRow>, Error> {
        self.rows_of_index(appeals::by_state(decision), limit.min(PAGE_ROWS_MAX), |id| appeals::key(AppealId(id)))
    }

    /// An appeal.
    pub fn appeal(&self, appeal: AppealId) -> Result<Option<AppealRow>, Error> {
        self.row(appeals::key(appeal))
    }

    /// The latest appeal of a card.
    pub fn latest_appeal(&self, card: CardId) -> Result<Option<AppealRow>, Error> {
        Ok(self.rows_of_index(appeals::of_card(card), 1, |id| appeals::key(AppealId(id)))?.pop())
    }

    /// Card requests of one state, newest first; at most `limit`.
    pub fn card_requests(&self, decision: Decision, limit: usize) -> Result<Vec<CardRequestRow>, Error> {
        self.rows_of_index(card_requests::by_state(decision), limit.min(PAGE_ROWS_MAX), |id| {
            card_requests::key(CardRequestId(id))
        })
    }

    /// Card requests of an account in every state, newest first.
    pub fn card_requests_of(&self, account: AccountId) -> Result<Vec<CardRequestRow>, Error> {
        self.rows_of_index(card_requests::of_account(account), PAGE_ROWS_MAX, |id| {
            card_requests::key(CardRequestId(id))
        })
    }

    /// A card request.
    pub fn card_request(&self, request: CardRequestId) -> Result<Option<CardRequestRow>, Error> {
        self.row(card_requests::key(request))
    }

    /// The invoices of an account, newest first; at most [`PAGE_ROWS_MAX`].
    pub fn invoices(&self, account: AccountId) -> Result<Vec<InvoiceRow>, Error> {
        self.rows_under(invoices::of_account(account), PAGE_ROWS_MAX)
    }

    /// One invoice of an account.
    pub fn invoice(&self, account: AccountId, number: u64) -> Result<Option<InvoiceRow>, Error> {
        self.row(invoices::key(account, number))
    }

    /// Why a card is in its state: what led there, oldest first; the last [`PAGE_ROWS_MAX`] steps.
    pub fn history(&self, card: CardId) -> Result<Vec<HistoryRow>, Error> {
        let mut steps = Vec::new();
        for pair in self.0.store.prefix_back(history::of_card(card)).take(PAGE_ROWS_MAX) {
            let (_, value) = self.sound(pair)?;
            steps.push(self.sound(row::decode(&value))?);
        }
        steps.reverse();
        Ok(steps)
    }

    /// The policy in force at the views' time, the highest version where partitions differ.
    pub fn policy(&self) -> Option<(u32, Arc<Policy>)> {
        self.policy_at(self.time_ms())
    }

    /// The policy in force at `now_ms` as far as the views know, the highest version where partitions differ.
    pub fn policy_at(&self, now_ms: u64) -> Option<(u32, Arc<Policy>)> {
        self.0.policies.read().unwrap_or_else(PoisonError::into_inner).in_force(now_ms)
    }

    /// Adopted policy versions of a partition, and from when each is in force (ms since 1970).
    pub fn policy_versions(&self, partition: u16) -> Vec<(u32, u64)> {
        self.0.policies.read().unwrap_or_else(PoisonError::into_inner).versions(partition)
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u16 {
        self.0.meta.partitions
    }

    /// How far a partition is applied; position 0 for one that is not known.
    pub fn position(&self, partition: u16) -> Position {
        self.followed(partition).map_or(Position(0), |followed| Position(followed.position.load(Ordering::Acquire)))
    }

    /// Records that a partition's views are behind its durable journal, as last seen.
    pub fn lag(&self, partition: u16) -> u64 {
        self.followed(partition).map_or(0, Followed::lag)
    }

    /// Records of a partition that are applied, and that its journal has as last seen.
    pub(crate) fn records(&self, partition: u16) -> (u64, u64) {
        self.followed(partition)
            .map_or((0, 0), |followed| (followed.next.load(Ordering::Acquire), followed.end.load(Ordering::Acquire)))
    }

    /// Whether every partition has been followed and is at its journal's end, as last seen: for readiness.
    pub fn caught_up(&self) -> bool {
        self.0.partitions.iter().all(|followed| followed.end.load(Ordering::Acquire) > 0 && followed.lag() == 0)
    }

    /// Time of the newest entry applied in any partition, ms since 1970; 0: none.
    pub fn time_ms(&self) -> u64 {
        self.0.partitions.iter().map(|followed| followed.time_ms.load(Ordering::Acquire)).max().unwrap_or(0)
    }

    /// Waits until `partition` is applied up to `position`: what was written there is then seen by every read.
    ///
    /// Bounded by `timeout`; a position already applied is answered at once.
    pub async fn wait(&self, partition: u16, position: Position, timeout: Duration) -> Result<(), Late> {
        if self.position(partition) >= position {
            return Ok(());
        }
        let late = || Late { partition, wanted: position, applied: self.position(partition) };
        let followed = self.followed(partition).ok_or_else(late)?;
        let mut applied = followed.applied.subscribe();
        let waiting = Arc::clone(&followed.waited_for);
        waiting.notify_one();
        let reached = tokio::time::timeout(timeout, applied.wait_for(|applied| *applied >= position)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(late()),
        }
    }

    /// Resolves once a partition is applied beyond `seen`. Unlike [`wait`](Self::wait) it hurries nobody: for who follows, and not for who
    /// wants an answer. Cancel-safe.
    pub async fn moved(&self, partition: u16, seen: Position) {
        let Some(followed) = self.followed(partition) else { return std::future::pending().await };
        // It lasts as long as the views.
        let _ = followed.applied.subscribe().wait_for(|applied| *applied > seen).await;
    }

    /// Resolves once somebody [waits](Self::wait) for a position of the partition: at once, if somebody does. Cancel-safe.
    pub(crate) async fn waited_for(&self, partition: u16) {
        let Some(followed) = self.followed(partition) else { return };
        while Arc::strong_count(&followed.waited_for) == 1 {
            followed.waited_for.notified().await;
        }
    }

    pub(crate) fn followed(&self, partition: u16) -> Option<&Followed> {
        self.0.partitions.get(usize::from(partition))
    }

    fn card_by(&self, key: Key) -> Result<Option<CardRow>, Error> {
        let Some(id) = self.sound(self.0.store.get(key))? else {
            return Ok(None);
        };
        match tail16(&id) {
            Some(id) => self.card(CardId(id)),
            None => Ok(None),
        }
    }

    fn row<R: Row>(&self, key: Key) -> Result<Option<R>, Error> {
        let value = self.sound(self.0.store.get(key))?;
        value.map(|value| self.sound(row::decode(&value))).transpose()
    }

    fn rows_under<R: Row>(&self, prefix: Key, limit: usize) -> Result<Vec<R>, Error> {
        let mut rows = Vec::new();
        for pair in self.0.store.prefix(prefix).take(limit) {
            let (_, value) = self.sound(pair)?;
            rows.push(self.sound(row::decode(&value))?);
        }
        Ok(rows)
    }

    /// Rows by an index whose keys end with their ids. One that left the index meanwhile may be missing.
    fn rows_of_index<R: Row>(&self, prefix: Key, limit: usize, key: impl Fn([u8; 16]) -> Key) -> Result<Vec<R>, Error> {
        let mut rows = Vec::new();
        for pair in self.0.store.prefix(prefix).take(limit) {
            let (index, _) = self.sound(pair)?;
            if let Some(id) = tail16(&index) {
                rows.extend(self.row::<R>(key(id))?);
            }
        }
        Ok(rows)
    }

    fn statement(
        &self,
        statement: Statement,
        limit: usize,
        before: Option<Cursor>,
    ) -> Result<Page<TransactionRow>, Error> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let mut page = Page { rows: Vec::new(), next: None };
        let mut last = None;
        let chunks = statements::chunks(&self.0.store, statement, before.map(|before| before.place));
        for chunk in self.sound(chunks)? {
            for (cursor, row) in self.sound(chunk.and_then(|chunk| statements::read(statement.partition(), &chunk)))? {
                if before.is_some_and(|before| cursor >= before) {
                    continue;
                }
                if page.rows.len() == limit {
                    page.next = last;
                    return Ok(page);
                }
                last = Some(cursor);
                page.rows.push(row);
            }
        }
        Ok(page)
    }

    /// Remembers damage, so that the next opening rebuilds.
    pub(crate) fn sound<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.is_damage()
            && !self.0.damaged.swap(true, Ordering::AcqRel)
        {
            tracing::error!(%error, "the views are damaged, the next start rebuilds them");
            if let Err(error) = std::fs::write(&self.0.marker, b"damaged\n") {
                tracing::error!(%error, path = %self.0.marker.display(), "the damage cannot be marked: delete the views' directory by hand");
            }
        }
        result
    }

    pub(crate) fn redo(&self, partition: u16) -> Redo {
        Redo::new(self.0.store.stored().clone(), self.0.batches.clone(), partition)
    }

    pub(crate) fn checkpoint(&self, partition: u16) -> Result<Option<Checkpoint>, Error> {
        self.row(checkpoint::key(partition))
    }

    pub(crate) fn adopt(&self, partition: u16, row: PolicyRow) {
        self.0.policies.write().unwrap_or_else(PoisonError::into_inner).add(partition, row);
    }

    /// Tells readers how far a partition is applied; after its batch can be read.
    pub(crate) fn publish(&self, partition: u16, checkpoint: &Checkpoint) {
        if let Some(followed) = self.followed(partition) {
            let position = checkpoint.position();
            followed.time_ms.store(checkpoint.time_ms, Ordering::Release);
            followed.next.store(checkpoint.next().0, Ordering::Release);
            followed.position.store(position.0, Ordering::Release);
            followed.applied.send_replace(position);
        }
    }

    /// Notes where a partition's durable journal ends.
    pub(crate) fn publish_end(&self, partition: u16, head_index: u64) {
        if let Some(followed) = self.followed(partition) {
            followed.end.fetch_max(head_index + 1, Ordering::AcqRel);
        }
    }
}

impl Followed {
    pub(crate) fn new() -> Self {
        Self {
            applied: watch::Sender::new(Position(0)),
            taken: AtomicBool::new(false),
            waited_for: Arc::default(),
            position: AtomicU64::new(0),
            time_ms: AtomicU64::new(0),
            next: AtomicU64::new(0),
            end: AtomicU64::new(0),
        }
    }

    fn lag(&self) -> u64 {
        self.end.load(Ordering::Acquire).saturating_sub(self.next.load(Ordering::Acquire))
    }
}
