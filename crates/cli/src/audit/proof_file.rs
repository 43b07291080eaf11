//! The file of a proof: JSON, bytes in hexadecimal.

use std::path::Path;

use florin_journal::proof::EntryProof;
use florin_journal::{HEADER_BYTES, Hash};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What the file says of itself.
const FORMAT: &str = "florin proof 1";

/// A proof with the entry it is of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofFile {
    format: String,
    /// The entry as stored.
    entry: String,
    /// Which entry of its record.
    number: u32,
    /// The record's header as stored.
    header: String,
    path: Vec<String>,
    /// Records under the head.
    count: u64,
    climb: Vec<String>,
    peaks: Vec<String>,
}

impl ProofFile {
    pub(super) fn new(proof: &EntryProof, entry: &[u8]) -> Self {
        let hashes = |of: &[Hash]| of.iter().map(ToString::to_string).collect();
        Self {
            format: FORMAT.into(),
            entry: hex(entry),
            number: proof.entry,
            header: hex(&proof.header),
            path: hashes(&proof.path),
            count: proof.count,
            climb: hashes(&proof.climb),
            peaks: hashes(&proof.peaks),
        }
    }

    /// The proof and the entry; `None` if this is no such file.
    pub(super) fn parts(&self) -> Option<(EntryProof, Vec<u8>)> {
        let hashes = |of: &[String]| of.iter().map(|hash| Hash::from_hex(hash)).collect::<Option<Vec<_>>>();
        let header: [u8; HEADER_BYTES] = unhex(&self.header)?.try_into().ok()?;
        let proof = EntryProof {
            entry: self.number,
            path: hashes(&self.path)?,
            header,
            count: self.count,
            climb: hashes(&self.climb)?,
            peaks: hashes(&self.peaks)?,
        };
        (self.format == FORMAT).then_some((proof, unhex(&self.entry)?))
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let text = std::fs::read_to_string(path).map_err(|cause| Failure::io("read", path, cause))?;
        Ok(serde_json::from_str(&text).ok())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    // One spelling only, so that no change of the file goes unseen.
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() % 2 == 1 {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use florin_proptests::fuzz::{Target, bytes, json};
    use serde_json::Value;

    use super::*;

    /// What is read of a changed file is another proof, or the file only looks otherwise.
    #[test]
    fn a_changed_file_is_no_proof_or_another() {
        let hash = |n: u8| Hash([n, 0x0A, 0xB0, 1].repeat(8).try_into().unwrap());
        let proof = EntryProof {
            entry: 3,
            path: vec![hash(1), hash(2)],
            header: [0x0C; HEADER_BYTES],
            count: 9,
            climb: vec![hash(3)],
            peaks: vec![hash(4), hash(5)],
        };
        let whole = serde_json::to_value(ProofFile::new(&proof, b"\x00an entry")).unwrap();
        let text = whole.to_string().into_bytes();
        let mut same = 0;
        let inputs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/inputs");
        Target { name: "proof-files", inputs, rounds: 20_000 }.run(
            |rng| match rng.below(3) {
                0 => json::mutate(rng, &whole).into_bytes(),
                1 => bytes::mutate(rng, std::slice::from_ref(&text)),
                _ => {
                    let mut text = text.clone();
                    let at = rng.below(text.len());
                    text[at] = *rng.pick(b"+- 0aAfFxX\"");
                    text
                }
            },
            |input| {
                let Some(parts) = serde_json::from_slice::<ProofFile>(input).ok().and_then(|file| file.parts()) else {
                    return;
                };
                if parts == (proof.clone(), b"\x00an entry".to_vec()) {
                    same += 1;
                    let read: Value = serde_json::from_slice(input).unwrap();
                    assert_eq!(read, whole, "a proof has one spelling");
                }
            },
        );
        assert!(same > 50, "now and then a change comes to nothing: {same}");
    }
}
