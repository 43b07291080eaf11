//! Entries of a run's journal, one by one, against what was sent.

use std::collections::{HashMap, HashSet};

use florin_engine::{
    codec::{Entry, Outcome},
    command::{self, Authorize, Command, Envelope},
    event::Event,
    ids::{CardId, Key, Position, RequestId, request_id},
    state::Account,
    terms::Status,
};

use super::super::funds::AUTHORIZED;
use super::super::load::wrong;
use super::super::people::User;
use super::super::script::{MERCHANT, Script};
use super::{Checked, Sent};
use crate::failure::Failure;

/// What an entry is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A command that a client or the issuer sent.
    Load,
    /// The issuer's answer to one.
    Settlement,
    /// Making the users, or the processor's own.
    SetUp,
}

/// What was found so far.
pub(super) struct Tally<'a> {
    script: &'a Script,
    sent: &'a Sent,
    /// The commands that were seen.
    seen: Seen,
    /// The same of the issuer's authorizations.
    authorizations: Seen,
    /// Numbers of commands by key, of a run over HTTP; otherwise the key says it.
    numbers: Option<HashMap<Key, u64>>,
    numbers_of_authorizations: HashMap<Key, u64>,
    print: u64,
    /// Changes that were asked for and are not settled.
    open: HashMap<RequestId, CardId>,
    settled: u64,
    frozen: HashSet<[u8; 16]>,
    balances: i128,
    fees: i128,
    /// What is held: by the accounts as they stand, and by what was authorized and not released.
    held: i128,
    holds: i128,
    approved: u64,
}

/// The events of an entry; a run has no rejections.
pub(super) fn accepted(position: Position, entry: &Entry) -> Result<&[Event], Failure> {
    match &entry.outcome {
        Outcome::Accepted(events) => Ok(events),
        Outcome::Rejected(reject) => Err(wrong(format!("the entry at {position} is a rejection: {reject}"))),
    }
}

impl<'a> Tally<'a> {
    pub(super) fn new(script: &'a Script, sent: &'a Sent) -> Self {
        let numbers = || (0..sent.commands).map(|n| (script.key(n), n)).collect();
        let authorizations = 0..sent.authorizations.sent;
        Self {
            script,
            sent,
            seen: Seen::of(sent.commands),
            authorizations: Seen::of(sent.authorizations.sent),
            numbers: script.vault.is_some().then(numbers),
            numbers_of_authorizations: authorizations.map(|n| (script.key_of_authorization(n), n)).collect(),
            print: 0,
            open: HashMap::new(),
            settled: 0,
            frozen: HashSet::new(),
            balances: 0,
            fees: 0,
            held: 0,
            holds: 0,
            approved: 0,
        }
    }

    /// Takes the next entry of a partition.
    pub(super) fn entry(&mut self, position: Position, entry: &Entry) -> Result<Of, Failure> {
        let envelope = &entry.admitted.envelope;
        let events = accepted(position, entry)?;
        for event in events {
            self.fees += taken(event);
            self.holds += kept(event);
            match event {
                Event::Authorized(event) => self.approved += u64::from(event.merchant.name == MERCHANT),
                Event::StatusChangeRequested(event) => {
                    self.open.insert(request_id(event.card, event.change), event.card);
                }
                _ => {}
            }
        }
        match &envelope.command {
            Command::TopUp(_) | Command::Unload(_) | Command::Authorize(_) | Command::ChangeStatus(_) => {
                self.load(position, envelope)?;
                Ok(Of::Load)
            }
            Command::Settle(settle) if settle.outcome == command::Outcome::Done => {
                let changed = events.iter().any(|event| matches!(event, Event::StatusChanged(_)));
                if self.open.remove(&settle.request) != Some(settle.card) || !changed {
                    let card = settle.card;
                    return Err(wrong(format!("the entry at {position} settles what card {card} does not wait for")));
                }
                self.settled += 1;
                Ok(Of::Settlement)
            }
            _ => Ok(Of::SetUp),
        }
    }

    /// A command must be one that was sent, as it was sent, and not have been there before.
    fn load(&mut self, position: Position, envelope: &Envelope) -> Result<(), Failure> {
        if let Some(n) = self.numbers_of_authorizations.get(&envelope.key).copied() {
            let (account, card) = self.script.cardholder(n);
            let same = matches!(&envelope.command, Command::Authorize(Authorize { card: found, amount, .. })
                if *found == card && *amount == AUTHORIZED);
            if !same || envelope.account != account {
                return Err(wrong(format!("authorization {n} at {position} is another one than was sent")));
            }
            return self
                .authorizations
                .see(n)
                .map_err(|()| wrong(format!("authorization {n} is in the journal twice")));
        }
        let n = match &self.numbers {
            Some(numbers) => numbers.get(&envelope.key).copied(),
            None => Some(Script::number(envelope.key))
                .filter(|n| *n < self.sent.commands && self.script.key(*n) == envelope.key),
        };
        let n = n.ok_or_else(|| wrong(format!("the entry at {position} is a command that was never sent")))?;
        let expected = self.script.envelope(n);
        if (envelope.account, &envelope.command) != (expected.account, &expected.command) {
            return Err(wrong(format!("command {n} at {position} is another one than was sent")));
        }
        self.print = self.print.wrapping_add(self.script.print(n));
        self.seen.see(n).map_err(|()| wrong(format!("command {n} is in the journal twice, again at {position}")))
    }

