//! Fuzz targets of what is read: entries, records, exports, proofs, snapshots, messages between processes, policies. How long
//! they run and where kept inputs are: `florin_proptests::fuzz`.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test's own modules; one that cannot go on fails")]

mod bounds;
mod entries;
mod exports;
mod policies;
mod proofs;
mod records;
mod samples;
mod snapshots;
mod wire;

/// Where kept inputs are.
const INPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/inputs");
