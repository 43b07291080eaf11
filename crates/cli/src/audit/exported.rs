//! An export against its own trailer: that it is whole, that every record extends the one before, and that the bytes are
//! those that were written. An export that begins later than genesis can be checked no further: the state is not known.

use std::fs::File;
use std::path::Path;

use florin_journal::export::{self, Contents, Error};

use super::finding::{Finding, Sink};
use super::report::Partition;

/// What a file turned out to be.
pub(super) enum Exported {
    /// Plain records, or an export from genesis on: decisions can be made again.
    History,
    /// An export that begins later.
    Part(Contents),
}

/// Checks a file, if it is an export.
pub(super) fn check(path: &Path, sink: &Sink) -> Exported {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            sink.gap(format!("{} cannot be read: {error}", path.display()));
            return Exported::History;
        }
    };
    let contents = match export::contents(&mut file) {
        Ok(contents) => contents,
        // Records without a trailer are a file that others wrote.
        Err(Error::Unfinished) => return Exported::History,
        Err(error) => {
            sink.gap(format!("the trailer of {} cannot be read: {error}", path.display()));
            return Exported::History;
        }
    };
    let read = export::read::<Error>(&mut file, |_| Ok(()));
    match read {
        Ok(_) => {}
        Err(Error::Io(error)) => sink.gap(format!("{} cannot be read: {error}", path.display())),
        Err(error) => {
            let mut causes = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                causes.push_str(": ");
                causes.push_str(&error.to_string());
                cause = error.source();
            }
            sink.find(Finding::new("export", "what the trailer says", causes));
        }
    }
    if contents.partitions.iter().all(|span| span.from == 0) {
        return Exported::History;
    }
    for (partition, span) in contents.ledger.partitions().zip(&contents.partitions) {
        if span.from > 0 {
            sink.gap(format!(
                "partition {partition} begins at record {}: its chain was checked from there on, its decisions were not made \
                 again; audit it behind what comes before it",
                span.from
            ));
        }
    }
    Exported::Part(contents)
}

/// What an export that begins later says of its partitions.
pub(super) fn partitions(contents: &Contents) -> Vec<Partition> {
    let of = |(partition, span): (florin_journal::PartitionId, &export::Span)| Partition {
        id: partition.0,
        records: (span.head.index + 1).saturating_sub(span.from),
        bytes: 0,
        commands: 0,
        head_index: Some(span.head.index),
        head_hash: Some(span.head.hash.to_string()),
        head_time_ms: Some(span.head.time_ms),
        anchor: "unanchored",
    };
    contents.ledger.partitions().zip(&contents.partitions).map(of).collect()
}
