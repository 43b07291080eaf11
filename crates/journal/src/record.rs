//! A decoded record: checked by itself ([`Loose`]), or in its place in the chain as well ([`Record`]).

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use crate::header::Header;
use crate::{Corruption, HEADER_BYTES, Hash, Head, Kind, LedgerId, PartitionId, merkle};

/// A record that is whole in itself: header, checksum, entries and their root fit. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Loose {
    header: Header,
    hash: Hash,
    bytes: Bytes,
}

/// A record in its place: it also extends the one before. Cheap to clone; derefs to [`Loose`] for its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    loose: Loose,
    range: Hash,
}

/// Decodes `bytes` as exactly one record and checks everything that it shows by itself. What relates it to other
/// records is [`Chain`](crate::Chain)'s to check.
pub fn verify_record(bytes: &[u8]) -> Result<Loose, Corruption> {
    Loose::decode(bytes.to_vec())
}

impl Loose {
    /// [`verify_record`] without a copy.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, Corruption> {
        let bytes = bytes.into();
        let (header, hash) = Header::decode(&bytes)?;
        let (have, need) = (bytes.len() as u64, header.record_bytes() as u64);
        if have < need {
            return Err(Corruption::Short { have, need });
        }
        if have > need {
            return Err(Corruption::Long(have - need));
        }
        if merkle::root(&bytes[HEADER_BYTES..], header.count)? != header.entries {
            return Err(Corruption::Root);
        }
        Ok(Self { header, hash, bytes })
    }

    /// Fills in what the buffer determines (lengths, entries root), writes the header into the room in front.
    pub(crate) fn seal(mut header: Header, mut buffer: Vec<u8>) -> Result<Self, Corruption> {
        let Some((room, body)) = buffer.split_first_chunk_mut::<HEADER_BYTES>() else {
            return Err(Corruption::Short { have: 0, need: HEADER_BYTES as u64 });
        };
        header.body_bytes = u32::try_from(body.len()).map_err(|_| Corruption::Body)?;
        header.entries = merkle::root(body, header.count)?;
        let hash = header.encode(room);
        Ok(Self { header, hash, bytes: buffer.into() })
    }

    /// Every header field.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Ledger it says it belongs to.
    pub fn ledger(&self) -> LedgerId {
        self.header.ledger
    }

    /// Partition it says it belongs to.
    pub fn partition(&self) -> PartitionId {
        self.header.partition
    }

    /// Position in the partition.
    pub fn index(&self) -> u64 {
        self.header.index
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.header.kind
    }

    /// Term of its writer.
    pub fn term(&self) -> u64 {
        self.header.term
    }

    /// Its hash, which the next record names.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Time of its first entry, ms.
    pub fn first_time_ms(&self) -> u64 {
        self.header.first_time_ms
    }

    /// Time of its last entry, ms.
    pub fn last_time_ms(&self) -> u64 {
        self.header.last_time_ms
    }

    /// Number of entries; 0 for a claim.
    pub fn len(&self) -> usize {
        self.header.count as usize
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.header.count == 0
    }

    /// Entries in order.
    pub fn entries(&self) -> Entries<'_> {
        Entries { rest: self.body(), left: self.len() }
    }

    /// Entry `n`, from 0. Walks the `n` before it.
    pub fn entry(&self, n: u32) -> Option<&[u8]> {
        self.entries().nth(n as usize)
    }

    /// The stored bytes, header and body.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// [`bytes`](Self::bytes) shared, not copied.
    pub(crate) fn shared(&self) -> Bytes {
        self.bytes.clone()
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Memory held, for bounds.
    pub(crate) fn held(&self) -> usize {
        self.bytes.len() + size_of::<Record>()
    }
}

impl fmt::Debug for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("header", &self.header).field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Record {
    pub(crate) fn placed(loose: Loose, range: Hash) -> Self {
        Self { loose, range }
    }

    /// Range root over all records up to and including this one.
    pub fn range(&self) -> Hash {
        self.range
    }

    /// The head of the partition as of this record.
    pub fn head(&self) -> Head {
        Head {
            index: self.index(),
            hash: self.hash(),
            range: self.range,
            term: self.term(),
            time_ms: self.last_time_ms(),
        }
    }
}

impl Deref for Record {
    type Target = Loose;

    fn deref(&self) -> &Loose {
        &self.loose
    }
}

/// Iterator over the entries of a record.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        self.left -= 1;
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Entries<'_> {}
