//! State: what the history has led to. A partition holds accounts; an account holds wallets, cards and what belongs to them.
//!
//! Only [`evolve`](crate::evolve) changes it. Sizes count here: with one wallet and two cards a user must stay below
//! 1 KiB (budgets.md P12), so growing vectors reserve exactly, and what is rare lies behind a box.

use alloc::{boxed::Box, collections::BTreeMap, string::String, sync::Arc, vec::Vec};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::{
    agenda::Agenda,
    command::Envelope,
    fees::FeeTaken,
    holds::Leg,
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Digest, Key, Position, RequestId, request_id},
    limits::{Limits, Usage, Used},
    money::{Asset, Country, Factor, Minor, Sealed},
    outcomes::{Recall, Remembered},
    people::Verification,
    policy::{CardKind, Funding, Policy, ProgrammeCode},
    terms::{Cause, Change, Status},
};

/// The state of one partition.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) partition: u16,
    pub(crate) partitions: u16,
    pub(crate) clock_ms: u64,
    pub(crate) policies: Vec<Adopted>,
    pub(crate) counters: Counters,
    pub(crate) accounts: Vec<Account>,
    pub(crate) remembered: Remembered,
    by_account: HashTable<u32>,
    by_card: HashTable<CardAt>,
    pub(crate) agenda: Agenda,
}

/// A policy and from when it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Adopted {
    pub(crate) version: u32,
    pub(crate) effective_at_ms: u64,
    pub(crate) policy: Arc<Policy>,
}

/// Counters of the small numbers that the partition gives out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) cards: u64,
    pub(crate) invoices: u64,
    pub(crate) appeals: u64,
}

/// Where a card lies: its account's slot, and its place there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CardAt {
    pub(crate) slot: u32,
    pub(crate) card: u32,
}

/// One user of one company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Who.
    pub id: AccountId,
    /// The user's country.
    pub country: Country,
    /// Wallets, one an asset.
    pub wallets: Vec<Wallet>,
    /// Cards, oldest first; cancelled ones too, as clearings and refunds may still come.
    pub cards: Vec<Card>,
    /// How many idempotency keys are remembered.
    pub remembered: u32,
    pub(crate) rare: Option<Box<Rare>>,
}

/// What few accounts have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rare {
    pub(crate) verification: Option<Verification>,
    pub(crate) invoices: Vec<Invoice>,
    pub(crate) requests: Vec<CardRequest>,
    pub(crate) appeals: Vec<Appeal>,
    pub(crate) authorizations: BTreeMap<AuthorizationId, Authorization>,
}

/// Money of one user in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// Which asset.
    pub asset: Asset,
    /// Posted.
    pub balance: Minor,
    /// Held for authorizations.
    pub held: Minor,
}

impl Wallet {
    /// Posted less held.
    pub const fn available(&self) -> Minor {
        self.balance.fold_minus(self.held)
    }
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its id.
    pub id: CardId,
    /// Its numeric id.
    pub number: u64,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// How it is funded.
    pub funding: Funding,
    /// Its state.
    pub status: Status,
    /// For a blocked card: what it was before.
    pub before_block: Status,
    /// Whether a fraud block is open.
    pub fraud: bool,
    /// Wrong activation tries.
    pub tries: u8,
    /// Last four digits, once issued.
    pub last4: u16,
    /// Last month it can be used in, `year × 12 + month − 1`; 0: not issued yet.
    pub expiry: u16,
    /// The highest change number given.
    pub change: u32,
    /// The change number last settled as done.
    pub settled: u32,
    /// The change number under which its state is to be asserted at the issuer; 0: none.
    pub reconcile: u32,
    /// Since when, ms since 1970.
    pub reconcile_since_ms: u64,
    /// Its billing currency.
    pub currency: Asset,
    /// Posted; always zero for a wallet-funded card.
    pub balance: Minor,
    /// Held for authorizations on its own balance.
    pub held: Minor,
    /// Spending limits that bind.
    pub limits: Limits,
    /// Most that is approved without a PIN on a card-present purchase.
    pub no_pin: Option<Minor>,
    /// How much of the limits is used.
    pub usage: Usage,
    /// The change that waits for the issuer.
    pub pending: Option<Box<Pending>>,
}

