//! What a ledger asks of its servers and streams, checked when it is opened, each deviation with what to do.

use std::fmt::Write as _;
use std::time::Duration;

use async_nats::ServerInfo;
use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

use crate::{Error, RECORD_BYTES_MAX};

/// Oldest server that a ledger with money in it may use.
const SERVER_MIN: (u32, u32) = (2, 12);
/// Room for a message's header beside its record.
const HEADER_ROOM: usize = 512;

/// How a ledger on NATS is created and opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Copies of each stream: 3 in production, 1 in development.
    pub replicas: usize,
    /// Accept a server older than 2.12.
    pub allow_old_server: bool,
    /// How long one question to the servers is repeated before it is an error.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { replicas: 1, allow_old_server: false, patience: Duration::from_secs(10) }
    }
}

/// Checks the server that a client is connected to. Returns what an operator should know and no client can see.
pub(super) fn check_server(info: &ServerInfo, settings: &Settings) -> Result<Vec<String>, Error> {
    let version = version(&info.version);
    let mut notes = Vec::new();
    if version < SERVER_MIN {
        let risk = format!(
            "nats-server {} is older than 2.12: it acknowledges before it syncs to disk, so that a power failure (of \
             one server, or of all replicas together) can lose acknowledged money, and its expected-sequence checks \
             across replicas have known faults",
            info.version
        );
        if !settings.allow_old_server {
            return Err(Error::Unfit(format!(
                "{risk}: use 2.12 or later with `sync_interval: always`, or accept the risk with --allow-old-server"
            )));
        }
        notes.push(risk);
    } else {
        notes.push(
            "whether the servers sync before they acknowledge cannot be seen from here: see that each has \
             `sync_interval: always` in its jetstream block"
                .into(),
        );
    }
    let need = RECORD_BYTES_MAX + HEADER_ROOM;
    if info.max_payload < need {
        return Err(Error::Unfit(format!(
            "nats-server takes messages of at most {} bytes, a record may need {need}: set `max_payload: 1MB` \
             (its default) or more",
            info.max_payload
        )));
    }
    Ok(notes)
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What a ledger's stream must be.
pub(super) fn stream_config(name: &str, subject: &str, replicas: usize) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        num_replicas: replicas,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        deny_delete: true,
        deny_purge: true,
        allow_rollup: false,
        allow_direct: false,
        ..Config::default()
    }
}

/// Names every setting of a stream that could lose, change or hide a record.
pub(super) fn check_stream(found: &Config, wanted: &Config) -> Result<(), Error> {
    let mut wrong = String::new();
    let mut say = |fits: bool, what: &str| {
        if !fits {
            let _ = write!(wrong, "\n  - {what}");
        }
    };
    say(found.subjects == wanted.subjects, "subjects: must be exactly the one of this ledger");
    say(found.retention == wanted.retention, "retention: must be limits, others remove what was read");
    say(found.storage == wanted.storage, "storage: must be file, memory is lost with the process");
    say(found.discard == wanted.discard, "discard: must be new, old drops history to make room");
    let (is, must) = (found.num_replicas, wanted.num_replicas);
    say(is == must, &format!("num_replicas: is {is}, this configuration asks for {must}: change one of them"));
    say(found.max_age.is_zero(), "max_age: must be 0, else history expires");
    say(found.max_messages <= 0, "max_msgs: must be unlimited");
    say(found.max_bytes <= 0, "max_bytes: must be unlimited; give the account its own limit instead");
    say(found.max_messages_per_subject <= 0, "max_msgs_per_subject: must be unlimited");
    let room = i32::try_from(RECORD_BYTES_MAX + HEADER_ROOM).unwrap_or(i32::MAX);
    say(found.max_message_size <= 0 || found.max_message_size >= room, "max_msg_size: must admit records of 1 MiB");
    say(!found.no_ack, "no_ack: must be off, acknowledgements are what durability rests on");
    say(!found.sealed, "sealed: the stream takes no more records");
    say(found.deny_delete, "deny_delete: must be on, records are never deleted");
    say(found.deny_purge, "deny_purge: must be on, records are never deleted");
    say(!found.allow_rollup, "allow_rollup_hdrs: must be off, a rollup deletes history");
    say(!found.allow_direct, "allow_direct: must be off, a claim reads from the leader");
    say(!found.mirror_direct && found.mirror.is_none(), "mirror: a mirror is not a journal");
    say(found.sources.as_ref().is_none_or(Vec::is_empty), "sources: must be none, only writers write");
    say(found.republish.is_none(), "republish: must be none, records are not for everybody");
    say(found.subject_transform.is_none(), "subject_transform: must be none");
    say(found.first_sequence.is_none_or(|first| first <= 1), "first_seq: must be 1");
    say(matches!(found.compression, None | Some(Compression::None | Compression::S2)), "compression: unknown");
    say(!matches!(found.persist_mode, Some(PersistenceMode::Async)), "persist_mode: must not be async");
    say(!found.allow_message_ttl, "allow_msg_ttl: must be off, else a message can expire");
    say(!found.allow_atomic_publish, "allow_atomic: must be off, the protocol is not made for it");
    say(!found.allow_message_schedules, "allow_msg_schedules: must be off, messages come from writers only");
    say(!found.allow_message_counter, "allow_msg_counter: must be off");
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::Unfit(format!(
        "stream {} is not configured as a journal must be (see `nats stream info`, mend with `nats stream edit`):{wrong}",
        found.name
    )))
}
