//! Making a card: number, CVV, PIN, expiry.

use florin_vault::pan;
use uuid::Uuid;

use super::records::{Asked, Card};
use super::store::Tables;
use crate::{CardStatus, Error, Expiry, Kind, hex};

/// First digits of every number the sandbox makes: a test range, independent of any policy. Seven random digits and the check
/// digit follow.
pub const TEST_BIN: &str = "40000012";

/// Contexts of what is sealed for a card.
pub(crate) const NUMBER: &str = "number";
pub(crate) const CVV: &str = "cvv";
pub(crate) const PIN: &str = "pin";

const YEARS: u16 = 3;
/// With ten million numbers this many misses in a row mean that they are used up.
const TRIES: usize = 100;

/// A card with a number of its own; `None` when the request is not valid.
pub(crate) fn card(
    tables: &mut Tables<'_>,
    keys: &pan::Keys,
    now_ms: u64,
    request_id: Uuid,
    asked: &Asked,
) -> Result<Option<Card>, Error> {
    let Asked::Issue { card_id, account, kind, currency, limits } = asked else {
        return Ok(None);
    };
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(None);
    }
    for _ in 0..TRIES {
        let number = pan::generate(TEST_BIN).map_err(vault)?;
        if !tables.take_number(&keys.fingerprint(NUMBER, &number), *card_id)? {
            continue;
        }
        let seal = |context, secret: &str| keys.seal(card_id.as_bytes(), context, secret.as_bytes()).map_err(vault);
        let digits = |range: std::ops::Range<usize>| {
            let text = number.get(range).and_then(|text| text.parse::<u16>().ok());
            text.ok_or_else(|| Error::Storage("a number without digits".into()))
        };
        let (status, sealed_pin) = match kind {
            Kind::Virtual => (CardStatus::Active, Vec::new()),
            Kind::Physical => (CardStatus::NotActivated, seal(PIN, &pan::digits(4).map_err(vault)?)?),
        };
        return Ok(Some(Card {
            request_id,
            issuer_card_id: issuer_card_id(keys, *card_id),
            account: *account,
            kind: *kind,
            currency: currency.clone(),
            status,
            status_change: 0,
            limits: *limits,
            limits_change: 0,
            first4: digits(0..4)?,
            last4: digits(12..16)?,
            expiry: expiry(now_ms),
            times_issued: 1,
            sealed_number: seal(NUMBER, &number)?,
            sealed_cvv: seal(CVV, &pan::digits(3).map_err(vault)?)?,
            sealed_pin,
            code: None,
        }));
    }
    Err(Error::Storage("the sandbox's card numbers are used up".into()))
}

/// Keyed, so that nobody takes the one id for the other.
fn issuer_card_id(keys: &pan::Keys, card_id: Uuid) -> String {
    let print = keys.fingerprint("issuer card id", &card_id.to_string());
    format!("sbx_{}", hex::encode(&print[..12]))
}

/// The same month three years on, UTC.
fn expiry(now_ms: u64) -> Expiry {
    let mut days = now_ms / 86_400_000;
    let mut year: u16 = 1970;
    let leap = |year: u16| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) && year < 9_000 {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    Expiry { year: year + YEARS, month }
}

pub(crate) fn vault(error: florin_vault::Error) -> Error {
    Error::Storage(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_end_in_the_same_month_three_years_on() {
        let cases = [
            (0, 1973, 1),
            (951_782_399_999, 2003, 2),    // 2000-02-28 23:59:59.999
            (951_782_400_000, 2003, 2),    // 2000-02-29, a leap year of the fourth century
            (951_868_800_000, 2003, 3),    // 2000-03-01
            (1_709_164_800_000, 2027, 2),  // 2024-02-29
            (1_735_689_599_999, 2027, 12), // 2024-12-31 23:59:59.999
            (1_735_689_600_000, 2028, 1),  // 2025-01-01
            (1_795_212_000_000, 2029, 11), // 2026-11-20
        ];
        for (now_ms, year, month) in cases {
            assert_eq!(expiry(now_ms), Expiry { year, month }, "{now_ms}");
        }
    }
}
