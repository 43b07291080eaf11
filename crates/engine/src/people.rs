//! People: registration, verification, and the capabilities that follow from it.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

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
