//! People: registration, verification, and the capabilities that follow from it.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    command::{Admitted, AdoptPolicy, RegisterUser, SetVerification, text_fits},
    decide::{Verdict, partition_only},
    event::{Event, PolicyAdopted, UserRegistered, VerificationSet},
    ids::AccountId,
    money::Country,
    policy::{CardKind, Policy},
    reject::{Field, Figure, Reason, Reject},
    state::{Account, State},
};

/// How far a verification, or one level of it, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerificationStatus {
    /// Not begun.
    NotStarted,
    /// Being looked at.
    Pending,
    /// Approved.
    Approved,
    /// Rejected.
    Rejected,
}

crate::codes! { VerificationStatus: 1 NotStarted, 2 Pending, 3 Approved, 4 Rejected }

/// One level of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationLevel {
    /// Its type, such as `SDD`; at most 64 bytes.
    pub code: String,
    /// How far it has come.
    pub status: VerificationStatus,
    /// What it is called; at most 64 bytes.
    pub name: String,
}

/// A user's verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Of the user as a whole.
    pub status: VerificationStatus,
    /// Level by level; at most 16.
    pub levels: Vec<VerificationLevel>,
}

/// Most levels a verification may have.
pub const LEVELS_MAX: usize = 16;

/// Whether a user may have a kind of card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Yes.
    Active,
    /// Not before a level of at least this rank is approved.
    NeedsLevel(u8),
    /// Not before the capability for that kind is active.
    NeedsCapability(CardKind),
    /// Not in the user's country, or not by this policy.
    NotAvailable,
}

/// The capability of an account for a kind of card: by country, then prerequisite, then level. An approved level of equal
/// or higher rank satisfies.
pub fn capability(policy: &Policy, account: &Account, kind: CardKind) -> Capability {
    let verification = account.rare.as_ref().and_then(|rare| rare.verification.as_ref());
    capability_of(policy, account.country, verification, kind)
}

/// As [`capability`], from the parts that a view has.
pub fn capability_of(
    policy: &Policy,
    country: Country,
    verification: Option<&Verification>,
    kind: CardKind,
) -> Capability {
    let Some(wanted) = policy.capability(kind) else {
        return Capability::NotAvailable;
    };
    if !wanted.countries.is_empty() && !wanted.countries.contains(&country) {
        return Capability::NotAvailable;
    }
    if let Some(first) = wanted.prerequisite
        && capability_of(policy, country, verification, first) != Capability::Active
    {
        return Capability::NeedsCapability(first);
    }
    let needed = policy.rank(&wanted.level).unwrap_or(u8::MAX);
    let levels = verification.map_or(&[][..], |verification| &verification.levels);
    let approved = levels.iter().filter(|level| level.status == VerificationStatus::Approved);
    let reached = approved.filter_map(|level| policy.rank(&level.code)).max().unwrap_or(0);
    if reached >= needed { Capability::Active } else { Capability::NeedsLevel(needed) }
}

pub(crate) fn register(state: &State, admitted: &Admitted, command: &RegisterUser, out: &mut Vec<Event>) -> Verdict {
    let account = admitted.envelope.account;
    if account.partition() != state.partition() || account == AccountId::of_partition(state.partition()) {
        return Err(Reason::UserUnknown.into());
    }
    if state.account(account).is_some() {
        return Err(Reason::UserExists.into());
    }
    if command.company.is_empty() || !text_fits(&command.company) {
        return Err(Reject::field(Field::Company));
    }
    out.push(UserRegistered { company: command.company.clone(), country: command.country }.into());
    Ok(())
}

pub(crate) fn set_verification(command: &SetVerification, out: &mut Vec<Event>) -> Verdict {
    let levels = &command.verification.levels;
    if levels.len() > LEVELS_MAX || levels.iter().any(|level| !text_fits(&level.code) || !text_fits(&level.name)) {
        return Err(Reject::field(Field::Levels));
    }
    out.push(VerificationSet { verification: command.verification.clone() }.into());
    Ok(())
}

/// Adopts a policy in this partition: versions and times go up, and it must be one that can be decided under.
pub(crate) fn adopt_policy(state: &State, admitted: &Admitted, command: &AdoptPolicy, out: &mut Vec<Event>) -> Verdict {
    partition_only(state, admitted.envelope.account)?;
    let last = state.policies.last();
    let version = last.map_or(0, |last| last.version);
    if command.version <= version {
        return Err(Reject::new(Reason::PolicyRefused).with(Figure::Version, i64::from(version)));
    }
    let effective_at_ms = command.effective_at_ms.max(admitted.time_ms);
    if last.is_some_and(|last| last.effective_at_ms > effective_at_ms) {
        return Err(Reject::field(Field::EffectiveAt));
    }
    let follows = last.is_none_or(|last| command.policy.follows(&last.policy).is_ok());
    if command.policy.check().is_err() || !follows {
        return Err(Reason::PolicyRefused.into());
    }
    out.push(PolicyAdopted { version: command.version, effective_at_ms, policy: command.policy.clone() }.into());
    Ok(())
}
