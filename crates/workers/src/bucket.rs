//! A bucket of keys and values on JetStream that several processes share: every write names the revision that it replaces.
//!
//! Shape: a key-value bucket `FLORIN_<name>_<what>`, which is the stream `KV_FLORIN_<name>_<what>` with the subjects
//! `$KV.FLORIN_<name>_<what>.>` and one message for each; any tool for buckets can look at it. What is removed leaves no marker:
//! its message is deleted by its sequence, so that nobody removes what another has written meanwhile.
//!
//! A process knows the revisions of what it read and wrote. A write over another one is [`Error::Changed`]: whoever gets that
//! forgets what it believed and reads again. What was stored although its answer was lost is known by its bytes.
//!
//! Works with servers from 2.9 on. Bounds: [`AT_ONCE`] requests of one load or write at a time, a value of [`VALUE_MAX`] bytes.
//!
//! What a process has to publish to: `$KV.FLORIN_<name>_<what>.>`, and of the API `$JS.API.STREAM.{INFO,MSG.GET,MSG.DELETE}` of
//! the stream, `STREAM.CREATE` for who makes it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use florin_journal::LedgerId;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::queue;
use crate::queue::jetstream::broker::{Broker, Put};

/// Requests of one load or write at a time.
pub(crate) const AT_ONCE: usize = 64;
/// Most bytes of a value.
const VALUE_MAX: usize = 64 * 1024;
/// Subjects that a server lists at once.
const PAGE: usize = 100_000;
/// How long servers that are away are asked again before a call fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest name of a ledger.
const NAME_MAX: usize = 32;

/// What goes wrong with a bucket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The servers did not answer for half a minute. What was asked may have been done or not.
    #[error(
        "the bucket {bucket} cannot be reached while {doing}: are the NATS servers up, with JetStream, and may this user use it?"
    )]
    Unreachable {
        /// Which bucket.
        bucket: String,
        /// What.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process has changed a key that was to be changed here: it is to be read again.
    #[error("another process has changed {key} of the bucket {bucket}")]
    Changed {
        /// Which bucket.
        bucket: String,
        /// Which key.
        key: String,
    },
    /// The servers refused.
    #[error("the NATS servers refuse {doing} in the bucket {bucket}: {reason}")]
    Refused {
        /// Which bucket.
        bucket: String,
        /// What.
        doing: &'static str,
        /// Why, in the server's words.
        reason: String,
    },
    /// A stream of this name is there and is not this ledger's.
    #[error("the stream KV_{bucket} is not this ledger's: its {reason}; look at it, and move it out of the way")]
    Foreign {
        /// Which bucket.
        bucket: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A ledger's name that cannot be part of a bucket's.
    #[error("the ledger's name {0:?} is not 1 to 32 of a-z, 0-9 and -")]
    Name(String),
}

impl Error {
    /// Whether beginning anew may help, with nothing to be done here.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Changed { .. })
    }
}

/// A bucket as one process knows it. Clones share what they know.
#[derive(Clone)]
pub(crate) struct Bucket {
    broker: Broker,
    name: Arc<str>,
    /// Revisions by key.
    known: Arc<Mutex<HashMap<String, u64>>>,
}

