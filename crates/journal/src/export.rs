//! The export file: a ledger, or what it has from given positions on, in one file that can be checked by itself.
//!
//! Partitions one after another, each a run of plain record bytes; then a trailer that says which records these are
//! and hashes the file. `FORMAT.md` has the bytes. A file cut short has no trailer and is refused; so is one with any
//! byte changed.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use crate::hash::{hex, unhex};
use crate::header::Header;
use crate::mmr::Range;
use crate::record::Loose;
use crate::{
    Chain, Corruption, HEADER_BYTES, Hash, Head, Ledger, LedgerId, PartitionId, Provider, Reader as _, Record,
};

/// What a trailer begins and ends with.
pub const TRAILER: [u8; 8] = *b"FLORINX\n";

/// Largest trailer: partitions × (64 peaks of 64 digits and some).
const TRAILER_BYTES_MAX: u32 = 512 << 20;

/// What is wrong with an export.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file ends without a trailer, or is something else.
    #[error("not a whole export: it has no trailer; the export was cut short, or this is another kind of file")]
    Unfinished,
    /// The file ends like an export, but what stands there is no trailer.
    #[error("the trailer is damaged: {0}")]
    Trailer(&'static str),
    /// Bytes were put in or taken out before the trailer.
    #[error("{found} bytes of records stand before the trailer, which says {expected}: the file was changed")]
    Length {
        /// By the trailer.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// The bytes are not those that were exported.
    #[error("the file's hash is {found}, its trailer says {expected}: the file was changed")]
    Changed {
        /// By the trailer.
        expected: Hash,
        /// Of the file.
        found: Hash,
    },
    /// Records that the trailer promises are not there, or are others.
    #[error("partition {0} does not end where the trailer says")]
    End(PartitionId),
    /// A restore needs every partition from genesis on.
    #[error("partition {0} begins at record {1}: only an export from genesis on can be restored")]
    Partial(PartitionId, u64),
    /// A record that does not fit, or a journal that failed.
    #[error(transparent)]
    Journal(#[from] crate::Error),
    /// Reading or writing the file failed.
    #[error("the file cannot be read or written")]
    Io(#[from] std::io::Error),
}

/// What an export holds, as its trailer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The ledger.
    pub ledger: Ledger,
    /// Every partition, in order.
    pub partitions: Vec<Span>,
}

/// Records of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index of the first record; one more than the last if there is none.
    pub from: u64,
    /// Head as of the last record.
    pub head: Head,
    /// Header bytes of the record before the first, and peaks of the range before that one. Absent from genesis on.
    pub before: Option<(Vec<u8>, Vec<Hash>)>,
}

impl Span {
    /// The chain before the span's first record.
    pub fn chain(&self, ledger: &Ledger, partition: PartitionId) -> Result<Chain, crate::Error> {
        let Some((bytes, peaks)) = &self.before else { return Ok(Chain::new(ledger.id, partition)) };
        let corrupt = |reason| crate::Error::corrupt(partition, self.from.saturating_sub(1), reason);
        let (header, hash) = Header::decode(bytes).map_err(corrupt)?;
        if header.ledger != ledger.id {
            return Err(corrupt(Corruption::Ledger(header.ledger)));
        }
        if header.partition != partition {
            return Err(corrupt(Corruption::Partition(header.partition)));
        }
        if Some(header.index) != self.from.checked_sub(1) {
            return Err(corrupt(Corruption::Index { expected: self.from.saturating_sub(1), found: header.index }));
        }
        let range = Range::from_peaks(header.index, peaks.clone()).ok_or_else(|| corrupt(Corruption::Range))?;
        Chain::after(&header, hash, range).map_err(corrupt)
    }
}

/// A trailer as it stands at the end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// What it says the file holds.
    pub contents: Contents,
    /// Bytes of records that it speaks of.
    pub bytes: u64,
    /// Their hash (plain BLAKE3).
    pub hash: Hash,
    /// Where it begins in the file. Other than [`bytes`](Self::bytes), the file was changed.
    pub at: u64,
}

#[derive(Serialize, Deserialize)]
struct Json {
    format: u16,
    ledger: String,
    genesis: String,
    bytes: u64,
    blake3: String,
    partitions: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    from: u64,
    index: u64,
    hash: String,
    range: String,
    term: u64,
    time_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    peaks: Vec<String>,
}

