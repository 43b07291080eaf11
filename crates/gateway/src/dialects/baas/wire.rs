//! The wire types of this API: what is answered. What is asked is in `asked.rs`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{amount::Money, time::Time};

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    /// Our id of the user.
    #[schema(format = "uuid")]
    pub(super) id: String,
    /// The address that the user's wallet belongs to, in lower case.
    #[schema(example = "0x1234567890abcdef1234567890abcdef12345678")]
    pub(super) owner: String,
    /// How far the user's verification has come.
    pub(super) verification: Verification,
    /// What the user may have.
    pub(super) capabilities: Vec<Capability>,
}

/// A user's verification.
#[derive(Serialize, ToSchema)]
pub(super) struct Verification {
    /// `NotStarted`, `Pending`, `Approved` or `Rejected`.
    #[schema(value_type = String, example = "Approved")]
    pub(super) status: &'static str,
    /// Level by level.
    pub(super) levels: Vec<Level>,
}

/// One level of a verification.
#[derive(Serialize, ToSchema)]
pub(super) struct Level {
    /// As of the whole.
    #[schema(value_type = String, example = "Approved")]
    pub(super) status: &'static str,
    /// Its type.
    #[serde(rename = "type")]
    #[schema(example = "SDD")]
    pub(super) kind: String,
    /// What it is called.
    #[schema(example = "Wirex SDD Level")]
    pub(super) name: String,
}

/// Whether a user may have a type of card.
#[derive(Serialize, ToSchema)]
pub(super) struct Capability {
    /// `VisaVirtualCard` or `VisaPlasticCard`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "VisaVirtualCard")]
    pub(super) kind: &'static str,
    /// The levels needed; an approved one of the same or a higher rank will do.
    pub(super) verification_requirements: Vec<Requirement>,
    /// The capabilities that must be active first; null: none.
    #[schema(required, value_type = Option<Vec<String>>)]
    pub(super) prerequisites: Option<Vec<&'static str>>,
    /// `Active`, `NotFulfilled` or `NotAvailable`.
    #[schema(value_type = String, example = "Active")]
    pub(super) status: &'static str,
    /// Why it is not Active; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Verification level SDD is required")]
    pub(super) status_reason: Option<String>,
}

/// A level that is needed.
#[derive(Serialize, ToSchema)]
pub(super) struct Requirement {
    /// Its type.
    #[serde(rename = "type")]
    #[schema(example = "SDD")]
    pub(super) kind: String,
    /// When it is to be had, from 1.
    pub(super) order: u32,
}

/// An order fee.
#[derive(Serialize, ToSchema)]
pub(super) struct Fees {
    /// The fiat of the fee.
    #[schema(example = "USD")]
    pub(super) currency: String,
    /// The fee.
    #[schema(value_type = f64, example = 9.99)]
    pub(super) order_fee: Money,
    /// What it comes to in each token.
    pub(super) estimated_payment_amounts: Vec<Payment>,
}

/// A fee in a token: fee ÷ rate, rounded half-up to two decimals.
#[derive(Serialize, ToSchema)]
pub(super) struct Payment {
    /// How much of the token.
    #[schema(value_type = f64, example = 10.05)]
    pub(super) amount: Money,
    /// The same in the token's base units.
    #[schema(example = "10050000")]
    pub(super) precise_amount: String,
    /// The token's contract.
    #[schema(example = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")]
    pub(super) token_address: String,
    /// Its symbol.
    #[schema(example = "USDC")]
    pub(super) token_symbol: String,
    /// Fiat for one token, with four decimals.
    #[schema(value_type = f64, example = 0.9940)]
    pub(super) rate: Money,
}

/// A way of delivering plastic cards.
#[derive(Serialize, ToSchema)]
pub(super) struct Method {
    /// Its fee.
    #[schema(value_type = f64, example = 15.00)]
    pub(super) fee: Money,
    /// The fiat of the fee.
    #[schema(example = "USD")]
    pub(super) currency: String,
    /// The courier.
    #[schema(example = "DHL")]
    pub(super) provider: String,
    /// What it comes to in each token.
    pub(super) estimated_payment_amounts: Vec<Payment>,
}

/// An invoice of order and delivery fees.
#[derive(Serialize, ToSchema)]
pub(super) struct Invoice {
    /// Its number, above zero: `delivery_id` of the issue that it pays for.
    #[schema(example = 12345)]
    pub(super) delivery_id: u64,
    /// Who is paid.
    pub(super) recipient_address: String,
    /// What is taken at issue.
    pub(super) payment_amount: Payment,
}

/// A card that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Issued {
    /// Its id.
    #[schema(format = "uuid")]
    pub(super) id: String,
}

/// The cards of a user.
#[derive(Serialize, ToSchema)]
pub(super) struct Cards {
    /// Newest first.
    pub(super) data: Vec<Card>,
}

