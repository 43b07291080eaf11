//! A company's endpoint: where its webhooks go, and the secrets they are signed with. Its stored form holds them sealed.
//!
//! ```text
//! endpoint := version u8 = 1 · state u8 · changed_ms u64 · length u16 · url (UTF-8) · count u8 · secret…
//! secret   := until_ms u64 (0: for ever) · length u16 · sealed bytes                                (integers little-endian)
//! ```

use std::time::Duration;

use secrecy::SecretString;

use super::Error;
use super::desk::Order;
use super::signature::Secret;

/// Version of the stored form.
const VERSION: u8 = 1;
/// Most secrets at a time: the one in use, and those being replaced.
pub(crate) const SECRETS_MAX: usize = 3;

/// Whether an endpoint gets webhooks. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It does.
    Enabled = 1,
    /// Ops switched it off.
    Disabled = 2,
    /// It answered 410 and gets none until ops enable it again.
    Gone = 3,
}

impl State {
    /// The stable word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Gone => "gone",
        }
    }
}

/// Seals secrets for the store, bound to their company.
pub trait Seal: Send + Sync {
    /// Seals a secret.
    fn seal(&self, company: &str, secret: &[u8]) -> Result<Vec<u8>, Error>;
    /// Opens what [`seal`](Self::seal) made for the company.
    fn open(&self, company: &str, sealed: &[u8]) -> Result<Vec<u8>, Error>;
}

/// A company's endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The company.
    pub company: String,
    /// The base URL, without a slash at its end.
    pub url: String,
    /// Whether it gets webhooks.
    pub state: State,
    /// What they are signed with, the newest first; each until when, ms since 1970 (`None`: for ever).
    pub secrets: Vec<(Secret, Option<u64>)>,
    /// When it was last changed, ms since 1970.
    pub changed_ms: u64,
}

impl Endpoint {
    /// One that nothing is known of yet.
    pub(crate) fn new(company: &str) -> Self {
        let (url, secrets) = (String::new(), Vec::new());
        Self { company: company.to_owned(), url, state: State::Enabled, secrets, changed_ms: 0 }
    }

    /// The secrets that sign at `now_ms`.
    pub fn signing(&self, now_ms: u64) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().filter(move |(_, until)| until.is_none_or(|until| until > now_ms)).map(|(secret, _)| secret)
    }

    /// Has `secret` sign from now on; what signed before does so until `until_ms` as well.
    pub fn rotate(&mut self, secret: Secret, now_ms: u64, until_ms: u64) {
        self.secrets.retain(|(_, until)| until.is_none_or(|until| until > now_ms));
        for (_, until) in &mut self.secrets {
            *until = Some(until.map_or(until_ms, |until| until.min(until_ms)));
        }
        self.secrets.insert(0, (secret, None));
        self.secrets.truncate(SECRETS_MAX);
    }

    pub(crate) fn encode(&self, seal: &dyn Seal) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![VERSION, self.state as u8];
        bytes.extend_from_slice(&self.changed_ms.to_le_bytes());
        put(&mut bytes, self.url.as_bytes());
        bytes.push(u8::try_from(self.secrets.len()).unwrap_or(u8::MAX));
        for (secret, until) in &self.secrets {
            bytes.extend_from_slice(&until.unwrap_or(0).to_le_bytes());
            put(&mut bytes, &seal.seal(&self.company, secret.bytes())?);
        }
        Ok(bytes)
    }

    pub(crate) fn decode(company: &str, bytes: &[u8], seal: &dyn Seal) -> Result<Self, Error> {
        Self::read(company, bytes, seal)?.ok_or_else(|| Error::Storage {
            doing: "reading an endpoint",
            source: format!("the endpoint of {company} is damaged").into(),
        })
    }

    fn read(company: &str, mut bytes: &[u8], seal: &dyn Seal) -> Result<Option<Self>, Error> {
        let rest = &mut bytes;
        let Some([VERSION, state]) = take(rest) else { return Ok(None) };
        let state = match state {
            1 => State::Enabled,
            2 => State::Disabled,
            3 => State::Gone,
            _ => return Ok(None),
        };
        let Some(changed_ms) = take(rest).map(u64::from_le_bytes) else { return Ok(None) };
        let Some(url) = get(rest).and_then(|url| String::from_utf8(url.to_vec()).ok()) else { return Ok(None) };
        let Some([count]) = take(rest) else { return Ok(None) };
        let mut secrets = Vec::new();
        for _ in 0..count {
            let (Some(until), Some(sealed)) = (take(rest).map(u64::from_le_bytes), get(rest)) else { return Ok(None) };
            let Some(secret) = Secret::from_bytes(seal.open(company, sealed)?) else { return Ok(None) };
            secrets.push((secret, (until > 0).then_some(until)));
        }
        Ok(Some(Self { company: company.to_owned(), url, state, secrets, changed_ms }))
    }
}

