//! What the loop commands by itself: checkpoints.

use florin_engine::{
    command::{Checkpoint, Class, Envelope},
    ids::{AccountId, Digest, Key},
    snapshot::SCHEMA,
};
use florin_journal::PartitionId;

use crate::snapshotter::Finished;

/// The command that names a snapshot's record and state hash, for every audit to check.
pub(super) fn checkpoint(partition: PartitionId, finished: &Finished) -> Envelope {
    let account = AccountId::of_partition(partition.0);
    let mut digest = Digest::default();
    digest.0.copy_from_slice(&finished.state_hash[..16]);
    Envelope {
        account,
        class: Class::System,
        actor: 0,
        key: Key::of(account, format!("checkpoint {}", finished.index).as_bytes()),
        digest,
        dated_ms: 0,
        command: Checkpoint { index: finished.index, schema: SCHEMA, state_hash: finished.state_hash }.into(),
    }
}
