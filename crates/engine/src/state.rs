//! State: what the history has led to. A partition holds accounts; an account holds wallets, cards and what belongs to them.
//!
//! Only [`evolve`](crate::evolve) changes it.

use alloc::{sync::Arc, vec::Vec};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::{
    agenda::Agenda,
    command::Envelope,
    ids::{AccountId, CardId, Digest, Key},
    outcomes::{Recall, Remembered},
    policy::Policy,
};

pub use crate::account::{Account, Authorization, Card, Overtaken, Pending, Phase, Waiting, Wallet};

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

/// Commands of which one stage of [`State::touch`] is done together.
const TOUCHED: usize = 64;

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

    /// How many keys of a user's own commands are remembered at a time: one past it is not, pruned or not.
    pub(crate) fn keys_at(&self, account: &Account, now_ms: u64) -> u32 {
        let past = self.slot(account.id).map_or(0, |slot| self.remembered.past(slot, now_ms));
        account.remembered.saturating_sub(past)
    }

    /// Looks at what deciding these commands will look at, and changes nothing. What is not in the processor's cache is then
    /// waited for together; one command after the other would wait for each. In stages, as where to look next is known only
    /// once something has come: of each stage the look-ups do not depend on each other, and there are many under way at once.
    pub fn touch<'a, C: 'a>(&self, ahead: impl IntoIterator<Item = &'a Envelope<C>>) {
        let mut ahead = ahead.into_iter();
        let mut near = [(AccountId::NIL, Key::default(), 0); TOUCHED];
        let mut seen = 0;
        loop {
            let mut count = 0;
            for (place, envelope) in near.iter_mut().zip(ahead.by_ref()) {
                // Whose slot it really is is not looked up yet.
                let slot = self.by_account.find(hash_of(&envelope.account.0), |_| true);
                *place = (envelope.account, envelope.key, slot.copied().unwrap_or(u32::MAX));
                count += 1;
            }
            for (account, key, slot) in &mut near[..count] {
                if self.accounts.get(*slot as usize).is_none_or(|there| there.id != *account) {
                    *slot = self.memory_slot(*account).unwrap_or(u32::MAX);
                }
                seen ^= self.remembered.touch(*slot, *key);
            }
            for (_, _, slot) in &near[..count] {
                if let Some(account) = self.accounts.get(*slot as usize) {
                    seen ^= account.wallets.first().map_or(0, |wallet| wallet.balance.0);
                    // A card lies in three lines of the cache; these are in each of them.
                    let card = account.cards.first();
                    seen ^= card.map_or(0, |card| i64::from(card.id.0[15]) ^ card.balance.0 ^ i64::from(card.expiry));
                }
            }
            if count < TOUCHED {
                break;
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
