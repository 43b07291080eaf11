//! The end of a run: reads the journal from genesis and compares it with what was sent, and with the views.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use florin_engine::{
    codec::{Entry, Outcome},
    command::Command,
    event::Event,
    evolve::evolve,
    ids::Position,
    state::State,
};
use florin_journal::{Kind, Provider, Reader as _};
use florin_projector::TrialBalance;
use indicatif::ProgressBar;

use super::authorizations::Told;
use super::load::wrong;
use super::script::{DEPOSIT, MERCHANT, Script};
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
    /// Bytes of the records that hold measured commands and nothing else, and those commands.
    pub(super) bytes: u64,
    pub(super) counted: u64,
    /// Entries folded, and how long reading, checking hashes, decoding and folding took.
    pub(super) entries: u64,
    pub(super) elapsed: Duration,
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
    let mut found = Found { bytes: 0, counted: 0, entries: 0, elapsed: Duration::ZERO };
    let begun = Instant::now();
    let all = sent.commands + sent.authorizations.sent;
    let mut keys = Vec::with_capacity(usize::try_from(all).unwrap_or(0));
    let (mut balances, mut fees) = (0_i128, 0_i128);
    // What is held: by the accounts as they stand, and by what was authorized and not released.
    let (mut held, mut holds, mut approved) = (0_i128, 0_i128, 0_u64);
    for (partition, users) in journal.ledger().partitions().zip(&script.users) {
        let mut state = State::new(partition.0, journal.ledger().partitions);
        let mut reader = journal.reader(partition, 0).await.map_err(failed)?;
        while let Some(record) = reader.try_next().await.map_err(failed)? {
            if record.kind() != Kind::Entries {
                continue;
            }
            let before = keys.len();
            for (n, bytes) in (0..).zip(record.entries()) {
                let position = Position::new(record.index(), n);
                let unreadable = |error| wrong(format!("the entry at {position} cannot be read: {error}"));
                let entry = Entry::decode(bytes).map_err(unreadable)?;
                let Outcome::Accepted(events) = &entry.outcome else {
                    return Err(wrong(format!("the entry at {position} is a rejection")));
                };
                let envelope = &entry.admitted.envelope;
                if let Command::TopUp(_) | Command::Authorize(_) | Command::Unload(_) = envelope.command {
                    keys.push(envelope.key.0);
                }
                for event in events {
                    fees += taken(event);
                    holds += kept(event);
                    if let Event::Authorized(event) = event {
                        approved += u64::from(event.merchant.name == MERCHANT);
                    }
                }
                evolve(&mut state, position, &entry.admitted, Ok(events));
            }
            found.entries += record.len() as u64;
            bar.set_position(found.entries);
            // So that an interrupt is heard.
            tokio::task::yield_now().await;
            let measured = keys.len() - before;
            if measured == record.len() {
                found.counted += measured as u64;
                found.bytes += record.bytes().len() as u64;
            }
        }
        for user in users {
            let account = state.account(user.account).ok_or_else(|| wrong(format!("user {} is lost", user.number)))?;
            let wallets = account.wallets.iter().map(|wallet| (wallet.balance, wallet.held));
            for (balance, kept) in wallets.chain(account.cards.iter().map(|card| (card.balance, card.held))) {
                balances += i128::from(balance.0);
                held += i128::from(kept.0);
            }
        }
    }
    found.elapsed = begun.elapsed();
    once_each(keys, script, sent)?;
    let deposits = i128::from(DEPOSIT.0) * script.user_count() as i128;
    if balances + fees != deposits {
        return Err(wrong(format!("wallets and cards hold {balances}, fees {fees}, but {deposits} was deposited")));
    }
    if held != holds {
        return Err(wrong(format!("{holds} was authorized and not released, wallets and cards hold {held} for it")));
    }
    let told = &sent.authorizations;
    if !(told.approved..=told.approved + told.undecided.len() as u64).contains(&approved) {
        return Err(wrong(format!("{} authorizations were answered as approved, {approved} are", told.approved)));
    }
    Ok(found)
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

/// The keys must be those of what was sent, none twice. An authorization that was answered without a decision may be there.
fn once_each(mut keys: Vec<[u8; 16]>, script: &Script, sent: &Sent) -> Result<(), Failure> {
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(wrong("a command is in the journal twice".to_owned()));
    }
    let told = &sent.authorizations;
    let undecided: HashSet<u64> = told.undecided.iter().copied().collect();
    let either: HashSet<_> = undecided.iter().map(|n| script.key_of_authorization(*n).0).collect();
    if !either.is_empty() {
        keys.retain(|key| !either.contains(key));
    }
    let decided = (0..told.sent).filter(|n| !undecided.contains(n)).map(|n| script.key_of_authorization(n).0);
    let mut expected: Vec<_> = (0..sent.commands).map(|n| script.key(n).0).chain(decided).collect();
    if keys.len() != expected.len() {
        return Err(wrong(format!("{} commands were acknowledged, {} are in the journal", expected.len(), keys.len())));
    }
    expected.sort_unstable();
    match keys.iter().zip(&expected).position(|(found, expected)| found != expected) {
        Some(_) => Err(wrong("a command that was acknowledged is not in the journal".to_owned())),
        None => Ok(()),
    }
}

/// The views must balance, and hold what the journal's users hold.
pub(super) fn views(trial: &TrialBalance, script: &Script) -> Result<(), Failure> {
    use florin_projector::LedgerKind;
    if let Some(asset) = trial.unbalanced() {
        return Err(wrong(format!("debits and credits of the views differ in {asset}")));
    }
    let funding: i128 = trial
        .assets
        .values()
        .filter_map(|asset| asset.accounts.get(&LedgerKind::Funding))
        .map(|funding| funding.debits - funding.credits)
        .sum();
    let deposits = i128::from(DEPOSIT.0) * script.user_count() as i128;
    if funding != deposits {
        return Err(wrong(format!("{deposits} was deposited, the views show {funding}")));
    }
    Ok(())
}
