//! The provider over NATS JetStream: a stream per partition, written by whoever claimed it last.
//!
//! Shape: [`rule`] is what a message means, [`pipeline`] what a writer does, both without I/O; `partition` reads the
//! tail and finds records, `writer` and `reader` talk to the servers, `settings` says what these must be, `restore`
//! fills an empty ledger with given records, `signature` tells writers' messages from others. `PROTOCOL.md` is the protocol with its interleavings.
//!
//! Streams `FLORIN_<name>_P<nnn>` on subjects `florin.<name>.journal.<nnn>`, signed heads in `FLORIN_<name>_HEADS` on
//! `florin.<name>.heads.<nnn>`.
//!
//! Bounds: a writer has [`IN_FLIGHT_MAX`](crate::IN_FLIGHT_MAX) records unacknowledged; a reader holds at most 16
//! messages and one pull ahead; 16 bytes are kept per 256 records that were read, and per place with void messages.

mod heads;
mod partition;
pub mod pipeline;
mod reader;
mod restore;
pub mod rule;
mod settings;
pub mod signature;
mod stream;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::context::ContextBuilder;
use ed25519_dalek::SigningKey;

use crate::genesis::genesis;
use crate::record::Loose;
use crate::{Error, Hash, Head, Ledger, LedgerId, PartitionId, Provider, Record, SignedHead};
use heads::Heads;
use partition::Partition;
pub use reader::NatsReader;
pub use restore::NatsRestore;
pub use settings::Settings;
use signature::WriterKeys;
use stream::{Stream, pause};
pub use writer::NatsWriter;

/// A ledger's journal on NATS. Clones share it.
#[derive(Clone)]
pub struct Nats {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    ledger: Ledger,
    partitions: Vec<Arc<Partition>>,
    heads: Heads,
    /// Absent if read-only.
    signing: Option<SigningKey>,
    notes: Vec<String>,
}

/// A ledger's names on a connection.
struct Place {
    client: Client,
    name: String,
    settings: Settings,
    notes: Vec<String>,
}

impl Nats {
    /// Makes the streams of a new ledger and writes genesis to each, partition 0 first. Refuses a name that has
    /// streams already.
    #[allow(clippy::needless_pass_by_value, reason = "keys are handed over")]
    pub async fn create(
        client: Client,
        name: &str,
        partitions: u16,
        signing: SigningKey,
        settings: Settings,
    ) -> Result<Self, Error> {
        if partitions == 0 {
            return Err(Error::NoPartitions);
        }
        let mut id = LedgerId([0; 16]);
        getrandom::fill(&mut id.0)?;
        let mut restore = NatsRestore::start(client, name, signing, settings).await?;
        let mut first = Hash::ZERO;
        for partition in (0..partitions).map(PartitionId) {
            let record = genesis(id, partition, partitions, first);
            let record = record.map_err(|reason| Error::corrupt(partition, 0, reason))?;
            if partition.0 == 0 {
                first = record.hash();
            }
            restore.record(record).await?;
        }
        restore.done().await
    }

    /// Opens a ledger, checks servers and streams, and compares each partition with the last head that was signed for
    /// it. Without a signing key it is read-only: [`claim`](Provider::claim) is refused.
    pub async fn open(
        client: Client,
        name: &str,
        signing: Option<SigningKey>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let place = Place::new(client, name, settings).await?;
        let heads = place.heads();
        let first = place.partition(PartitionId(0));
        let Some(info) = first.info().await? else { return Err(first.missing()) };
        settings::check_stream(&info.config, &place.config(&first))?;
        // Another one than the writers' would fit none of their signatures, which name the ledger.
        let genesis = first.get(1).await?.ok_or_else(|| first.missing())?;
        let corrupt = |reason| Error::corrupt(PartitionId(0), 0, reason);
        let genesis = Loose::decode(genesis.payload).map_err(corrupt)?;
        let ledger = Ledger::from_genesis(&genesis).map_err(corrupt)?;
        match heads.stream.info().await? {
            None => return Err(heads.stream.missing()),
            Some(info) => {
                let subject = format!("{}.*", heads.prefix);
                let wanted = settings::stream_config(&heads.stream.name, &subject, place.settings.replicas);
                settings::check_stream(&info.config, &wanted)?;
            }
        }
        let mut partitions = Vec::new();
        for id in ledger.partitions() {
            let stream = place.partition(id);
            let Some(info) = stream.info().await? else { return Err(stream.missing()) };
            settings::check_stream(&info.config, &place.config(&stream))?;
            let keys = WriterKeys::of(&info.config, id)?;
            if let Some(signing) = &signing {
                keys.admit(signing)?;
            }
            let signed = heads.last(&ledger, id, keys.list()).await?;
            partitions.push(Arc::new(Partition::open(id, &ledger, stream, keys, signed).await?));
        }
        let Place { client, notes, .. } = place;
        Ok(Self { shared: Arc::new(Shared { client, ledger, partitions, heads, signing, notes }) })
    }