/// A change that waits for the issuer: shown as PROCESSING over the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its change number.
    pub change: u32,
    /// Where it was asked for.
    pub position: Position,
    /// When, ms since 1970.
    pub since_ms: u64,
    /// When it is past its time, ms since 1970; `u64::MAX` once that has been told.
    pub deadline_ms: u64,
    /// What it is.
    pub what: Waiting,
}

/// What a pending change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// The issuance, and what to give back if it fails.
    Issue {
        /// What moved from wallet to card.
        initial: Minor,
        /// The fees taken.
        fees: Vec<FeeTaken>,
        /// The invoice used; 0: none.
        invoice: u64,
        /// Whether the issuer is asked to give it up.
        abandoned: bool,
    },
    /// A change of status.
    Status {
        /// What was asked.
        what: Change,
        /// The state it leads to.
        target: Status,
        /// Who asked.
        cause: Cause,
        /// The risk-reducing change that it took the place of: asked for again, should this one be refused.
        overtaken: Option<Overtaken>,
    },
    /// A change of limits.
    Limits {
        /// The limits asked for.
        target: Limits,
        /// The limits before.
        before: Limits,
    },
}

/// A change of status that a stronger one took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overtaken {
    /// What was asked.
    pub what: Change,
    /// The state it leads to.
    pub target: Status,
    /// Who asked.
    pub cause: Cause,
}

/// A quote of order and delivery fees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) number: u64,
    pub(crate) programme: ProgrammeCode,
    pub(crate) kind: CardKind,
    pub(crate) country: Country,
    pub(crate) provider: String,
    pub(crate) fiat: Asset,
    pub(crate) order_fee: Minor,
    pub(crate) delivery_fee: Minor,
    pub(crate) asset: Asset,
    pub(crate) amount: Minor,
    pub(crate) rate: Factor,
    pub(crate) expires_at_ms: u64,
    pub(crate) used: bool,
}

/// A card request that waits for its approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardRequest {
    pub(crate) id: CardRequestId,
    pub(crate) card: CardId,
    pub(crate) programme: ProgrammeCode,
    pub(crate) kind: CardKind,
    pub(crate) profile: Sealed,
}

/// An appeal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Appeal {
    pub(crate) id: AppealId,
    pub(crate) card: CardId,
    pub(crate) open: bool,
}

/// An authorization with its hold, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// On which card.
    pub card: CardId,
    /// How far it is.
    pub phase: Phase,
    /// Authorized in all, increments included.
    pub amount: Minor,
    /// What is still held.
    pub held: Vec<Leg>,
    /// What was cleared and is not refunded.
    pub spent: Vec<Leg>,
    /// What it used of the limits, and when.
    pub used: Vec<Used>,
    /// Open: when the hold expires; closed: when it is forgotten. Ms since 1970.
    pub until_ms: u64,
}

/// How far an authorization is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its hold stands.
    Open,
    /// Its hold is gone.
    Closed,
    /// Its reversal came first.
    Killed,
}

impl Authorization {
    /// What is still held, in the card's currency.
    pub fn held_billing(&self) -> Minor {
        crate::holds::billing(&self.held)
    }

    /// What was cleared and is not refunded, in the card's currency.
    pub fn spent_billing(&self) -> Minor {
        crate::holds::billing(&self.spent)
    }
}

impl Card {
    /// Posted less held.
    pub const fn available(&self) -> Minor {
        self.balance.fold_minus(self.held)
    }

    /// The request id of the pending change.
    pub fn request(&self) -> Option<RequestId> {
        self.pending.as_ref().map(|pending| request_id(self.id, pending.change))
    }

    /// Whether what the network posts goes to the wallet: the card is not there yet, or it is closed with nothing left on it.
    pub fn posts_to_wallet(&self) -> bool {
        match self.status {
            Status::Requested | Status::Cancelled => true,
            Status::Expired => self.balance.is_zero() && self.held.is_zero() && !self.fraud,
            _ => false,
        }
    }

