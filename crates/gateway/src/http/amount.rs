//! Amounts: from the digits in a body to minor units and back, never through a float.
//!
//! In: a JSON number or a string of plain digits, with at most the asset's decimals. Out: a JSON number with exactly the
//! asset's decimals (`10.05`, `108.00`), written from the integer.

use std::fmt;

use florin_engine::money::Minor;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

/// Why digits are no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It is a boolean, null, an array or an object.
    #[error("must be a number, or a string of plain digits")]
    NotANumber,
    /// A string with anything but digits and one point between them.
    #[error("must be plain digits with at most one decimal point")]
    NotDigits,
    /// It has a sign.
    #[error("must not have a sign")]
    Sign,
    /// It has an exponent.
    #[error("must be written without an exponent")]
    Exponent,
    /// It is finer than the asset.
    #[error("must have at most {0} decimals")]
    TooManyDecimals(u8),
    /// It does not fit 64 bits of minor units.
    #[error("is too large")]
    TooLarge,
}

/// Reads the raw JSON text of a value as an amount of an asset of `decimals` decimals.
pub fn parse(raw: &str, decimals: u8) -> Result<Minor, Error> {
    let raw = raw.trim_matches([' ', '\t', '\n', '\r']);
    let digits = match raw.as_bytes().first() {
        Some(b'"') => raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(Error::NotDigits)?,
        Some(b'-' | b'0'..=b'9') => raw,
        _ => return Err(Error::NotANumber),
    };
    parse_digits(digits, decimals)
}

/// Reads plain digits as an amount of an asset of `decimals` decimals.
pub fn parse_digits(digits: &str, decimals: u8) -> Result<Minor, Error> {
    let bytes = digits.as_bytes();
    if matches!(bytes.first(), Some(b'-' | b'+')) {
        return Err(Error::Sign);
    }
    let mut minor = 0_i64;
    let mut places: Option<u8> = None;
    let mut before_point = 0_usize;
    for byte in bytes {
        match byte {
            b'0'..=b'9' => {
                match &mut places {
                    None => before_point += 1,
                    Some(count) if *count == decimals => {
                        return Err(decimals_or_form(bytes, decimals));
                    }
                    Some(count) => *count += 1,
                }
                minor = minor
                    .checked_mul(10)
                    .and_then(|tens| tens.checked_add(i64::from(byte - b'0')))
                    .ok_or_else(|| too_large_or_form(bytes))?;
            }
            b'.' if places.is_none() && before_point > 0 => places = Some(0),
            _ => return Err(form(bytes)),
        }
    }
    if before_point == 0 || bytes.last() == Some(&b'.') {
        return Err(Error::NotDigits);
    }
    let missing = u32::from(decimals - places.unwrap_or(0));
    10_i64.checked_pow(missing).and_then(|unit| minor.checked_mul(unit)).map(Minor).ok_or(Error::TooLarge)
}

/// What is wrong with text that is not all digits: `1e3` has an exponent, anything else is no number.
fn form(bytes: &[u8]) -> Error {
    let exponent = bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && bytes.iter().any(|byte| matches!(byte, b'e' | b'E'))
        && bytes.first().is_some_and(u8::is_ascii_digit);
    if exponent { Error::Exponent } else { Error::NotDigits }
}

fn plain(bytes: &[u8]) -> bool {
    let mut points = 0;
    bytes.iter().all(|byte| {
        points += u8::from(*byte == b'.');
        byte.is_ascii_digit() || (*byte == b'.' && points == 1)
    })
}

fn decimals_or_form(bytes: &[u8], decimals: u8) -> Error {
    if plain(bytes) { Error::TooManyDecimals(decimals) } else { form(bytes) }
}

fn too_large_or_form(bytes: &[u8]) -> Error {
    if plain(bytes) { Error::TooLarge } else { form(bytes) }
}

/// An amount as it is answered: a JSON number with exactly `decimals` decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Minor units.
    pub minor: Minor,
    /// Decimals of its asset, at most 8.
    pub decimals: u8,
}

impl Money {
    /// An amount of an asset of `decimals` decimals.
    pub const fn new(minor: Minor, decimals: u8) -> Self {
        Self { minor, decimals }
    }

