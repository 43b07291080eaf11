//! What is asked, for the OpenAPI document: the handlers read it field by field.

#![expect(dead_code, reason = "only described")]

use utoipa::ToSchema;

/// Asks for an invoice.
#[derive(ToSchema)]
pub(super) struct InvoiceRequest {
    /// The token to pay with, as the estimates name it.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$", example = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")]
    token_address: String,
    /// The courier; required for Plastic, of no meaning for Virtual.
    #[schema(min_length = 1, max_length = 64, example = "DHL")]
    delivery_provider: Option<String>,
}

/// Asks for a virtual card.
#[derive(ToSchema)]
pub(super) struct VirtualRequest {
    /// The invoice that pays, where fees are enforced.
    #[schema(minimum = 1, example = 12345)]
    delivery_id: Option<u64>,
    /// What it is called.
    #[schema(pattern = r"^[a-zA-Z0-9\-':+# @]{1,50}$", example = "My Shopping Card")]
    card_name: Option<String>,
    /// What is printed on it.
    #[schema(pattern = "^[A-Za-z][A-Za-z .'-]{1,25}$", example = "Alex Grey")]
    name_on_card: Option<String>,
}

/// Asks for a plastic card.
#[derive(ToSchema)]
pub(super) struct PlasticRequest {
    /// The invoice that pays, where fees are enforced.
    #[schema(minimum = 1, example = 12345)]
    delivery_id: Option<u64>,
    /// The courier; absent: that of the invoice.
    #[schema(min_length = 1, max_length = 64, example = "DHL")]
    delivery_provider: Option<String>,
    /// What it is called.
    #[schema(pattern = r"^[a-zA-Z0-9\-':+# @]{1,50}$", example = "My Travel Card")]
    card_name: Option<String>,
    /// What is printed on it.
    #[schema(pattern = "^[A-Za-z][A-Za-z .'-]{1,25}$", example = "Alex Grey")]
    name_on_card: Option<String>,
    /// Where it goes.
    delivery_address: DeliveryAddress,
}

/// Where a plastic card goes.
#[derive(ToSchema)]
pub(super) struct DeliveryAddress {
    /// Street and number.
    #[schema(pattern = r"^[A-Za-z0-9&.,''\-/() :+#]{2,100}$", example = "10 Downing Street")]
    line1: String,
    /// Apartment, suite; empty: none.
    #[schema(pattern = r"^([A-Za-z0-9&.,''\-/() :+#]{2,100})?$", example = "Flat 2")]
    line2: Option<String>,
    /// City.
    #[schema(pattern = r"^[A-Za-z\s\-'.]{2,100}$", example = "London")]
    city: String,
    /// State or province; empty: none.
    #[schema(pattern = r"^([A-Za-z][A-Za-z\s\-']{1,99})?$", example = "")]
    state: Option<String>,
    /// Postal code.
    #[schema(pattern = r"^[A-Za-z0-9\s\-]{3,12}$", example = "SW1A 2AA")]
    zip_code: String,
    /// ISO 3166-1 alpha-2 code.
    #[schema(pattern = "^[A-Z]{2}$", example = "GB")]
    country: String,
}

/// Activates a card.
#[derive(ToSchema)]
pub(super) struct ActivateRequest {
    /// As printed.
    #[schema(pattern = r"^\d{4}$", example = "1234")]
    card_number_last4: String,
    /// As printed: `MM/YYYY`.
    #[schema(pattern = r"^(0[1-9]|1[0-2])/\d{4}$", example = "12/2027")]
    expiry_date: String,
}

/// Sets limits: a number sets one, null clears it, an absent one stays. A limit of 0 lets nothing through.
#[derive(ToSchema)]
#[expect(clippy::struct_field_names, reason = "the document's names")]
pub(super) struct LimitRequest {
    /// Per transaction.
    #[schema(value_type = Option<f64>, minimum = 0, example = 500.00)]
    transaction_limit: Option<String>,
    /// Per UTC day.
    #[schema(value_type = Option<f64>, minimum = 0, example = 1000.00)]
    daily_limit: Option<String>,
    /// Per UTC month.
    #[schema(value_type = Option<f64>, minimum = 0, example = 5000.00)]
    monthly_limit: Option<String>,
    /// In all.
    #[schema(value_type = Option<f64>, minimum = 0, example = 100_000.00)]
    lifetime_limit: Option<String>,
}
