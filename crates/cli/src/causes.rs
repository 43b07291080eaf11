//! What the errors of the other crates mean to the person who started the process: exit code and advice.

use std::error::Error as StdError;
use std::io;

use florin_journal as journal;
use florin_processor::{processor, recovery};
use florin_projector as projector;
use florin_vault as vault;
use florin_workers::{bucket, mail, queue, settlement, webhooks};

use crate::failure::{Exit, Failure};

const RESTORE: &str =
    "nothing was changed. Restore the ledger directory from a backup; keep the damaged one for examination";
const SPACE: &str = "make room on the disk and start again; everything that was acknowledged is there";
const AGAIN: &str = "read the log, then start again; everything that was acknowledged is there";
const NATS: &str =
    "see that the servers run, that a majority of them does, and that this user may do it, then start again";
const DISK: &str = "check the disk, its permissions and the system log, then start again";

/// An error of the journal while doing `doing`.
pub(crate) fn journal(doing: &str, error: journal::Error) -> Failure {
    use journal::Error;
    let (exit, advice) = match &error {
        Error::Locked { .. } => (Exit::Locked, "stop the other process, or name another directory with --data"),
        Error::DiskFull { .. } => (Exit::Disk, SPACE),
        Error::Io { source, .. } if full(source) => (Exit::Disk, SPACE),
        Error::Io { .. } | Error::Dead(_) | Error::Random(_) => (Exit::Disk, DISK),
        Error::Nats { .. } => (Exit::Nats, NATS),
        Error::Unfit(_) => (Exit::Nats, "do as it says; nothing was changed"),
        Error::Exists(_) => (Exit::Ledger, "name another ledger with --ledger, or run roles on the one that is there"),
        Error::Name(_) => (Exit::Usage, "name it with --ledger"),
        _ => (Exit::Ledger, RESTORE),
    };
    Failure::new(exit, format!("cannot {doing}")).advise(advice).because(error)
}

/// An error of an export: while it is written, read or restored.
pub(crate) fn export(path: &std::path::Path, error: journal::export::Error) -> Failure {
    use journal::export::Error;
    let place = path.display();
    match error {
        Error::Io(cause) => Failure::io("read or write", path, cause),
        Error::Journal(error) => self::journal(&format!("use the export {place}"), error),
        Error::Partial(..) => Failure::new(Exit::Usage, format!("{place} is no whole ledger"))
            .advise("name an export from genesis on; one made with --after or --from is for audits and backups")
            .because(error),
        error => Failure::new(Exit::Ledger, format!("{place} is no export, or not as it was written"))
            .advise("take another copy of it; nothing was made of this one")
            .because(error),
    }
}

/// A group of processes that cannot be joined.
pub(crate) fn placement(error: florin_processor::placement::Error) -> Failure {
    Failure::new(Exit::Nats, "cannot join the others of this role").advise(NATS).because(error)
}

/// Processors that cannot be run in this process.
pub(crate) fn cluster(error: florin_processor::cluster::Error) -> Failure {
    Failure::new(Exit::Nats, "cannot run partitions").advise(NATS).because(error)
}

/// An error of the vault.
pub(crate) fn vault(error: vault::Error) -> Failure {
    use vault::Error;
    let (exit, advice) = match &error {
        Error::WrongMasterKey => (
            Exit::Config,
            "use the master key that this ledger was made with (`secrets.master_key_file` or FLORIN_MASTER_KEY)",
        ),
        Error::Unreachable(_) => (Exit::Nats, NATS),
        error if full(error) => (Exit::Disk, SPACE),
        Error::File(_) | Error::Database(_) | Error::Random => (Exit::Disk, DISK),
        _ => (Exit::Ledger, RESTORE),
    };
    Failure::new(exit, "cannot open the vault").advise(advice).because(error)
}

/// An error of the views while doing `doing`.
pub(crate) fn views(doing: &str, error: projector::Error) -> Failure {
    use projector::Error;
    let (exit, advice) = match &error {
        error if full(error) => (Exit::Disk, SPACE),
        Error::Journal(_) | Error::JournalShorter { .. } => (Exit::Ledger, RESTORE),
        Error::Locked { .. } => (Exit::Locked, "stop the other process"),
        _ => (
            Exit::Disk,
            "check the disk, then run `florin views rebuild`: views are made from the journal and nothing is lost",
        ),
    };
    Failure::new(exit, format!("cannot {doing}")).advise(advice).because(error)
}

/// An error of the settlement's queue.
pub(crate) fn queue(error: queue::Error) -> Failure {
    let (exit, advice) = match &error {
        queue::Error::Locked { .. } => (Exit::Locked, "stop the other process"),
        queue::Error::Unreachable { .. } | queue::Error::Refused { .. } => (Exit::Nats, NATS),
        queue::Error::Foreign { .. } => (Exit::Nats, "do as it says; nothing was changed"),
        error if full(error) => (Exit::Disk, SPACE),
        _ => (Exit::Disk, DISK),
    };
    Failure::new(exit, "cannot open the settlement's queue").advise(advice).because(error)
}

