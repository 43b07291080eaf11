//! Segment files of a journal's directory: which there are, and whether their names are what they hold.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use florin_journal::{HEADER_BYTES, PartitionId, header::Header};

use super::finding::{Finding, Sink};
use super::window::Window;

/// A segment, by the index that its name says is its first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    first: u64,
    pub(super) path: PathBuf,
}

/// Segments of a partition in order; none if there is no such directory.
pub(super) fn of(journal: &Path, partition: PartitionId) -> io::Result<Vec<Segment>> {
    let mut found: Vec<Segment> = named(journal, partition)?
        .into_iter()
        .filter_map(|(path, first)| Some(Segment { first: first?, path }))
        .collect();
    found.sort();
    Ok(found)
}

/// Files that are called segments, with the index that the name says.
fn named(journal: &Path, partition: PartitionId) -> io::Result<Vec<(PathBuf, Option<u64>)>> {
    let listing = match fs::read_dir(journal.join(format!("p{:05}", partition.0))) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "journal") {
            let name = path.file_stem().and_then(|name| name.to_str());
            let digits = name.filter(|name| name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()));
            let first = digits.and_then(|name| name.parse().ok());
            found.push((path, first));
        }
    }
    Ok(found)
}

/// Tells segments whose names are not what they hold: no server opens them, and nobody knows what their place is.
pub(super) fn check(journal: &Path, partition: PartitionId, sink: &Sink) -> io::Result<()> {
    for (path, first) in named(journal, partition)? {
        let Some(first) = first else {
            sink.gap(format!("{} is not read: a segment's name is its first index in 20 digits", path.display()));
            continue;
        };
        let mut window = Window::open(&path, HEADER_BYTES as u64)?;
        // What is no header is told where the records are read.
        if let Ok((header, _)) = Header::decode(window.at(0, HEADER_BYTES)?)
            && header.index != first
        {
            let finding = Finding::new(
                "index",
                format!("record {first} at the beginning of the segment of that name"),
                format!("record {}", header.index),
            );
            sink.find(finding.at(partition.0, header.index));
        }
    }
    Ok(())
}
