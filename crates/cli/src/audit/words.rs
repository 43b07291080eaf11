//! Events, outcomes and amounts as text. Ciphertext is told by its length only.

use std::fmt::{self, Write as _};

use florin_engine::{event::Event, reject::Reject};

/// Any value of the engine, with ciphertexts shortened.
pub(super) fn of(value: &impl fmt::Debug) -> String {
    const OPEN: &str = "Sealed([";
    let text = format!("{value:?}");
    let (mut out, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(at) = rest.find(OPEN) {
        let (before, sealed) = rest.split_at(at);
        let Some((bytes, after)) = sealed[OPEN.len()..].split_once("])") else { break };
        let count = if bytes.is_empty() { 0 } else { bytes.split(',').count() };
        let _ = write!(out, "{before}Sealed({count} bytes)");
        rest = after;
    }
    out + rest
}

/// An outcome.
pub(super) fn outcome(outcome: Result<&[Event], &Reject>) -> String {
    match outcome {
        Ok(events) => format!("accepted with {}", of(&events)),
        Err(reject) => format!("rejected ({:?}): {reject}", reject.reason),
    }
}

/// Minor units as a decimal number.
pub(super) fn amount(minor: i128, decimals: u8) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let unit = 10_u128.pow(u32::from(decimals.min(18)));
    let (whole, part) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    match decimals {
        0 => format!("{sign}{whole}"),
        decimals => format!("{sign}{whole}.{part:0width$}", width = usize::from(decimals)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_engine::money::Sealed;

    #[test]
    fn amounts_keep_every_digit() {
        let cases = [(5, 2, "0.05"), (-1234, 2, "-12.34"), (7, 0, "7"), (-1, 6, "-0.000001")];
        for (minor, decimals, text) in cases {
            assert_eq!(amount(minor, decimals), text);
        }
    }

    #[test]
    fn ciphertext_is_not_printed() {
        let value = (1, Sealed(vec![1, 2, 3]), Sealed::NONE, "end");
        assert_eq!(of(&value), "(1, Sealed(3 bytes), Sealed(0 bytes), \"end\")");
    }
}
