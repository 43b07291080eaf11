//! Keys and their derivation: BLAKE3 `derive_key` with one context per use, so that no key serves two ends.

use zeroize::{Zeroize, Zeroizing};

use crate::Error;

/// Bytes of every key.
pub(crate) const KEY_BYTES: usize = 32;

/// A key in memory; wiped when dropped.
pub(crate) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Derives the key for one use from other key material.
pub(crate) fn derive(context: &'static str, material: &[u8; KEY_BYTES]) -> Key {
    finish(blake3::Hasher::new_derive_key(context).update(material))
}

/// The keyed hash of `parts`, each with its length (little-endian `u64`) before it, so that no two lists of parts collide.
pub(crate) fn keyed(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> Key {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    finish(&mut hasher)
}

fn finish(hasher: &mut blake3::Hasher) -> Key {
    let mut hash = hasher.finalize();
    let key = Zeroizing::new(*hash.as_bytes());
    hash.zeroize();
    hasher.zeroize();
    key
}

/// A fresh random key.
pub(crate) fn random() -> Result<Key, Error> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| Error::Random)?;
    Ok(key)
}

/// The first 16 bytes of a hash.
pub(crate) fn first_16(hash: &[u8; KEY_BYTES]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    short
}

/// What one user's data key is used for, derived once and kept while the user is cached.
pub(crate) struct UserKeys {
    /// Seals and opens personal data.
    pub(crate) seal: Key,
    /// Keys the digests of contents.
    pub(crate) digest: Key,
}

impl UserKeys {
    /// Derives both from the user's data key.
    pub(crate) fn derive(data: &[u8; KEY_BYTES]) -> Self {
        Self {
            seal: derive("florin vault 2026 user seal v1", data),
            digest: derive("florin vault 2026 user digest v1", data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in journals was sealed and digested under keys derived like this; another derivation would lose it all.
    #[test]
    fn derivations_stay_what_they_were() {
        let keys = UserKeys::derive(&[1; 32]);
        assert_eq!(keys.seal[..4], [36, 235, 155, 160], "seal");
        assert_eq!(keys.digest[..4], [191, 59, 107, 100], "digest");
        assert_eq!(keyed(&[2; 32], &[b"demo", b"alice"])[..4], [1, 201, 102, 80], "keyed");
    }

    #[test]
    fn the_cut_between_parts_counts() {
        assert_ne!(keyed(&[2; 32], &[b"demo", b"alice"]), keyed(&[2; 32], &[b"demoa", b"lice"]));
        assert_ne!(keyed(&[2; 32], &[b"demo"]), keyed(&[2; 32], &[b"demo", b""]));
    }
}
