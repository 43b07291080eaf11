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

    /// The file.
    pub(super) fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads what [`text`](Self::text) wrote. Nothing else is a proof, not even the same with other spaces: whoever holds a
    /// file that was changed is told so.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let file: Self = serde_json::from_slice(bytes).ok()?;
        (file.text().as_bytes() == bytes).then_some(file)
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let bytes = std::fs::read(path).map_err(|cause| Failure::io("read", path, cause))?;
        Ok(Self::parse(&bytes))
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

    use super::*;

    fn proof() -> EntryProof {
        let hash = |n: u8| Hash([n, 0x0A, 0xB0, 1].repeat(8).try_into().unwrap());
        EntryProof {
            entry: 3,
            path: vec![hash(1), hash(2)],
            header: [0x0C; HEADER_BYTES],
            count: 9,
            climb: vec![hash(3)],
            peaks: vec![hash(4), hash(5)],
        }
    }

    /// A file that differs in any byte is no proof, or one of something else.
    #[test]
    fn a_changed_file_is_no_proof_or_another() {
        let own = (proof(), b"\x00an entry".to_vec());
        let file = ProofFile::new(&own.0, &own.1);
        let (whole, text) = (serde_json::to_value(&file).unwrap(), file.text().into_bytes());
        let (mut others, mut same) = (0, 0);
        let inputs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/inputs");
        Target { name: "proof-files", inputs, rounds: 20_000 }.run(
            |rng| match rng.below(3) {
                0 => {
                    // Other contents in the right spelling, where they still are a proof's.
                    let changed = json::mutate(rng, &whole);
                    let file = serde_json::from_str(&changed).map(|file: ProofFile| file.text());
                    file.unwrap_or(changed).into_bytes()
                }
                1 => bytes::mutate(rng, std::slice::from_ref(&text)),
                _ => {
                    let mut text = text.clone();
                    let at = rng.below(text.len());
                    text[at] = *rng.pick(b"+- 0aAfFxX\"");
                    text
                }
            },
            |input| {
                let Some(parts) = ProofFile::parse(input).and_then(|file| file.parts()) else { return };
                if parts == own {
                    same += 1;
                    assert_eq!(input, text, "a proof has one spelling");
                } else {
                    others += 1;
                }
            },
        );
        // The test reaches what it is about: files that are read, and are told apart.
        assert!(others > 50 && same > 0, "{others} others, {same} unchanged");
    }

    #[test]
    fn the_same_in_another_spelling_is_no_proof() {
        let file = ProofFile::new(&proof(), b"an entry");
        let text = file.text();
        assert!(ProofFile::parse(text.as_bytes()).is_some());
        let first = "\"format\": \"florin proof 1\",\n  ";
        let respelt = [
            format!("{text}\n"),
            format!(" {text}"),
            serde_json::to_string(&file).unwrap(),
            text.replace("\"number\": 3", "\"number\": 03"),
            text.replace("\"number\": 3", "\"number\":3"),
            text.replace("\"number\"", "\"\\u006eumber\""),
            text.replace("florin proof", "\\u0066lorin proof"),
            text.replacen(first, "", 1).replace("\"count\"", &format!("{first}\"count\"")),
            format!("\u{FEFF}{text}"),
        ];
        for respelt in respelt {
            assert_ne!(respelt, text);
            assert!(ProofFile::parse(respelt.as_bytes()).is_none(), "{respelt}");
        }
    }
}
