//! Snapshot files: a partition's state as of one record, so that a restart need not fold all history.
//!
//! ```text
//! file := magic "FLORINS\n" · format u16 = 1 · partition u16 · schema u32 · rules u32 · ledger [16] · index u64
//!         · record hash [32] · state hash [32] · length u64 · state (engine, `snapshot.rs`) · own hash [32]
//! ```
//!
//! Integers little-endian; the own hash is BLAKE3 in derive-key mode over everything before it. A file is written beside
//! its place, synced and renamed, so that it is whole or not there; the two newest of a partition are kept. A snapshot is
//! only ever a shortcut: one that is damaged, of another ledger or schema, or of another history is thrown away.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use florin_engine::{snapshot as engine, state::State};
use florin_journal::{Hash, LedgerId, PartitionId};

const MAGIC: [u8; 8] = *b"FLORINS\n";
const FORMAT: u16 = 1;
const HEADER_BYTES: usize = 8 + 2 + 2 + 4 + 4 + 16 + 8 + 32 + 32 + 8;
const CONTEXT: &str = "florin 2026 snapshot file";

/// Snapshots kept for each partition.
const KEPT: usize = 2;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of which ledger.
    pub ledger: LedgerId,
    /// Of which partition.
    pub partition: PartitionId,
    /// The last record folded.
    pub index: u64,
    /// That record's hash.
    pub record: Hash,
    /// Highest set of rules that a policy in it names.
    pub rules: u32,
    /// The engine's hash of the state.
    pub state_hash: [u8; 32],
}

/// Why a file is no snapshot to use. Never fatal: the journal is folded instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is not whole.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// A schema or format that this binary does not have.
    #[error("its format {format} with schema {schema} is not this binary's")]
    Version {
        /// The format found.
        format: u16,
        /// The schema found.
        schema: u32,
    },
    /// It is of something else.
    #[error("it is of ledger {0}, partition {1}")]
    Other(LedgerId, PartitionId),
    /// The engine cannot read it.
    #[error("its state cannot be read")]
    State(#[source] engine::Error),
}

/// The bytes of a snapshot.
pub fn encode(header: &Header, state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    let Ok(()) = pieces(header, state, |piece| {
        out.extend_from_slice(piece);
        Ok::<_, Infallible>(())
    });
    out
}

/// Gives them piece by piece, up to the first error.
fn pieces<E>(header: &Header, state: &State, mut give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    // Written twice, as their length comes first; kept, they would take as much memory as the state.
    let mut length = 0;
    engine::pieces(state, |piece| {
        length += piece.len() as u64;
        Ok(())
    })?;
    let mut head = Vec::with_capacity(HEADER_BYTES);
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&FORMAT.to_le_bytes());
    head.extend_from_slice(&header.partition.0.to_le_bytes());
    head.extend_from_slice(&engine::SCHEMA.to_le_bytes());
    head.extend_from_slice(&header.rules.to_le_bytes());
    head.extend_from_slice(&header.ledger.0);
    head.extend_from_slice(&header.index.to_le_bytes());
    head.extend_from_slice(&header.record.0);
    head.extend_from_slice(&header.state_hash);
    head.extend_from_slice(&length.to_le_bytes());
    let mut own = blake3::Hasher::new_derive_key(CONTEXT);
    let mut hashed = |piece: &[u8]| {
        own.update(piece);
        give(piece)
    };
    hashed(&head)?;
    engine::pieces(state, &mut hashed)?;
    give(own.finalize().as_bytes())
}

/// Reads a snapshot, if it is whole and of this ledger and partition.
pub fn decode(bytes: &[u8], ledger: LedgerId, partition: PartitionId) -> Result<(Header, State), Error> {
    let mut fields = Fields(bytes);
    if fields.take()? != MAGIC {
        return Err(Error::Damaged("it does not begin as a snapshot does"));
    }
    let format = u16::from_le_bytes(fields.take()?);
    let found_partition = PartitionId(u16::from_le_bytes(fields.take()?));
    let schema = u32::from_le_bytes(fields.take()?);
    if format != FORMAT || schema != engine::SCHEMA {
        return Err(Error::Version { format, schema });
    }
    let rules = u32::from_le_bytes(fields.take()?);
    let found_ledger = LedgerId(fields.take()?);
    let index = u64::from_le_bytes(fields.take()?);
    let record = Hash(fields.take()?);
    let state_hash = fields.take()?;
    let length = u64::from_le_bytes(fields.take()?);
    let Some((body, own)) = fields.0.split_last_chunk::<32>().filter(|(body, _)| body.len() as u64 == length) else {
        return Err(Error::Damaged("it is too short or too long"));
    };
    if own_hash(&bytes[..bytes.len() - 32]) != *own {
        return Err(Error::Damaged("its own hash does not fit"));
    }
    if (found_ledger, found_partition) != (ledger, partition) {
        return Err(Error::Other(found_ledger, found_partition));
    }
    let state = engine::read(body).map_err(Error::State)?;
    if state.partition() != partition.0 {
        return Err(Error::Damaged("its state is of another partition"));
    }
    Ok((Header { ledger, partition, index, record, rules, state_hash }, state))
}

