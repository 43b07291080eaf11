//! Signatures of the Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, by the standard.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Text that is no secret. It does not show the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct BadSecret;

/// A secret shared with a company; wiped when dropped, never shown by `Debug`.
pub struct Secret(SecretBox<[u8]>);

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::of(self.0.expose_secret().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A random one of 32 bytes; `None`: the system gives no randomness.
    pub fn random() -> Option<Self> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self::of(bytes))
    }

    /// Reads its text.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        bytes.and_then(Self::from_bytes).ok_or(BadSecret)
    }

    /// Its bytes, as they were sealed.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        BYTES.contains(&bytes.len()).then(|| Self::of(bytes))
    }

    fn of(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(bytes.into_boxed_slice()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Its text, to be shown once.
    pub fn text(&self) -> SecretString {
        SecretString::from(format!("{PREFIX}{}", STANDARD.encode(self.bytes())))
    }
}

/// The `webhook-signature` header: one signature per secret, apart by spaces.
pub fn sign<'a>(secrets: impl IntoIterator<Item = &'a Secret>, id: &str, timestamp_s: u64, body: &[u8]) -> String {
    let signed = secrets.into_iter().filter_map(|secret| {
        // A key of any length will do.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).ok()?;
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_standards_own_example() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = sign([&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let secrets = [Secret::random().expect("random"), Secret::random().expect("random")];
        let both = sign(&secrets, "a", 1, b"{}");
        assert_eq!(both, format!("{} {}", sign([&secrets[0]], "a", 1, b"{}"), sign([&secrets[1]], "a", 1, b"{}")));
    }

    #[test]
    fn a_secret_reads_back_and_what_is_none_is_refused() {
        let secret = Secret::random().expect("random");
        let text = secret.text();
        assert_eq!(Secret::parse(text.expose_secret()).expect("a secret").bytes(), secret.bytes());
        for text in
            ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*"]
        {
            assert_eq!(Secret::parse(text).map(|_| ()), Err(BadSecret), "{text}");
        }
        assert_eq!(format!("{secret:?}"), "Secret", "nothing of it is shown");
    }
}
