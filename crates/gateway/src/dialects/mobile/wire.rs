//! The wire types of this API, and how the views' rows become them.

use florin_engine::{
    ids::CardId,
    policy::CardKind,
    terms::{Status, expiry_parts},
};
use florin_projector::CardRow;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::call::Call;
use crate::http::{
    amount::Money,
    problem::{Fault, Problem},
    time::Time,
};

/// While something waits for the issuer, or the card is not made or activated yet.
pub(super) const PROCESSING: &str = "PROCESSING";
/// Closed or expired.
pub(super) const CANCELLED: &str = "CANCELLED";

/// All that a card's status may be shown as.
pub(super) const STATUSES: [&str; 6] = ["ACTIVE", "FROZEN", "BLOCKED", "PRE_CANCEL", PROCESSING, CANCELLED];

/// How this document shows a state (lifecycle.md, How each API shows a state).
pub(super) const fn shown(status: Status) -> &'static str {
    match status {
        Status::Requested | Status::NotActivated => PROCESSING,
        Status::Active => "ACTIVE",
        Status::Frozen => "FROZEN",
        Status::Blocked => "BLOCKED",
        Status::PreCancel => "PRE_CANCEL",
        Status::Cancelled | Status::Expired => CANCELLED,
    }
}

/// The status of a card: PROCESSING while a change of it is pending.
pub(super) const fn status(row: &CardRow) -> &'static str {
    if row.pending.is_some() { PROCESSING } else { shown(row.status) }
}

/// A kind of card as this document calls it.
pub(super) const fn kind(kind: CardKind) -> &'static str {
    match kind {
        CardKind::Virtual => "VIRTUAL",
        CardKind::Physical => "PHYSICAL",
    }
}

/// The kind of card of a word.
pub(super) fn kind_of(word: &str) -> Option<CardKind> {
    [CardKind::Virtual, CardKind::Physical].into_iter().find(|of| kind(*of) == word)
}

/// What is no kind of card.
pub(super) fn no_card_type(field: &'static str) -> Problem {
    Problem::field(field, Fault::Form("VIRTUAL or PHYSICAL"))
}

/// Last four digits, where they may be seen: until a card is activated they are its activation secret.
pub(super) fn last_four(row: &CardRow) -> Option<String> {
    row.last4.filter(|_| visible(row)).map(|last4| format!("{last4:04}"))
}

const fn visible(row: &CardRow) -> bool {
    row.activated && !matches!(row.status, Status::Requested | Status::NotActivated)
}

/// A card.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct Card {
    /// Its numeric id, which the calls with `card_id` take.
    #[schema(value_type = i64, minimum = 1, example = 508)]
    pub(super) id: u64,
    /// Its id, which the calls with `{uuid}` take.
    #[schema(value_type = String, format = "uuid")]
    #[serde(serialize_with = "as_text")]
    pub(super) uuid: CardId,
    /// The name it was given; empty: none.
    pub(super) card_name: String,
    /// `VIRTUAL` or `PHYSICAL`.
    #[schema(value_type = String, example = "VIRTUAL")]
    pub(super) card_type: &'static str,
    /// `**** **** **** 1234`; null before it is made and activated.
    #[schema(required, example = "**** **** **** 1234")]
    pub(super) card_number: Option<String>,
    /// Its last four digits; null with `card_number`.
    #[schema(required, example = "1234")]
    pub(super) last_four: Option<String>,
    /// `MM/YY`; null with `card_number`.
    #[schema(required, example = "11/29")]
    pub(super) expiry_date: Option<String>,
    /// `ACTIVE`, `FROZEN`, `BLOCKED`, `PRE_CANCEL`, `PROCESSING` or `CANCELLED`.
    #[schema(value_type = String, example = "ACTIVE")]
    pub(super) status: &'static str,
    /// What is on it, holds included.
    #[schema(value_type = f64, example = 100.00)]
    pub(super) balance: Money,
    /// Of what.
    #[schema(value_type = String, example = "USD")]
    pub(super) currency: String,
    /// The limit per transaction that binds now; null: none.
    #[schema(required, value_type = Option<f64>, example = 250.00)]
    pub(super) limit_per_transaction: Option<Money>,
    /// Most that is approved without a PIN; null: no such limit.
    #[schema(required, value_type = Option<f64>, example = 50.00)]
    pub(super) no_pin_payment_amount: Option<Money>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Time,
    /// When it last changed, money included.
    #[schema(value_type = String, format = DateTime)]
    pub(super) updated_at: Time,
}

impl Card {
    /// A card as it is.
    pub(super) fn of(call: &Call, row: &CardRow) -> Result<Self, Problem> {
        let card_name = call.profile(&row.profile)?.card_name.unwrap_or_default();
        let decimals = call.decimals(row.currency);
        let money = |minor| Money::new(minor, decimals);
        let last_four = last_four(row);
        Ok(Self {
            id: row.number,
            uuid: row.card,
            card_name,
            card_type: kind(row.kind),
            card_number: last_four.as_ref().map(|digits| format!("**** **** **** {digits}")),
            last_four,
            expiry_date: row.expiry.filter(|_| visible(row)).map(expiry),
            status: status(row),
            balance: money(row.balance),
            currency: row.currency.to_string(),
            limit_per_transaction: row.limits.transaction.map(money),
            no_pin_payment_amount: row.no_pin.map(money),
            created_at: Time(row.created_ms),
            updated_at: Time(row.updated_ms),
        })
    }

    /// As a change that was just asked for leaves it, however soon it is done.
    pub(super) fn processing(mut self, since_ms: u64) -> Self {
        self.status = PROCESSING;
        self.updated_at = Time(since_ms);
        self
    }
}

/// A page of cards.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct Cards {
    /// Newest first.
    pub(super) cards: Vec<Card>,
    /// Which page, from 1.
    pub(super) page: usize,
    /// Most cards of a page.
    pub(super) limit: usize,
    /// Cards on all pages.
    pub(super) total: usize,
    /// How many pages there are.
    pub(super) total_pages: usize,
}

/// An id as text.
pub(super) fn as_text<S: Serializer>(id: &CardId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.uuid().hyphenated().encode_lower(&mut [0; 36]))
}

/// An expiry month (`year × 12 + month − 1`) as `MM/YY`.
fn expiry(expiry: u16) -> String {
    let (year, month) = expiry_parts(expiry);
    format!("{month:02}/{:02}", year % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_shown_as_a_known_word() {
        for (status, word) in [
            (Status::Requested, "PROCESSING"),
            (Status::NotActivated, "PROCESSING"),
            (Status::Active, "ACTIVE"),
            (Status::Frozen, "FROZEN"),
            (Status::Blocked, "BLOCKED"),
            (Status::PreCancel, "PRE_CANCEL"),
            (Status::Cancelled, "CANCELLED"),
            (Status::Expired, "CANCELLED"),
        ] {
            assert_eq!(shown(status), word);
            assert!(STATUSES.contains(&word));
        }
    }

    #[test]
    fn an_expiry_is_month_and_two_digits_of_the_year() {
        assert_eq!(expiry(2029 * 12), "01/29");
        assert_eq!(expiry(2100 * 12 + 11), "12/00");
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for of in [CardKind::Virtual, CardKind::Physical] {
            assert_eq!(kind_of(kind(of)), Some(of));
        }
        assert_eq!(kind_of("virtual"), None);
    }
}
