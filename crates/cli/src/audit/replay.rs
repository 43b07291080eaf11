//! A partition's entries in order, verified on the way: what the commands other than `verify` read.

use std::ops::ControlFlow;

use florin_engine::{codec::Entry, ids::Position};
use florin_journal::{Chain, Kind, Ledger, PartitionId};

use super::source::Source;
use super::walk::Step;
use crate::failure::{Exit, Failure};

/// The ledger of the records.
pub(super) fn ledger(source: &Source) -> Result<Ledger, Failure> {
    let found = source.ledger().map_err(|cause| unreadable(0).because(cause))?;
    found.ok_or_else(|| broken(0, 0, "there is no genesis that says which ledger this is"))
}

/// Calls `each` with every entry of a partition, until it breaks or there are no more. Stops at the first record that does
/// not verify.
pub(super) fn entries(
    source: &Source,
    ledger: &Ledger,
    partition: u16,
    mut each: impl FnMut(Position, Entry) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| unreadable(partition).because(cause);
    if partition >= ledger.partitions {
        return Err(Failure::new(Exit::Usage, format!("the ledger has no partition {partition}"))
            .advise(format!("it has {} partition(s), from 0", ledger.partitions)));
    }
    let mut walk = source.walk(PartitionId(partition)).map_err(failed)?.live(source.live());
    let mut chain = Chain::new(ledger.id, PartitionId(partition));
    loop {
        let index = chain.next_index();
        let loose = match walk.next(index).map_err(failed)? {
            Step::Record(loose) => loose,
            Step::Damage(reason) => return Err(broken(partition, index, reason)),
            Step::End | Step::Torn { .. } if index == 0 => return Err(broken(partition, 0, "it is missing")),
            Step::End | Step::Torn { .. } => return Ok(()),
        };
        let record = chain.push(loose).map_err(|reason| broken(partition, index, reason))?;
        if record.kind() != Kind::Entries {
            continue;
        }
        for (n, bytes) in (0..).zip(record.entries()) {
            let entry = Entry::decode(bytes).map_err(|reason| broken(partition, index, reason))?;
            if each(Position::new(index, n), entry).is_break() {
                return Ok(());
            }
        }
    }
}

fn unreadable(partition: u16) -> Failure {
    Failure::new(Exit::Disk, format!("partition {partition} cannot be read"))
        .advise("check the path and its permissions")
}

fn broken(partition: u16, index: u64, reason: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Ledger, format!("partition {partition} does not verify at record {index}: {reason}"))
        .advise("run `florin audit verify` on it, which names everything that does not fit")
}