    /// Whether it is past its expiry month at `now_ms`.
    pub fn past_expiry(&self, now_ms: u64) -> bool {
        self.expiry != 0 && now_ms >= crate::limits::month_end_ms(self.expiry)
    }
}

impl Account {
    pub(crate) const fn new(id: AccountId, country: Country) -> Self {
        Self { id, country, wallets: Vec::new(), cards: Vec::new(), remembered: 0, rare: None }
    }

    /// The wallet of an asset.
    pub fn wallet(&self, asset: Asset) -> Option<&Wallet> {
        self.wallets.iter().find(|wallet| wallet.asset == asset)
    }

    /// What can be spent of an asset.
    pub fn available(&self, asset: Asset) -> Minor {
        self.wallet(asset).map_or(Minor::ZERO, Wallet::available)
    }

    /// A card of this account.
    pub fn card(&self, id: CardId) -> Option<&Card> {
        self.cards.iter().find(|card| card.id == id)
    }

    pub(crate) fn card_mut(&mut self, id: CardId) -> Option<&mut Card> {
        self.cards.iter_mut().find(|card| card.id == id)
    }

    pub(crate) fn wallet_mut(&mut self, asset: Asset) -> &mut Wallet {
        let at = self.wallets.iter().position(|wallet| wallet.asset == asset).unwrap_or_else(|| {
            self.wallets.reserve_exact(1);
            self.wallets.push(Wallet { asset, balance: Minor::ZERO, held: Minor::ZERO });
            self.wallets.len() - 1
        });
        &mut self.wallets[at]
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// An authorization of this account.
    pub fn authorization(&self, id: AuthorizationId) -> Option<&Authorization> {
        self.rare.as_ref()?.authorizations.get(&id)
    }

    /// Authorizations with a hold or remembered.
    pub fn authorizations(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.authorizations.len())
    }

    /// Whether a hold of this card is open.
    pub fn has_holds(&self, card: CardId) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.authorizations.values().any(|auth| auth.card == card && auth.phase == Phase::Open))
    }

    pub(crate) fn invoice(&self, number: u64) -> Option<&Invoice> {
        self.rare.as_ref()?.invoices.iter().find(|invoice| invoice.number == number)
    }

    pub(crate) fn card_request(&self, id: CardRequestId) -> Option<&CardRequest> {
        self.rare.as_ref()?.requests.iter().find(|request| request.id == id)
    }

    pub(crate) fn appeal(&self, id: AppealId) -> Option<&Appeal> {
        self.rare.as_ref()?.appeals.iter().find(|appeal| appeal.id == id)
    }

    /// Cards that count towards the most a user may have, open requests included.
    pub fn cards_counted(&self) -> usize {
        let requests = self.rare.as_ref().map_or(0, |rare| rare.requests.len());
        self.cards.iter().filter(|card| card.status.counts()).count() + requests
    }
}

