//! API keys: kept as hashes, compared in constant time, several per company so that they can be rotated.
//!
//! A key is long and random, so a plain hash under a context of its own is enough; whoever reads the configuration cannot
//! use what is in it.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use axum::http::{HeaderMap, header};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use super::problem::Problem;

/// What hashes API keys: made once, as each request has one.
static CONTEXT: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key("florin 2026 api key"));

/// The hash of an API key; written as 64 hex digits.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

/// Why a text is no key hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key hash is 64 hex digits")]
pub struct Error;

impl KeyHash {
    /// The hash of a key as a client sends it.
    pub fn of(key: &str) -> Self {
        Self(*CONTEXT.clone().update(key.as_bytes()).finalize().as_bytes())
    }

    /// What the journal records of the credential: a hash of the hash, that says nothing by itself.
    fn actor(&self) -> u64 {
        let tag = blake3::derive_key("florin 2026 actor", &self.0);
        u64::from_le_bytes([tag[0], tag[1], tag[2], tag[3], tag[4], tag[5], tag[6], tag[7]])
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl FromStr for KeyHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let hash = blake3::Hash::from_hex(text).map_err(|_| Error)?;
        Ok(Self(*hash.as_bytes()))
    }
}

/// One key of a company.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its hash.
    pub hash: KeyHash,
    /// The company whose key it is; for ops and sandbox, what it is called.
    pub company: Arc<str>,
}

impl ApiKey {
    /// The key `key` of a company.
    pub fn new(company: &str, key: &str) -> Self {
        Self { hash: KeyHash::of(key), company: company.into() }
    }
}

/// Who a request comes from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The company.
    pub company: Arc<str>,
    /// Tag of the credential for the journal; never 0.
    pub actor: u64,
}

/// The keys of a dialect.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<(KeyHash, Caller)>);

impl Keys {
    /// The keys that are good.
    pub fn new(keys: &[ApiKey]) -> Self {
        Self(
            keys.iter()
                .map(|key| {
                    let caller = Caller { company: Arc::clone(&key.company), actor: key.hash.actor().max(1) };
                    (key.hash, caller)
                })
                .collect(),
        )
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose key the request carries, in `Authorization: Bearer` or `X-API-Key`. All keys are compared, each in constant
    /// time, so that the time says nothing about how near a guess came.
    pub fn caller(&self, headers: &HeaderMap) -> Result<&Caller, Problem> {
        let hash = KeyHash::of(credential(headers).ok_or(Problem::Unauthorized)?);
        let mut found = None;
        for (key, caller) in &self.0 {
            let same: Choice = key.0.ct_eq(&hash.0);
            if bool::from(same) {
                found = Some(caller);
            }
        }
        found.ok_or(Problem::Unauthorized)
    }
}

/// The credential of a request: of the bearer, else of `X-API-Key`. Two that differ are none.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let bearer = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            Some(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_ascii())?)
        }
    };
    let key = headers.get("x-api-key").map(|value| value.to_str().ok()).map_or(Some(None), |key| key.map(Some))?;
    match (bearer, key) {
        (Some(bearer), Some(key)) if bearer != key => None,
        (bearer, key) => bearer.or(key).filter(|key| !key.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_is_known_by_its_hash_in_either_header() {
        let keys = Keys::new(&[ApiKey::new("acme", "old"), ApiKey::new("acme", "new"), ApiKey::new("other", "theirs")]);
        for (pairs, company) in [
            (&[("authorization", "Bearer old")][..], Some("acme")),
            (&[("authorization", "bearer new")], Some("acme")),
            (&[("x-api-key", "theirs")], Some("other")),
            (&[("x-api-key", "new"), ("authorization", "Bearer new")], Some("acme")),
            (&[("x-api-key", "new"), ("authorization", "Bearer old")], None),
            (&[("authorization", "Basic old")], None),
            (&[("authorization", "Bearer ")], None),
            (&[("x-api-key", "wrong")], None),
            (&[("x-api-key", "")], None),
            (&[], None),
        ] {
            let caller = keys.caller(&headers(pairs)).map(|caller| &*caller.company);
            assert_eq!(caller.ok(), company, "{pairs:?}");
        }
    }

    #[test]
    fn a_hash_is_stable_and_is_read_back() {
        let hash = KeyHash::of("key");
        let text = hash.to_string();
        assert_eq!(text, "6a3b32820376533927fc61494e934be31e310a968ca7da5f8790f1d23c1f07af");
        assert_eq!(text.parse::<KeyHash>().unwrap().to_string(), text);
        assert_eq!("zz".parse::<KeyHash>().unwrap_err(), Error);
        assert_eq!(format!("{hash:?}"), "KeyHash(…)");
    }
}
