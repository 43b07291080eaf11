//! The document's patterns: as it prints them, and as they are matched, ASCII only (`\d` and `\s` are no Unicode classes).

use std::borrow::Cow;

use crate::http::{
    json::Fields,
    problem::{Fault, Problem},
};

/// A pattern of one or two character classes.
pub(super) struct Pattern {
    /// As it is printed.
    text: &'static str,
    first: fn(u8) -> bool,
    rest: fn(u8) -> bool,
    /// Fewest and most characters.
    length: (usize, usize),
}

impl Pattern {
    /// Whether a text matches. A text that does has one byte per character.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (min, max) = self.length;
        let bytes = text.as_bytes();
        (min..=max).contains(&bytes.len())
            && bytes.first().is_some_and(|byte| (self.first)(*byte))
            && bytes.iter().skip(1).all(|byte| (self.rest)(*byte))
    }
}

const fn one_of(text: &'static str, class: fn(u8) -> bool, min: usize, max: usize) -> Pattern {
    Pattern { text, first: class, rest: class, length: (min, max) }
}

const fn letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

const fn space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

fn in_card_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-':+# @".contains(&byte)
}

fn in_name_on_card(byte: u8) -> bool {
    letter(byte) || b" .'-".contains(&byte)
}

fn in_line(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"&.,'-/() :+#".contains(&byte)
}

fn in_city(byte: u8) -> bool {
    letter(byte) || space(byte) || b"-'.".contains(&byte)
}

fn in_state(byte: u8) -> bool {
    letter(byte) || space(byte) || b"-'".contains(&byte)
}

const fn in_zip(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || space(byte) || byte == b'-'
}

const fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase()
}

const fn digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

pub(super) const CARD_NAME: Pattern = one_of(r"^[a-zA-Z0-9\-':+# @]{1,50}$", in_card_name, 1, 50);
pub(super) const NAME_ON_CARD: Pattern =
    Pattern { text: "^[A-Za-z][A-Za-z .'-]{1,25}$", first: letter, rest: in_name_on_card, length: (2, 26) };
pub(super) const LINE: Pattern = one_of(r"^[A-Za-z0-9&.,''\-/() :+#]{2,100}$", in_line, 2, 100);
pub(super) const CITY: Pattern = one_of(r"^[A-Za-z\s\-'.]{2,100}$", in_city, 2, 100);
pub(super) const STATE: Pattern =
    Pattern { text: r"^[A-Za-z][A-Za-z\s\-']{1,99}$", first: letter, rest: in_state, length: (2, 100) };
pub(super) const ZIP_CODE: Pattern = one_of(r"^[A-Za-z0-9\s\-]{3,12}$", in_zip, 3, 12);
pub(super) const COUNTRY: Pattern = one_of("^[A-Z]{2}$", upper, 2, 2);
pub(super) const LAST4: Pattern = one_of(r"^\d{4}$", digit, 4, 4);

const TYPE: &str = "^(Virtual|Plastic)$";
const EXPIRY: &str = r"^(0[1-9]|1[0-2])/\d{4}$";
const ADDRESS: &str = "^0x[0-9a-fA-F]{40}$";
const CHAIN: &str = "^[1-9][0-9]{0,18}$";
const AMOUNT: &str = r"^\d+(\.\d{1,2})?$";
const IDEMPOTENCY_KEY: &str = "^[!-~]{1,255}$";
const POSITION: &str = r"^\d+-\d+\.\d+$";

/// The pattern of a field, parameter or header, as it is printed; `None` where it has none.
pub(super) fn text_of(field: &str) -> Option<&'static str> {
    Some(match field {
        "card_name" => CARD_NAME.text,
        "name_on_card" => NAME_ON_CARD.text,
        "delivery_address.line1" | "delivery_address.line2" => LINE.text,
        "delivery_address.city" => CITY.text,
        "delivery_address.state" => STATE.text,
        "delivery_address.zip_code" => ZIP_CODE.text,
        "delivery_address.country" | "country" => COUNTRY.text,
        "card_number_last4" => LAST4.text,
        "expiry_date" => EXPIRY,
        "type" => TYPE,
        "token_address" | "X-User-Address" => ADDRESS,
        "X-Chain-Id" => CHAIN,
        "transaction_limit" | "daily_limit" | "monthly_limit" | "lifetime_limit" => AMOUNT,
        "Idempotency-Key" => IDEMPOTENCY_KEY,
        "X-Florin-Position" => POSITION,
        _ => return None,
    })
}

/// A text of a body that must match.
pub(super) fn required<'a>(
    fields: &Fields<'a>,
    field: &'static str,
    pattern: &Pattern,
) -> Result<Cow<'a, str>, Problem> {
    let text = fields.text(field)?;
    matching(fields, field, pattern, text)
}

