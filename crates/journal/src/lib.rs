//! The ordered, durable, hash-chained log that everything else is derived from.
//!
//! A ledger has a fixed number of **partitions**; a partition is a sequence of **records** without gaps; a record
//! holds a batch of opaque **entries** behind a fixed header. The format is one page: `FORMAT.md`.
//!
//! Shape: [`header`] and [`record`] are the bytes, [`merkle`] and [`mmr`] the trees, [`chain`] what must hold between
//! records, [`proof`] what a third party can check, [`provider`] the writer and reader contracts, [`embedded`] the
//! provider over plain files, [`nats`] the one over JetStream streams, [`export`] and [`restore`] how a ledger moves.
//!
//! Bounds: a record is at most [`RECORD_BYTES_MAX`]; a writer has at most [`IN_FLIGHT_MAX`] records unacknowledged.
//!
//! Absent on purpose: a clock (time is given with each entry, a claim inherits it), knowledge of what an entry means,
//! and any way to change or remove a record.

pub mod batch;
pub mod chain;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod corruption;
pub mod embedded;
pub mod error;
pub mod export;
mod fate;
pub mod genesis;
pub mod hash;
pub mod head;
pub mod header;
pub mod ids;
mod lanes;
pub mod merkle;
pub mod mmr;
pub mod nats;
mod patience;
pub mod proof;
pub mod provider;
pub mod record;
pub mod restore;
#[cfg(feature = "nats-testing")]
pub mod testing;

pub use batch::{Batch, Full};
pub use chain::Chain;
pub use corruption::Corruption;
pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use error::Error;
pub use genesis::Ledger;
pub use hash::Hash;
pub use head::{Head, SignedHead};
pub use header::{HEADER_BYTES, Kind};
pub use ids::{LedgerId, PartitionId};
pub use patience::patiently;
pub use provider::{Provider, Reader, Writer};
pub use record::{Loose, Record, verify_record};
pub use restore::Restore;

/// Largest record, header included: 1 MiB less 8 KiB, so that one fits a message of a stock NATS server.
pub const RECORD_BYTES_MAX: usize = (1 << 20) - (8 << 10);

/// Size at which a writer should cut a batch under load: large enough that a sync is cheap per entry, small enough
/// that a record is written in well under a millisecond.
pub const RECORD_BYTES_WORKING: usize = 256 << 10;

/// Records a writer may have submitted and not yet durable.
pub const IN_FLIGHT_MAX: usize = 4;
