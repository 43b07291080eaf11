//! Signed requests, in both directions: Florin to the issuer (`CONTRACT.md`), and the issuer to `/issuer/v1`.
//!
//! `Florin-Timestamp` is milliseconds since 1970. `Florin-Signature` is `v1=` and the lower-case hexadecimal HMAC-SHA256 of
//!
//! ```text
//! METHOD \n path and query \n timestamp \n body
//! ```
//!
//! None of the first three can hold a line feed, so no two requests sign alike. A signature is good for five minutes either way.
//! Writes repeat safely within them by their request id; secrecy on the way is TLS's part.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::hex;

/// Header of the time, in milliseconds since 1970.
pub const TIMESTAMP_HEADER: &str = "florin-timestamp";
/// Header of the signature.
pub const SIGNATURE_HEADER: &str = "florin-signature";
/// How far a timestamp may be from now, in milliseconds.
pub const TOLERANCE_MS: u64 = 5 * 60 * 1000;
/// The shortest secret that is taken, in bytes.
pub const SECRET_BYTES_MIN: usize = 16;

const SCHEME: &str = "v1=";

/// Why a request is not taken for the other side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The secret is shorter than [`SECRET_BYTES_MIN`].
    #[error("a signing secret has at least {SECRET_BYTES_MIN} bytes")]
    ShortSecret,
    /// The timestamp is not a number, or more than [`TOLERANCE_MS`] away.
    #[error("the timestamp is missing or more than five minutes off")]
    Timestamp,
    /// The signature is missing or another one.
    #[error("the signature does not match")]
    Mismatch,
}

/// A secret shared with the other side.
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// Takes the secret's bytes as they are.
    pub fn new(secret: &[u8]) -> Result<Self, Error> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(Error::ShortSecret);
        }
        Ok(Self(Zeroizing::new(secret.to_vec())))
    }

    /// The value of [`SIGNATURE_HEADER`] for a request. `path` includes the query.
    pub fn sign(&self, method: &str, path: &str, timestamp_ms: u64, body: &[u8]) -> String {
        let mac = self.mac(method, path, &timestamp_ms.to_string(), body);
        format!("{SCHEME}{}", hex::encode(&mac.finalize().into_bytes()))
    }

    /// Checks the two headers of a request, in time that does not depend on where they differ. `path` includes the query.
    pub fn verify(
        &self,
        method: &str,
        path: &str,
        timestamp: &str,
        signature: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<(), Error> {
        let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let sent_ms: u64 = timestamp.parse().map_err(|_| Error::Timestamp)?;
        if !digits || sent_ms.abs_diff(now_ms) > TOLERANCE_MS {
            return Err(Error::Timestamp);
        }
        let claimed = signature.strip_prefix(SCHEME).and_then(hex::decode).ok_or(Error::Mismatch)?;
        self.mac(method, path, timestamp, body).verify_slice(&claimed).map_err(|_| Error::Mismatch)
    }

    fn mac(&self, method: &str, path: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of any length, so the fallback is never reached; it would still match nothing.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        for part in [method, path, timestamp] {
            mac.update(part.as_bytes());
            mac.update(b"\n");
        }
        mac.update(body);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const SECRET: &[u8] = b"0123456789abcdef";

    fn key() -> Key {
        Key::new(SECRET).expect("long enough")
    }

    fn verify(method: &str, path: &str, timestamp: &str, body: &[u8], now_ms: u64) -> Result<(), Error> {
        let signature = key().sign("POST", "/v1/cards?x=1", NOW, b"{}");
        key().verify(method, path, timestamp, &signature, body, now_ms)
    }

    /// Computed by an independent implementation; others sign by the same rule.
    #[test]
    fn the_signature_is_the_documented_one() {
        assert_eq!(
            key().sign("POST", "/v1/cards?x=1", NOW, b"{}"),
            "v1=c8216ff7c38d732d19a0924eb67fe347ecf8ffe218887656e1f0331c765dce21"
        );
    }

    #[test]
    fn every_part_of_a_request_is_signed() {
        let time = NOW.to_string();
        assert_eq!(verify("POST", "/v1/cards?x=1", &time, b"{}", NOW), Ok(()));
        assert_eq!(verify("PUT", "/v1/cards?x=1", &time, b"{}", NOW), Err(Error::Mismatch));
        assert_eq!(verify("POST", "/v1/cards?x=2", &time, b"{}", NOW), Err(Error::Mismatch));
        assert_eq!(verify("POST", "/v1/cards?x=1", &time, b"[]", NOW), Err(Error::Mismatch));
        let other = (NOW + 1).to_string();
        assert_eq!(verify("POST", "/v1/cards?x=1", &other, b"{}", NOW), Err(Error::Mismatch));
        for signature in ["", "v1=", "v1=00", &"0".repeat(67), &format!("v1={}", "é".repeat(32))] {
            let result = key().verify("POST", "/", &time, signature, b"", NOW);
            assert_eq!(result, Err(Error::Mismatch), "{signature}");
        }
    }

    #[test]
    fn a_signature_ages_and_comes_from_no_future() {
        let time = NOW.to_string();
        let at = |now_ms| verify("POST", "/v1/cards?x=1", &time, b"{}", now_ms);
        assert_eq!(at(NOW + TOLERANCE_MS), Ok(()));
        assert_eq!(at(NOW - TOLERANCE_MS), Ok(()));
        assert_eq!(at(NOW + TOLERANCE_MS + 1), Err(Error::Timestamp));
        assert_eq!(at(NOW - TOLERANCE_MS - 1), Err(Error::Timestamp));
        for bad in ["", "x", "+1700000000000", "-1"] {
            assert_eq!(verify("POST", "/v1/cards?x=1", bad, b"{}", NOW), Err(Error::Timestamp));
        }
    }

    #[test]
    fn short_secrets_are_refused_and_none_is_shown() {
        assert_eq!(Key::new(&SECRET[1..]).err(), Some(Error::ShortSecret));
        assert_eq!(format!("{:?}", key()), "Key { .. }");
    }
}
