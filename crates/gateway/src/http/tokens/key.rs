//! One verification key: of one issuer, one company, one algorithm.

use std::{fmt, str::FromStr, sync::Arc};

use jsonwebtoken::{DecodingKey, crypto::CryptoProvider};
use thiserror::Error;

/// Fewest bytes of a shared secret (RFC 7518, 3.2: as long as the hash).
pub const SECRET_BYTES_MIN: usize = 32;
/// Most bytes of a key file.
const FILE_BYTES_MAX: usize = 16 * 1024;
/// Shortest and longest modulus of an RSA key, bytes (RFC 7518, 3.3: 2048 bits or more).
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519.
    EdDSA,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RS256,
    /// HMAC with SHA-256 under a shared secret.
    HS256,
}

/// Why something is no key of its algorithm. No variant tells anything of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Not one of the three.
    #[error("must be EdDSA, RS256 or HS256")]
    Algorithm,
    /// No PEM public key of the algorithm.
    #[error("has no {0} public key in PEM (-----BEGIN PUBLIC KEY-----)")]
    NotPublic(Algorithm),
    /// The private half, which must stay with the issuer.
    #[error("has a private key: only the public key belongs here; make a new pair, since this one was copied")]
    Private,
    /// Too weak, or too long for the library.
    #[error("has an RSA key that is not of 2048 to 4096 bits")]
    Rsa,
    /// A secret that is too short.
    #[error("has a secret of less than {SECRET_BYTES_MIN} bytes")]
    ShortSecret,
    /// A public key under HS256, whose every reader could sign.
    #[error("has a PEM key, which is no secret: write EdDSA or RS256 as its algorithm")]
    PemSecret,
    /// No key is this long.
    #[error("has more than {FILE_BYTES_MAX} bytes")]
    TooLong,
}

impl Algorithm {
    pub(super) const fn library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::HS256 => jsonwebtoken::Algorithm::HS256,
        }
    }

    pub(super) const fn of(algorithm: jsonwebtoken::Algorithm) -> Option<Self> {
        match algorithm {
            jsonwebtoken::Algorithm::EdDSA => Some(Self::EdDSA),
            jsonwebtoken::Algorithm::RS256 => Some(Self::RS256),
            jsonwebtoken::Algorithm::HS256 => Some(Self::HS256),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
            Self::HS256 => "HS256",
        })
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "EdDSA" => Ok(Self::EdDSA),
            "RS256" => Ok(Self::RS256),
            "HS256" => Ok(Self::HS256),
            _ => Err(Error::Algorithm),
        }
    }
}

/// A key that verifies tokens. Cheap enough to clone; says nothing of itself when printed.
#[derive(Clone)]
pub struct Key {
    pub(super) company: Arc<str>,
    pub(super) issuer: Arc<str>,
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Arc<str>>,
    pub(super) decoding: DecodingKey,
    pub(super) actor: u64,
}

impl Key {
    /// The key in a file's bytes: PEM of a public key, or for HS256 the secret itself, but for white space around it.
    pub fn new(
        company: &str,
        issuer: &str,
        algorithm: Algorithm,
        kid: Option<&str>,
        file: &[u8],
    ) -> Result<Self, Error> {
        if file.len() > FILE_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let pem = file.windows(11).any(|part| part == b"-----BEGIN ");
        let private = pem && file.windows(12).any(|part| part == b"PRIVATE KEY-");
        let decoding = match algorithm {
            Algorithm::HS256 if pem => return Err(Error::PemSecret),
            Algorithm::HS256 => {
                let secret = file.trim_ascii();
                if secret.len() < SECRET_BYTES_MIN {
                    return Err(Error::ShortSecret);
                }
                DecodingKey::from_secret(secret)
            }
            _ if private => return Err(Error::Private),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(file)
                .ok()
                .filter(|key| key.try_get_as_bytes().is_ok_and(|key| key.len() == 32))
                .ok_or(Error::NotPublic(algorithm))?,
            Algorithm::RS256 => {
                let key = DecodingKey::from_rsa_pem(file).map_err(|_| Error::NotPublic(algorithm))?;
                let der = key.try_get_as_bytes().map_err(|_| Error::NotPublic(algorithm))?;
                let provider = &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
                let components = (provider.key_utils.rsa_pub_components_from_public_key)(der);
                let (modulus, _) = components.map_err(|_| Error::Rsa)?;
                if !RSA_BYTES.contains(&modulus.len()) {
                    return Err(Error::Rsa);
                }
                key
            }
        };
        // A point that is on no curve is found now, not with the first token.
        let CryptoProvider { verifier_factory, .. } = &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
        verifier_factory(&algorithm.library(), &decoding).map_err(|_| Error::NotPublic(algorithm))?;
        let actor = actor(company, issuer, algorithm, decoding.try_get_as_bytes().unwrap_or_default());
        Ok(Self {
            company: company.into(),
            issuer: issuer.into(),
            algorithm,
            kid: kid.map(Into::into),
            decoding,
            actor,
        })
    }

    /// Whose tokens it verifies.
    pub fn company(&self) -> &str {
        &self.company
    }

    /// Who signs them.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// How they are signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Tag of this key's tokens of one user, or of the company's, for rate limits in memory.
    pub(super) fn caller(&self, subject: Option<&str>) -> u64 {
        let mut hasher = blake3::Hasher::new_derive_key("florin 2026 token caller");
        hasher.update(&self.actor.to_le_bytes());
        if let Some(subject) = subject {
            hasher.update(b":").update(subject.as_bytes());
        }
        tag(&hasher)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("company", &self.company)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The credential's tag. It is stored for ever, so there is nothing of a user in it, and of a secret only a hash of its hash.
fn actor(company: &str, issuer: &str, algorithm: Algorithm, key: &[u8]) -> u64 {
    let key = blake3::derive_key("florin 2026 token key", key);
    let mut hasher = blake3::Hasher::new_derive_key("florin 2026 token actor");
    hasher.update(&key).update(algorithm.to_string().as_bytes());
    for text in [company, issuer] {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    tag(&hasher).max(1)
}

fn tag(hasher: &blake3::Hasher) -> u64 {
    let mut tag = [0; 8];
    hasher.finalize_xof().fill(&mut tag);
    u64::from_le_bytes(tag)
}