    /// Takes a user's account as it stands at the end.
    pub(super) fn account(&mut self, user: &User, account: Option<&Account>) -> Result<(), Failure> {
        let account = account.ok_or_else(|| wrong(format!("user {} is lost", user.number)))?;
        let wallets = account.wallets.iter().map(|wallet| (wallet.balance, wallet.held));
        for (balance, kept) in wallets.chain(account.cards.iter().map(|card| (card.balance, card.held))) {
            self.balances += i128::from(balance.0);
            self.held += i128::from(kept.0);
        }
        let frozen = account.cards.iter().filter(|card| card.status == Status::Frozen);
        self.frozen.extend(frozen.map(|card| card.id.0));
        Ok(())
    }

    /// Whether all of it is there, and balances.
    pub(super) fn verdict(self) -> Result<Checked, Failure> {
        if let Some(n) = self.seen.missing().next() {
            return Err(wrong(format!("command {n} was acknowledged and is not in the journal")));
        }
        let told = &self.sent.authorizations;
        let undecided: HashSet<u64> = told.undecided.iter().copied().collect();
        if let Some(n) = self.authorizations.missing().find(|n| !undecided.contains(n)) {
            return Err(wrong(format!("authorization {n} was answered and is not in the journal")));
        }
        if let Some(card) = self.open.values().next() {
            return Err(wrong(format!("{} changes are not settled, one of them of card {card}", self.open.len())));
        }
        let asked = self.script.changes(self.sent.commands);
        if self.settled != asked {
            return Err(wrong(format!("{asked} changes were asked for, {} are settled", self.settled)));
        }
        let deposits = i128::from(self.script.funds.deposit.0) * self.script.user_count() as i128;
        let (balances, fees) = (self.balances, self.fees);
        if balances + fees != deposits {
            return Err(wrong(format!("wallets and cards hold {balances}, fees {fees}, but {deposits} was deposited")));
        }
        if self.held != self.holds {
            let (held, holds) = (self.held, self.holds);
            return Err(wrong(format!(
                "{holds} was authorized and not released, wallets and cards hold {held} for it"
            )));
        }
        if !(told.approved..=told.approved + told.undecided.len() as u64).contains(&self.approved) {
            let (told, found) = (told.approved, self.approved);
            return Err(wrong(format!("{told} authorizations were answered as approved, {found} are")));
        }
        Ok(Checked {
            commands: self.seen.count,
            fingerprint: format!("{:016x}", self.print),
            authorizations: self.authorizations.count,
            settled: self.settled,
            deposited: deposits.to_string(),
            fees: fees.to_string(),
            held: self.held.to_string(),
            views: false,
            at_issuer: 0,
            frozen: self.frozen,
        })
    }
}

/// What an event holds, less what it no longer holds, in cents.
fn kept(event: &Event) -> i128 {
    match event {
        Event::Authorized(event) => i128::from(event.amount.0),
        Event::HoldReleased(event) => -i128::from(event.release.billing.0),
        _ => 0,
    }
}

/// Fees that an event takes, in cents: all of a run are.
fn taken(event: &Event) -> i128 {
    match event {
        Event::ToppedUp(event) => i128::from(event.fee.0),
        Event::CardRequested(event) => event.fees.iter().map(|fee| i128::from(fee.paid.0)).sum(),
        _ => 0,
    }
}

/// Which of so many were seen: a bit for each.
struct Seen {
    bits: Vec<u64>,
    all: u64,
    count: u64,
}

impl Seen {
    fn of(all: u64) -> Self {
        Self { bits: vec![0; usize::try_from(all.div_ceil(64)).unwrap_or(0)], all, count: 0 }
    }

    /// Notes number `n`; an error if it was noted before.
    fn see(&mut self, n: u64) -> Result<(), ()> {
        let (word, bit) = (usize::try_from(n / 64).unwrap_or(usize::MAX), 1 << (n % 64));
        let word = self.bits.get_mut(word).ok_or(())?;
        if *word & bit != 0 {
            return Err(());
        }
        *word |= bit;
        self.count += 1;
        Ok(())
    }

    fn missing(&self) -> impl Iterator<Item = u64> {
        let word = |n: u64| usize::try_from(n / 64).unwrap_or(usize::MAX);
        (0..self.all).filter(move |n| self.bits[word(*n)] & (1 << (n % 64)) == 0)
    }
}
