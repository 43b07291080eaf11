//! Snapshots that processes share, so that a partition's next owner need not fold all its history.
//!
//! Each process makes its snapshots in a directory of its own; the newest of each partition is copied to the key-value
//! bucket `FLORIN_<ledger>_SNAPSHOTS`, and from there into the directory of whoever gains the partition. Keys:
//!
//! ```text
//! <partition>.head              "<slot> <index> <chunks>": the newest that is whole
//! <partition>.<slot>.<chunk>    its bytes, chunk by chunk; slots 0 and 1 in turn, so that the last whole one stays
//! ```
//!
//! Only a shortcut: what is damaged, half there or of another history is found by the snapshot's own hash, or by the
//! journal, and not used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::{self, kv, stream};
use florin_journal::{LedgerId, PartitionId};
use tokio::task::spawn_blocking;

use crate::snapshot;

/// Bytes of a chunk: well below what a message may have.
const CHUNK: usize = 512 * 1_024;

/// How long one request may take that nobody waits for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a partition that is to be run may wait for the bucket, and for each chunk: then its journal is folded, which
/// depends on nothing else.
const PROGRESS: Duration = Duration::from_secs(3);

/// Why a snapshot was not copied. Never fatal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the bucket of snapshots: {0}")]
    Bucket(String),
    #[error("the snapshot in the bucket is not whole: chunk {0} is missing")]
    Chunk(usize),
    #[error("it does not come within {PROGRESS:?}: {0}")]
    Slow(&'static str),
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    #[error("the work on a file broke down: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// The bucket.
#[derive(Clone)]
pub(crate) struct Shared(kv::Store);

/// What `<partition>.head` says.
struct Latest {
    slot: u8,
    index: u64,
    chunks: usize,
}

impl Latest {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(text).ok()?.split(' ');
        let latest = Self {
            slot: fields.next()?.parse().ok()?,
            index: fields.next()?.parse().ok()?,
            chunks: fields.next()?.parse().ok()?,
        };
        (latest.slot < 2 && fields.next().is_none()).then_some(latest)
    }
}

fn bucket(error: impl std::fmt::Display) -> Error {
    Error::Bucket(error.to_string())
}

fn context(client: &async_nats::Client) -> jetstream::Context {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(TIMEOUT);
    context
}

fn name(ledger: &str) -> String {
    format!("FLORIN_{ledger}_SNAPSHOTS")
}

async fn soon<T>(what: &'static str, coming: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(PROGRESS, coming).await.map_err(|_| Error::Slow(what))
}

impl Shared {
    /// Opens the bucket of a ledger, if it is there and answers soon.
    pub(crate) async fn find(client: &async_nats::Client, ledger: &str) -> Result<Self, Error> {
        let (context, name) = (context(client), name(ledger));
        let found = soon("the bucket", context.get_key_value(name)).await?;
        found.map(Self).map_err(bucket)
    }

    /// Opens the bucket of a ledger, or makes it.
    pub(crate) async fn open(client: &async_nats::Client, ledger: &str, replicas: usize) -> Result<Self, Error> {
        let (context, name) = (context(client), name(ledger));
        if let Ok(store) = context.get_key_value(&name).await {
            return Ok(Self(store));
        }
        let config = stream::Config {
            name: format!("KV_{name}"),
            subjects: vec![format!("$KV.{name}.>")],
            description: Some("florin: the newest snapshot of each partition".into()),
            max_messages_per_subject: 1,
            num_replicas: replicas.max(1),
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..stream::Config::default()
        };
        let made = context.create_stream(config).await;
        let store = context.get_key_value(&name).await;
        store.map(Self).map_err(|error| made.err().map_or_else(|| bucket(error), bucket))
    }

    async fn latest(&self, partition: PartitionId) -> Result<Option<Latest>, Error> {
        let head = self.0.get(format!("{}.head", partition.0)).await.map_err(bucket)?;
        Ok(head.and_then(|head| Latest::parse(&head)))
    }

    /// Copies the shared snapshot into the directory, if it is newer than those that are there; says its index then. Ends
    /// soon once nothing more comes.
    pub(crate) async fn fetch(
        &self,
        dir: &Path,
        ledger: LedgerId,
        partition: PartitionId,
    ) -> Result<Option<u64>, Error> {
        let Some(latest) = soon("its head", self.latest(partition)).await?? else { return Ok(None) };
        if newest(dir, partition)?.is_some_and(|(_, index)| index >= latest.index) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for chunk in 0..latest.chunks {
            let key = format!("{}.{}.{chunk}", partition.0, latest.slot);
            let told = soon("a chunk", self.0.get(key)).await?.map_err(bucket)?;
            bytes.extend_from_slice(&told.ok_or(Error::Chunk(chunk))?);
        }
        let dir = dir.to_owned();
        let placed = spawn_blocking(move || {
            let (header, _) = snapshot::decode(&bytes, ledger, partition)?;
            snapshot::place(&dir, partition, header.index, &bytes).map(|_| header.index)
        });
        Ok(Some(placed.await??))
    }