fn hash_of(id: &[u8; 16]) -> u64 {
    // Ids are pseudorandom but for version, partition and variant, which lie in bytes 6 to 8.
    let [a, b, c, d, e, f, _, _, _, g, h, ..] = *id;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl State {
    /// The empty state of a partition.
    pub fn new(partition: u16, partitions: u16) -> Self {
        Self {
            partition,
            partitions,
            clock_ms: 0,
            policies: Vec::new(),
            counters: Counters::default(),
            accounts: Vec::new(),
            remembered: Remembered::default(),
            by_account: HashTable::new(),
            by_card: HashTable::new(),
            agenda: Agenda::default(),
        }
    }

    /// Which partition.
    pub const fn partition(&self) -> u16 {
        self.partition
    }

    /// How many partitions the ledger has.
    pub const fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The time of the last entry, ms since 1970.
    pub const fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// The policy in force at a time, with its version.
    pub fn policy_at(&self, time_ms: u64) -> Option<(u32, &Policy)> {
        let adopted = self.policies.iter().rev().find(|adopted| adopted.effective_at_ms <= time_ms)?;
        Some((adopted.version, &adopted.policy))
    }

    /// The version in force at a time; 0: none.
    pub fn policy_version_at(&self, time_ms: u64) -> u32 {
        self.policy_at(time_ms).map_or(0, |(version, _)| version)
    }

    /// The version in force at the last entry; 0: none.
    pub fn policy_version(&self) -> u32 {
        self.policy_version_at(self.clock_ms)
    }

    /// The highest set of rules that an adopted policy names, in force or to come.
    pub fn rules(&self) -> u32 {
        self.policies.iter().map(|adopted| adopted.policy.rules).max().unwrap_or(0)
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.slot(id).map(|slot| &self.accounts[slot as usize])
    }

    pub(crate) fn slot(&self, id: AccountId) -> Option<u32> {
        self.by_account.find(hash_of(&id.0), |slot| self.accounts[*slot as usize].id == id).copied()
    }

    pub(crate) fn card_at(&self, id: CardId) -> Option<CardAt> {
        self.by_card
            .find(hash_of(&id.0), |at| self.accounts[at.slot as usize].cards[at.card as usize].id == id)
            .copied()
    }

    /// Whose card it is.
    pub fn account_of_card(&self, id: CardId) -> Option<AccountId> {
        self.card_at(id).map(|at| self.accounts[at.slot as usize].id)
    }

    /// What is known of a command's key.
    pub fn recall(&self, envelope: &Envelope, now_ms: u64) -> Recall {
        match self.memory_slot(envelope.account) {
            Some(slot) => self.remembered.recall(slot, envelope.key, envelope.digest, now_ms),
            None => Recall::New,
        }
    }

    /// Looks at what deciding these commands will look at, and changes nothing. What is not in the processor's cache is then
    /// waited for together, as the look-ups do not depend on each other; one command after the other would wait for each.
    pub fn touch(&self, ahead: &[Envelope]) {
        let mut seen = 0;
        for envelope in ahead {
            if let Some(slot) = self.memory_slot(envelope.account) {
                seen ^= self.remembered.touch(slot, envelope.key);
                if let Some(account) = self.accounts.get(slot as usize) {
                    seen ^= account.wallets.first().map_or(0, |wallet| wallet.balance.0);
                    seen ^= account.cards.first().map_or(0, |card| card.balance.0 ^ i64::from(card.expiry));
                }
            }
        }
        core::hint::black_box(seen);
    }

    /// Whether a command was given under this key and its outcome is remembered.
    pub fn has_key(&self, account: AccountId, key: Key) -> bool {
        let known = |slot| self.remembered.recall(slot, key, Digest::default(), self.clock_ms) != Recall::New;
        self.memory_slot(account).is_some_and(known)
    }

    /// The slot under which an account's keys are remembered; the partition's own has the last one.
    pub(crate) fn memory_slot(&self, account: AccountId) -> Option<u32> {
        if account == AccountId::of_partition(self.partition) { Some(u32::MAX) } else { self.slot(account) }
    }

    /// How many accounts there are.
    pub const fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// How many cards there are, cancelled ones included.
    pub fn cards(&self) -> usize {
        self.by_card.len()
    }

    /// How many idempotency keys are remembered.
    pub fn remembered(&self) -> usize {
        self.remembered.len()
    }

    /// All accounts, in order of registration.
    pub fn all_accounts(&self) -> &[Account] {
        &self.accounts
    }

    pub(crate) fn add_account(&mut self, account: Account) -> u32 {
        let slot = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        self.accounts.push(account);
        self.index_account(slot);
        slot
    }

    /// Indexes an account that is there already.
    pub(crate) fn index_account(&mut self, slot: u32) {
        let accounts = &self.accounts;
        let hash = |slot: &u32| hash_of(&accounts[*slot as usize].id.0);
        self.by_account.insert_unique(hash(&slot), slot, hash);
    }

    pub(crate) fn index_card(&mut self, at: CardAt) {
        let accounts = &self.accounts;
        let hash = |at: &CardAt| hash_of(&accounts[at.slot as usize].cards[at.card as usize].id.0);
        self.by_card.insert_unique(hash(&at), at, hash);
    }
}
