//! The claims that Florin reads, and their bounds.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer};

use super::{Bearer, Refusal, cache::Verified, key::Key};
use crate::people::USER_BYTES_MAX;

/// Who says to have issued a token; read before it is verified.
#[derive(Deserialize)]
pub(super) struct Issuer {
    pub(super) iss: String,
}

/// The claims of a verified token. `aud` and `nbf` have been checked by then.
#[derive(Deserialize)]
pub(super) struct Claims {
    /// One text: a list of issuers is no issuer.
    iss: String,
    exp: serde_json::Number,
    company: String,
    // Absent or a text. A null is neither: it must not make a company token of what was meant for a user.
    #[serde(default, deserialize_with = "text")]
    sub: Option<String>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// What the claims say, if they are the key's to make.
pub(super) fn accept(key: &Key, claims: Claims, leeway: Duration) -> Result<Verified, Refusal> {
    let wrong = |what| Err(Refusal::Claim { company: Arc::clone(&key.company), what });
    if *claims.iss != *key.issuer {
        return wrong("its issuer is another");
    }
    if *claims.company != *key.company {
        return wrong("its company is another");
    }
    let subject: Option<Arc<str>> = match claims.sub {
        None => None,
        Some(sub) if sub.is_empty() || sub.len() > USER_BYTES_MAX || sub.chars().any(char::is_control) => {
            return wrong("its subject is empty, too long or has control characters");
        }
        Some(sub) => Some(sub.into()),
    };
    // A fraction of a second counts as the whole seconds before it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let exp_s = claims.exp.as_u64().or_else(|| claims.exp.as_f64().map(|exp| exp as u64)).unwrap_or(0);
    let caller = key.caller(subject.as_deref());
    let bearer = Bearer { company: Arc::clone(&key.company), subject, actor: key.actor, caller };
    Ok(Verified { bearer, until_s: exp_s.saturating_add(leeway.as_secs()) })
}
