//! The wire types of this API, and how the views' rows become them.

use florin_engine::terms::{Status, expiry_parts};
use florin_projector::CardRow;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{amount::Money, plain::shown, time::Time};

/// What is asked to create a card.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `create.rs` reads field by field")]
pub(super) struct CreateRequest {
    /// 1–50 characters, no control characters.
    #[schema(rename = "cardName", min_length = 1, max_length = 50, example = "Travel")]
    card_name: String,
    /// USD, 25–100,000 by the demo policy; a number or a string of plain digits, at most two decimals.
    #[schema(rename = "initialBalance", value_type = f64, example = 100.00)]
    initial_balance: String,
}

/// What is asked to top a card up.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `top_up.rs` reads field by field")]
pub(super) struct TopUpRequest {
    /// USD, 10–10,000 by the demo policy; a number or a string of plain digits, at most two decimals.
    #[schema(value_type = f64, example = 10.00)]
    amount: String,
}

/// A card.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct Card {
    /// Its id.
    #[schema(format = "uuid")]
    pub(super) card_id: String,
    /// The name it was given.
    pub(super) card_name: String,
    /// `**** **** **** 1234` in lists, in full in the details; null before the issuer has made it.
    #[schema(required)]
    pub(super) card_number: Option<String>,
    /// `MM/YY`; null before the issuer has made it.
    #[schema(required)]
    pub(super) expiry_date: Option<String>,
    /// `***` in lists; null in the details before the issuer has made it.
    #[schema(required)]
    pub(super) cvv: Option<String>,
    /// What is on it.
    #[schema(value_type = f64, example = 100.00)]
    pub(super) balance: Money,
    /// `active`, `frozen`, `blocked` or `expired`.
    #[schema(value_type = String)]
    pub(super) status: &'static str,
}

/// The cards of a user.
#[derive(Serialize, ToSchema)]
pub(super) struct Cards {
    /// Newest first.
    pub(super) cards: Vec<Card>,
}

/// A card that was just asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    /// Its fields.
    #[serde(flatten)]
    pub(super) card: Card,
    /// The fixed fee.
    #[schema(value_type = f64, example = 5.00)]
    pub(super) issue_fee: Money,
    /// The percentage of the initial balance.
    #[schema(value_type = f64, example = 3.00)]
    pub(super) service_fee: Money,
    /// Initial balance and both fees, taken from the wallet.
    #[schema(value_type = f64, example = 108.00)]
    pub(super) total_deducted: Money,
}

/// A top-up that was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToppedUp {
    /// Its id among the card's transactions.
    #[schema(format = "uuid")]
    pub(super) transaction_id: String,
    /// What the card got.
    #[schema(value_type = f64, example = 10.00)]
    pub(super) amount: Money,
    /// The percentage of it.
    #[schema(value_type = f64, example = 0.30)]
    pub(super) service_fee: Money,
    /// Both, taken from the wallet.
    #[schema(value_type = f64, example = 10.30)]
    pub(super) total_deducted: Money,
    /// What is on the card after it.
    #[schema(value_type = f64, example = 110.00)]
    pub(super) balance: Money,
}

/// A page of a card's transactions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transactions {
    /// Newest first.
    pub(super) transactions: Vec<Transaction>,
    /// Give it as `cursor` for the next page; null at the end.
    #[schema(required)]
    pub(super) next_cursor: Option<String>,
}

/// A transaction.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct Transaction {
    /// Its id.
    #[schema(format = "uuid")]
    pub(super) transaction_id: String,
    /// `issue`, `top_up`, `unload`, `purchase`, `refund`, `fee` or `sweep`; `write_off` for a debt written off.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub(super) kind: &'static str,
    /// Above zero; see `direction`.
    #[schema(value_type = f64, example = 10.00)]
    pub(super) amount: Money,
    /// Of what.
    #[schema(example = "USD")]
    pub(super) currency: String,
    /// `credit` or `debit`, seen from the card.
    #[schema(value_type = String)]
    pub(super) direction: &'static str,
    /// `pending`, `completed`, `declined` or `failed`.
    #[schema(value_type = String)]
    pub(super) status: &'static str,
    /// Where; null for what is no purchase or refund.
    #[schema(required)]
    pub(super) merchant: Option<String>,
    /// In words; for a declined one its reason.
    pub(super) description: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Time,
}

/// A one-time code.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Code {
    /// The code; single use, and only the latest is good.
    #[schema(example = "123456")]
    pub(super) code: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires_at: Time,
}

/// What the digits of a number are shown as.
pub(super) fn masked(last4: u16) -> String {
    format!("**** **** **** {last4:04}")
}

/// An expiry month (`year × 12 + month − 1`) as `MM/YY`.
pub(super) fn expiry(expiry: u16) -> String {
    let (year, month) = expiry_parts(expiry);
    format!("{month:02}/{:02}", year % 100)
}

/// Whether last four and expiry may be seen. Until a card is activated they are its activation secret.
const fn visible(row: &CardRow) -> bool {
    row.activated && !matches!(row.status, Status::Requested | Status::NotActivated)
}

impl Card {
    /// A card as lists show it.
    pub(super) fn of(row: &CardRow, card_name: String, decimals: u8) -> Self {
        let seen = visible(row);
        Self {
            card_id: row.card.to_string(),
            card_name,
            card_number: row.last4.filter(|_| seen).map(masked),
            expiry_date: row.expiry.filter(|_| seen).map(expiry),
            cvv: Some("***".to_owned()),
            balance: Money::new(row.balance, decimals),
            status: shown(row.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_masked_to_its_last_four() {
        assert_eq!(masked(42), "**** **** **** 0042");
        assert_eq!(masked(9_999), "**** **** **** 9999");
    }

    #[test]
    fn an_expiry_is_month_and_two_digits_of_the_year() {
        assert_eq!(expiry(2029 * 12), "01/29");
        assert_eq!(expiry(2100 * 12 + 11), "12/00");
    }
}
