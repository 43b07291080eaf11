//! Why bytes are not a record, or a record is not in its place.

use crate::{Hash, LedgerId, PartitionId};

/// One reason each; the first that applies, in this order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// Fewer bytes than the header, or than the header says.
    #[error("cut short: {have} bytes of {need}")]
    Short {
        /// Bytes there are.
        have: u64,
        /// Bytes there should be.
        need: u64,
    },
    /// More bytes than the header says.
    #[error("{0} bytes too many")]
    Long(u64),
    /// The bytes do not begin with the magic.
    #[error("not a record (no magic)")]
    Magic,
    /// A format this code does not know.
    #[error("unknown format version {0}")]
    Format(u16),
    /// Header bytes do not hash to the checksum.
    #[error("header checksum does not match")]
    Checksum,
    /// A kind this code does not know.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// A rule between header fields is broken.
    #[error("header breaks a rule: {0}")]
    Header(&'static str),
    /// Entries do not fill the body exactly.
    #[error("entries do not fill the body")]
    Body,
    /// The body's entries do not have the header's Merkle root.
    #[error("entries root does not match")]
    Root,
    /// A record of another ledger.
    #[error("belongs to ledger {0}")]
    Ledger(LedgerId),
    /// A record of another partition.
    #[error("belongs to partition {0}")]
    Partition(PartitionId),
    /// Not the index that follows.
    #[error("index {found} where {expected} follows")]
    Index {
        /// The index that follows.
        expected: u64,
        /// The record's.
        found: u64,
    },
    /// Names another predecessor.
    #[error("previous hash {found} where {expected} precedes")]
    Previous {
        /// Hash of the record before.
        expected: Hash,
        /// What the record names.
        found: Hash,
    },
    /// Disagrees about the history before it.
    #[error("range root over earlier records does not match")]
    Range,
    /// The term goes back, or changes without a claim, or a claim does not raise it.
    #[error("term {found} after term {last}")]
    Term {
        /// Term of the record before.
        last: u64,
        /// The record's.
        found: u64,
    },
    /// An entries record by somebody other than the term's claimant.
    #[error("writer nonce is not the claimant's")]
    Nonce,
    /// Time goes back.
    #[error("time {found} ms after {last} ms")]
    Time {
        /// Last time of the record before.
        last: u64,
        /// First time of the record.
        found: u64,
    },
    /// A genesis that is not first, or a first record that is not genesis.
    #[error("genesis out of place")]
    Genesis,
    /// A stream without a message that it must have.
    #[error("message {found} where {expected} follows in the stream: messages were deleted")]
    Gap {
        /// Sequence that follows.
        expected: u64,
        /// Sequence found.
        found: u64,
    },
    /// A record that would extend a term which a deposed writer's message had closed.
    #[error("a record of term {0}, which was closed: only a higher claim may follow")]
    Closed(u64),
    /// A proof that does not lead to the root.
    #[error("proof does not lead to the root")]
    Proof,
}
