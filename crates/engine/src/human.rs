//! How commands, events and what they are made of read for people: as JSON and other formats that say of themselves that
//! they are human-readable. Nothing of this is ever stored; postcard goes by codes and raw bytes.
//!
//! Ids are UUIDs, fingerprints and sealed bytes hexadecimal, codes the names of their variants in `snake_case`, amounts
//! whole numbers of minor units, countries and assets their codes, positions `"record.entry"`.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `TopUp` as `top_up`.
pub fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

struct Visitor<T, F>(&'static str, F, core::marker::PhantomData<T>);

impl<T, F: FnOnce(&str) -> Option<T>> de::Visitor<'_> for Visitor<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let unexpected = de::Unexpected::Str(text);
        (self.1)(text).ok_or_else(|| E::invalid_value(unexpected, &self.0))
    }
}

/// Reads a text that `parse` understands; `expected` says what it should have been.
pub(crate) fn text<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Visitor(expected, parse, core::marker::PhantomData))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}

/// Bytes from hexadecimal digits, an even number of them.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<_>>()?;
    rest.is_empty().then_some(bytes)
}

/// Sixteen bytes: raw, or in hexadecimal for people.
pub(crate) mod sixteen {
    use super::{Deserialize, Deserializer, Serialize, Serializer, hex, text, unhex};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&hex(bytes));
        }
        bytes.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        if deserializer.is_human_readable() {
            return text(deserializer, "32 hexadecimal digits", |text| unhex(text)?.try_into().ok());
        }
        <[u8; 16]>::deserialize(deserializer)
    }
}

/// What may be absent, cleared (`null`) or set; a plain pair of options where it is stored.
pub(crate) mod update {
    use super::{Deserialize, Deserializer};

    #[expect(clippy::option_option, reason = "absent, cleared and set are three things")]
    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        if deserializer.is_human_readable() {
            return Option::deserialize(deserializer).map(Some);
        }
        Option::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, Key};

    #[test]
    fn names_are_in_snake_case() {
        assert_eq!(snake("TopUp"), "top_up");
        assert_eq!(snake("SetNoPinAmount"), "set_no_pin_amount");
        assert_eq!(snake("Settle"), "settle");
    }

    #[test]
    fn hexadecimal_there_and_back() {
        assert_eq!(hex(&[0, 0x9F, 0xFF]), "009fff");
        assert_eq!(unhex("009fFF"), Some(alloc::vec![0, 0x9F, 0xFF]));
        for bad in ["0", "0g", "é1"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_stored_stays_raw() {
        let stored = postcard::to_allocvec(&(AccountId([7; 16]), Key([9; 16]))).unwrap();
        assert_eq!(stored, [[7; 16], [9; 16]].concat());
    }
}
