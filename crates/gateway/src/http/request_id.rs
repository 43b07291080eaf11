//! Request ids: the caller's where it is a sane one, else one of ours; the same in the answer, the log and the span.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header of requests and answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Most bytes of a caller's id.
pub const BYTES_MAX: usize = 128;

/// Different in every run, so that ids of two runs do not meet in one log.
static RUN: LazyLock<u64> = LazyLock::new(|| getrandom::u64().unwrap_or(0));
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The id of a request; `None` in the caller's place is filled by one that is unique within this run.
pub fn of(headers: &HeaderMap) -> HeaderValue {
    headers.get(HEADER).filter(|id| sane(id.as_bytes())).cloned().unwrap_or_else(next)
}

/// 1–128 letters, digits, `-`, `_`, `.`, `:`, `/`, `+`, `=`: nothing that could break a log line.
fn sane(id: &[u8]) -> bool {
    (1..=BYTES_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
}

fn next() -> HeaderValue {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 29];
    hex(*RUN, &mut id[..16]);
    id[16] = b'-';
    hex(number, &mut id[17..]);
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("-"))
}

/// The low digits of `value`, as many as there is room for.
fn hex(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::try_from(value & 0xF).unwrap_or(0)];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_anything_else_replaced() {
        let mut headers = HeaderMap::new();
        let made = of(&headers);
        assert_eq!(made.len(), 29);
        assert_ne!(made, of(&headers));
        for (given, kept) in [("a-B_9.:/+=", true), ("", false), ("a b", false), ("a\"b", false)] {
            headers.insert(HEADER, HeaderValue::from_str(given).unwrap());
            assert_eq!(of(&headers) == given, kept, "{given}");
        }
        headers.insert(HEADER, HeaderValue::from_str(&"x".repeat(129)).unwrap());
        assert_eq!(of(&headers).len(), 29);
    }
}