/// Writes the durable records of every partition, up to what is durable now, from `from(partition)` on; void messages
/// of a stream are not among them. `progress` is told after each record. The caller makes the file durable.
pub async fn write<P: Provider>(
    journal: &P,
    from: impl Fn(PartitionId) -> u64 + Send,
    out: &mut (impl Write + Send),
    mut progress: impl FnMut(&Record) + Send,
) -> Result<Contents, Error> {
    let ledger = journal.ledger().clone();
    let mut hasher = blake3::Hasher::new();
    let mut bytes = 0;
    let mut spans = Vec::new();
    for partition in ledger.partitions() {
        let end = journal.head(partition).await?;
        let from = from(partition);
        let before = match from.checked_sub(1) {
            None => None,
            Some(last) => Some(before(journal, partition, last).await?),
        };
        let mut reader = journal.reader(partition, from).await?;
        let mut head = end;
        for _ in from..=end.index {
            let record = reader.next().await?;
            hasher.update(record.bytes());
            out.write_all(record.bytes())?;
            bytes += record.bytes().len() as u64;
            head = record.head();
            progress(&record);
        }
        if head != end {
            return Err(crate::Error::Mismatch { partition, index: end.index }.into());
        }
        spans.push(Span { from, head, before });
    }
    let contents = Contents { ledger, partitions: spans };
    let trailer = encode(&contents, bytes, &Hash(*hasher.finalize().as_bytes()))?;
    let length = u32::try_from(trailer.len()).map_err(|_| Error::Unfinished)?;
    out.write_all(&TRAILER)?;
    out.write_all(trailer.as_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&TRAILER)?;
    out.flush()?;
    Ok(contents)
}

/// Header bytes of record `index` and peaks of the range before it.
async fn before(
    journal: &impl Provider,
    partition: PartitionId,
    index: u64,
) -> Result<(Vec<u8>, Vec<Hash>), crate::Error> {
    let header = journal.read(partition, index).await?.bytes()[..HEADER_BYTES].to_vec();
    let mut peaks = Vec::new();
    for end in Range::ends(index) {
        peaks.push(journal.read(partition, end).await?.header().mountain);
    }
    Ok((header, peaks))
}

/// Reads an export's trailer, which must stand where it says. Nothing else is verified yet: [`read`] does.
pub fn contents(file: &mut File) -> Result<Contents, Error> {
    Ok(whole(file)?.contents)
}

/// Reads a whole export, verifies every record in its chain and the file's hash, and hands the records over in order.
/// What was handed over is only good if this returns without an error.
pub fn read<E: From<Error>>(file: &mut File, mut take: impl FnMut(Record) -> Result<(), E>) -> Result<Contents, E> {
    let mut reading = Reading::open(file)?;
    while let Some(record) = reading.next()? {
        take(record)?;
    }
    reading.finish()
}

/// Fills an empty target with an export from genesis on, and makes it a ledger. The file is verified before the target
/// is finished: a bad file leaves a target that does not open.
pub async fn restore<R: crate::Restore>(
    file: &mut File,
    mut target: R,
    mut progress: impl FnMut(&Record) + Send,
) -> Result<Ledger, Error> {
    let mut reading = Reading::open(file)?;
    for (partition, span) in reading.contents.ledger.partitions().zip(&reading.contents.partitions) {
        if span.from > 0 {
            return Err(Error::Partial(partition, span.from));
        }
    }
    while let Some(record) = reading.next()? {
        progress(&record);
        target.push((*record).clone()).await?;
    }
    reading.finish::<Error>()?;
    Ok(target.finish().await?)
}

/// An export on its way in.
struct Reading<'a> {
    file: &'a mut File,
    contents: Contents,
    expected: Hash,
    left: u64,
    hasher: blake3::Hasher,
    /// Partition being read and its chain.
    at: Option<(PartitionId, Chain, Option<Head>)>,
    next: u16,
}

impl<'a> Reading<'a> {
    fn open(file: &'a mut File) -> Result<Self, Error> {
        let Trailer { contents, bytes: left, hash: expected, .. } = whole(file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, contents, expected, left, hasher: blake3::Hasher::new(), at: None, next: 0 })
    }

    fn next(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let Some((partition, chain, head)) = &mut self.at else {
                let Some(span) = self.contents.partitions.get(usize::from(self.next)) else { return Ok(None) };
                let partition = PartitionId(self.next);
                self.at = Some((partition, span.chain(&self.contents.ledger, partition)?, None));
                self.next += 1;
                continue;
            };
            let (partition, span) = (*partition, &self.contents.partitions[usize::from(partition.0)]);
            if chain.next_index() > span.head.index {
                if head.unwrap_or(span.head) != span.head || chain.last() != span.head.hash {
                    return Err(Error::End(partition));
                }
                self.at = None;
                continue;
            }
            let index = chain.next_index();
            let corrupt = |reason| crate::Error::corrupt(partition, index, reason);
            let mut bytes = vec![0; HEADER_BYTES];
            take(self.file, &mut self.left, &mut bytes)?.ok_or(Error::End(partition))?;
            let (header, _) = Header::decode(&bytes).map_err(corrupt)?;
            bytes.resize(header.record_bytes(), 0);
            take(self.file, &mut self.left, &mut bytes[HEADER_BYTES..])?.ok_or(Error::End(partition))?;
            self.hasher.update(&bytes);
            let record = Loose::decode(bytes).map_err(corrupt)?;
            if index == 0 {
                self.contents.ledger.check_genesis(&record).map_err(corrupt)?;
            }
            let record = chain.push(record).map_err(corrupt)?;
            *head = Some(record.head());
            return Ok(Some(record));
        }
    }

    fn finish<E: From<Error>>(self) -> Result<Contents, E> {
        let found = Hash(*self.hasher.finalize().as_bytes());
        if self.left > 0 || found != self.expected {
            return Err(Error::Changed { expected: self.expected, found }.into());
        }
        Ok(self.contents)
    }
}