/// A card.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct Card {
    /// Its id.
    #[schema(format = "uuid")]
    pub(super) id: String,
    /// An address of its own.
    #[schema(example = "0xaaff0821a09a1aac28b72dd3ff410a7ea5feb874")]
    pub(super) card_wallet_address: String,
    /// `Requested`, `NotActivated`, `Active`, `Blocked` or `Closed`.
    #[schema(value_type = String, example = "Active")]
    pub(super) status: &'static str,
    /// Empty, `Blocked by user`, `Blocked by issuer`, `Closing`, `Expired` or `Refused by issuer`.
    #[schema(value_type = String)]
    pub(super) status_reason: &'static str,
    /// The status before; empty at first.
    #[schema(value_type = String, example = "NotActivated")]
    pub(super) previous_status: &'static str,
    /// By policy.
    #[schema(example = "Gen2")]
    pub(super) generation: String,
    /// By policy.
    pub(super) provider: String,
    /// The limit per UTC day.
    pub(super) limit: Limit,
    /// What can be asked of it now.
    pub(super) allowed_actions: Vec<Action>,
    /// Names and digits.
    pub(super) card_data: CardData,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Time,
    /// When it last changed, usage included.
    #[schema(value_type = String, format = DateTime)]
    pub(super) updated_at: Time,
}

/// The limit per UTC day.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct Limit {
    /// How much; null: no limit.
    #[schema(required, value_type = Option<f64>, example = 10000.00)]
    pub(super) daily_limit: Option<Money>,
    /// How much of it is used.
    #[schema(value_type = f64, example = 250.00)]
    pub(super) daily_usage: Money,
    /// Of what.
    #[schema(example = "USD")]
    pub(super) currency: String,
}

/// Something that can be asked of a card.
#[derive(Serialize, ToSchema)]
pub(super) struct Action {
    /// `Activate`, `Block`, `Unblock`, `Close`, `SetLimit`, `GetDetails`, `GetCvv` or `GetPin`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "Block")]
    pub(super) kind: &'static str,
    /// Its path, with `:cardId` where the id goes.
    #[schema(value_type = String, example = "/api/v1/cards/:cardId/block")]
    pub(super) relative_path: &'static str,
}

/// Names and digits of a card. What is not visible is absent.
#[derive(Serialize, ToSchema)]
pub(super) struct CardData {
    /// The name it was given; empty: none.
    #[schema(example = "My Card")]
    pub(super) card_name: String,
    /// The name printed on it; empty: none.
    #[schema(example = "Alex Grey")]
    pub(super) name_on_card: String,
    /// Until it is activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4000")]
    pub(super) card_number_first_4: Option<String>,
    /// Once it is activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0333")]
    pub(super) card_number_last_4: Option<String>,
    /// `MM/YYYY`, once it is activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "12/2027")]
    pub(super) expiry_date: Option<String>,
    /// `Visa`.
    #[schema(value_type = String)]
    pub(super) payment_system: &'static str,
    /// `Virtual` or `Plastic`.
    #[schema(value_type = String, example = "Virtual")]
    pub(super) format: &'static str,
}

/// Number, expiry and name of a card.
#[derive(Serialize, ToSchema)]
pub(super) struct Details {
    /// 16 digits.
    pub(super) card_number: String,
    /// `MM/YYYY`.
    #[schema(example = "12/2027")]
    pub(super) expiry_date: String,
    /// The name printed on it; empty: none.
    pub(super) name_on_card: String,
}

/// The three digits on the back.
#[derive(Serialize, ToSchema)]
pub(super) struct Cvv {
    /// Three digits.
    pub(super) cvv: String,
}

/// The PIN of a plastic card.
#[derive(Serialize, ToSchema)]
pub(super) struct Pin {
    /// Four digits.
    pub(super) pin: String,
}

/// The limits of a card and how much of them is used; body of the webhook `card-limits`.
#[derive(Serialize, ToSchema)]
pub(super) struct Limits {
    /// The card.
    #[schema(format = "uuid")]
    pub(super) card_id: String,
    /// Per transaction; null: no limit.
    #[schema(required, value_type = Option<f64>)]
    pub(super) transaction_limit: Option<Money>,
    /// Per UTC day; null: no limit.
    #[schema(required, value_type = Option<f64>)]
    pub(super) daily_limit: Option<Money>,
    /// Used on this day.
    #[schema(value_type = f64)]
    pub(super) daily_usage: Money,
    /// Per UTC month; null: no limit.
    #[schema(required, value_type = Option<f64>)]
    pub(super) monthly_limit: Option<Money>,
    /// Used in this month.
    #[schema(value_type = f64)]
    pub(super) monthly_usage: Money,
    /// In all; null: no limit.
    #[schema(required, value_type = Option<f64>)]
    pub(super) lifetime_limit: Option<Money>,
    /// Used in all.
    #[schema(value_type = f64)]
    pub(super) lifetime_usage: Money,
}
