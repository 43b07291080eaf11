//! Signed heads to hold a journal against: those the auditor kept, and those the journal publishes about itself.
//!
//! Only a head kept elsewhere anchors: whoever can rewrite the journal can rewrite `heads.jsonl` beside it, and without
//! the signing key's secrecy even sign it. The published ones still catch an accident, such as a cut tail.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use florin_journal::{Ledger, SignedHead, VerifyingKey};

use super::finding::{Finding, Sink};
use super::source::Source;
use crate::failure::{Exit, Failure};

/// One head to compare a record with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) head: SignedHead,
    /// Kept by the auditor, not only published.
    pub(super) trusted: bool,
}

/// Reads a file of signed heads, as `florin audit head` prints them: one JSON object per line, or a single one.
pub(super) fn read(path: &Path) -> Result<Vec<SignedHead>, Failure> {
    let text = fs::read_to_string(path).map_err(|cause| Failure::io("read", path, cause))?;
    let bad = || {
        Failure::new(Exit::Usage, format!("{} holds no signed head", path.display()))
            .advise("a head is a line of JSON as `florin audit head` prints it")
    };
    if let Some(head) = SignedHead::from_json(&text) {
        return Ok(vec![head]);
    }
    let heads: Option<Vec<SignedHead>> =
        text.lines().filter(|line| !line.trim().is_empty()).map(SignedHead::from_json).collect();
    heads.filter(|heads| !heads.is_empty()).ok_or_else(bad)
}

/// A public key: 64 hex digits, or a file that holds them.
pub(super) fn public_key(text: &str) -> Result<VerifyingKey, Failure> {
    let read = if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        text.to_owned()
    } else {
        fs::read_to_string(text).map_err(|cause| Failure::io("read", Path::new(text), cause))?
    };
    let bytes = blake3::Hash::from_hex(read.trim()).ok();
    bytes.and_then(|bytes| VerifyingKey::from_bytes(bytes.as_bytes()).ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, "that is no public key")
            .advise("a public key is 64 hex digits, given as such or in a file; `florin audit head` prints it")
    })
}

/// Checks signatures: by `key` if one is named, else by the key that each head carries.
pub(super) fn check_signatures(heads: &[SignedHead], key: Option<&VerifyingKey>) -> Result<(), Failure> {
    for head in heads {
        let own = VerifyingKey::from_bytes(&head.key).ok();
        let signed = key.or(own.as_ref()).is_some_and(|key| head.verify(key));
        if !signed {
            let place = format!("the head of partition {} at record {}", head.partition, head.head.index);
            let by = if key.is_some() { "the public key" } else { "the key it carries" };
            return Err(Failure::new(Exit::Usage, format!("{place} is not signed by {by}")).advise(
                "a head that is not signed proves nothing: use the one you kept, and the key it was signed with",
            ));
        }
    }
    Ok(())
}

/// The heads that the journal publishes, those with a bad line or signature told as findings.
pub(super) fn published(source: &Source, ledger: &Ledger, sink: &Sink) -> Vec<SignedHead> {
    let Some(path) = source.published() else {
        return Vec::new();
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            sink.gap(format!("{} is missing: what the ledger signed of itself cannot be compared", path.display()));
            return Vec::new();
        }
        Err(error) => {
            sink.gap(format!("{} cannot be read: {error}", path.display()));
            return Vec::new();
        }
    };
    // A last line without its end counts for nothing.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut heads = Vec::new();
    for (number, line) in (1..).zip(text[..whole].lines()) {
        let head = SignedHead::from_json(line);
        let sound = head.filter(|head| {
            let key = VerifyingKey::from_bytes(&head.key).ok();
            head.ledger == ledger.id && head.partition.0 < ledger.partitions && key.is_some_and(|key| head.verify(&key))
        });
        match (sound, head) {
            (Some(head), _) => heads.push(head),
            (None, head) => {
                let finding = Finding::new(
                    "published-head",
                    "a signed head of this ledger",
                    format!("line {number} of heads.jsonl is none"),
                );
                sink.find(match head {
                    Some(head) => finding.at(head.partition.0, head.head.index),
                    None => finding,
                });
            }
        }
    }
    heads
}

/// Whether a record is the one that a head is about.
pub(super) fn compare(anchor: &Anchor, found: &florin_journal::Head) -> Option<Finding> {
    let head = &anchor.head.head;
    let kind = if anchor.trusted { "trusted-head" } else { "published-head" };
    let partition = anchor.head.partition.0;
    if head.hash != found.hash {
        return Some(
            Finding::new(
                kind,
                format!("the record that was signed, {}", head.hash),
                format!("another history: {}", found.hash),
            )
            .at(partition, head.index),
        );
    }
    (head != found).then(|| Finding::new(kind, format!("{head:?}"), format!("{found:?}")).at(partition, head.index))
}
