//! The demo's tokens: signed with a secret that is kept in `demo.json`, and good only while `--demo` is given.

use std::time::Duration;

use florin_gateway::dialects::{baas, mobile};
use florin_gateway::http::tokens::{Algorithm, Grant, Key, SigningKey};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::demo::{BAAS_USER, COMPANY};
use crate::failure::{Exit, Failure};

/// Who signs them.
const ISSUER: &str = "florin-demo";
/// The mobile user.
const MOBILE_USER: &str = "carol";
/// Longer than a demo runs.
const GOOD_FOR: Duration = Duration::from_hours(30 * 24);

/// What scripts need for the BaaS API.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Baas {
    pub(super) base_url: String,
    /// A company token: for every user of the demo's company.
    pub(super) access_token: String,
    pub(super) user_address: String,
    pub(super) chain_id: String,
}

/// What scripts need for the mobile API.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Mobile {
    pub(super) base_url: String,
    /// A user token.
    pub(super) access_token: String,
}

/// Both, what they are verified with, and what they are signed with.
pub(super) struct Tokens {
    pub(super) key: Key,
    pub(super) secret: String,
    pub(super) baas: Baas,
    pub(super) mobile: Mobile,
}

fn failed() -> Failure {
    Failure::new(Exit::Other, "the demo could not make its tokens")
}

/// What tokens signed with a secret are verified with.
pub(super) fn key(secret: &str) -> Result<Key, Failure> {
    Key::new(COMPANY, ISSUER, Algorithm::HS256, None, secret.as_bytes()).map_err(|cause| failed().because(cause))
}

/// 256 random bits, in hexadecimal.
fn new_secret() -> Result<String, Failure> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|cause| failed().because(cause))?;
    let [high, low] =
        [0, 16].map(|half| bytes[half..half + 16].iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte)));
    Ok(format!("{high:032x}{low:032x}"))
}

/// Tokens for the APIs behind a public listener's address, signed with the secret of an earlier start or a new one.
pub(super) fn mint(public: &str, secret: Option<String>) -> Result<Tokens, Failure> {
    let secret = match secret {
        Some(secret) => secret,
        None => new_secret()?,
    };
    let signing = SigningKey::new(secret.as_bytes()).map_err(|cause| failed().because(cause))?;
    let token = |subject| {
        let grant =
            Grant { issuer: ISSUER, audience: "florin", company: COMPANY, subject, expires_in: GOOD_FOR, kid: None };
        let token = signing.token(&grant).map_err(|cause| failed().because(cause))?;
        Ok::<_, Failure>(token.expose_secret().to_owned())
    };
    let (chain, address) = BAAS_USER.split_once(':').unwrap_or_default();
    Ok(Tokens {
        key: key(&secret)?,
        secret,
        baas: Baas {
            base_url: format!("{public}{}", baas::PREFIX),
            access_token: token(None)?,
            user_address: address.to_owned(),
            chain_id: chain.to_owned(),
        },
        mobile: Mobile { base_url: format!("{public}{}", mobile::PREFIX), access_token: token(Some(MOBILE_USER))? },
    })
}
