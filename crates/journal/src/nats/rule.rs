//! The reader rule: which messages of a partition's stream are its records. Pure; `PROTOCOL.md` says why.

use crate::record::Loose;
use crate::{Chain, Corruption, Error, Head, Kind, Ledger, PartitionId, Record};

/// Where a message comes from, as far as what stands beside its record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Published without an expected sequence.
    Unexpected,
    /// Without a valid signature by one of the writers' keys.
    Unsigned,
    /// Signed by a writer for a stream that ends with this sequence.
    Writer {
        /// The expected sequence, stored and signed.
        expected: u64,
    },
}

impl Origin {
    /// Whether a writer meant the message for this sequence.
    pub fn fits(self, sequence: u64) -> bool {
        matches!(self, Self::Writer { expected } if expected.checked_add(1) == Some(sequence))
    }
}

/// Why a message is not a record and does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Void {
    /// Published without the expected sequence that the protocol asks for: not by a writer.
    Unexpected,
    /// Not signed by a writer: whoever sent it, it is not of this ledger.
    Unsigned,
    /// By a writer of a lower term, which a claim had deposed.
    Deposed {
        /// Its term.
        term: u64,
    },
    /// By the term's writer, after a void message had taken the place of the record that it follows. Closes the term.
    Stranded,
}

/// What a message is.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The next record.
    Valid(Record),
    /// Nothing.
    Void(Void),
}

/// A partition's stream as read up to some message. Feed it every message, in order. Holds at most 64 hashes.
#[derive(Clone, Debug)]
pub struct Rule {
    ledger: Ledger,
    chain: Chain,
    head: Option<Head>,
    /// Sequence of the last valid record; 0 before genesis.
    valid: u64,
    /// Sequence of the last message.
    sequence: u64,
    /// A void message lies between here and the last valid record.
    excused: bool,
    /// The current term lost a record: only a higher claim may follow.
    closed: bool,
}

impl Rule {
    /// Before the first message.
    pub fn new(ledger: Ledger, partition: PartitionId) -> Self {
        let chain = Chain::new(ledger.id, partition);
        Self { ledger, chain, head: None, valid: 0, sequence: 0, excused: false, closed: false }
    }

    /// After a message that is known to be a valid record: `chain` and `head` are as of it.
    pub fn after(ledger: Ledger, chain: Chain, head: Head, sequence: u64) -> Self {
        Self { ledger, chain, head: Some(head), valid: sequence, sequence, excused: false, closed: false }
    }

    /// What holds up to the last valid record.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Head as of the last valid record.
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Sequence of the last message.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Sequence of the last valid record; 0 before genesis.
    pub fn valid_sequence(&self) -> u64 {
        self.valid
    }

    /// Takes the next message: its sequence, where it comes from, and its payload decoded. After an error the rule is
    /// unchanged.
    pub fn push(&mut self, sequence: u64, origin: Origin, record: Result<Loose, Corruption>) -> Result<Verdict, Error> {
        let verdict = self.judge(sequence, origin, record);
        let partition = self.chain.partition();
        let verdict = verdict.map_err(|reason| Error::corrupt(partition, self.chain.next_index(), reason))?;
        self.sequence = sequence;
        match &verdict {
            Verdict::Valid(record) => {
                self.head = Some(record.head());
                self.valid = sequence;
                (self.excused, self.closed) = (false, false);
            }
            Verdict::Void(void) => {
                self.excused = true;
                self.closed |= *void == Void::Stranded;
            }
        }
        Ok(verdict)
    }

    fn judge(
        &mut self,
        sequence: u64,
        origin: Origin,
        record: Result<Loose, Corruption>,
    ) -> Result<Verdict, Corruption> {
        let follows = self.sequence + 1;
        if sequence != follows {
            return Err(Corruption::Gap { expected: follows, found: sequence });
        }
        match origin {
            Origin::Unsigned => return Ok(Verdict::Void(Void::Unsigned)),
            origin if !origin.fits(sequence) => return Ok(Verdict::Void(Void::Unexpected)),
            _ => {}
        }
        let record = record?;
        let header = record.header();
        if header.ledger != self.chain.ledger() {
            return Err(Corruption::Ledger(header.ledger));
        }
        if header.partition != self.chain.partition() {
            return Err(Corruption::Partition(header.partition));
        }
        let term = self.chain.term();
        if header.term < term {
            return Ok(Verdict::Void(Void::Deposed { term: header.term }));
        }
        let ours = header.kind == Kind::Entries && header.term == term && header.nonce == self.chain.nonce();
        if ours && header.previous != self.chain.last() && self.excused {
            return Ok(Verdict::Void(Void::Stranded));
        }
        if self.closed && header.term == term {
            return Err(Corruption::Closed(term));
        }
        if header.index == 0 {
            self.ledger.check_genesis(&record)?;
        }
        self.chain.push(record).map(Verdict::Valid)
    }
}
