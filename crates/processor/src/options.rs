//! What can be set about a processor; defaults are for production.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use florin_engine::{event::Event, ids::AccountId, postings::Posting};
use florin_journal::PartitionId;

use crate::clock::{Clock, SystemClock};

/// How far recovery, or a snapshot, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which partition.
    pub partition: PartitionId,
    /// Index of the last record folded.
    pub index: u64,
    /// Index of the last record there is.
    pub last: u64,
    /// Entries folded so far.
    pub entries: u64,
}

/// Told about progress, every 256 records and at the end.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// The engine's expansion of an event to postings.
pub type Expand = fn(AccountId, &Event, &mut Vec<Posting>);

/// Settings of a processor.
#[derive(Clone)]
pub struct Options {
    /// Commands that the user lane of a partition holds before it answers *busy* (default 65,536). A client's batch is let in
    /// while there is any room, so a lane may hold one batch more.
    pub user_lane: usize,
    /// Commands that the network lane of a partition holds before it answers *busy* (default 4,096).
    pub network_lane: usize,
    /// Where snapshots lie, two per partition; `None`: none are made, and no checkpoints.
    pub snapshots: Option<PathBuf>,
    /// Durable entries of a partition between two snapshots (default 1,000,000).
    pub snapshot_entries: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Told how recovery comes along.
    pub progress: Option<OnProgress>,
    /// What must balance in every batch, else it is not written and the partition stops: the engine's postings. Another
    /// function is only of use to test that.
    pub expand: Expand,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_lane: 65_536,
            network_lane: 4_096,
            snapshots: None,
            snapshot_entries: 1_000_000,
            clock: Arc::new(SystemClock),
            progress: None,
            expand: florin_engine::postings::postings,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("user_lane", &self.user_lane)
            .field("network_lane", &self.network_lane)
            .field("snapshots", &self.snapshots)
            .field("snapshot_entries", &self.snapshot_entries)
            .finish_non_exhaustive()
    }
}