/// Changes an endpoint as ordered; the secret, if one was made.
pub(super) fn apply(
    endpoint: &mut Endpoint,
    order: Order,
    now_ms: u64,
    rotation: Duration,
) -> Result<Option<SecretString>, Error> {
    order.url.trim_end_matches('/').clone_into(&mut endpoint.url);
    endpoint.state = if order.enabled { State::Enabled } else { State::Disabled };
    endpoint.changed_ms = now_ms;
    let until_ms = now_ms.saturating_add(u64::try_from(rotation.as_millis()).unwrap_or(u64::MAX));
    let make = order.secret.is_none() && (order.rotate || endpoint.secrets.is_empty());
    let made = make.then(|| Secret::random().ok_or_else(|| Error::Secret("no randomness".into()))).transpose()?;
    let shown = made.as_ref().map(Secret::text);
    if let Some(secret) = order.secret.or(made) {
        endpoint.rotate(secret, now_ms, until_ms);
    }
    Ok(shown)
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let part = &part[..part.len().min(usize::from(u16::MAX))];
    bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(part);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (part, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*part)
}

fn get<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_le_bytes(take(bytes)?);
    let (part, rest) = bytes.split_at_checked(usize::from(length))?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Seals by turning bits over, and knows the company's length.
    pub(crate) struct Turned;

    impl Seal for Turned {
        fn seal(&self, company: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
            Ok(std::iter::once(u8::try_from(company.len()).unwrap()).chain(secret.iter().map(|byte| !byte)).collect())
        }

        fn open(&self, company: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
            assert_eq!(usize::from(sealed[0]), company.len());
            Ok(sealed[1..].iter().map(|byte| !byte).collect())
        }
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            company: "demo".into(),
            url: "https://a.b".into(),
            state: State::Gone,
            secrets: vec![(Secret::from_bytes(vec![0xF0; 24]).unwrap(), Some(9))],
            changed_ms: 7,
        }
    }

    #[test]
    fn a_stored_endpoint_is_what_it_always_was_with_its_secrets_sealed() {
        let golden = [
            &[1, 3, 7, 0, 0, 0, 0, 0, 0, 0, 11, 0][..],
            b"https://a.b",
            &[1, 9, 0, 0, 0, 0, 0, 0, 0, 25, 0, 4],
            &[0x0F; 24],
        ]
        .concat();
        assert_eq!(endpoint().encode(&Turned).unwrap(), golden);
        let read = Endpoint::decode("demo", &golden, &Turned).unwrap();
        assert_eq!((read.url.as_str(), read.state, read.changed_ms), ("https://a.b", State::Gone, 7));
        assert_eq!(read.secrets[0].0.bytes(), [0xF0; 24]);
        for cut in 0..golden.len() {
            assert!(Endpoint::decode("demo", &golden[..cut], &Turned).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_replaced_secret_signs_on_for_a_time_and_no_longer() {
        let mut endpoint = Endpoint { secrets: Vec::new(), ..endpoint() };
        let secrets = [1_u8, 2, 3].map(|byte| Secret::from_bytes(vec![byte; 24]).unwrap());
        let [first, second, third] = secrets;
        endpoint.rotate(first, 100, 200);
        endpoint.rotate(second, 100, 200);
        let signing =
            |endpoint: &Endpoint, now| endpoint.signing(now).map(|secret| secret.bytes()[0]).collect::<Vec<_>>();
        assert_eq!(signing(&endpoint, 199), [2, 1]);
        assert_eq!(signing(&endpoint, 200), [2]);
        endpoint.rotate(third, 300, 400);
        assert_eq!(signing(&endpoint, 300), [3, 2], "what was over is gone");
    }
}
