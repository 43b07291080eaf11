//! Idempotency keys: the caller's, or one made here; and the canonical content that a repeated key must come with.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use florin_engine::{
    ids::{AccountId, Key},
    money::Minor,
};

use super::problem::{Fault, Problem};

/// The request header.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// The answer's header that says that it is the first outcome again.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Its value.
pub const REPLAYED_YES: HeaderValue = HeaderValue::from_static("true");
/// Most characters of a key.
pub const KEY_MAX: usize = 255;

/// The idempotency key of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotencyKey<'a> {
    /// The caller's: 1–255 visible ASCII characters.
    Given(&'a [u8]),
    /// Made here, unique.
    Made([u8; 16]),
}

impl<'a> IdempotencyKey<'a> {
    /// The key a request carries, or a new one.
    pub fn of(headers: &'a HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Self::made();
        };
        let key = value.as_bytes();
        let fits = (1..=KEY_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        if !fits || values.next().is_some() {
            return Err(Problem::field("Idempotency-Key", Fault::Form("one key of 1 to 255 visible ASCII characters")));
        }
        Ok(Self::Given(key))
    }

    /// A new one, for commands that nobody repeats.
    pub fn made() -> Result<Self, Problem> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| Problem::internal("no random bytes to be had", &error))?;
        Ok(Self::Made(key))
    }

    /// The fingerprint for an account. A dialect's keys are apart from another's, and made ones from given ones.
    pub fn fingerprint(&self, dialect: &str, account: AccountId) -> Key {
        let mut scoped = [0; 288];
        let (mark, key) = match self {
            Self::Given(key) => (b':', *key),
            Self::Made(key) => (b'#', key.as_slice()),
        };
        let dialect = &dialect.as_bytes()[..dialect.len().min(32)];
        let mut end = 0;
        for part in [dialect, &[mark], key] {
            // 32 + 1 + KEY_MAX bytes fit.
            let room = &mut scoped[end..];
            let part = &part[..part.len().min(room.len())];
            room[..part.len()].copy_from_slice(part);
            end += part.len();
        }
        Key::of(account, &scoped[..end])
    }
}

/// The canonical content of a command: the route's name and what was asked, however it was written.
///
/// `10`, `10.0` and `10.00` are the same content; the order of fields in the body and unknown fields do not matter. Parts are
/// length-prefixed, so that no two contents share their bytes.
#[derive(Clone, Debug)]
pub struct Content(Vec<u8>);

impl Content {
    /// The content of a route.
    pub fn of(dialect: &'static str, route: &'static str) -> Self {
        let mut content = Self(Vec::with_capacity(160));
        content.part(dialect.as_bytes());
        content.part(route.as_bytes());
        content
    }

    fn part(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part);
    }

    /// With a text or an id.
    pub fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.part(name.as_bytes());
        self.part(value.as_ref());
        self
    }

    /// With an amount.
    pub fn amount(self, name: &'static str, amount: Minor) -> Self {
        self.with(name, amount.0.to_le_bytes())
    }

    /// The bytes to digest.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        let mut headers = HeaderMap::new();
        assert!(matches!(IdempotencyKey::of(&headers), Ok(IdempotencyKey::Made(_))));
        for (key, good) in [("a", true), ("~!{}", true), ("", false), ("a b", false), ("a\tb", false)] {
            headers.insert(HEADER, HeaderValue::from_str(key).unwrap());
            assert_eq!(IdempotencyKey::of(&headers).is_ok(), good, "{key:?}");
        }
        for (length, good) in [(255, true), (256, false)] {
            headers.insert(HEADER, HeaderValue::from_str(&"k".repeat(length)).unwrap());
            assert_eq!(IdempotencyKey::of(&headers).is_ok(), good, "{length}");
        }
    }

    #[test]
    fn keys_of_two_dialects_are_apart_and_long_keys_are_whole() {
        let account = AccountId([7; 16]);
        let long = [b'k'; KEY_MAX];
        let given = IdempotencyKey::Given(&long);
        assert_ne!(given.fingerprint("a", account), given.fingerprint("b", account));
        let shorter = IdempotencyKey::Given(&long[..254]);
        assert_ne!(given.fingerprint("dashboard", account), shorter.fingerprint("dashboard", account));
        assert_ne!(
            IdempotencyKey::Given(&[b'x'; 16]).fingerprint("a", account),
            IdempotencyKey::Made([b'x'; 16]).fingerprint("a", account)
        );
    }

    #[test]
    fn two_contents_never_share_their_bytes() {
        let one = Content::of("d", "r").with("a", "xb").with("b", "");
        let other = Content::of("d", "r").with("a", "x").with("b", "b");
        assert_ne!(one.bytes(), other.bytes());
    }
}
