//! Commands: what may be asked of people and the partition: policy, registration, verification, appeals.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AppealId, CardId},
    money::{Country, Sealed, Text},
    people::Verification,
    policy::Policy,
    terms::EmailStatus,
};

/// See [`super::Command::AdoptPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptPolicy {
    /// Its version, above every earlier one.
    pub version: u32,
    /// From when it is in force, ms since 1970; not before an earlier policy's.
    pub effective_at_ms: u64,
    /// The policy.
    pub policy: Box<Policy>,
}

/// See [`super::Command::Checkpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Index of an earlier record.
    pub index: u64,
    /// Schema of the state that was hashed; see `snapshot.rs`.
    pub schema: u32,
    /// Hash of the state after it.
    pub state_hash: [u8; 32],
}

/// See [`super::Command::RegisterUser`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterUser {
    /// The tenant; not personal.
    pub company: Text,
    /// The user's country.
    pub country: Country,
}

/// See [`super::Command::SetVerification`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetVerification {
    /// Status and levels.
    pub verification: Verification,
}

/// See [`super::Command::OpenAppeal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAppeal {
    /// Which card.
    pub card: CardId,
    /// The id, minted from account and key.
    pub appeal: AppealId,
    /// What the user says.
    #[serde(default)]
    pub message: Sealed,
}

/// See [`super::Command::DecideAppeal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideAppeal {
    /// Which.
    pub appeal: AppealId,
    /// Whether it is granted.
    pub granted: bool,
    /// Why.
    #[serde(default)]
    pub reason: Sealed,
}

/// See [`super::Command::RecordAppealEmail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordAppealEmail {
    /// Which.
    pub appeal: AppealId,
    /// What became of it.
    pub status: EmailStatus,
}
