//! The document's shape. Each field is described in `README.md`.
#![expect(clippy::struct_field_names, reason = "fields are named as they are written, with their units")]

use serde::{Deserialize, Serialize};

use super::digits::Digits;

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub(super) rules: u32,
    pub(super) assets: Vec<Asset>,
    pub(super) levels: Vec<Level>,
    pub(super) capabilities: Vec<Capability>,
    pub(super) programmes: Vec<Programme>,
    pub(super) fee_currency: String,
    pub(super) order_fees: Vec<OrderFee>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) spans: Spans,
    pub(super) bounds: Counts,
    pub(super) cards: Cards,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asset {
    pub(super) code: String,
    pub(super) decimals: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) address: String,
    pub(super) fiat: String,
    pub(super) rate: Digits,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    #[serde(rename = "type")]
    pub(super) code: String,
    pub(super) rank: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capability {
    pub(super) card: Card,
    pub(super) level: String,
    #[serde(default)]
    pub(super) countries: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prerequisite: Option<Card>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Card {
    Virtual,
    Physical,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Code {
    Dashboard,
    Baas,
    Mobile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Funding {
    Prepaid,
    Wallet,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Programme {
    pub(super) programme: Code,
    pub(super) funding: Funding,
    pub(super) currency: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) wallet_assets: Vec<String>,
    pub(super) needs_capability: bool,
    pub(super) needs_invoice: bool,
    pub(super) requests_approved: bool,
    pub(super) issue_fee: Digits,
    pub(super) issue_service_percent: Digits,
    pub(super) top_up_service_percent: Digits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) initial_balance: Option<Bounds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) top_up: Option<Bounds>,
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bounds {
    pub(super) min: Digits,
    pub(super) max: Digits,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) transaction: Option<Digits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) daily: Option<Digits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) monthly: Option<Digits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lifetime: Option<Digits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) no_pin: Option<Digits>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderFee {
    pub(super) card: Card,
    pub(super) country: String,
    pub(super) fee: Digits,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivery {
    pub(super) provider: String,
    pub(super) country: String,
    pub(super) fee: Digits,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spans {
    pub(super) change_seconds: Digits,
    pub(super) issuance_seconds: Digits,
    pub(super) hold_seconds: Digits,
    pub(super) invoice_seconds: Digits,
    pub(super) purchase_seconds: Digits,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    pub(super) cards_max: u16,
    pub(super) activation_tries_max: u8,
    pub(super) remembered_max: u32,
    pub(super) authorizations_max: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cards {
    pub(super) bin: String,
    pub(super) generation: String,
    pub(super) provider: String,
    pub(super) treasury_address: String,
}
