//! Money: checked minor units, assets, rates and percentages.
//!
//! An amount is a signed 64-bit count of an asset's minor units (cents for USD, 10⁻⁶ for USDC). There is no
//! arithmetic on it but checked arithmetic: an overflow is a reject, never a wrap and never a panic. Rates and
//! percentages are decimals of at most 8 places, multiplied through 128-bit integers, so that no rounding is hidden.

use alloc::string::String;
use core::{fmt, str};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most decimals an asset may have (architecture.md, Money).
pub const DECIMALS_MAX: u8 = 8;

/// The most that a wallet or card may come to by what is paid in or posted: a quarter of the range, so that giving back what
/// was taken can never overflow.
pub const BALANCE_MAX: Minor = Minor(i64::MAX / 4);

/// An amount in minor units of some asset; which one is said beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Minor(pub i64);

impl Minor {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount there is.
    pub const MAX: Self = Self(i64::MAX);

    /// The sum, unless it overflows.
    pub const fn plus(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, unless it overflows.
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// The sum at the ends of the range: for folding events whose sums were checked when they were decided.
    pub const fn fold_plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference at the ends of the range; see [`Minor::fold_plus`].
    pub const fn fold_minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// An asset's code: 1–8 ASCII upper-case letters and digits (`USD`, `WUSD`, `USDC`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset([u8; 8]);

impl Asset {
    /// US dollar, the currency of the demo programmes.
    pub const USD: Self = Self(*b"USD\0\0\0\0\0");

    /// Parses a code; `None` unless it is 1–8 upper-case ASCII letters or digits.
    pub fn parse(code: &str) -> Option<Self> {
        let bytes = code.as_bytes();
        let fits = (1..=8).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        fits.then(|| {
            let mut code = [0; 8];
            code[..bytes.len()].copy_from_slice(bytes);
            Self(code)
        })
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(8);
        str::from_utf8(&self.0[..len]).unwrap_or("")
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Asset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

struct AssetVisitor;

impl de::Visitor<'_> for AssetVisitor {
    type Value = Asset;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an asset code of 1-8 upper-case letters or digits")
    }

    fn visit_str<E: de::Error>(self, code: &str) -> Result<Asset, E> {
        Asset::parse(code).ok_or_else(|| E::custom("asset code out of form"))
    }
}

impl<'de> Deserialize<'de> for Asset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AssetVisitor)
    }
}

/// A factor such as a rate (fiat per token) or a percentage as a fraction: 0 or more, at most 8 decimals, below 10¹⁰.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor(Decimal);

impl Factor {
    /// Exactly one.
    pub const ONE: Self = Self(Decimal::ONE);
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// A factor, if the decimal is not negative, has at most 8 decimals and is below 10¹⁰.
    pub fn new(value: Decimal) -> Option<Self> {
        let value = value.normalize();
        let fits = !value.is_sign_negative() && value.scale() <= 8 && value < Decimal::from(10_000_000_000_u64);
        fits.then_some(Self(value))
    }

    /// A factor from percent: `3` becomes 0.03.
    pub fn percent(value: Decimal) -> Option<Self> {
        Self::new(value.checked_div(Decimal::ONE_HUNDRED)?)
    }

    /// The decimal.
    pub const fn decimal(&self) -> Decimal {
        self.0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// `amount × factor`, rounded half-up to the minor unit; `None` on overflow. `amount` must not be negative.
    pub fn of(&self, amount: Minor) -> Option<Minor> {
        let product = i128::from(amount.0).checked_mul(self.0.mantissa())?;
        let unit = 10_i128.checked_pow(self.0.scale())?;
        let rounded = product.checked_add(unit / 2)?.div_euclid(unit);
        i64::try_from(rounded).ok().map(Minor)
    }
}

/// Which way a conversion rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Away from the payer: up to the next minor unit.
    Up,
    /// Down to the last whole minor unit.
    Down,
    /// To the nearest, half up.
    HalfUp,
}

/// Divides rounding as told; both arguments must not be negative, the divisor not zero.
fn divide(dividend: i128, divisor: i128, rounding: Rounding) -> Option<i128> {
    Some(match rounding {
        Rounding::Down => dividend / divisor,
        Rounding::Up => dividend.checked_add(divisor - 1)? / divisor,
        Rounding::HalfUp => dividend.checked_add(divisor / 2)? / divisor,
    })
}