/// Fills `bytes`, unless the trailer would be among them.
fn take(file: &mut File, left: &mut u64, bytes: &mut [u8]) -> Result<Option<()>, Error> {
    let Some(rest) = left.checked_sub(bytes.len() as u64) else { return Ok(None) };
    *left = rest;
    Ok(Some(file.read_exact(bytes)?))
}

fn encode(contents: &Contents, bytes: u64, hash: &Hash) -> Result<String, Error> {
    let partitions = contents.partitions.iter().map(|span| Line {
        from: span.from,
        index: span.head.index,
        hash: span.head.hash.to_string(),
        range: span.head.range.to_string(),
        term: span.head.term,
        time_ms: span.head.time_ms,
        before: span.before.as_ref().map(|(header, _)| hex(header)),
        peaks: span.before.iter().flat_map(|(_, peaks)| peaks.iter().map(Hash::to_string)).collect(),
    });
    let (ledger, genesis) = (contents.ledger.id.to_string(), contents.ledger.genesis.to_string());
    let trailer =
        Json { format: 1, ledger, genesis, bytes, blake3: hash.to_string(), partitions: partitions.collect() };
    Ok(serde_json::to_string(&trailer).map_err(std::io::Error::from)?)
}

/// The trailer of a file in which it stands where it says.
fn whole(file: &mut File) -> Result<Trailer, Error> {
    let trailer = trailer(file)?;
    if trailer.bytes != trailer.at {
        return Err(Error::Length { expected: trailer.bytes, found: trailer.at });
    }
    Ok(trailer)
}

/// The trailer at the end of a file, wherever it says that it stands. For those who look into a file that may have been
/// changed.
pub fn trailer(file: &mut File) -> Result<Trailer, Error> {
    let size = file.metadata()?.len();
    let mut end = [0; 12];
    let tail = size.checked_sub(12).ok_or(Error::Unfinished)?;
    file.seek(SeekFrom::Start(tail))?;
    file.read_exact(&mut end)?;
    let (length, mark) = end.split_at(4);
    if mark != TRAILER {
        return Err(Error::Unfinished);
    }
    let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
    let misfit = Error::Trailer("its length does not fit the file");
    let at = tail.checked_sub(u64::from(length) + 8).filter(|_| length <= TRAILER_BYTES_MAX).ok_or(misfit)?;
    let mut text = vec![0; length as usize + 8];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut text)?;
    let json = text.strip_prefix(&TRAILER).ok_or(Error::Trailer("it does not begin where its length says"))?;
    let (contents, bytes, hash) = decode(json).ok_or(Error::Trailer("it is not as an export writes it"))?;
    Ok(Trailer { contents, bytes, hash, at })
}

fn decode(json: &[u8]) -> Option<(Contents, u64, Hash)> {
    let trailer: Json = serde_json::from_slice(json).ok()?;
    // The trailer is not hashed: it has one spelling, so that no change of it goes unseen.
    if serde_json::to_vec(&trailer).ok()? != json {
        return None;
    }
    let partitions = u16::try_from(trailer.partitions.len()).ok().filter(|_| trailer.format == 1)?;
    let ledger = Ledger { id: LedgerId(unhex(&trailer.ledger)?), partitions, genesis: Hash(unhex(&trailer.genesis)?) };
    let hash = |text: &String| Some(Hash(unhex(text)?));
    let mut spans = Vec::new();
    for line in &trailer.partitions {
        let head = Head {
            index: line.index,
            hash: hash(&line.hash)?,
            range: hash(&line.range)?,
            term: line.term,
            time_ms: line.time_ms,
        };
        let before = match &line.before {
            None => None,
            Some(header) => {
                let header: [u8; HEADER_BYTES] = unhex(header)?;
                Some((header.to_vec(), line.peaks.iter().map(hash).collect::<Option<_>>()?))
            }
        };
        // What comes before the first record is quoted if there is something.
        if before.is_some() != (line.from > 0) {
            return None;
        }
        spans.push(Span { from: line.from, head, before });
    }
    Some((Contents { ledger, partitions: spans }, trailer.bytes, hash(&trailer.blake3)?))
}
