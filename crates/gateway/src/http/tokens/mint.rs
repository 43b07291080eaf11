//! Makes key pairs and tokens, for development and for the demo. In production a company's own issuer signs.

use std::time::Duration;

use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey, KeypairBytes, spki::der::pem::LineEnding};
use jsonwebtoken::{EncodingKey, Header, encode};
use secrecy::SecretString;
use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    key::{Algorithm, SECRET_BYTES_MIN},
    now_s,
};

/// Why no token or key is made.
#[derive(Debug, Error)]
pub enum Error {
    /// Neither a PEM private key of Ed25519 or RSA, nor a secret.
    #[error(
        "no private key in PEM (Ed25519, or RSA of 2048 bits or more), and no secret of {SECRET_BYTES_MIN} bytes or more"
    )]
    Key,
    /// Signing failed.
    #[error("the token cannot be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
    /// No randomness to be had.
    #[error("the system gives no randomness")]
    Randomness(#[source] getrandom::Error),
}

/// A key that signs tokens.
#[derive(Debug)]
pub struct SigningKey {
    algorithm: Algorithm,
    encoding: EncodingKey,
}

/// What a token is to say.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Its issuer.
    pub issuer: &'a str,
    /// Its audience.
    pub audience: &'a str,
    /// For which company.
    pub company: &'a str,
    /// For which user; `None`: for any of the company.
    pub subject: Option<&'a str>,
    /// For how long.
    pub expires_in: Duration,
    /// Which key, where the issuer has several.
    pub kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    company: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    iat: u64,
    exp: u64,
}

impl SigningKey {
    /// The key in a file's bytes: PEM of a private key, else a shared secret, but for white space around it.
    pub fn new(file: &[u8]) -> Result<Self, Error> {
        let pem = file.windows(11).any(|part| part == b"-----BEGIN ");
        if !pem {
            let secret = file.trim_ascii();
            if secret.len() < SECRET_BYTES_MIN {
                return Err(Error::Key);
            }
            return Ok(Self { algorithm: Algorithm::HS256, encoding: EncodingKey::from_secret(secret) });
        }
        if let Ok(encoding) = EncodingKey::from_ed_pem(file) {
            return Ok(Self { algorithm: Algorithm::EdDSA, encoding });
        }
        if !file.windows(12).any(|part| part == b"PRIVATE KEY-") {
            return Err(Error::Key);
        }
        let encoding = EncodingKey::from_rsa_pem(file).map_err(|_| Error::Key)?;
        Ok(Self { algorithm: Algorithm::RS256, encoding })
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token that says this.
    pub fn token(&self, grant: &Grant<'_>) -> Result<SecretString, Error> {
        let iat = now_s();
        let claims = Claims {
            iss: grant.issuer,
            aud: grant.audience,
            company: grant.company,
            sub: grant.subject,
            iat,
            exp: iat.saturating_add(grant.expires_in.as_secs()),
        };
        let mut header = Header::new(self.algorithm.library());
        header.kid = grant.kid.map(ToOwned::to_owned);
        encode(&header, &claims, &self.encoding).map(Into::into).map_err(Error::Signing)
    }
}

/// An Ed25519 key pair.
#[derive(Debug)]
pub struct KeyPair {
    /// PKCS#8 in PEM.
    pub private: SecretString,
    /// The public key in PEM.
    pub public: String,
}

impl KeyPair {
    /// A new one.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(Error::Randomness)?;
        let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
        let public = public.to_public_key_pem(LineEnding::LF).map_err(|_| Error::Key)?;
        // Without the public half in it, since not every reader knows the newer form that has it.
        let pair = KeypairBytes { secret_key: *seed, public_key: None };
        let private = pair.to_pkcs8_pem(LineEnding::LF).map_err(|_| Error::Key)?;
        Ok(Self { private: private.as_str().into(), public })
    }
}