/// A token and a fiat with the rate between them: `rate` fiat for one token.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Fiat for one token.
    pub rate: Factor,
    /// Decimals of the token.
    pub token_decimals: u8,
    /// Decimals of the fiat.
    pub fiat_decimals: u8,
}

impl Exchange {
    /// Tokens (minor units) that are worth `fiat`; `None` on overflow or at a rate of zero.
    pub fn token_for(&self, fiat: Minor, rounding: Rounding) -> Option<Minor> {
        // token = fiat ÷ 10^fd ÷ rate × 10^td, rate = mantissa ÷ 10^scale
        let up = 10_i128.checked_pow(u32::from(self.token_decimals) + self.rate.0.scale())?;
        let down = 10_i128.checked_pow(u32::from(self.fiat_decimals))?.checked_mul(self.rate.0.mantissa())?;
        if down == 0 {
            return None;
        }
        let token = divide(i128::from(fiat.0).checked_mul(up)?, down, rounding)?;
        i64::try_from(token).ok().map(Minor)
    }

    /// Fiat (minor units) that `token` is worth; `None` on overflow.
    pub fn fiat_for(&self, token: Minor, rounding: Rounding) -> Option<Minor> {
        let up = 10_i128.checked_pow(u32::from(self.fiat_decimals))?.checked_mul(self.rate.0.mantissa())?;
        let down = 10_i128.checked_pow(u32::from(self.token_decimals) + self.rate.0.scale())?;
        let fiat = divide(i128::from(token.0).checked_mul(up)?, down, rounding)?;
        i64::try_from(fiat).ok().map(Minor)
    }
}

/// `whole × part ÷ of`, rounded up; used to draw a converted leg in steps that add up exactly.
pub fn share(whole: Minor, part: Minor, of: Minor) -> Option<Minor> {
    if of.is_zero() {
        return Some(Minor::ZERO);
    }
    let product = i128::from(whole.0).checked_mul(i128::from(part.0))?;
    i64::try_from(divide(product, i128::from(of.0), Rounding::Up)?).ok().map(Minor)
}

/// An ISO 3166-1 alpha-2 country, upper case; `Country::NONE` where none is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(self.as_str());
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let parse = |text: &str| if text.is_empty() { Some(Self::NONE) } else { Self::parse(text) };
            return crate::human::text(deserializer, "two upper-case letters, or nothing", parse);
        }
        Deserialize::deserialize(deserializer).map(Self)
    }
}

impl Country {
    /// No country given.
    pub const NONE: Self = Self([0; 2]);

    /// Two upper-case ASCII letters, else `None`.
    pub fn parse(code: &str) -> Option<Self> {
        match code.as_bytes() {
            &[a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Some(Self([a, b])),
            _ => None,
        }
    }

    /// The code; empty where none is known.
    pub fn as_str(&self) -> &str {
        if self.0 == [0; 2] { "" } else { str::from_utf8(&self.0).unwrap_or("") }
    }
}

/// Ciphertext under the user's own key, or nothing. The engine never opens it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sealed(#[serde(with = "bytes")] pub alloc::vec::Vec<u8>);

impl Sealed {
    /// Most bytes a sealed text may have: 2,000 characters of 4 bytes, and the envelope.
    pub const BYTES_MAX: usize = 8 * 1024 + 128;
    /// Nothing sealed.
    pub const NONE: Self = Self(alloc::vec::Vec::new());
}

/// A short text that is no personal data (a merchant's name, a bank's word); at most 64 bytes.
pub type Text = String;

/// Most bytes of a [`Text`].
pub const TEXT_BYTES_MAX: usize = 64;

mod bytes {
    //! Byte strings written whole instead of as a sequence of numbers.
    use alloc::vec::Vec;
    use core::fmt;
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&crate::human::hex(bytes));
        }
        serializer.serialize_bytes(bytes)
    }

    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }
        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if deserializer.is_human_readable() {
            return crate::human::text(deserializer, "sealed bytes in hexadecimal, or nothing", crate::human::unhex);
        }
        deserializer.deserialize_bytes(Visitor)
    }
}
