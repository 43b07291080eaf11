//! Card numbers: Luhn, encryption and keyed fingerprint. Only the sandbox issuer holds any.
//!
//! A card number has too few digits for a plain hash to hide it, hence the keyed fingerprint.

use zeroize::Zeroizing;

use crate::keys::{self, Key};
use crate::{Error, MasterKey, sealed};

/// Digits of a card number.
pub const NUMBER_DIGITS: usize = 16;

/// The keys of a PAN vault. Shows nothing of them.
pub struct Keys {
    seal: Key,
    fingerprint: Key,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Derives them from the master key.
    pub fn derive(master: &MasterKey) -> Self {
        Self {
            seal: master.derive("florin vault 2026 pan seal v1"),
            fingerprint: master.derive("florin vault 2026 pan fingerprint v1"),
        }
    }

    /// Seals a number, CVV or PIN for one card, in the format of [`crate::sealed`] with the card in the account's place.
    pub fn seal(&self, card: &[u8; 16], context: &'static str, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        sealed::seal(&self.seal, card, context, plaintext)
    }

    /// Opens what [`Keys::seal`] made for the same card and context.
    pub fn open(&self, card: &[u8; 16], context: &'static str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        sealed::open(&self.seal, card, context, sealed)
    }

    /// Keyed fingerprint of a secret (a card number, a one-time code) used as `context`: equal for equal secrets only.
    pub fn fingerprint(&self, context: &'static str, secret: &str) -> [u8; 32] {
        *keys::keyed(&self.fingerprint, &[context.as_bytes(), secret.as_bytes()])
    }
}

/// A random Luhn-valid number of 16 digits that begins with `bin` (6 to 12 digits).
pub fn generate(bin: &str) -> Result<Zeroizing<String>, Error> {
    if !(6..=12).contains(&bin.len()) || !bin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Damaged("a BIN is 6 to 12 digits"));
    }
    let mut number = Zeroizing::new(String::with_capacity(NUMBER_DIGITS));
    number.push_str(bin);
    number.push_str(&digits(NUMBER_DIGITS - 1 - bin.len())?);
    let check = check_digit(number.as_bytes());
    number.push(char::from(check));
    Ok(number)
}

/// Random decimal digits, each equally likely.
pub fn digits(count: usize) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::with_capacity(count));
    let mut random = Zeroizing::new([0_u8; 32]);
    while text.len() < count {
        getrandom::fill(random.as_mut_slice()).map_err(|_| Error::Random)?;
        // 250 and above would make the low digits likelier.
        let fair = random.iter().filter(|byte| **byte < 250).take(count - text.len());
        for byte in fair {
            text.push(char::from(b'0' + byte % 10));
        }
    }
    Ok(text)
}

/// Whether the text is 16 ASCII digits with a right check digit.
pub fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == NUMBER_DIGITS
        && bytes.iter().all(u8::is_ascii_digit)
        && check_digit(&bytes[..NUMBER_DIGITS - 1]) == bytes[NUMBER_DIGITS - 1]
}

/// The Luhn check digit (ASCII) that belongs behind `digits`.
fn check_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match (place % 2, digit * 2) {
                (0, doubled) if doubled > 9 => doubled - 9,
                (0, doubled) => doubled,
                _ => digit,
            }
        })
        .sum();
    // The remainder is below 10, so the conversion cannot fail.
    b'0' + u8::try_from((10 - sum % 10) % 10).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::derive(&MasterKey::from_hex(&"07".repeat(32)).expect("a key"))
    }

    #[test]
    fn luhn_knows_right_numbers_from_wrong_ones() {
        for right in ["4111111111111111", "4000001234567899", "5555555555554444"] {
            assert!(is_number(right), "{right}");
        }
        for wrong in ["4111111111111112", "411111111111111", "41111111111111111", "411111111111111x", ""] {
            assert!(!is_number(wrong), "{wrong}");
        }
    }

    #[test]
    fn generated_numbers_are_right_and_keep_the_bin() {
        for _ in 0..200 {
            let number = generate("40000012").expect("generates");
            assert!(is_number(&number) && number.starts_with("40000012"), "{}", *number);
        }
        assert!(generate("4000x012").is_err());
        assert!(generate("4000").is_err());
    }

    #[test]
    fn every_digit_turns_up() {
        let text = digits(2_000).expect("random");
        assert_eq!(text.len(), 2_000);
        assert!(('0'..='9').all(|digit| text.contains(digit)));
    }

    #[test]
    fn a_number_opens_for_its_card_only() {
        let keys = keys();
        let sealed = keys.seal(&[1; 16], "pan", b"4111111111111111").expect("seals");
        assert_eq!(keys.open(&[1; 16], "pan", &sealed).expect("opens").as_slice(), b"4111111111111111");
        assert!(keys.open(&[2; 16], "pan", &sealed).is_err());
        assert!(keys.open(&[1; 16], "cvv", &sealed).is_err());
        assert_eq!(format!("{keys:?}"), "Keys { .. }");
    }

    /// The fingerprint is stored as a key of the sandbox's table, so it never changes.
    #[test]
    fn fingerprints_stay_what_they_were_and_depend_on_key_and_context() {
        let print = keys().fingerprint("pan", "4111111111111111");
        assert_eq!(print[..8], [249, 71, 180, 117, 89, 32, 63, 37]);
        let other = Keys::derive(&MasterKey::from_hex(&"08".repeat(32)).expect("a key"));
        assert_ne!(other.fingerprint("pan", "4111111111111111"), print);
        assert_ne!(keys().fingerprint("code", "4111111111111111"), print);
    }
}
