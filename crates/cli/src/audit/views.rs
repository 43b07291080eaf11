//! The views against the journal, row by row: a copy of them is brought up to the journal's end, another is built anew,
//! and every key and value must be the same.

use std::cmp::Ordering;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use florin_journal::{embedded::Embedded, patiently};
use florin_projector::{Options, Projector, Views};

use super::finding::{Finding, Sink};
use super::source::Source;
use crate::progress::Meter;
use crate::serve;

/// The store and the tree of rows, within the views' directory.
const ROWS: &str = "rows";
const TREE: &str = "views";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Compares; returns how many rows were, unless it could not be done.
pub(super) fn compare(source: &Source, sink: &Sink) -> Option<u64> {
    attempt(source, sink).map_err(|error| sink.gap(format!("the views: {}", chain(&*error)))).ok()
}

fn attempt(source: &Source, sink: &Sink) -> Result<u64, Error> {
    let (Some(journal), Some(root)) = (source.journal(), source.root()) else {
        return Err("they are compared in a data directory only".into());
    };
    let dir = root.join("views");
    if !dir.join(ROWS).is_dir() {
        return Err(format!("there are none in {}", dir.display()).into());
    }
    let scratch = tempfile::tempdir()?;
    let (kept, anew) = (scratch.path().join("kept"), scratch.path().join("anew"));
    copy_locked(&dir, &kept)?;
    let journal = Embedded::open_read_only(journal)?;
    let rebuilt = serve::runtime().map_err(|failure| failure.to_string())?.block_on(async {
        let rebuilt = catch_up(&journal, &kept, "bringing the views up").await?;
        catch_up(&journal, &anew, "rebuilding the views").await?;
        Ok::<_, Error>(rebuilt)
    })?;
    if let Some(why) = rebuilt {
        sink.find(Finding::new("view", "views of this journal", format!("views that are {why}")));
        return Ok(0);
    }
    rows(&kept, &anew, sink)
}

/// Brings views up to the journal's end; says why they had to be thrown away, if so.
async fn catch_up(
    journal: &Embedded,
    dir: &Path,
    doing: &'static str,
) -> Result<Option<florin_projector::Rebuild>, Error> {
    let (views, rebuilt) = Views::open(dir, journal, Options::default()).await?;
    let meter = Arc::new(Meter::new(doing));
    let told = Arc::clone(&meter);
    let projector = Projector::new(journal.clone(), views)
        .on_progress(move |progress| told.tell(progress.partition, progress.applied, progress.records));
    let caught_up = projector.catch_up().await;
    meter.finish();
    caught_up?;
    Ok(rebuilt)
}

/// Copies the views' store while no process can write it.
fn copy_locked(from: &Path, to: &Path) -> Result<(), Error> {
    let lock = File::open(from.join("lock"))?;
    match lock.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err("a running server has them open: stop it, or compare a copy".into());
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    copy(&from.join(ROWS), &to.join(ROWS))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn rows(kept: &Path, anew: &Path, sink: &Sink) -> Result<u64, Error> {
    // Views that were closed a moment ago may still be letting go of their lock.
    let taken = |error: &sled::Error| matches!(error, sled::Error::Io(_));
    let open = |dir: &Path| patiently(|| sled::Config::new().path(dir.join(ROWS)).open(), taken);
    let tree = |dir: &Path| open(dir)?.open_tree(TREE);
    let (kept, anew) = (tree(kept)?, tree(anew)?);
    let (mut left, mut right) = (kept.iter(), anew.iter());
    let (mut found, mut expected) = (left.next().transpose()?, right.next().transpose()?);
    let mut compared = 0;
    loop {
        let order = match (&found, &expected) {
            (None, None) => return Ok(compared),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(row), Some(other)) => row.0.cmp(&other.0),
        };
        let key =
            |row: &Option<(sled::IVec, sled::IVec)>| row.as_ref().map_or_else(Default::default, |row| row.0.clone());
        let value = |row: &Option<(sled::IVec, sled::IVec)>| row.as_ref().map(|row| row.1.clone());
        let (in_found, in_expected) = match order {
            Ordering::Less => (value(&found), None),
            Ordering::Greater => (None, value(&expected)),
            Ordering::Equal => (value(&found), value(&expected)),
        };
        if in_found != in_expected {
            let key = key(if order == Ordering::Greater { &expected } else { &found });
            sink.find(Finding::new("view", Row(&key, in_expected.as_deref()), Row(&key, in_found.as_deref())));
        }
        compared += 1;
        if order != Ordering::Greater {
            found = left.next().transpose()?;
        }
        if order != Ordering::Less {
            expected = right.next().transpose()?;
        }
    }
}

/// A row of a view: the table and the rest of the key, and the value.
struct Row<'a>(&'a [u8], Option<&'a [u8]>);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        let Self(key, value) = self;
        let (table, rest) = key.split_first().map_or((0, &key[..]), |(table, rest)| (*table, rest));
        write!(f, "{} ", table_name(table))?;
        hex(f, rest)?;
        match value {
            Some(value) => {
                f.write_str(" = ")?;
                hex(f, value)
            }
            None => f.write_str(" is not there"),
        }
    }
}

/// Tables by the first byte of their keys (projector, `key.rs`).
fn table_name(table: u8) -> &'static str {
    match table {
        0x01..=0x02 => "checkpoint",
        0x03 => "policy",
        0x10 => "account",
        0x11 => "wallet",
        0x20 => "card",
        0x21..=0x24 => "card index",
        0x30 => "transaction of card",
        0x31 => "transaction of wallet",
        0x40 => "authorization",
        0x41 => "hold",
        0x50 => "ledger account",
        0x60..=0x62 => "appeal",
        0x68..=0x6A => "card request",
        0x70 => "invoice",
        0x78 => "history",
        _ => "unknown table",
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
