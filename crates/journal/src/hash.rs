//! BLAKE3 in keyed mode, with one key per kind of input.
//!
//! A key is `derive_key(context, "")`, computed once. Keyed mode then costs the same as plain hashing, which cloning a
//! prepared `derive_key` hasher (2 KB of state) for each 150-byte entry does not. Distinct keys keep an inner
//! node from ever passing for a leaf, or a record for a claim.

use std::fmt;
use std::sync::LazyLock;

/// A BLAKE3 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Thirty-two zero bytes: the hash of nothing (no previous record, no entries).
    pub const ZERO: Self = Self([0; 32]);

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Context strings of format 1. Part of the format: changing one is a new format version.
pub mod context {
    /// Entry leaves.
    pub const LEAF: &str = "florin journal 1 leaf";
    /// Inner nodes of the tree over a record's entries.
    pub const NODE: &str = "florin journal 1 node";
    /// Hashes of genesis and entries records.
    pub const RECORD: &str = "florin journal 1 record";
    /// Hashes of claim records.
    pub const CLAIM: &str = "florin journal 1 claim";
    /// Inner nodes of the mountain range over record hashes.
    pub const MOUNTAIN: &str = "florin journal 1 mountain";
    /// The root of the mountain range.
    pub const RANGE: &str = "florin journal 1 range";
}

pub(crate) struct Keys {
    pub(crate) leaf: [u8; 32],
    pub(crate) node: [u8; 32],
    pub(crate) record: [u8; 32],
    pub(crate) claim: [u8; 32],
    pub(crate) mountain: [u8; 32],
    pub(crate) range: [u8; 32],
}

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    leaf: blake3::derive_key(context::LEAF, b""),
    node: blake3::derive_key(context::NODE, b""),
    record: blake3::derive_key(context::RECORD, b""),
    claim: blake3::derive_key(context::CLAIM, b""),
    mountain: blake3::derive_key(context::MOUNTAIN, b""),
    range: blake3::derive_key(context::RANGE, b""),
});

pub(crate) fn keyed(key: &[u8; 32], bytes: &[u8]) -> Hash {
    Hash(*blake3::keyed_hash(key, bytes).as_bytes())
}

pub(crate) fn pair(key: &[u8; 32], left: Hash, right: Hash) -> Hash {
    let mut both = [0; 64];
    both[..32].copy_from_slice(&left.0);
    both[32..].copy_from_slice(&right.0);
    keyed(key, &both)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // Lower-case digits only: a hash has one spelling, so that no change of a text with one goes unseen.
    if text.len() != N * 2 || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
