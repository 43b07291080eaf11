//! A hostile request as text, so that one can be kept and read:
//!
//! ```text
//! NUMBER OF THE CALL'S LINE IN calls.rs (api method route) \n path and query \n header: value \n … \n \n body
//! ```

use florin_proptests::fuzz::{Rng, bytes, json};
use serde_json::Value;

use crate::calls::{CALLS, Call};

/// Headers that mean something.
const HEADERS: [&str; 8] = [
    "idempotency-key",
    "authorization",
    "x-api-key",
    "x-florin-position",
    "x-user-address",
    "x-chain-id",
    "content-type",
    "accept-language",
];

/// Parameters that mean something.
const PARAMETERS: [&str; 9] =
    ["limit", "cursor", "page", "card_type", "status", "search", "version", "effective_at", "%00"];

/// A request before names are filled in.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// Anything in a path or query, escaped so that it arrives.
pub(crate) fn escaped(word: &str) -> String {
    use std::fmt::Write;
    word.bytes().take(4_000).fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").unwrap(),
        }
        text
    })
}

fn word(rng: &mut Rng) -> String {
    match rng.below(6) {
        0 => "%FF%FE".into(),
        1 => "%00".into(),
        2 => escaped(&"9".repeat(1 + rng.below(40))),
        3 => ["approve", "deny", "retry", "drop", "Virtual", "block", "replay", "18446744073709551616"][rng.below(8)]
            .into(),
        _ => escaped(&json::word(rng)),
    }
}

impl Request {
    /// A call with something wrong in its body, and often elsewhere.
    pub(crate) fn make(rng: &mut Rng, policy: &str) -> Vec<u8> {
        let number = rng.below(CALLS.len());
        let call = CALLS[number];
        let mut path = call.path.to_owned();
        let sample = call.body.replace("$policy", policy);
        let bodily = !sample.is_empty();
        if rng.once_in(if bodily { 6 } else { 2 }) {
            let (plain, query) = path.split_once('?').unwrap_or((&path, ""));
            let mut segments: Vec<String> = plain.split('/').map(str::to_owned).collect();
            let at = 1 + rng.below(segments.len() - 1);
            segments[at] = word(rng);
            path = format!("{}?{query}", segments.join("/"));
        }
        if rng.once_in(if bodily { 8 } else { 2 }) {
            let joint = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{joint}{}={}", rng.pick(&PARAMETERS), word(rng));
        }
        let mut headers = vec![];
        if rng.once_in(5) {
            let name = (*rng.pick(&HEADERS)).to_owned();
            let mut value: Vec<u8> =
                json::word(rng).bytes().filter(|byte| *byte >= b' ' && *byte != 0x7F).take(2_000).collect();
            if name == "x-florin-position" && rng.once_in(2) {
                value = [&b"0-0.0"[..], b"0-17592186044415.1048575", b"65535-1.1", b"-1-1.1", b"0-1"][rng.below(5)]
                    .to_vec();
            }
            headers.push((name, value));
        }
        let body = match (bodily, rng.below(12)) {
            (true, 0) => bytes::mutate(rng, &[sample.into_bytes()]),
            (true, 1) => vec![],
            (true, 2) => sample.into_bytes(),
            (true, _) => json::mutate(rng, &serde_json::from_str::<Value>(&sample).unwrap()).into_bytes(),
            (false, 0 | 1) => json::word(rng).into_bytes(),
            (false, _) => vec![],
        };
        let mut text = format!("{number} ({} {} {})\n{path}\n", call.api.name(), call.method, call.route).into_bytes();
        for (name, value) in &headers {
            text.extend([name.as_bytes(), b": ", value, b"\n"].concat());
        }
        text.extend(b"\n");
        text.extend(body);
        text
    }

    /// Reads what [`make`](Self::make) wrote. The call is found by its name, as kept inputs outlive the order of the table.
    pub(crate) fn read(text: &[u8]) -> Self {
        let line = |text: &mut &[u8]| {
            let end = text.iter().position(|byte| *byte == b'\n').unwrap();
            let line = text[..end].to_vec();
            *text = &text[end + 1..];
            line
        };
        let mut rest = text;
        let first = String::from_utf8(line(&mut rest)).unwrap();
        let name = first.split_once(" (").unwrap().1.trim_end_matches(')');
        let is = |call: &&Call| format!("{} {} {}", call.api.name(), call.method, call.route) == name;
        let call = *CALLS.iter().find(is).unwrap_or_else(|| panic!("no call {name}"));
        let path = String::from_utf8(line(&mut rest)).unwrap();
        let mut headers = vec![];
        loop {
            let header = line(&mut rest);
            let Some(at) = header.windows(2).position(|two| two == b": ") else { break };
            headers.push((String::from_utf8(header[..at].to_vec()).unwrap(), header[at + 2..].to_vec()));
        }
        Self { call, path, headers, body: rest.to_vec() }
    }
}
