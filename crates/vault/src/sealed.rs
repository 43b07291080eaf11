//! The sealed format: what personal data looks like in the journal. Version 1, for ever readable.
//!
//! ```text
//! 0      version = 1
//! 1..25  nonce, random
//! 25..   XChaCha20-Poly1305 ciphertext, its last 16 bytes the tag
//! ```
//!
//! Associated data: `"florin sealed"`, the version byte, the 16 bytes of the account, then the context's UTF-8 bytes (last, so no
//! length is needed). Bytes sealed for one account or context therefore do not open for another.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::Error;
use crate::keys::KEY_BYTES;

/// The longest plaintext that is sealed, in bytes: no HTTP body is longer.
pub const MAX_PLAINTEXT: usize = 64 * 1024;
/// How much longer sealed bytes are than their plaintext.
pub const OVERHEAD: usize = 1 + NONCE_BYTES + TAG_BYTES;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Seals `plaintext` under `key` with a random nonce.
pub(crate) fn seal(key: &[u8; KEY_BYTES], owner: &[u8; 16], context: &str, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| Error::Random)?;
    seal_with_nonce(key, owner, context, plaintext, nonce)
}

fn seal_with_nonce(
    key: &[u8; KEY_BYTES],
    owner: &[u8; 16],
    context: &str,
    plaintext: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Result<Vec<u8>, Error> {
    let too_long = Error::TooLong { what: "the plaintext", bound: MAX_PLAINTEXT };
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(too_long);
    }
    let payload = Payload { msg: plaintext, aad: &associated(owner, context) };
    let ciphertext =
        XChaCha20Poly1305::new(key.into()).encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| too_long)?;
    let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens what [`seal`] made, for the same key, owner and context.
pub(crate) fn open(
    key: &[u8; KEY_BYTES],
    owner: &[u8; 16],
    context: &str,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (&version, rest) = sealed.split_first().ok_or(Error::Damaged("sealed bytes are empty"))?;
    if version != VERSION {
        return Err(Error::Version(version));
    }
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or(Error::Damaged("sealed bytes are cut short"))?;
    let payload = Payload { msg: ciphertext, aad: &associated(owner, context) };
    XChaCha20Poly1305::new(key.into())
        .decrypt(XNonce::from_slice(nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| Error::Damaged("sealed bytes do not authenticate"))
}

fn associated(owner: &[u8; 16], context: &str) -> Vec<u8> {
    let mut data = Vec::with_capacity(30 + context.len());
    data.extend_from_slice(b"florin sealed");
    data.push(VERSION);
    data.extend_from_slice(owner);
    data.extend_from_slice(context.as_bytes());
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const OWNER: [u8; 16] = [9; 16];
    /// "Ada" under the key, owner and nonce of these tests, context "card-name". Never edit: it is what journals hold.
    const GOLDEN_V1: &str = "01030303030303030303030303030303030303030303030303c5622af6b305bef8e1f7a0e1106c9ec111416c";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            use std::fmt::Write;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn version_1_stays_what_it_was() {
        let sealed = seal_with_nonce(&KEY, &OWNER, "card-name", b"Ada", [3; 24]).expect("seals");
        assert_eq!(hex(&sealed), GOLDEN_V1);
        assert_eq!(sealed.len(), 3 + OVERHEAD);
        let opened = open(&KEY, &OWNER, "card-name", &unhex(GOLDEN_V1)).expect("opens");
        assert_eq!(opened.as_slice(), b"Ada");
    }

    #[test]
    fn any_changed_byte_any_other_owner_context_or_key_is_refused() {
        let sealed = seal(&KEY, &OWNER, "card-name", b"Ada").expect("seals");
        for at in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(matches!(open(&KEY, &OWNER, "card-name", &changed), Err(Error::Damaged(_))), "byte {at}");
        }
        let refused = [
            open(&[8; 32], &OWNER, "card-name", &sealed),
            open(&KEY, &[8; 16], "card-name", &sealed),
            open(&KEY, &OWNER, "card-nam", &sealed),
            open(&KEY, &OWNER, "card-name", &sealed[..20]),
            open(&KEY, &OWNER, "card-name", &[]),
        ];
        assert!(refused.iter().all(|r| matches!(r, Err(Error::Damaged(_)))));
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let mut sealed = seal(&KEY, &OWNER, "x", b"").expect("seals");
        sealed[0] = 2;
        assert!(matches!(open(&KEY, &OWNER, "x", &sealed), Err(Error::Version(2))));
    }

    #[test]
    fn the_bound_on_plaintexts_is_exact() {
        assert!(seal(&KEY, &OWNER, "x", &vec![0; MAX_PLAINTEXT]).is_ok());
        assert!(matches!(seal(&KEY, &OWNER, "x", &vec![0; MAX_PLAINTEXT + 1]), Err(Error::TooLong { .. })));
    }
}