impl Bucket {
    /// Opens a ledger's bucket, or makes it.
    pub(crate) async fn open(
        client: Client,
        ledger: &str,
        what: &str,
        id: LedgerId,
        replicas: usize,
    ) -> Result<Self, Error> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if ledger.is_empty() || ledger.len() > NAME_MAX || !ledger.bytes().all(good) {
            return Err(Error::Name(ledger.to_owned()));
        }
        let name = format!("FLORIN_{ledger}_{what}");
        let bucket = Self { broker: Broker::new(client, PATIENCE), name: name.into(), known: Arc::default() };
        bucket.ensure(&format!("florin {} of ledger {id}", what.to_ascii_lowercase()), replicas).await?;
        Ok(bucket)
    }

    /// The same bucket for somebody who knows nothing of it yet.
    pub(crate) fn anew(&self) -> Self {
        Self { known: Arc::default(), ..self.clone() }
    }

    async fn ensure(&self, description: &str, replicas: usize) -> Result<(), Error> {
        let config = json!({
            "name": self.stream(), "description": description, "subjects": [self.subject(">")], "storage": "file",
            "retention": "limits", "discard": "new", "max_msgs_per_subject": 1, "max_msg_size": VALUE_MAX,
            "allow_rollup_hdrs": true, "allow_direct": true, "num_replicas": replicas.max(1),
        });
        let found = self.broker.stream("making it", &self.stream(), &config).await;
        let found = found.map_err(|error| self.failed(error))?;
        for field in ["description", "subjects", "max_msgs_per_subject"] {
            if found["config"][field] != config[field] {
                let reason = format!("{field} is {}, not {}", found["config"][field], config[field]);
                return Err(Error::Foreign { bucket: self.name.to_string(), reason });
            }
        }
        Ok(())
    }

    fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn info(&self, doing: &'static str, body: &Value) -> Result<Option<Value>, Error> {
        let info = self.broker.api(doing, &format!("STREAM.INFO.{}", self.stream()), body).await;
        info.map_err(|error| self.failed(error))
    }

    /// All keys that begin with `prefix`, which ends with a dot, with their values, by key; what was known of others goes.
    pub(crate) async fn load(&self, doing: &'static str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let (filter, start) = (self.subject(&format!("{prefix}>")), self.subject(""));
        let (mut keys, mut last) = (BTreeSet::new(), None);
        loop {
            let ask = json!({ "subjects_filter": filter, "offset": keys.len() });
            let info = self.info(doing, &ask).await?.ok_or_else(|| self.refused(doing, "it is gone"))?;
            last = last.or_else(|| info["state"]["last_seq"].as_u64());
            let page: Vec<String> = info["state"]["subjects"].as_object().map_or_else(Vec::new, |subjects| {
                subjects.keys().filter_map(|subject| Some(subject.strip_prefix(&start)?.to_owned())).collect()
            });
            let whole = page.len() < PAGE;
            keys.extend(page);
            if whole {
                break;
            }
        }
        // What is not listed, though it was there before the list was made, is gone.
        let last = last.unwrap_or(0);
        self.known().retain(|key, at| !key.starts_with(prefix) || *at > last || keys.contains(key));
        let rows = stream::iter(keys).map(|key| async move {
            let value = self.get(doing, &key).await?;
            Ok::<_, Error>(value.map(|value| (key, value)))
        });
        let rows: Vec<Option<(String, Vec<u8>)>> = rows.buffered(AT_ONCE).try_collect().await?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// One value; what is known of its key is its revision from now on.
    pub(crate) async fn get(&self, doing: &'static str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let stored = self.broker.last(doing, &self.stream(), &self.subject(key)).await;
        let Some(stored) = stored.map_err(|error| self.failed(error))? else { return Ok(None) };
        let mut known = self.known();
        let at = known.entry(key.to_owned()).or_insert(0);
        *at = stored.sequence.max(*at);
        Ok(Some(stored.body))
    }

    /// Writes over the revision that is known, or where there is none.
    pub(crate) async fn put(&self, doing: &'static str, key: &str, value: &[u8]) -> Result<(), Error> {
        let subject = self.subject(key);
        let expected = self.known().get(key).copied().unwrap_or(0);
        let put = self.broker.put(doing, &subject, value, Some(expected)).await.map_err(|error| self.failed(error))?;
        let sequence = match put {
            Put::Stored(sequence) => sequence,
            Put::Full | Put::Nowhere => return Err(self.refused(doing, "it is full or gone")),
            // Perhaps by this very write, whose answer was lost.
            Put::Conflict => {
                let stored = self.broker.last(doing, &self.stream(), &subject).await;
                match stored.map_err(|error| self.failed(error))? {
                    Some(stored) if stored.body == value && stored.sequence > expected => stored.sequence,
                    _ => {
                        self.known().remove(key);
                        return Err(Error::Changed { bucket: self.name.to_string(), key: key.to_owned() });
                    }
                }
            }
        };
        self.known().insert(key.to_owned(), sequence);
        Ok(())
    }

    /// Removes the revision that is known. What another has written since stays.
    pub(crate) async fn remove(&self, doing: &'static str, key: &str) -> Result<(), Error> {
        let Some(sequence) = self.known().get(key).copied() else { return Ok(()) };
        let deleted = self.broker.delete(doing, &self.stream(), sequence).await;
        deleted.map_err(|error| self.failed(error))?;
        self.known().remove(key);
        Ok(())
    }

    /// The newest revision known of keys that begin with `prefix`; 0: none is.
    pub(crate) fn newest(&self, prefix: &str) -> u64 {
        self.known().iter().filter(|(key, _)| key.starts_with(prefix)).map(|(_, at)| *at).max().unwrap_or(0)
    }

    /// Whether there is a key that begins with `prefix`, which ends with a dot, with a revision behind `after`.
    pub(crate) async fn changed(&self, doing: &'static str, prefix: &str, after: u64) -> Result<bool, Error> {
        let subjects = self.subject(&format!("{prefix}>"));
        let next = self.broker.next(doing, &self.stream(), &subjects, after + 1).await;
        Ok(next.map_err(|error| self.failed(error))?.is_some())
    }

    fn refused(&self, doing: &'static str, reason: &str) -> Error {
        Error::Refused { bucket: self.name.to_string(), doing, reason: reason.to_owned() }
    }

    /// What the requests fail with is told of this bucket.
    fn failed(&self, error: queue::Error) -> Error {
        match error {
            queue::Error::Unreachable { doing, source } => {
                Error::Unreachable { bucket: self.name.to_string(), doing, source }
            }
            queue::Error::Refused { doing, reason } => Error::Refused { bucket: self.name.to_string(), doing, reason },
            other => self.refused("a request", &other.to_string()),
        }
    }
}
