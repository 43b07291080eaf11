//! Events: what happens of people and the partition: policy, registration, verification, appeals.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AppealId, CardId},
    money::{Country, Sealed, Text},
    people::Verification,
    policy::Policy,
    terms::EmailStatus,
};

/// See [`super::Event::PolicyAdopted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAdopted {
    /// Its version.
    pub version: u32,
    /// From when it is in force, ms since 1970.
    pub effective_at_ms: u64,
    /// The policy.
    pub policy: Box<Policy>,
}

/// See [`super::Event::Checkpointed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpointed {
    /// Index of an earlier record.
    pub index: u64,
    /// Schema of the state that was hashed.
    pub schema: u32,
    /// Hash of the state after it.
    pub state_hash: [u8; 32],
}

/// See [`super::Event::UserRegistered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// The tenant.
    pub company: Text,
    /// The user's country.
    pub country: Country,
}

/// See [`super::Event::VerificationSet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationSet {
    /// Status and levels.
    pub verification: Verification,
}

/// See [`super::Event::AppealOpened`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppealOpened {
    /// The card.
    pub card: CardId,
    /// The appeal.
    pub appeal: AppealId,
    /// Its numeric id.
    pub number: u64,
    /// What the user says.
    pub message: Sealed,
}

/// See [`super::Event::AppealDecided`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppealDecided {
    /// The card.
    pub card: CardId,
    /// The appeal.
    pub appeal: AppealId,
    /// Whether it was granted.
    pub granted: bool,
    /// Why.
    pub reason: Sealed,
}

/// See [`super::Event::AppealEmailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppealEmailed {
    /// The appeal.
    pub appeal: AppealId,
    /// What became of it.
    pub status: EmailStatus,
}