fn own_hash(bytes: &[u8]) -> [u8; 32] {
    blake3::derive_key(CONTEXT, bytes)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Error::Damaged("it ends within its header"))?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Reads a file.
pub fn load(path: &Path, ledger: LedgerId, partition: PartitionId) -> Result<(Header, State), Error> {
    decode(&bytes(path)?, ledger, partition)
}

/// Reads a file's bytes, whatever they are.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Io { doing: "reading a snapshot", source })
}

/// The index in a file's name.
pub(crate) fn index_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.split_once('-')?.1.parse().ok()
}

/// Writes a snapshot durably, and drops all but the newest two of its partition.
pub fn save(dir: &Path, header: &Header, state: &State) -> Result<PathBuf, Error> {
    write(dir, header.partition, header.index, |file| pieces(header, state, |piece| file.write_all(piece)))
}

/// Writes the bytes of a snapshot as [`save`] does.
pub(crate) fn place(dir: &Path, partition: PartitionId, index: u64, bytes: &[u8]) -> Result<PathBuf, Error> {
    write(dir, partition, index, |file| file.write_all(bytes))
}

fn write(
    dir: &Path,
    partition: PartitionId,
    index: u64,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<PathBuf, Error> {
    let io = |doing| move |source| Error::Io { doing, source };
    fs::create_dir_all(dir).map_err(io("making the snapshots' directory"))?;
    let path = dir.join(format!("{}{index:016}.snapshot", prefix(partition)));
    let beside = path.with_extension("part");
    let mut file = File::create(&beside).map_err(io("making a snapshot"))?;
    content(&mut file).and_then(|()| file.sync_all()).map_err(io("writing a snapshot"))?;
    drop(file);
    fs::rename(&beside, &path).map_err(io("placing a snapshot"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("syncing the snapshots' directory"))?;
    for old in list(dir, partition)?.into_iter().skip(KEPT) {
        fs::remove_file(old).map_err(io("dropping an old snapshot"))?;
    }
    Ok(path)
}

/// A partition's snapshot files, newest first.
pub fn list(dir: &Path, partition: PartitionId) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io { doing: "listing snapshots", source };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(&prefix(partition)) && path.extension().is_some_and(|is| is == "snapshot") {
            paths.push(path);
        }
    }
    // Indexes are padded, so that names sort as they do.
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

fn prefix(partition: PartitionId) -> String {
    format!("p{:04}-", partition.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let state_hash = engine::hash(&State::new(3, 8));
        let (ledger, record) = (LedgerId([0xAA; 16]), Hash([0xBB; 32]));
        Header { ledger, partition: PartitionId(3), index: 258, record, rules: 1, state_hash }
    }

    #[test]
    fn the_header_is_stored_as_documented() {
        let bytes = encode(&header(), &State::new(3, 8));
        let mut golden = b"FLORINS\n\x01\x00\x03\x00\x01\x00\x00\x00\x01\x00\x00\x00".to_vec();
        golden.extend([0xAA; 16]);
        golden.extend(b"\x02\x01\x00\x00\x00\x00\x00\x00");
        golden.extend([0xBB; 32]);
        assert_eq!(bytes[..golden.len()], golden);
        assert_eq!(
            bytes.len() as u64,
            HEADER_BYTES as u64 + 32 + {
                let (length, _) = bytes[HEADER_BYTES - 8..].split_first_chunk::<8>().unwrap();
                u64::from_le_bytes(*length)
            }
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (read, state) =
            decode(&encode(&header(), &State::new(3, 8)), LedgerId([0xAA; 16]), PartitionId(3)).unwrap();
        assert_eq!(read, header());
        assert_eq!(engine::hash(&state), read.state_hash);
    }

    #[test]
    fn any_changed_or_missing_byte_is_found() {
        let whole = encode(&header(), &State::new(3, 8));
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(decode(&bytes, LedgerId([0xAA; 16]), PartitionId(3)).is_err(), "byte {at} flipped");
            assert!(decode(&whole[..at], LedgerId([0xAA; 16]), PartitionId(3)).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_two_newest_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::new(3, 8);
        for index in [9, 100, 20] {
            save(dir.path(), &Header { index, ..header() }, &state).unwrap();
        }
        let kept = list(dir.path(), PartitionId(3)).unwrap();
        assert_eq!(fs::read(&kept[0]).unwrap(), encode(&Header { index: 100, ..header() }, &state));
        let kept = kept.iter().map(|path| load(path, LedgerId([0xAA; 16]), PartitionId(3)).unwrap().0.index);
        assert_eq!(kept.collect::<Vec<_>>(), [100, 20]);
    }
}
