//! Between the engine's words and the issuer's.

use florin_engine::{agenda::Work, money::TEXT_BYTES_MAX};
use florin_engine::{
    command,
    event::CardRequested,
    limits,
    money::Minor,
    policy::CardKind,
    terms::{RefusalCode, Status, expiry_of},
};
use florin_issuer::{CardStatus, IssueRequest, Issued, Kind, Limits, Refusal};

/// The issuer's status for a state. Whatever is closing or over is terminated there.
pub(crate) const fn status(status: Status) -> CardStatus {
    match status {
        Status::Requested | Status::NotActivated => CardStatus::NotActivated,
        Status::Active => CardStatus::Active,
        Status::Frozen => CardStatus::Frozen,
        Status::Blocked => CardStatus::Blocked,
        Status::PreCancel | Status::Cancelled | Status::Expired => CardStatus::Terminated,
    }
}

/// The issuer's limits. The engine has no negative ones; they would count as 0.
pub(crate) fn limits(limits: &limits::Limits, no_pin: Option<Minor>) -> Limits {
    let minor = |amount: Option<Minor>| amount.map(|amount| u64::try_from(amount.0).unwrap_or(0));
    Limits {
        transaction: minor(limits.transaction),
        daily: minor(limits.daily),
        monthly: minor(limits.monthly),
        lifetime: minor(limits.lifetime),
        no_pin: minor(no_pin),
    }
}

/// The request that makes the card of an event.
pub(crate) fn issue(work: &Work, event: &CardRequested) -> IssueRequest {
    IssueRequest {
        request_id: work.request.uuid(),
        card_id: work.card.uuid(),
        account: work.account.0,
        kind: match event.kind {
            CardKind::Virtual => Kind::Virtual,
            CardKind::Physical => Kind::Physical,
        },
        currency: event.currency.to_string(),
        sealed_profile: (!event.profile.0.is_empty()).then(|| event.profile.0.clone()),
        limits: limits(&event.limits, event.no_pin),
    }
}

/// The engine's form of a card that was made; what is out of form if it has none.
pub(crate) fn issued(issued: &Issued) -> Result<command::Issued, &'static str> {
    let name = &issued.issuer_card_id;
    if name.len() > TEXT_BYTES_MAX || name.chars().any(char::is_control) {
        return Err("the issuer's card id is out of form");
    }
    if issued.first4 > 9999 || issued.last4 > 9999 {
        return Err("the issuer's digits are no four digits");
    }
    let expiry = expiry_of(issued.expiry.year, issued.expiry.month).filter(|expiry| *expiry != 0);
    Ok(command::Issued {
        issuer_card: name.clone(),
        first4: issued.first4,
        last4: issued.last4,
        expiry: expiry.ok_or("the issuer's expiry is no month")?,
    })
}

/// The engine's word for a refusal.
pub(crate) const fn refusal(refusal: Refusal) -> RefusalCode {
    match refusal {
        Refusal::Stale => RefusalCode::Stale,
        Refusal::UnknownCard => RefusalCode::CardUnknown,
        Refusal::Abandoned => RefusalCode::Abandoned,
        Refusal::Invalid | Refusal::Conflict => RefusalCode::Invalid,
        _ => RefusalCode::Declined,
    }
}

/// Bytes that say a status and limits, for ids derived from what is asserted.
pub(crate) fn content(status: Option<CardStatus>, limits: Option<&Limits>) -> Vec<u8> {
    let mut out = vec![match status {
        None => 0,
        Some(CardStatus::NotActivated) => 1,
        Some(CardStatus::Active) => 2,
        Some(CardStatus::Frozen) => 3,
        Some(CardStatus::Blocked) => 4,
        Some(CardStatus::Terminated) => 5,
    }];
    if let Some(limits) = limits {
        for limit in [limits.transaction, limits.daily, limits.monthly, limits.lifetime, limits.no_pin] {
            out.push(u8::from(limit.is_some()));
            out.extend_from_slice(&limit.unwrap_or(0).to_le_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_issuer::Expiry;

    fn made() -> Issued {
        Issued { issuer_card_id: "i-1".into(), first4: 4000, last4: 42, expiry: Expiry { year: 2029, month: 12 } }
    }

    #[test]
    fn every_state_has_its_status_at_the_issuer() {
        for (ours, theirs) in [
            (Status::NotActivated, CardStatus::NotActivated),
            (Status::Active, CardStatus::Active),
            (Status::Frozen, CardStatus::Frozen),
            (Status::Blocked, CardStatus::Blocked),
            (Status::PreCancel, CardStatus::Terminated),
            (Status::Cancelled, CardStatus::Terminated),
            (Status::Expired, CardStatus::Terminated),
        ] {
            assert_eq!(status(ours), theirs, "{ours:?}");
        }
    }

    #[test]
    fn a_limit_of_nothing_stays_apart_from_no_limit() {
        let ours = limits::Limits { daily: Some(Minor(0)), monthly: Some(Minor(5)), ..limits::Limits::default() };
        let theirs = limits(&ours, Some(Minor(7)));
        assert_eq!(
            (theirs.transaction, theirs.daily, theirs.monthly, theirs.no_pin),
            (None, Some(0), Some(5), Some(7))
        );
        let other = Limits { daily: None, ..theirs };
        assert_ne!(content(None, Some(&theirs)), content(None, Some(&other)));
    }

    #[test]
    fn a_card_out_of_form_is_not_taken() {
        assert_eq!(issued(&made()).unwrap().expiry, 2029 * 12 + 11);
        for broken in [
            Issued { issuer_card_id: "x".repeat(65), ..made() },
            Issued { issuer_card_id: "a\nb".into(), ..made() },
            Issued { first4: 10_000, ..made() },
            Issued { last4: 10_000, ..made() },
            Issued { expiry: Expiry { year: 2029, month: 13 }, ..made() },
            Issued { expiry: Expiry { year: 0, month: 0 }, ..made() },
        ] {
            assert!(issued(&broken).is_err(), "{broken:?}");
        }
    }
}
