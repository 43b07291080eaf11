//! The end of a run: reads the journal from genesis and compares it with what was sent, and with the views and the issuer.
//!
//! `Tally` takes entries one by one and gives its verdict at the end; a [`Checked`] is made nowhere else, and the report
//! says that everything is there only where it has one.

mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use florin_engine::{codec::Entry, evolve::evolve, ids::Position, state::State};
use florin_issuer::CardStatus;
use florin_issuer::sandbox::Sandbox;
use florin_journal::{Kind, Provider, Reader as _};
use florin_projector::{LedgerKind, TrialBalance};
use indicatif::ProgressBar;
use serde::Serialize;

use self::tally::{Of, Tally};
use super::authorizations::Told;
use super::load::wrong;
use super::script::Script;
use crate::causes;
use crate::failure::Failure;

/// What was sent, all of it since the users were made.
pub(super) struct Sent {
    /// Commands `0..commands`, all accepted.
    pub(super) commands: u64,
    /// The issuer's authorizations from 0 on.
    pub(super) authorizations: Told,
}

/// What the journal holds.
pub(super) struct Found {
    /// Bytes of the records that hold measured commands and settlements of them and nothing else, and those commands.
    pub(super) bytes: u64,
    pub(super) counted: u64,
    /// Entries folded, and how long reading, checking hashes, decoding and folding took.
    pub(super) entries: u64,
    pub(super) elapsed: Duration,
    pub(super) checked: Checked,
}

/// What was found to be there, and to balance.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// Commands of the load, each there once and as it was sent.
    commands: u64,
    /// A fingerprint of what they mean, whatever order they came in: the same options and seed give the same.
    fingerprint: String,
    /// Authorizations of the issuer that were decided, each there once.
    authorizations: u64,
    /// Changes that were asked for, each settled once.
    settled: u64,
    /// Minor units that were deposited: what wallets and cards hold, and the fees.
    deposited: String,
    fees: String,
    /// Minor units that are held: authorized and not released.
    held: String,
    /// Whether the views were compared, and balance.
    views: bool,
    /// Cards that were compared with the issuer's.
    at_issuer: u64,
    #[serde(skip)]
    frozen: HashSet<[u8; 16]>,
}

/// Reads everything; refuses a journal that has not each command and each decided authorization exactly once, or in which
/// something does not balance.
pub(super) async fn journal<P: Provider>(
    journal: &P,
    script: &Script,
    sent: &Sent,
    bar: &ProgressBar,
) -> Result<Found, Failure> {
    let failed = |error| causes::journal("read the journal back", error);
    let (mut bytes, mut counted, mut entries, mut elapsed) = (0, 0, 0, Duration::ZERO);
    let mut tally = Tally::new(script, sent);
    let mut of_record: Vec<(Position, Entry)> = Vec::new();
    for (partition, users) in journal.ledger().partitions().zip(&script.users) {
        let mut state = State::new(partition.0, journal.ledger().partitions);
        let mut reader = journal.reader(partition, 0).await.map_err(failed)?;
        loop {
            let begun = Instant::now();
            let Some(record) = reader.try_next().await.map_err(failed)? else { break };
            if record.kind() != Kind::Entries {
                continue;
            }
            of_record.clear();
            for (n, bytes) in (0..).zip(record.entries()) {
                let position = Position::new(record.index(), n);
                let unreadable = |error| wrong(format!("the entry at {position} cannot be read: {error}"));
                let entry = Entry::decode(bytes).map_err(unreadable)?;
                evolve(&mut state, position, &entry.admitted, tally::accepted(position, &entry).map(Ok)?);
                of_record.push((position, entry));
            }
            // Comparing is no part of a replay.
            elapsed += begun.elapsed();
            let (mut measured, mut settled) = (0, 0);
            for (position, entry) in &of_record {
                match tally.entry(*position, entry)? {
                    Of::Load => measured += 1,
                    Of::Settlement => settled += 1,
                    Of::SetUp => {}
                }
            }
            entries += record.len() as u64;
            bar.set_position(entries);
            // So that an interrupt is heard.
            tokio::task::yield_now().await;
            if measured > 0 && measured + settled == record.len() as u64 {
                counted += measured;
                bytes += record.bytes().len() as u64;
            }
        }
        for user in users {
            tally.account(user, state.account(user.account))?;
        }
    }
    Ok(Found { bytes, counted, entries, elapsed, checked: tally.verdict()? })
}

impl Checked {
    /// Of what the commands mean.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The views must balance, and hold what the journal's users were given.
    pub(super) fn views(&mut self, trial: &TrialBalance) -> Result<(), Failure> {
        if let Some(asset) = trial.unbalanced() {
            return Err(wrong(format!("debits and credits of the views differ in {asset}")));
        }
        let funding: i128 = trial
            .assets
            .values()
            .filter_map(|asset| asset.accounts.get(&LedgerKind::Funding))
            .map(|funding| funding.debits - funding.credits)
            .sum();
        if funding.to_string() != self.deposited {
            return Err(wrong(format!("{} was deposited, the views show {funding}", self.deposited)));
        }
        self.views = true;
        Ok(())
    }

    /// The issuer must have each card as the ledger has it.
    pub(super) async fn issuer(&mut self, issuer: &Sandbox) -> Result<(), Failure> {
        let failed = |error: florin_issuer::Error| wrong(format!("the issuer's cards cannot be read: {error}"));
        let cards = issuer.cards().await.map_err(failed)?;
        for card in &cards {
            let frozen = self.frozen.contains(card.card_id.as_bytes());
            let expected = if frozen { CardStatus::Frozen } else { CardStatus::Active };
            // A card that was never changed there is as it was made.
            let found = if card.status_change == 0 { CardStatus::Active } else { card.status };
            if found != expected {
                let (id, found) = (card.card_id, card.status);
                return Err(wrong(format!("card {id} is {expected:?} in the journal, and {found:?} at the issuer")));
            }
        }
        let frozen = cards.iter().filter(|card| self.frozen.contains(card.card_id.as_bytes())).count();
        if frozen != self.frozen.len() {
            return Err(wrong(format!("{} cards are frozen, the issuer knows {frozen} of them", self.frozen.len())));
        }
        self.at_issuer = cards.len() as u64;
        Ok(())
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "every command is there once, and everything balances: {} commands as they were sent",
            self.commands
        )?;
        if self.authorizations > 0 {
            write!(f, ", {} authorizations", self.authorizations)?;
        }
        if self.settled > 0 {
            write!(
                f,
                ", {} changes settled once each and {} cards as the issuer has them",
                self.settled, self.at_issuer
            )?;
        }
        let views = if self.views { "; the views agree" } else { "; no views to compare" };
        write!(f, "; {} cents deposited, {} of them fees, {} held{views}", self.deposited, self.fees, self.held)
    }
}
