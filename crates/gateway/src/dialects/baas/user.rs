//! `GET /api/v2/user`: who the user is to the rules: verification and capabilities.

use florin_engine::{
    people::{Capability as Standing, VerificationStatus, capability_of},
    policy::{CardKind, Policy},
};
use florin_projector::AccountRow;

use super::{
    Answer,
    call::{Call, read},
    wire::{Capability, Level, Requirement, User, Verification},
};

pub(super) async fn user(call: Call) -> Answer {
    let at = call.see().await?;
    let account = call.account_row()?;
    let policy = call.policy()?;
    let user = User {
        id: call.account().to_string(),
        owner: call.owner.clone(),
        verification: verification(&account),
        capabilities: [CardKind::Virtual, CardKind::Physical]
            .map(|kind| capability(&policy, &account, kind))
            .into_iter()
            .collect(),
    };
    Ok(read(at, &user))
}

fn verification(account: &AccountRow) -> Verification {
    let verification = account.verification.as_ref();
    let levels = verification.map_or(&[][..], |verification| &verification.levels);
    Verification {
        status: verification.map_or("NotStarted", |verification| word(verification.status)),
        levels: levels
            .iter()
            .map(|level| Level { status: word(level.status), kind: level.code.clone(), name: level.name.clone() })
            .collect(),
    }
}

const fn word(status: VerificationStatus) -> &'static str {
    match status {
        VerificationStatus::NotStarted => "NotStarted",
        VerificationStatus::Pending => "Pending",
        VerificationStatus::Approved => "Approved",
        VerificationStatus::Rejected => "Rejected",
    }
}

const fn name(kind: CardKind) -> &'static str {
    match kind {
        CardKind::Virtual => "VisaVirtualCard",
        CardKind::Physical => "VisaPlasticCard",
    }
}

fn capability(policy: &Policy, account: &AccountRow, kind: CardKind) -> Capability {
    let wanted = policy.capability(kind);
    let level = wanted.map(|wanted| wanted.level.clone());
    let standing = capability_of(policy, account.country, account.verification.as_ref(), kind);
    let (status, status_reason) = match standing {
        Standing::Active => ("Active", None),
        Standing::NeedsLevel(_) => {
            ("NotFulfilled", Some(format!("Verification level {} is required", level.as_deref().unwrap_or_default())))
        }
        Standing::NeedsCapability(first) => ("NotFulfilled", Some(format!("Capability {} is required", name(first)))),
        Standing::NotAvailable => ("NotAvailable", Some("Not available in the user's country".to_owned())),
    };
    Capability {
        kind: name(kind),
        verification_requirements: level.into_iter().map(|kind| Requirement { kind, order: 1 }).collect(),
        prerequisites: wanted.and_then(|wanted| wanted.prerequisite).map(|first| vec![name(first)]),
        status,
        status_reason,
    }
}