    /// What an operator should know about these servers: risks accepted, settings that no client can see.
    pub fn notes(&self) -> &[String] {
        &self.shared.notes
    }

    /// The last head of a partition that one of its writers signed and published, for auditors.
    pub async fn signed_head(&self, partition: PartitionId) -> Result<Option<SignedHead>, Error> {
        let keys = self.partition(partition)?.keys();
        let last = self.shared.heads.last(&self.shared.ledger, partition, keys.list()).await?;
        Ok(last.map(|(head, _)| head))
    }

    fn partition(&self, partition: PartitionId) -> Result<&Arc<Partition>, Error> {
        self.shared.partitions.get(usize::from(partition.0)).ok_or(Error::UnknownPartition(partition))
    }
}

impl Shared {
    /// How often the client has connected.
    fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    async fn publish_head(&self, partition: PartitionId, head: Head, sequence: u64) -> Result<SignedHead, Error> {
        let key = self.signing.as_ref().ok_or(Error::ReadOnly)?;
        let signed = SignedHead::sign(self.ledger.id, partition, head, key);
        self.heads.publish(&signed, sequence).await?;
        Ok(signed)
    }
}

impl Place {
    async fn new(client: Client, name: &str, settings: Settings) -> Result<Self, Error> {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(letters) {
            return Err(Error::Name(name.to_owned()));
        }
        let until = Instant::now() + settings.patience;
        let info = loop {
            if let Some(info) = client.try_server_info() {
                break info;
            }
            pause(until).await.ok_or_else(|| Error::nats("connecting", "no server has answered yet"))?;
        };
        let notes = settings::check_server(&info, &settings)?;
        for note in &notes {
            tracing::warn!(ledger = name, "{note}");
        }
        Ok(Self { client, name: name.to_owned(), settings, notes })
    }

    fn stream(&self, name: String, subject: String) -> Stream {
        let context = ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .ack_timeout(self.settings.patience)
            .build(self.client.clone());
        Stream { context, name, subject, patience: self.settings.patience }
    }

    fn partition(&self, partition: PartitionId) -> Stream {
        let (name, number) = (&self.name, partition.0);
        self.stream(format!("FLORIN_{name}_P{number:03}"), format!("florin.{name}.journal.{number:03}"))
    }

    fn heads(&self) -> Heads {
        let name = &self.name;
        let prefix = format!("florin.{name}.heads");
        Heads { stream: self.stream(format!("FLORIN_{name}_HEADS"), format!("{prefix}.*")), prefix }
    }

    fn config(&self, stream: &Stream) -> async_nats::jetstream::stream::Config {
        settings::stream_config(&stream.name, &stream.subject, self.settings.replicas)
    }
}

impl Provider for Nats {
    type Writer = NatsWriter;
    type Reader = NatsReader;

    fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    async fn claim(&self, partition: PartitionId) -> Result<NatsWriter, Error> {
        NatsWriter::start(self.shared.clone(), self.partition(partition)?.clone()).await
    }

    async fn reader(&self, partition: PartitionId, from: u64) -> Result<NatsReader, Error> {
        NatsReader::start(self.shared.clone(), self.partition(partition)?.clone(), from).await
    }

    async fn read(&self, partition: PartitionId, index: u64) -> Result<Record, Error> {
        self.partition(partition)?.read(index).await
    }

    async fn head(&self, partition: PartitionId) -> Result<Head, Error> {
        self.partition(partition)?.head().await
    }

    async fn confirm(&self, partition: PartitionId, index: u64, hash: Hash) -> Result<(), Error> {
        let found = self.partition(partition)?.hash(index).await?;
        if found == hash { Ok(()) } else { Err(Error::Mismatch { partition, index }) }
    }
}
