//! The bodies of the document's two webhooks, made of a card's row as of an event.
//!
//! They are texts, not JSON values: amounts keep their two decimals, and what is signed is what is sent.

use florin_engine::limits::Day;
use florin_projector::{CardRow, Views};
use florin_vault::Vault;
use thiserror::Error;

use super::{
    item::decimals,
    wire::{Card, Limits},
};
use crate::{http::amount::Money, people};

/// Why a body cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// No policy was in force at that time, as far as the views know.
    #[error("no policy is known for that time")]
    NoPolicy,
    /// The card's names cannot be opened; the log says why.
    #[error("the card's names cannot be opened")]
    Profile,
    /// It cannot be written as JSON.
    #[error("the body cannot be written")]
    Unwritable,
}

/// Body of `/v2/webhooks/cards`: the card as the list shows it, with the policy in force at `at_ms` and what was used of its
/// limits then. The names of an erased user are empty.
pub fn card_body(views: &Views, vault: &Vault, row: &CardRow, at_ms: u64) -> Result<String, Error> {
    let (_, policy) = views.policy_at(at_ms).ok_or(Error::NoPolicy)?;
    let profile = people::profile(vault, row).map_err(|_| Error::Profile)?;
    serde_json::to_string(&Card::of(row, profile, &policy, at_ms)).map_err(|_| Error::Unwritable)
}

/// Body of `/v2/webhooks/card-limits`: the limits that bind and what was used of them at `at_ms`.
pub fn limits_body(views: &Views, row: &CardRow, at_ms: u64) -> Result<String, Error> {
    let (_, policy) = views.policy_at(at_ms).ok_or(Error::NoPolicy)?;
    let decimals = decimals(&policy, row.currency);
    let money = |amount| Money::new(amount, decimals);
    let usage = row.usage.on(Day::of(at_ms));
    let body = Limits {
        card_id: row.card.to_string(),
        transaction_limit: row.limits.transaction.map(money),
        daily_limit: row.limits.daily.map(money),
        daily_usage: money(usage.daily),
        monthly_limit: row.limits.monthly.map(money),
        monthly_usage: money(usage.monthly),
        lifetime_limit: row.limits.lifetime.map(money),
        lifetime_usage: money(usage.lifetime),
    };
    serde_json::to_string(&body).map_err(|_| Error::Unwritable)
}
