//! The fixed header of a record: 232 bytes, little-endian, codec and rules together.

use crate::hash::{KEYS, keyed};
use crate::{Corruption, Hash, LedgerId, PartitionId, RECORD_BYTES_MAX};

/// Size of a header, checksum included.
pub const HEADER_BYTES: usize = 232;

/// First bytes of every record.
pub const MAGIC: [u8; 8] = *b"FLORINJ\n";

/// The only format there is.
pub const FORMAT: u16 = 1;

/// The checksum is the first bytes of the record's hash; the hash covers everything before it.
const CHECKSUM_AT: usize = HEADER_BYTES - 8;

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The first record of a partition.
    Genesis = 1,
    /// A writer takes the partition: a higher term, a new nonce.
    Claim = 2,
    /// A batch of entries.
    Entries = 3,
}

/// Every field of a header, in stored order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the record is for.
    pub kind: Kind,
    /// Its partition.
    pub partition: PartitionId,
    /// Its ledger.
    pub ledger: LedgerId,
    /// Raised by each claim; genesis has 0.
    pub term: u64,
    /// Random per claim: whose term it is.
    pub nonce: [u8; 16],
    /// Position in the partition, genesis is 0.
    pub index: u64,
    /// How many records were known durable when this one was sealed. Tells a torn group, whose records nobody was
    /// promised, from damage to a promised one.
    pub durable: u64,
    /// Hash of the record before; zero for genesis.
    pub previous: Hash,
    /// Root of the mountain range over all earlier records.
    pub range: Hash,
    /// Last peak of that range, zero for genesis. The peaks before any index are the `mountain`s of at most 64
    /// headers, so proofs and restarts need no scan.
    pub mountain: Hash,
    /// Time of the first entry, ms since 1970 as the writer gave it.
    pub first_time_ms: u64,
    /// Time of the last entry.
    pub last_time_ms: u64,
    /// Number of entries.
    pub count: u32,
    /// Length of the body.
    pub body_bytes: u32,
    /// Merkle root of the entries; zero if there are none.
    pub entries: Hash,
}

impl Header {
    /// Writes the header and returns the record's hash.
    pub fn encode(&self, out: &mut [u8; HEADER_BYTES]) -> Hash {
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&FORMAT.to_le_bytes());
        put(&[self.kind as u8, 0]);
        put(&self.partition.0.to_le_bytes());
        put(&[0, 0]);
        put(&self.ledger.0);
        put(&self.term.to_le_bytes());
        put(&self.nonce);
        put(&self.index.to_le_bytes());
        put(&self.durable.to_le_bytes());
        put(&self.previous.0);
        put(&self.range.0);
        put(&self.mountain.0);
        put(&self.first_time_ms.to_le_bytes());
        put(&self.last_time_ms.to_le_bytes());
        put(&self.count.to_le_bytes());
        put(&self.body_bytes.to_le_bytes());
        put(&self.entries.0);
        let hash = hash(self.kind, &out[..CHECKSUM_AT]);
        out[CHECKSUM_AT..].copy_from_slice(&hash.0[..8]);
        hash
    }

    /// Reads a header from the start of `bytes` and returns it with the record's hash. Checks everything that the
    /// header alone can show.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Hash), Corruption> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(Corruption::Short { have: bytes.len() as u64, need: HEADER_BYTES as u64 });
        };
        let mut from = Fields { bytes, at: 0 };
        if from.take::<8>() != MAGIC {
            return Err(Corruption::Magic);
        }
        let format = u16::from_le_bytes(from.take());
        if format != FORMAT {
            return Err(Corruption::Format(format));
        }
        let [kind, zero] = from.take();
        let kind = match kind {
            1 => Kind::Genesis,
            2 => Kind::Claim,
            3 => Kind::Entries,
            other => return Err(Corruption::Kind(other)),
        };
        let hash = hash(kind, &bytes[..CHECKSUM_AT]);
        if bytes[CHECKSUM_AT..] != hash.0[..8] {
            return Err(Corruption::Checksum);
        }
        let partition = PartitionId(u16::from_le_bytes(from.take()));
        if zero != 0 || from.take() != [0, 0] {
            return Err(Corruption::Header("reserved bytes are not zero"));
        }
        let header = Self {
            kind,
            partition,
            ledger: LedgerId(from.take()),
            term: u64::from_le_bytes(from.take()),
            nonce: from.take(),
            index: u64::from_le_bytes(from.take()),
            durable: u64::from_le_bytes(from.take()),
            previous: Hash(from.take()),
            range: Hash(from.take()),
            mountain: Hash(from.take()),
            first_time_ms: u64::from_le_bytes(from.take()),
            last_time_ms: u64::from_le_bytes(from.take()),
            count: u32::from_le_bytes(from.take()),
            body_bytes: u32::from_le_bytes(from.take()),
            entries: Hash(from.take()),
        };
        header.check()?;
        Ok((header, hash))
    }

    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> usize {
        HEADER_BYTES + self.body_bytes as usize
    }

    fn check(&self) -> Result<(), Corruption> {
        let rule = |holds: bool, rule| if holds { Ok(()) } else { Err(Corruption::Header(rule)) };
        rule(self.record_bytes() <= RECORD_BYTES_MAX, "a record is at most 1 MiB less 8 KiB")?;
        rule(self.first_time_ms <= self.last_time_ms, "first time is after last time")?;
        rule(self.durable <= self.index, "durable exceeds the index")?;
        rule((self.kind == Kind::Genesis) == (self.index == 0), "genesis is record 0 and only that")?;
        rule((self.term == 0) == (self.index == 0), "only genesis has term 0")?;
        rule((self.count == 0) == (self.kind == Kind::Claim), "a claim has no entries, others have some")?;
        rule(self.kind != Kind::Claim || self.body_bytes == 0, "a claim has no body")
    }
}

fn hash(kind: Kind, covered: &[u8]) -> Hash {
    let key = if kind == Kind::Claim { &KEYS.claim } else { &KEYS.record };
    keyed(key, covered)
}

struct Fields<'a> {
    bytes: &'a [u8; HEADER_BYTES],
    at: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        field
    }
}