/// A journal without what the settlement's queue remembers of it.
pub(crate) fn confirm(error: settlement::Error) -> Failure {
    match error {
        settlement::Error::Journal(error) => journal("confirm what the settlement's queue remembers", error),
        settlement::Error::Queue(error) => queue(error),
        error => settlement(error),
    }
}

/// A settlement that stopped itself while running.
pub(crate) fn settlement(error: settlement::Error) -> Failure {
    let advice = if full(&error) { SPACE } else { AGAIN };
    Failure::new(Exit::Stopped, "the settlement stopped itself").advise(advice).because(error)
}

/// The webhooks' store that cannot be used, or remembers another journal.
pub(crate) fn webhooks_store(error: webhooks::Error) -> Failure {
    match error {
        webhooks::Error::Journal(error) => journal("compare the webhooks with the journal", error),
        webhooks::Error::Bucket(error) => bucket(error),
        error => Failure::new(Exit::Disk, "cannot use the webhooks' store")
            .advise("the file is webhooks.redb in the data directory; it has the endpoints and what is not delivered: restore it")
            .because(error),
    }
}

/// What processes share on NATS and this one cannot use.
fn bucket(error: bucket::Error) -> Failure {
    Failure::new(Exit::Nats, "cannot use what webhooks and mail share on the NATS servers")
        .advise("look at the servers, and at what this user may do (deploy/nats/permissions.conf)")
        .because(error)
}

/// Webhooks that stopped themselves while running.
pub(crate) fn webhooks(error: webhooks::Error) -> Failure {
    let advice = if full(&error) { SPACE } else { AGAIN };
    Failure::new(Exit::Stopped, "the webhooks stopped themselves").advise(advice).because(error)
}

/// The outbox that cannot be used, or remembers another journal.
pub(crate) fn mail_store(error: mail::Error) -> Failure {
    match error {
        mail::Error::Journal(error) => journal("compare the outbox with the journal", error),
        mail::Error::Bucket(error) => bucket(error),
        error => Failure::new(Exit::Disk, "cannot use the outbox")
            .advise(
                "move mail.redb in the data directory away: what is not recorded as sent is found again in the journal",
            )
            .because(error),
    }
}

/// A mail worker that stopped itself while running.
pub(crate) fn mail(error: mail::Error) -> Failure {
    let advice = if full(&error) { SPACE } else { AGAIN };
    Failure::new(Exit::Stopped, "the mail worker stopped itself").advise(advice).because(error)
}

/// Whether an error of the journal may pass by itself: what it is read from is away, and nothing of it is wrong.
pub(crate) fn passing(error: &journal::Error) -> bool {
    matches!(error, journal::Error::Nats { .. })
}

/// Whether what ended the settlement may pass by itself.
pub(crate) fn settlement_passing(error: &settlement::Error) -> bool {
    match error {
        settlement::Error::Journal(error) => passing(error),
        settlement::Error::Queue(error) => queue_passing(error),
        _ => false,
    }
}

/// Whether an error of the queue may pass by itself.
fn queue_passing(error: &queue::Error) -> bool {
    error.is_passing()
}

/// Whether what ended the webhooks may pass by itself.
pub(crate) fn webhooks_passing(error: &webhooks::Error) -> bool {
    match error {
        webhooks::Error::Journal(error) => passing(error),
        webhooks::Error::Bucket(error) => error.is_passing(),
        _ => false,
    }
}

/// Whether what ended the mail worker may pass by itself.
pub(crate) fn mail_passing(error: &mail::Error) -> bool {
    match error {
        mail::Error::Journal(error) => passing(error),
        mail::Error::Bucket(error) => error.is_passing(),
        _ => false,
    }
}

/// A processor that did not start.
pub(crate) fn start(error: processor::Error) -> Failure {
    match error {
        processor::Error::Journal(error)
        | processor::Error::Recovery(recovery::Error::Journal { source: error, .. }) => {
            journal("start the processor", error)
        }
        error => Failure::new(Exit::Ledger, "cannot start the processor").advise(RESTORE).because(error),
    }
}

/// A processor that stopped itself while running.
pub(crate) fn stopped(error: processor::Error) -> Failure {
    let advice = if full(&error) { SPACE } else { AGAIN };
    Failure::new(Exit::Stopped, "the processor stopped itself").advise(advice).because(error)
}

/// Whether a full disk is behind it.
fn full(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let journal = error.downcast_ref::<journal::Error>();
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(journal, Some(journal::Error::DiskFull { .. }))
            || matches!(io, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
            // The view store tells the system's error in its text only.
            || error.to_string().contains("No space left on device")
        {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such_however_deep_it_is() {
        let system = || io::Error::from(io::ErrorKind::StorageFull);
        let journal_full = || journal::Error::io("syncing", system());
        let failures = [
            journal("x", journal_full()),
            views("x", projector::Error::Journal(journal_full())),
            start(processor::Error::Journal(journal_full())),
            stopped(processor::Error::Journal(journal_full())),
            vault(vault::Error::File(system())),
        ];
        for failure in failures {
            assert!(failure.to_string().contains("make room on the disk"), "{failure}");
        }
        let other = journal("x", journal::Error::io("syncing", io::Error::other("y")));
        assert!(!other.to_string().contains("make room"), "{other}");
    }
}
