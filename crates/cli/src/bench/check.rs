//! The end of a run: reads the journal from genesis and compares it with what was sent, and with the views.

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

use super::load::wrong;
use super::script::{DEPOSIT, Script};
use crate::causes;
use crate::failure::Failure;

/// What the journal holds.
pub(super) struct Found {
    /// Bytes of the records that hold measured commands and nothing else, and those commands.
    pub(super) bytes: u64,
    pub(super) counted: u64,
    /// Entries folded, and how long reading, checking hashes, decoding and folding took.
    pub(super) entries: u64,
    pub(super) elapsed: Duration,
}

/// Reads everything; refuses a journal that is not exactly commands `0..commands` once each and in balance.
pub(super) async fn journal<P: Provider>(
    journal: &P,
    script: &Script,
    commands: u64,
    bar: &ProgressBar,
) -> Result<Found, Failure> {
    let failed = |error| causes::journal("read the journal back", error);
    let mut found = Found { bytes: 0, counted: 0, entries: 0, elapsed: Duration::ZERO };
    let begun = Instant::now();
    let mut keys = Vec::with_capacity(usize::try_from(commands).unwrap_or(0));
    let (mut held, mut fees) = (0_i128, 0_i128);
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
                if let Command::TopUp(_) | Command::Authorize(_) | Command::Unload(_) = entry.admitted.envelope.command
                {
                    keys.push(entry.admitted.envelope.key.0);
                }
                for event in events {
                    fees += taken(event);
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
            held += account.wallets.iter().map(|wallet| i128::from(wallet.balance.0)).sum::<i128>();
            held += account.cards.iter().map(|card| i128::from(card.balance.0)).sum::<i128>();
        }
    }
    found.elapsed = begun.elapsed();
    once_each(keys, script, commands)?;
    let deposits = i128::from(DEPOSIT.0) * script.user_count() as i128;
    if held + fees != deposits {
        return Err(wrong(format!("wallets and cards hold {held}, fees {fees}, but {deposits} was deposited")));
    }
    Ok(found)
}

/// Fees that an event takes, in cents: all of a run are.
fn taken(event: &Event) -> i128 {
    match event {
        Event::ToppedUp(event) => i128::from(event.fee.0),
        Event::CardRequested(event) => event.fees.iter().map(|fee| i128::from(fee.paid.0)).sum(),
        _ => 0,
    }
}

/// The keys must be those of commands `0..commands`, none twice.
fn once_each(mut keys: Vec<[u8; 16]>, script: &Script, commands: u64) -> Result<(), Failure> {
    if keys.len() as u64 != commands {
        return Err(wrong(format!("{commands} commands were acknowledged, {} are in the journal", keys.len())));
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(wrong("a command is in the journal twice".to_owned()));
    }
    let mut expected: Vec<_> = (0..commands).map(|n| script.key(n).0).collect();
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