    /// Copies the directory's newest snapshot to the bucket, if it is newer than the one that is there; says its index
    /// then.
    pub(crate) async fn publish(&self, dir: &Path, partition: PartitionId) -> Result<Option<u64>, Error> {
        let Some((path, index)) = newest(dir, partition)? else { return Ok(None) };
        let latest = self.latest(partition).await?;
        if latest.as_ref().is_some_and(|latest| latest.index >= index) {
            return Ok(None);
        }
        let bytes = spawn_blocking(move || snapshot::bytes(&path)).await??;
        let slot = latest.map_or(0, |latest| 1 - latest.slot);
        let mut chunks = 0;
        for chunk in bytes.chunks(CHUNK) {
            let key = format!("{}.{slot}.{chunks}", partition.0);
            self.0.put(key, chunk.to_vec().into()).await.map_err(bucket)?;
            chunks += 1;
        }
        let head = format!("{slot} {index} {chunks}");
        self.0.put(format!("{}.head", partition.0), head.into()).await.map_err(bucket)?;
        Ok(Some(index))
    }
}

fn newest(dir: &Path, partition: PartitionId) -> Result<Option<(PathBuf, u64)>, Error> {
    let newest = snapshot::list(dir, partition)?.into_iter().next();
    Ok(newest.and_then(|path| snapshot::index_of(&path).map(|index| (path, index))))
}

#[cfg(test)]
mod tests {
    use florin_journal::testing::NatsServer;

    use super::*;

    #[test]
    fn a_head_is_as_documented() {
        let latest = Latest::parse(b"1 4711 3").unwrap();
        assert_eq!((latest.slot, latest.index, latest.chunks), (1, 4711, 3));
        for bad in ["", "2 1 1", "1 1", "0 1 1 1", "x 1 1"] {
            assert!(Latest::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_does_not_come_is_not_waited_for() {
        // Given a snapshot of which more is told than the server ever says,
        let mut server = NatsServer::start().await;
        let shared = Shared::open(&server.connect().await, "main", 1).await.unwrap();
        shared.0.put("0.head", "0 7 1000000".into()).await.unwrap();
        server.kill();
        // then who takes over is told so, and folds the journal.
        let there = tempfile::tempdir().unwrap();
        let fetched = shared.fetch(there.path(), LedgerId([1; 16]), PartitionId(0));
        let fetched = tokio::time::timeout(Duration::from_mins(1), fetched).await.unwrap();
        assert!(matches!(fetched, Err(Error::Slow(_))), "{fetched:?}");
    }

    #[tokio::test]
    async fn the_newest_goes_from_one_directory_to_another() {
        // Given a snapshot in one process's directory,
        let server = NatsServer::start().await;
        let client = server.connect().await;
        assert!(Shared::find(&client, "main").await.is_err(), "who looks for it does not make it");
        Shared::open(&client, "main", 1).await.unwrap();
        let shared = Shared::find(&client, "main").await.unwrap();
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ledger, partition) = (LedgerId([1; 16]), PartitionId(0));
        assert_eq!(shared.fetch(there.path(), ledger, partition).await.unwrap(), None);
        let save = |index| {
            let state = florin_engine::state::State::new(0, 1);
            let header = snapshot::Header {
                ledger,
                partition,
                index,
                record: florin_journal::Hash([2; 32]),
                rules: 0,
                state_hash: florin_engine::snapshot::hash(&state),
            };
            snapshot::save(here.path(), &header, &state).unwrap();
        };
        for index in [7, 8, 9] {
            save(index);
            // when it is published, once,
            assert_eq!(shared.publish(here.path(), partition).await.unwrap(), Some(index));
            assert_eq!(shared.publish(here.path(), partition).await.unwrap(), None);
            // then another process has it, and it reads.
            assert_eq!(shared.fetch(there.path(), ledger, partition).await.unwrap(), Some(index));
            assert_eq!(shared.fetch(there.path(), ledger, partition).await.unwrap(), None);
            let (path, _) = newest(there.path(), partition).unwrap().unwrap();
            assert_eq!(snapshot::load(&path, ledger, partition).unwrap().0.index, index);
        }
        // One of another ledger, or one that is damaged, is not taken.
        let empty = tempfile::tempdir().unwrap();
        assert!(shared.fetch(empty.path(), LedgerId([3; 16]), partition).await.is_err());
        let latest = shared.latest(partition).await.unwrap().unwrap();
        shared.0.put(format!("0.{}.0", latest.slot), "noise".into()).await.unwrap();
        assert!(shared.fetch(empty.path(), ledger, partition).await.is_err());
        assert!(newest(empty.path(), partition).unwrap().is_none());
    }
}
