//! The single writer of a partition: admits, batches, decides, appends, evolves, replies; recovers and makes snapshots.
//!
//! Shape: a [`Handle`] puts commands into a partition's two bounded lanes; one loop on its own thread
//! decides them against its state at once and speculatively, encodes them into the record under construction, and hands
//! records to the journal's writer; replies wait beside their record and are released, in order, when it is durable.
//!
//! Bounds: a lane holds a configured number of commands and then answers *busy*; two records are in flight beside the
//! one under construction; a record is cut at the journal's working size. Nothing else grows with load.
//!
//! Order: replies of a partition leave in the order of its entries, and never before every earlier record is durable.
//! A replayed command is answered after everything that was in flight when it came.
//!
//! Absent on purpose: timers (what arrived while the last record was being written is the next batch), decisions that
//! read anything but state and command, and a second way to change state: recovery folds the journal by the very
//! `evolve` that the loop uses.

pub mod clock;
pub mod cluster;
pub mod error;
pub mod fold;
mod gauges;
pub mod handle;
mod lanes;
pub mod options;
mod partition;
pub mod placement;
pub mod processor;
pub mod recovery;
pub mod remote;
mod reversal;
pub mod service;
mod shared;
pub mod snapshot;
mod snapshotter;
pub mod wire;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::Error;
pub use handle::{Handle, Reply, Status};
pub use options::{Options, Progress};
pub use processor::{Processor, Running};
pub use recovery::{Recovered, recover};
