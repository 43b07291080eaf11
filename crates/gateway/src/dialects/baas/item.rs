//! A card as the document shows it: state, reason, visibility, allowed actions.

use florin_engine::{
    limits::Day,
    money::{Asset, Minor},
    policy::{CardKind, Policy},
    terms::{Status, expiry_parts},
};
use florin_issuer::Profile;
use florin_projector::CardRow;

use super::wire::{Action, Card, CardData, Limit};
use crate::http::{amount::Money, time::Time};

/// What can be asked of a card, in the order in which it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Activate,
    Block,
    Unblock,
    Close,
    SetLimit,
    GetDetails,
    GetCvv,
    GetPin,
}

impl Act {
    /// The document's name of it, and its path.
    const fn named(self) -> (&'static str, &'static str) {
        match self {
            Self::Activate => ("Activate", "/api/v1/cards/:cardId/activate"),
            Self::Block => ("Block", "/api/v1/cards/:cardId/block"),
            Self::Unblock => ("Unblock", "/api/v1/cards/:cardId/unblock"),
            Self::Close => ("Close", "/api/v1/cards/:cardId/close"),
            Self::SetLimit => ("SetLimit", "/api/v1/cards/:cardId/limit"),
            Self::GetDetails => ("GetDetails", "/api/v1/cards/:cardId/details"),
            Self::GetCvv => ("GetCvv", "/api/v1/cards/:cardId/cvv"),
            Self::GetPin => ("GetPin", "/api/v1/cards/:cardId/pin"),
        }
    }
}

/// How the document shows a state (lifecycle.md, How each API shows a state).
pub(super) const fn shown(status: Status) -> &'static str {
    match status {
        Status::Requested => "Requested",
        Status::NotActivated => "NotActivated",
        Status::Active => "Active",
        Status::Frozen | Status::Blocked => "Blocked",
        Status::PreCancel | Status::Cancelled | Status::Expired => "Closed",
    }
}

/// What can be asked of a card as it stands.
pub(super) fn allowed(row: &CardRow) -> &'static [Act] {
    use Act::{Activate, Block, Close, GetCvv, GetDetails, GetPin, SetLimit, Unblock};

    if row.pending.is_some() {
        return &[];
    }
    match (row.status, row.kind) {
        (Status::NotActivated, CardKind::Physical) => &[Activate],
        (Status::Active, CardKind::Virtual) => &[Block, Close, SetLimit, GetDetails, GetCvv],
        (Status::Active, CardKind::Physical) => &[Block, Close, SetLimit, GetDetails, GetCvv, GetPin],
        (Status::Frozen, _) => &[Unblock, Close, GetDetails],
        (Status::Blocked, _) if !row.fraud => &[Close],
        _ => &[],
    }
}

fn reason(row: &CardRow) -> &'static str {
    match row.status {
        Status::Frozen => "Blocked by user",
        Status::Blocked => "Blocked by issuer",
        Status::PreCancel => "Closing",
        Status::Expired => "Expired",
        // Never made.
        Status::Cancelled if row.last4.is_none() && row.refusal.is_some() => "Refused by issuer",
        Status::Requested | Status::NotActivated | Status::Active | Status::Cancelled => "",
    }
}

/// The status before. Closing and closed are shown alike, so of a closed card it is the one before it began to close.
fn previous(row: &CardRow) -> &'static str {
    let before = match row.previous_status {
        Some(Status::PreCancel) => row.before_closing,
        before => before,
    };
    before.map_or("", shown)
}

/// Whether last four and expiry still are what activates the card.
const fn secret(row: &CardRow) -> bool {
    match row.status {
        Status::Requested | Status::NotActivated => true,
        Status::Blocked | Status::Frozen => !row.activated,
        Status::Active | Status::PreCancel | Status::Cancelled | Status::Expired => false,
    }
}

/// A card's own wallet address: made of its account, which stands for company and user, and its id; the same for ever.
fn wallet_address(row: &CardRow) -> String {
    let mut address = String::with_capacity(42);
    address.push_str("0x");
    let mut ids = [0; 32];
    ids[..16].copy_from_slice(&row.account.0);
    ids[16..].copy_from_slice(&row.card.0);
    for byte in &blake3::derive_key("florin 2026 card wallet address", &ids)[..20] {
        for digit in [byte >> 4, byte & 0xF] {
            address.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    address
}

/// An expiry month (`year × 12 + month − 1`) as `MM/YYYY`.
pub(super) fn expiry(month: u16) -> String {
    let (year, month) = expiry_parts(month);
    format!("{month:02}/{year:04}")
}

/// Decimals of an asset by a policy; cents where it does not know it.
pub(super) fn decimals(policy: &Policy, asset: Asset) -> u8 {
    policy.asset(asset).map_or(2, |asset| asset.decimals)
}

impl Card {
    /// A card as it stands in the views, with what is used of its limits at `at_ms`.
    pub(super) fn of(row: &CardRow, profile: Profile, policy: &Policy, at_ms: u64) -> Self {
        let decimals = decimals(policy, row.currency);
        let money = |amount: Minor| Money::new(amount, decimals);
        let (secret, known) = (secret(row), row.last4.zip(row.expiry));
        let seen = known.filter(|_| !secret);
        Self {
            id: row.card.to_string(),
            card_wallet_address: wallet_address(row),
            status: shown(row.status),
            status_reason: reason(row),
            previous_status: previous(row),
            generation: policy.generation.clone(),
            provider: policy.provider.clone(),
            limit: Limit {
                daily_limit: row.limits.daily.map(money),
                daily_usage: money(row.usage.on(Day::of(at_ms)).daily),
                currency: row.currency.to_string(),
            },
            allowed_actions: allowed(row)
                .iter()
                .map(|act| {
                    let (kind, relative_path) = act.named();
                    Action { kind, relative_path }
                })
                .collect(),
            card_data: CardData {
                card_name: profile.card_name.unwrap_or_default(),
                name_on_card: profile.name_on_card.unwrap_or_default(),
                card_number_first_4: secret.then(|| policy.bin.chars().take(4).collect()),
                card_number_last_4: seen.map(|(last4, _)| format!("{last4:04}")),
                expiry_date: seen.map(|(_, month)| expiry(month)),
                payment_system: "Visa",
                format: kind(row.kind),
            },
            created_at: Time(row.created_ms),
            updated_at: Time(row.updated_ms),
        }
    }
}

/// How the document names a kind of card.
pub(super) const fn kind(kind: CardKind) -> &'static str {
    match kind {
        CardKind::Virtual => "Virtual",
        CardKind::Physical => "Plastic",
    }
}
