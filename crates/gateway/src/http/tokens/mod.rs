//! Bearer tokens (JWT) of the BaaS and the mobile API: who signed one, for which company and user, and until when.
//!
//! Shape: [`Key`] is one verification key of one issuer, one company and one algorithm; [`Tokens`] holds all of them and
//! verifies; [`Bearer`] is what a good token says. A token names its issuer (`iss`) and company (`company`), and both must be
//! those of the very key that verifies it, under the key's own algorithm: so an issuer cannot speak for another company, a
//! public key is never taken for a secret (RS256 → HS256), and `none` is no algorithm at all.
//!
//! A company token has no `sub` and acts for any user of the company; a user token has the user's id in `sub`.
//!
//! Bounds: [`TOKEN_BYTES_MAX`] for a token, [`KEYS_PER_ISSUER_MAX`] signatures tried for one, [`cache`] for what is remembered.
//! A caller is never told which check refused; the log is, without the token.

mod cache;
mod claims;
mod key;
mod mint;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, header};
use jsonwebtoken::{Header, Validation, dangerous, decode, decode_header, errors::ErrorKind};
use thiserror::Error;

use super::problem::Problem;
use cache::{Cache, Verified};
use claims::{Claims, Issuer};

pub use key::{Algorithm, Error as KeyError, Key, SECRET_BYTES_MIN};
pub use mint::{Error as MintError, Grant, KeyPair, SigningKey};

/// Most bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Most keys of one issuer and algorithm, so that a token without `kid` costs few signatures.
pub const KEYS_PER_ISSUER_MAX: usize = 8;
/// Clock difference to an issuer that is forgiven, unless configured.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// What a token says about who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The company, which is the signing key's.
    pub company: Arc<str>,
    /// The company's id of its user; `None` on a company token. 1–255 bytes without control characters.
    pub subject: Option<Arc<str>>,
    /// Tag of the credential for the journal: of the signing key, stable from token to token; says nothing of the user; never 0.
    pub actor: u64,
    /// Tag of key and user for rate limits; never stored.
    pub(crate) caller: u64,
}

/// What tokens are verified with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What `aud` must name [`florin`].
    pub audience: String,
    /// Clock difference that is forgiven [30 s].
    pub leeway: Duration,
    /// The keys; none: no token is good.
    pub keys: Vec<Key>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { audience: "florin".to_owned(), leeway: LEEWAY, keys: Vec::new() }
    }
}

/// Why a token is refused. For the log only, and without any text of the token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no `Authorization: Bearer`, or more than one.
    #[error("there is no single bearer token")]
    None,
    /// Over [`TOKEN_BYTES_MAX`].
    #[error("the token has more than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts of base64url with JSON in them, or an algorithm that is none of ours.
    #[error("the token cannot be read: {0}")]
    Unreadable(String),
    /// A header of a kind that is not served.
    #[error("the token's header has {0}")]
    Header(&'static str),
    /// No key of its issuer, algorithm and key id.
    #[error("no key is configured for its issuer, algorithm and key id")]
    NoKey,
    /// The signature, or a registered claim: expired, not yet good, another audience.
    #[error("not verified for company {company}: {why}")]
    NotVerified {
        /// Whose key was tried last.
        company: Arc<str>,
        /// What the check says.
        why: String,
    },
    /// Signed by a company's issuer for another company, or with a claim out of bounds.
    #[error("signed by the issuer of {company}, but {what}")]
    Claim {
        /// The company of the key.
        company: Arc<str>,
        /// What is wrong.
        what: &'static str,
    },
}

/// The keys, by issuer and algorithm, and what they have verified.
pub struct Tokens {
    keys: HashMap<(Arc<str>, Algorithm), Vec<Key>>,
    audience: String,
    leeway: Duration,
    cache: Cache,
}

