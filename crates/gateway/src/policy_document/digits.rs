//! Exact decimals: the digits as they stand in the document, read without a float.

use std::borrow::Cow;

use florin_engine::money::{Factor, Minor};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

use crate::http::amount::{self, Money};

/// A decimal as written: a JSON number without sign or exponent, or a string of the same digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digits(String);

impl Digits {
    /// An amount in major units, from minor units of an asset with `decimals` decimals.
    pub(super) fn of_minor(amount: Minor, decimals: u8) -> Self {
        Self(Money::new(amount, decimals).to_string())
    }

    /// A factor as it is.
    pub(super) fn of_factor(factor: Factor) -> Self {
        Self(factor.decimal().normalize().to_string())
    }

    /// A factor in percent. A factor is below 10¹⁰, so that the product cannot overflow.
    pub(super) fn of_percent(factor: Factor) -> Self {
        Self((factor.decimal() * Decimal::ONE_HUNDRED).normalize().to_string())
    }

    /// Milliseconds in seconds.
    pub(super) fn of_ms(ms: u64) -> Self {
        Self(Decimal::from_i128_with_scale(i128::from(ms), 3).normalize().to_string())
    }

    fn units(&self, decimals: u8) -> Result<i64, String> {
        amount::parse_digits(&self.0, decimals).map(|minor| minor.0).map_err(|error| error.to_string())
    }

    /// Minor units of an asset with `decimals` decimals.
    pub(super) fn minor(&self, decimals: u8) -> Result<Minor, String> {
        self.units(decimals).map(Minor)
    }

    /// A factor of at most 8 decimals.
    pub(super) fn factor(&self) -> Result<Factor, String> {
        Factor::new(Decimal::new(self.units(8)?, 8)).ok_or_else(|| "must be below 10^10".to_owned())
    }

    /// A percentage of at most 6 decimals, as a factor.
    pub(super) fn percent(&self) -> Result<Factor, String> {
        Factor::percent(Decimal::new(self.units(6)?, 6))
            .filter(|factor| factor.decimal() <= Decimal::ONE)
            .ok_or_else(|| "must be at most 100 percent".to_owned())
    }

    /// Seconds of at most 3 decimals, as milliseconds.
    pub(super) fn ms(&self) -> Result<u64, String> {
        u64::try_from(self.units(3)?).map_err(|_| "must not have a sign".to_owned())
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Cow::Owned).map_err(de::Error::custom)?,
            Some(b'-' | b'0'..=b'9') => Cow::Borrowed(raw.get()),
            _ => {
                return Err(de::Error::custom("must be a number, or a string of plain digits"));
            }
        };
        Ok(Self(text.into_owned()))
    }
}