    /// An amount of a currency with cents.
    pub const fn cents(minor: Minor) -> Self {
        Self::new(minor, 2)
    }

    /// Writes the digits into `buffer`: at most a sign, 19 digits and a point.
    fn write<'a>(&self, buffer: &'a mut [u8; 32]) -> &'a str {
        let decimals = usize::from(self.decimals.min(18));
        let mut rest = self.minor.0.unsigned_abs();
        let mut at = buffer.len();
        let mut written = 0;
        while rest > 0 || written <= decimals {
            if written == decimals && decimals > 0 {
                at -= 1;
                buffer[at] = b'.';
            }
            at -= 1;
            buffer[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            written += 1;
        }
        if self.minor.is_negative() {
            at -= 1;
            buffer[at] = b'-';
        }
        std::str::from_utf8(&buffer[at..]).unwrap_or("0")
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; 32]))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; 32];
        serde_json::from_str::<&RawValue>(self.write(&mut buffer))
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_digits_are_read_exactly() {
        for (raw, decimals, minor) in [
            ("0", 2, 0),
            ("10", 2, 1_000),
            ("10.0", 2, 1_000),
            ("10.00", 2, 1_000),
            ("\"10.05\"", 2, 1_005),
            ("24.99", 2, 2_499),
            ("100000.01", 2, 10_000_001),
            ("0.1", 2, 10),
            ("0.000001", 6, 1),
            ("7", 0, 7),
            ("92233720368547758.07", 2, i64::MAX),
            (" 5 ", 2, 500),
        ] {
            assert_eq!(parse(raw, decimals), Ok(Minor(minor)), "{raw}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_own_reason() {
        for (raw, error) in [
            ("10.005", Error::TooManyDecimals(2)),
            ("10.000", Error::TooManyDecimals(2)),
            ("-5", Error::Sign),
            ("\"-5\"", Error::Sign),
            ("\"+5\"", Error::Sign),
            ("-0", Error::Sign),
            ("1e3", Error::Exponent),
            ("\"1e3\"", Error::Exponent),
            ("1.5E+2", Error::Exponent),
            ("1.234e2", Error::Exponent),
            ("\"NaN\"", Error::NotDigits),
            ("\"Infinity\"", Error::NotDigits),
            ("\"\"", Error::NotDigits),
            ("\" 5\"", Error::NotDigits),
            ("\".5\"", Error::NotDigits),
            ("\"5.\"", Error::NotDigits),
            ("\"1.2.3\"", Error::NotDigits),
            ("\"1,5\"", Error::NotDigits),
            ("\"\\u0035\"", Error::NotDigits),
            ("\"٥\"", Error::NotDigits),
            ("\"0x10\"", Error::NotDigits),
            ("true", Error::NotANumber),
            ("null", Error::NotANumber),
            ("[5]", Error::NotANumber),
            ("{}", Error::NotANumber),
            ("", Error::NotANumber),
            ("100000000000000000000", Error::TooLarge),
            ("92233720368547758.08", Error::TooLarge),
            ("92233720368547759", Error::TooLarge),
        ] {
            assert_eq!(parse(raw, 2), Err(error), "{raw}");
        }
    }

    #[test]
    fn amounts_are_written_with_their_decimals() {
        for (minor, decimals, text) in [
            (1_005, 2, "10.05"),
            (10_800, 2, "108.00"),
            (5, 2, "0.05"),
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (7, 0, "7"),
            (1, 8, "0.00000001"),
            (i64::MAX, 2, "92233720368547758.07"),
            (i64::MIN, 2, "-92233720368547758.08"),
        ] {
            let money = Money::new(Minor(minor), decimals);
            assert_eq!(money.to_string(), text);
            assert_eq!(serde_json::to_string(&money).unwrap(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(minor in 0..=i64::MAX, decimals in 0_u8..=8) {
            let text = serde_json::to_string(&Money::new(Minor(minor), decimals)).unwrap();
            proptest::prop_assert_eq!(parse(&text, decimals), Ok(Minor(minor)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", decimals in 0_u8..=8) {
            let _ = parse(&text, decimals);
        }
    }
}