impl Tokens {
    /// Verification with these settings. Keys beyond [`KEYS_PER_ISSUER_MAX`] of an issuer and algorithm are left out; the
    /// configuration refuses them.
    pub fn new(settings: &Settings) -> Self {
        let mut keys: HashMap<_, Vec<Key>> = HashMap::new();
        for key in &settings.keys {
            let same = keys.entry((Arc::clone(&key.issuer), key.algorithm)).or_default();
            if same.len() < KEYS_PER_ISSUER_MAX {
                same.push(key.clone());
            }
        }
        Self { keys, audience: settings.audience.clone(), leeway: settings.leeway, cache: Cache::default() }
    }

    /// Whether no token can be good.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Who sends a request, by the token in `Authorization: Bearer`.
    pub fn bearer(&self, headers: &HeaderMap) -> Result<Bearer, Problem> {
        let checked = token(headers).and_then(|token| self.verify(token));
        checked.map_err(|refusal| {
            tracing::info!(%refusal, "a token is refused");
            Problem::Unauthorized
        })
    }

    /// What a token says, if it is good now.
    pub fn verify(&self, token: &str) -> Result<Bearer, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let now_s = now_s();
        let hash = blake3::hash(token.as_bytes());
        if let Some(bearer) = self.cache.get(&hash, now_s) {
            return Ok(bearer);
        }
        let verified = self.check(token)?;
        self.cache.put(hash, verified.clone(), now_s);
        Ok(verified.bearer)
    }

    fn check(&self, token: &str) -> Result<Verified, Refusal> {
        let unreadable = |error: jsonwebtoken::errors::Error| Refusal::Unreadable(shape(&error));
        let header = decode_header(token).map_err(unreadable)?;
        plain(&header)?;
        let algorithm = Algorithm::of(header.alg).ok_or(Refusal::Header("an algorithm that is not served"))?;
        // Not believed, only used to find the keys: the claims that count are read from what a key has verified.
        let Issuer { iss } = dangerous::insecure_decode_claims(token).map_err(unreadable)?;
        let candidates = self.keys.get(&(iss.into(), algorithm)).map_or(&[][..], Vec::as_slice);
        let named = |key: &&Key| match (&header.kid, &key.kid) {
            (Some(asked), Some(kid)) => **asked == **kid,
            _ => true,
        };
        let mut refusal = Refusal::NoKey;
        for key in candidates.iter().filter(named) {
            match decode::<Claims>(token, &key.decoding, &self.validation(key)) {
                Ok(read) => return claims::accept(key, read.claims, self.leeway),
                Err(error) => {
                    refusal = Refusal::NotVerified { company: Arc::clone(&key.company), why: shape(&error) };
                    // Signed by this key, so no other has anything to say.
                    if !matches!(error.kind(), ErrorKind::InvalidSignature) {
                        return Err(refusal);
                    }
                }
            }
        }
        Err(refusal)
    }

    fn validation(&self, key: &Key) -> Validation {
        let mut validation = Validation::new(key.algorithm.library());
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&key.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Headers that ask for something we do not do are refused, not overlooked (RFC 7515, 4.1.11; RFC 8725, 3.11).
fn plain(header: &Header) -> Result<(), Refusal> {
    let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    match header {
        _ if !matches!(typ, None | Some("jwt" | "at+jwt")) => Err(Refusal::Header("another type than JWT")),
        Header { crit: Some(_), .. } => Err(Refusal::Header("critical fields")),
        Header { cty: Some(_), .. } => Err(Refusal::Header("a content type: tokens in tokens are not served")),
        Header { enc: Some(_), .. } | Header { zip: Some(_), .. } => Err(Refusal::Header("encryption or compression")),
        _ => Ok(()),
    }
}

/// The kind of an error, without what the token said: a parser's message may quote it.
fn shape(error: &jsonwebtoken::errors::Error) -> String {
    match error.kind() {
        ErrorKind::Json(error) => format!("JSON is wrong at column {}", error.column()),
        ErrorKind::Base64(_) => "no base64url".to_owned(),
        ErrorKind::Utf8(_) => "no UTF-8".to_owned(),
        kind => format!("{kind:?}"),
    }
}

/// The token of a request.
fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::None);
    };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Refusal::None)?;
    let token = token.trim_ascii();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Refusal::None);
    }
    Ok(token)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
