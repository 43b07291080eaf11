//! What must hold between a record and all those before it.

use crate::header::Header;
use crate::mmr::Range;
use crate::record::Loose;
use crate::{Corruption, Hash, Kind, LedgerId, PartitionId, Record};

/// Streaming verifier of one partition: feed it every record in order. Holds at most 64 hashes.
///
/// It checks ledger, partition, index, previous hash, range root and mountain, that terms rise by claims only, that
/// entries are by the term's claimant, and that time never goes back.
#[derive(Clone, Debug)]
pub struct Chain {
    ledger: LedgerId,
    partition: PartitionId,
    range: Range,
    last: Hash,
    term: u64,
    nonce: [u8; 16],
    time_ms: u64,
    durable: u64,
}

impl Chain {
    /// Before genesis.
    pub fn new(ledger: LedgerId, partition: PartitionId) -> Self {
        Self {
            ledger,
            partition,
            range: Range::new(),
            last: Hash::ZERO,
            term: 0,
            nonce: [0; 16],
            time_ms: 0,
            durable: 0,
        }
    }

    /// After the record with this header and hash, given the range over the records before it.
    pub fn after(header: &Header, hash: Hash, mut before: Range) -> Result<Self, Corruption> {
        if before.count() != header.index || before.root() != header.range {
            return Err(Corruption::Range);
        }
        before.push(hash);
        Ok(Self {
            ledger: header.ledger,
            partition: header.partition,
            range: before,
            last: hash,
            term: header.term,
            nonce: header.nonce,
            time_ms: header.last_time_ms,
            durable: header.durable,
        })
    }

    /// The ledger.
    pub fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Index of the record that comes next.
    pub fn next_index(&self) -> u64 {
        self.range.count()
    }

    /// Term of the last record.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Nonce of the term's claimant; zero before the first claim.
    pub fn nonce(&self) -> [u8; 16] {
        self.nonce
    }

    /// Last time of the last record, ms.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Hash of the last record; zero before genesis.
    pub fn last(&self) -> Hash {
        self.last
    }

    /// The range over all records so far.
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// Takes the next record, or says why it is not the next one; then the chain is unchanged.
    pub fn push(&mut self, record: Loose) -> Result<Record, Corruption> {
        let header = record.header();
        self.check(header)?;
        self.range.push(record.hash());
        self.last = record.hash();
        self.term = header.term;
        self.nonce = header.nonce;
        self.time_ms = header.last_time_ms;
        self.durable = header.durable;
        Ok(Record::placed(record, self.range.root()))
    }

    /// Seals the next record of the current term from a batch's parts.
    pub(crate) fn header(&self, count: u32, first_time_ms: u64, last_time_ms: u64, durable: u64) -> Header {
        Header {
            kind: Kind::Entries,
            partition: self.partition,
            ledger: self.ledger,
            term: self.term,
            nonce: self.nonce,
            index: self.next_index(),
            durable,
            previous: self.last,
            range: self.range.root(),
            mountain: self.range.mountain(),
            first_time_ms,
            last_time_ms,
            count,
            body_bytes: 0,
            entries: Hash::ZERO,
        }
    }

    /// Header of a claim to the next term. It has the last record's time: the journal has no clock.
    pub(crate) fn claim(&self, nonce: [u8; 16]) -> Header {
        let durable = self.next_index();
        let header = self.header(0, self.time_ms, self.time_ms, durable);
        Header { kind: Kind::Claim, term: self.term + 1, nonce, ..header }
    }

    fn check(&self, header: &Header) -> Result<(), Corruption> {
        if header.ledger != self.ledger {
            return Err(Corruption::Ledger(header.ledger));
        }
        if header.partition != self.partition {
            return Err(Corruption::Partition(header.partition));
        }
        let expected = self.next_index();
        if header.index != expected {
            return Err(Corruption::Index { expected, found: header.index });
        }
        if header.previous != self.last {
            return Err(Corruption::Previous { expected: self.last, found: header.previous });
        }
        if header.range != self.range.root() || header.mountain != self.range.mountain() {
            return Err(Corruption::Range);
        }
        let term_fits = match header.kind {
            Kind::Genesis => header.term == 0,
            Kind::Claim => header.term > self.term,
            Kind::Entries => header.term == self.term,
        };
        if !term_fits {
            return Err(Corruption::Term { last: self.term, found: header.term });
        }
        if header.kind == Kind::Entries && header.nonce != self.nonce {
            return Err(Corruption::Nonce);
        }
        if header.first_time_ms < self.time_ms {
            return Err(Corruption::Time { last: self.time_ms, found: header.first_time_ms });
        }
        if header.durable < self.durable {
            return Err(Corruption::Header("durable goes back"));
        }
        Ok(())
    }
}
