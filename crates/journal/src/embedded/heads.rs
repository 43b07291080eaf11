//! `heads.jsonl`: what the writers signed, and what opening remembers by it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::layout;
use crate::{Error, Ledger, SignedHead};

/// The published heads of a ledger's directory.
pub(super) struct Heads {
    file: File,
}

impl Heads {
    pub(super) fn create(dir: &Path) -> Result<Self, Error> {
        let file = File::options().append(true).create_new(true).open(layout::heads(dir));
        Ok(Self { file: file.map_err(|error| Error::io("creating heads.jsonl", error))? })
    }

    /// Opens for appending and returns the last head of each partition. A last line without its end was never
    /// published and is cut.
    pub(super) fn open(dir: &Path, ledger: &Ledger) -> Result<(Self, Vec<SignedHead>), Error> {
        let path = layout::heads(dir);
        let mut file = match File::options().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let advice =
                    "restore it with the journal (if `create` was interrupted, remove the directory and create again)";
                return Err(Error::Missing { path, advice });
            }
            Err(error) => return Err(Error::io("opening heads.jsonl", error)),
        };
        let mut text = String::new();
        let failed = |error| Error::io("reading heads.jsonl", error);
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let heads = last_heads(&text[..whole], &path, ledger)?;
        Ok((Self { file }, heads))
    }

    /// Like [`open`](Self::open) without a hand on the file; a missing file is an unanchored journal.
    pub(super) fn read(dir: &Path, ledger: &Ledger) -> Result<Vec<SignedHead>, Error> {
        let path = layout::heads(dir);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("reading heads.jsonl", error)),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        last_heads(&text[..whole], &path, ledger)
    }

    pub(super) fn publish(&mut self, head: &SignedHead) -> Result<(), Error> {
        let line = head.to_json() + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| Error::io("publishing a signed head", error))
    }
}

fn last_heads(text: &str, path: &Path, ledger: &Ledger) -> Result<Vec<SignedHead>, Error> {
    let mut last: Vec<Option<SignedHead>> = vec![None; usize::from(ledger.partitions)];
    for (at, line) in text.lines().enumerate() {
        let bad = || Error::Heads { path: path.to_owned(), line: at + 1 };
        let head = SignedHead::from_json(line).filter(|head| head.ledger == ledger.id).ok_or_else(bad)?;
        *last.get_mut(usize::from(head.partition.0)).ok_or_else(bad)? = Some(head);
    }
    Ok(last.into_iter().flatten().collect())
}
