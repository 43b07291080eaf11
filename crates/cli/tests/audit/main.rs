//! Audits: a clean ledger is clean, and whatever is done to it is named with partition, record and reason.
#![allow(clippy::unwrap_used, reason = "stories")]

mod anchors;
mod exports;
mod forge;
mod forgeries;
mod proofs;
mod reading;
mod tampering;
mod views;
mod world;
