//! Names of files in a ledger's directory.
//!
//! ```text
//! lock                                  locked while a process owns the ledger
//! heads.jsonl                           signed heads, one per line
//! p00000/00000000000000000000.journal   partition 0, records from index 0 on
//! p00000/next.zeros                     a segment in preparation: nothing is in it
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, PartitionId};

pub(super) fn lock(dir: &Path) -> PathBuf {
    dir.join("lock")
}

pub(super) fn heads(dir: &Path) -> PathBuf {
    dir.join("heads.jsonl")
}

pub(super) fn partition(dir: &Path, partition: PartitionId) -> PathBuf {
    dir.join(format!("p{:05}", partition.0))
}

pub(super) fn segment(partition_dir: &Path, first: u64) -> PathBuf {
    partition_dir.join(format!("{first:020}.journal"))
}

pub(super) fn prepared(partition_dir: &Path) -> PathBuf {
    partition_dir.join("next.zeros")
}

/// First indexes of the segments in a partition's directory, ascending; at least 0.
pub(super) fn segments(partition_dir: &Path) -> Result<Vec<u64>, Error> {
    let missing = || Error::Missing {
        path: partition_dir.to_owned(),
        advice: "restore the whole ledger directory from a copy; only `create` makes partitions",
    };
    let listing = match fs::read_dir(partition_dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(Error::io("listing segments", error)),
    };
    let mut firsts = Vec::new();
    for entry in listing {
        let name = entry.map_err(|error| Error::io("listing segments", error))?.file_name();
        let first: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".journal")).and_then(|digits| digits.parse().ok());
        firsts.extend(first);
    }
    firsts.sort_unstable();
    if firsts.first() == Some(&0) { Ok(firsts) } else { Err(missing()) }
}

/// Makes names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("syncing a directory", error))
}