/// A text of a body that must match if it is there.
pub(super) fn optional<'a>(
    fields: &Fields<'a>,
    field: &'static str,
    pattern: &Pattern,
) -> Result<Option<Cow<'a, str>>, Problem> {
    fields.text_if(field)?.map(|text| matching(fields, field, pattern, text)).transpose()
}

fn matching<'a>(
    fields: &Fields<'_>,
    field: &'static str,
    pattern: &Pattern,
    text: Cow<'a, str>,
) -> Result<Cow<'a, str>, Problem> {
    if pattern.matches(&text) { Ok(text) } else { Err(fields.fault(field, Fault::Form(pattern.text))) }
}

/// Whether a text is `0x` and 40 hex digits.
pub(super) fn is_address(text: &str) -> bool {
    text.len() == 42 && text.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A chain's number: an integer above zero, at most 19 digits, without leading zeros.
pub(super) fn is_chain(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(digit) && !text.starts_with('0')
}

/// `MM/YYYY` as year × 12 + month − 1.
pub(super) fn expiry(text: &str) -> Option<u16> {
    let (month, year) = text.split_once('/')?;
    if month.len() != 2 || year.len() != 4 || !month.bytes().chain(year.bytes()).all(digit) {
        return None;
    }
    let month = month.parse().ok().filter(|month| (1..=12_u16).contains(month))?;
    // A year beyond what is stored is a right form that no card has.
    let year = year.parse::<u16>().ok()?;
    Some(year.min(5_399) * 12 + month - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_samples_match_their_patterns() {
        for (pattern, text) in [
            (CARD_NAME, "My Shopping Card"),
            (CARD_NAME, "-':+# @"),
            (NAME_ON_CARD, "Alex Grey"),
            (NAME_ON_CARD, "O'Neil-St. John"),
            (LINE, "10 Downing Street"),
            (LINE, "Flat 2"),
            (LINE, "&.,'-/() :+#"),
            (CITY, "London"),
            (CITY, "St. John's"),
            (STATE, "New York"),
            (ZIP_CODE, "SW1A 2AA"),
            (COUNTRY, "GB"),
            (LAST4, "1234"),
        ] {
            assert!(pattern.matches(text), "{text}");
        }
    }

    #[test]
    fn bounds_and_what_is_not_ascii_are_refused() {
        for (pattern, fits, too_long) in [(CARD_NAME, 50, 51), (LINE, 100, 101), (CITY, 100, 101), (STATE, 100, 101)] {
            assert!(pattern.matches(&"a".repeat(fits)));
            assert!(!pattern.matches(&"a".repeat(too_long)));
            assert!(!pattern.matches(""));
        }
        assert!(NAME_ON_CARD.matches(&"a".repeat(26)) && !NAME_ON_CARD.matches(&"a".repeat(27)));
        assert!(ZIP_CODE.matches("123") && !ZIP_CODE.matches("12") && !ZIP_CODE.matches(&"1".repeat(13)));
        for (pattern, text) in [
            (CARD_NAME, "Tilde~"),
            (CARD_NAME, "Caf\u{e9}"),
            (CARD_NAME, "line\n"),
            (NAME_ON_CARD, "A"),
            (NAME_ON_CARD, ".Alex"),
            (NAME_ON_CARD, "Alex 2"),
            (NAME_ON_CARD, "\u{410}\u{43b}\u{435}\u{43a}\u{441}"),
            (LINE, "x"),
            (LINE, "a\u{a0}b"),
            (CITY, "Lond0n"),
            (STATE, "-ab"),
            (ZIP_CODE, "SW1A_2AA"),
            (COUNTRY, "gb"),
            (COUNTRY, "GBR"),
            (LAST4, "\u{661}\u{662}\u{663}\u{664}"),
            (LAST4, "123"),
            (LAST4, "12345"),
        ] {
            assert!(!pattern.matches(text), "{text}");
        }
        assert!(CITY.matches("a\u{b}\u{c}b") && !CITY.matches("a\u{2003}b"), "the six ASCII spaces only");
    }

    #[test]
    fn an_expiry_is_a_month_and_four_digits() {
        assert_eq!(expiry("12/2027"), Some(2027 * 12 + 11));
        assert_eq!(expiry("01/0000"), Some(0));
        for text in ["13/2027", "00/2027", "1/2027", "12/27", "12-2027", "12/2027 ", "\u{661}2/2027", ""] {
            assert_eq!(expiry(text), None, "{text}");
        }
        assert!(expiry("12/9999").is_some());
    }

    #[test]
    fn addresses_and_chains_are_of_one_form() {
        assert!(is_address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"));
        for text in ["", "0x", "A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB4G"]
        {
            assert!(!is_address(text), "{text}");
        }
        assert!(is_chain("1") && is_chain("8453") && is_chain(&"9".repeat(19)));
        for text in ["", "0", "01", "-1", "+1", "1.0", "0x1", &"9".repeat(20)] {
            assert!(!is_chain(text), "{text}");
        }
    }
}
