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

#[cfg(test)]
mod tests {
    use florin_engine::{
        ids::{AccountId, CardId, Position},
        limits::{Limits, Usage},
        money::{Sealed, Text},
        policy::{Funding, ProgrammeCode},
        terms::{Cause, RefusalCode},
    };

    use super::*;
    use crate::policy_document::demo_policy;

    /// 2026-11-21T12:00:00Z
    const NOON_MS: u64 = 1_795_262_400_000;

    fn row(status: Status, kind: CardKind) -> CardRow {
        let mut usage = Usage::default();
        usage.take(Day::of(NOON_MS), Minor(25_000));
        CardRow {
            card: CardId([7; 16]),
            account: AccountId([8; 16]),
            company: "demo".into(),
            number: 42,
            programme: ProgrammeCode::Baas,
            kind,
            funding: Funding::Wallet,
            currency: Asset::USD,
            status,
            previous_status: Some(Status::NotActivated),
            before_closing: None,
            cause: Cause::System,
            fraud: false,
            activated: true,
            tries: 0,
            pending: None,
            reconcile: None,
            balance: Minor::ZERO,
            held: Minor::ZERO,
            first4: Some(4000),
            last4: Some(333),
            expiry: Some(2027 * 12 + 11),
            issuer_card: Some("iss-1".into()),
            limits: Limits { daily: Some(Minor(1_000_000)), ..Limits::default() },
            no_pin: None,
            usage,
            profile: Sealed::NONE,
            provider: Text::new(),
            invoice: 1,
            created_ms: NOON_MS,
            updated_ms: NOON_MS + 1,
            refusal: None,
            position: Position::new(1, 0),
            requested: (Position::new(1, 0), 0),
        }
    }

    fn shown_as(row: &CardRow, at_ms: u64) -> Card {
        Card::of(row, Profile::default(), &demo_policy().unwrap(), at_ms)
    }

    #[test]
    fn an_item_has_the_documents_keys_in_the_documents_order() {
        let profile = Profile {
            card_name: Some("My Card".to_owned()),
            name_on_card: Some("Alex Grey".to_owned()),
            delivery_address: None,
        };
        let card = Card::of(&row(Status::Active, CardKind::Virtual), profile, &demo_policy().unwrap(), NOON_MS);
        assert_eq!(
            serde_json::to_string(&card).unwrap(),
            r#"{"id":"07070707-0707-0707-0707-070707070707","card_wallet_address":"0x89666ec07541eb738454a306de99424e3f96a219","status":"Active","status_reason":"","previous_status":"NotActivated","generation":"Gen2","provider":"Florin","limit":{"daily_limit":10000.00,"daily_usage":250.00,"currency":"USD"},"allowed_actions":[{"type":"Block","relative_path":"/api/v1/cards/:cardId/block"},{"type":"Close","relative_path":"/api/v1/cards/:cardId/close"},{"type":"SetLimit","relative_path":"/api/v1/cards/:cardId/limit"},{"type":"GetDetails","relative_path":"/api/v1/cards/:cardId/details"},{"type":"GetCvv","relative_path":"/api/v1/cards/:cardId/cvv"}],"card_data":{"card_name":"My Card","name_on_card":"Alex Grey","card_number_last_4":"0333","expiry_date":"12/2027","payment_system":"Visa","format":"Virtual"},"created_at":"2026-11-21T12:00:00.000Z","updated_at":"2026-11-21T12:00:00.001Z"}"#
        );
    }

    #[test]
    fn usage_is_of_the_day_that_is_asked_about() {
        let row = row(Status::Active, CardKind::Virtual);
        let usage = |at_ms| shown_as(&row, at_ms).limit.daily_usage.to_string();
        assert_eq!((usage(NOON_MS), usage(NOON_MS + 86_400_000)), ("250.00".to_owned(), "0.00".to_owned()));
    }

    #[test]
    fn every_state_shows_what_its_row_of_the_table_says() {
        use Act::{Activate, Block, Close, GetCvv, GetDetails, GetPin, SetLimit, Unblock};

        // State, ever activated, fraud: status, reason, actions of a plastic card, whether last four and expiry are shown.
        for (status, activated, fraud, expected) in [
            (Status::Requested, false, false, ("Requested", "", &[][..], false)),
            (Status::NotActivated, false, false, ("NotActivated", "", &[Activate], false)),
            (Status::Active, true, false, ("Active", "", &[Block, Close, SetLimit, GetDetails, GetCvv, GetPin], true)),
            (Status::Frozen, true, false, ("Blocked", "Blocked by user", &[Unblock, Close, GetDetails], true)),
            (Status::Blocked, true, false, ("Blocked", "Blocked by issuer", &[Close], true)),
            (Status::Blocked, false, false, ("Blocked", "Blocked by issuer", &[Close], false)),
            (Status::Blocked, true, true, ("Blocked", "Blocked by issuer", &[], true)),
            (Status::PreCancel, true, false, ("Closed", "Closing", &[], true)),
            (Status::Cancelled, true, false, ("Closed", "", &[], true)),
            (Status::Expired, true, false, ("Closed", "Expired", &[], true)),
        ] {
            let mut row = row(status, CardKind::Physical);
            (row.activated, row.fraud) = (activated, fraud);
            let card = shown_as(&row, NOON_MS);
            let data = &card.card_data;
            assert_eq!(
                (card.status, card.status_reason, allowed(&row)),
                (expected.0, expected.1, expected.2),
                "{status:?}"
            );
            assert_eq!((data.card_number_last_4.is_some(), data.expiry_date.is_some()), (expected.3, expected.3));
            assert_eq!(data.card_number_first_4.as_deref(), (!expected.3).then_some("4000"), "{status:?}");
        }
    }

    #[test]
    fn a_card_that_was_never_made_says_so_and_shows_no_digits() {
        let mut row = row(Status::Cancelled, CardKind::Virtual);
        (row.last4, row.expiry, row.activated) = (None, None, false);
        (row.refusal, row.previous_status) = (Some(RefusalCode::Declined), Some(Status::Requested));
        let card = shown_as(&row, NOON_MS);
        assert_eq!(
            (card.status, card.status_reason, card.previous_status),
            ("Closed", "Refused by issuer", "Requested")
        );
        assert_eq!((card.card_data.card_number_first_4, card.card_data.card_number_last_4), (None, None));
    }

    #[test]
    fn a_closed_card_was_before_what_it_was_before_it_began_to_close() {
        let mut row = row(Status::Cancelled, CardKind::Virtual);
        (row.previous_status, row.before_closing) = (Some(Status::PreCancel), Some(Status::Frozen));
        assert_eq!(shown_as(&row, NOON_MS).previous_status, "Blocked");
        row.previous_status = None;
        assert_eq!(shown_as(&row, NOON_MS).previous_status, "");
    }
}
