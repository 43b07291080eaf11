//! Where a partition ends, and a writer's signature under it.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::hash::{hex, unhex};
use crate::{Hash, LedgerId, PartitionId};

/// What signatures are about; prefixed to the signed bytes.
const DOMAIN: &[u8; 16] = b"florin head v1\0\0";

/// The end of a partition's history as of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Index of the record.
    pub index: u64,
    /// Its hash.
    pub hash: Hash,
    /// Range root over all records up to and including it.
    pub range: Hash,
    /// Term of its writer.
    pub term: u64,
    /// Time of its last entry, ms.
    pub time_ms: u64,
}

/// A head that its writer answers for. Whoever keeps one detects a cut tail and a re-forged history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The ledger.
    pub ledger: LedgerId,
    /// The partition.
    pub partition: PartitionId,
    /// What is signed.
    pub head: Head,
    /// Ed25519 public key of the signer. Which keys to trust is for the reader to know.
    pub key: [u8; 32],
    /// Ed25519 signature.
    pub signature: [u8; 64],
}

/// Fields of one line of `heads.jsonl`, bytes in hexadecimal. No others: they would not be signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    ledger: String,
    partition: u16,
    index: u64,
    hash: String,
    range: String,
    term: u64,
    time_ms: u64,
    key: String,
    signature: String,
}

impl SignedHead {
    /// Signs `head`.
    pub fn sign(ledger: LedgerId, partition: PartitionId, head: Head, key: &SigningKey) -> Self {
        let signature = key.sign(&message(ledger, partition, &head)).to_bytes();
        Self { ledger, partition, head, key: key.verifying_key().to_bytes(), signature }
    }

    /// Whether `key` signed this head.
    pub fn verify(&self, key: &VerifyingKey) -> bool {
        let message = message(self.ledger, self.partition, &self.head);
        key.to_bytes() == self.key && key.verify_strict(&message, &Signature::from_bytes(&self.signature)).is_ok()
    }

    /// One line of JSON, without the line's end.
    pub fn to_json(&self) -> String {
        serde_json::json!(Line {
            ledger: self.ledger.to_string(),
            partition: self.partition.0,
            index: self.head.index,
            hash: self.head.hash.to_string(),
            range: self.head.range.to_string(),
            term: self.head.term,
            time_ms: self.head.time_ms,
            key: hex(&self.key),
            signature: hex(&self.signature),
        })
        .to_string()
    }

    /// Reads what [`to_json`](Self::to_json) wrote. Does not verify.
    pub fn from_json(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        Some(Self {
            ledger: LedgerId(unhex(&line.ledger)?),
            partition: PartitionId(line.partition),
            head: Head {
                index: line.index,
                hash: Hash(unhex(&line.hash)?),
                range: Hash(unhex(&line.range)?),
                term: line.term,
                time_ms: line.time_ms,
            },
            key: unhex(&line.key)?,
            signature: unhex(&line.signature)?,
        })
    }
}

/// Domain, ledger, partition, index, hash, range, term, time; numbers little-endian.
fn message(ledger: LedgerId, partition: PartitionId, head: &Head) -> Vec<u8> {
    [
        &DOMAIN[..],
        &ledger.0,
        &partition.0.to_le_bytes(),
        &head.index.to_le_bytes(),
        &head.hash.0,
        &head.range.0,
        &head.term.to_le_bytes(),
        &head.time_ms.to_le_bytes(),
    ]
    .concat()
}
