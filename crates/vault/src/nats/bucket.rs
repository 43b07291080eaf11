//! The bucket: its keys, and the few things done with them.

use std::fmt::Write;
use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{self, context::PublishErrorKind, message::PublishMessage};
use tokio::task::JoinSet;

use super::Connection;
use crate::keys::Key;
use crate::{Account, Error};

/// The pause before something is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one request may take.
const TRY: Duration = Duration::from_secs(2);
/// The longest name of a ledger.
const NAME_MAX: usize = 32;

/// A key's value.
pub(super) struct Value {
    pub(super) sequence: u64,
    pub(super) body: Vec<u8>,
}

#[derive(Clone)]
pub(super) struct Bucket {
    context: jetstream::Context,
    stream: Stream,
    prefix: String,
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Asks until there is an answer; the caller's time-out is the bound.
async fn persist<T, F: Future<Output = Result<T, Source>>>(ask: impl Fn() -> F) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => tracing::debug!(error = &*error as &dyn std::error::Error, "the vault asks again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Bucket {
    /// Connects, and finds or makes the bucket; with the last sequence it has.
    pub(super) async fn open(connection: Connection, name: &str, make: bool) -> Result<(Self, u64), Error> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let bucket = format!("FLORIN_{name}_VAULT");
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(good) {
            return Err(Error::Bucket { bucket, reason: "a ledger's name is 1 to 32 of a-z, 0-9 and -".into() });
        }
        let Connection { servers, options, replicas } = connection;
        let servers: Vec<&str> = servers.split(',').collect();
        let client = options.connect(servers).await.map_err(|error| Error::Unreachable(error.into()))?;
        let mut context = jetstream::new(client);
        context.set_timeout(TRY);
        let (stream_name, prefix) = (format!("KV_{bucket}"), format!("$KV.{bucket}."));
        let config = Config {
            name: stream_name.clone(),
            description: Some("florin vault".into()),
            subjects: vec![format!("{prefix}>")],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: replicas,
            max_messages_per_subject: 1,
            // Either would let one message of anybody who may register people take all of them away.
            allow_rollup: false,
            deny_purge: true,
            ..Config::default()
        };
        let refused = |reason: String| Error::Bucket { bucket: bucket.clone(), reason };
        let found = find(&context, &stream_name).await;
        let stream = match found {
            Some(stream) => stream,
            None if !make => return Err(Error::Missing(bucket)),
            None => match context.create_stream(config).await {
                Ok(stream) => stream,
                Err(error) => find(&context, &stream_name).await.ok_or_else(|| refused(error.to_string()))?,
            },
        };
        let is = &stream.cached_info().config;
        if is.max_messages_per_subject != 1 || is.deny_delete || is.storage != StorageType::File {
            return Err(refused("it must have history 1, file storage, and messages that can be deleted".into()));
        }
        if is.retention != RetentionPolicy::Limits || !is.max_age.is_zero() || is.max_messages > 0 || is.max_bytes > 0 {
            return Err(refused("it must have no limit of age or size, as that would lose people".into()));
        }
        let last = stream.cached_info().state.last_sequence;
        Ok((Self { context, stream, prefix }, last))
    }

    pub(super) fn secret() -> String {
        "meta.secret".to_owned()
    }

    pub(super) fn person(account: &Account) -> String {
        format!("person.{}", hex(account))
    }

    pub(super) fn shred(slot: u64) -> String {
        format!("shred.{slot:016x}")
    }

    pub(super) fn erased(account: &Account) -> String {
        format!("erased.{}", hex(account))
    }

    /// The value of a key, as the leader has it.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        let subject = format!("{}{key}", self.prefix);
        Ok(persist(|| async {
            match self.stream.get_last_raw_message_by_subject(&subject).await {
                Ok(message) => Ok(Some(Value { sequence: message.sequence, body: message.payload.to_vec() })),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await)
    }

    /// Writes a key whose last sequence is `last` (`None`: whatever it is); `false`: it is another.
    pub(super) async fn put(&self, key: &str, body: Vec<u8>, last: Option<u64>) -> Result<bool, Error> {
        let subject = format!("{}{key}", self.prefix);
        let written = persist(|| async {
            let mut message = PublishMessage::build().payload(body.clone().into());
            if let Some(last) = last {
                message = message.expected_last_subject_sequence(last);
            }
            match self.context.send_publish(subject.clone(), message).await?.await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
                Err(error) if conflict(&error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        });
        // An earlier try may have come through unheard.
        Ok(written.await || self.get(key).await?.is_some_and(|now| now.body == body))
    }

    /// Makes a key; answers what is then there, this value or another's.
    pub(super) async fn create(&self, key: &str, body: Vec<u8>) -> Result<Value, Error> {
        self.put(key, body, Some(0)).await?;
        self.get(key).await?.ok_or(Error::Damaged("a key of the vault vanished"))
    }

    /// The records of people, in the order of the list.
    pub(super) async fn people(&self, accounts: &[Account]) -> Result<Vec<Option<Value>>, Error> {
        let work = accounts.iter().map(|account| {
            let (bucket, key) = (self.clone(), Self::person(account));
            async move { bucket.get(&key).await }
        });
        all(work).await
    }

    /// Adds people, each with the shred first, so that no record is ever without one. Answers the records of those whom somebody
    /// else had added, in the order of the list.
    pub(super) async fn add(&self, rows: Vec<(Account, u64, Key, Vec<u8>)>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let work = rows.into_iter().map(|(account, slot, shred, record)| {
            let bucket = self.clone();
            async move {
                let (at, key) = (Self::shred(slot), Self::person(&account));
                if !bucket.put(&at, shred.to_vec(), Some(0)).await? {
                    return Err(Error::Random);
                }
                if bucket.put(&key, record, Some(0)).await? {
                    return Ok(None);
                }
                bucket.shred_for_good(slot).await?;
                let other = bucket.get(&key).await?;
                Ok(Some(other.ok_or(Error::Damaged("a key of the vault vanished"))?.body))
            }
        });
        all(work).await
    }

    /// Deletes a shred, and has its bytes overwritten. May be repeated.
    pub(super) async fn shred_for_good(&self, slot: u64) -> Result<(), Error> {
        while let Some(found) = self.get(&Self::shred(slot)).await? {
            // Whether it worked is seen by looking again.
            if let Err(error) = self.stream.delete_message(found.sequence).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a shred is deleted again");
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Whether there is a record of anybody.
    pub(super) async fn any_person(&self) -> Result<bool, Error> {
        Ok(self.next("person.*", 1).await?.is_some())
    }

    /// The first erased user from a sequence on.
    pub(super) async fn next_erased(&self, from: u64) -> Result<Option<(u64, Option<Account>)>, Error> {
        Ok(self.next("erased.*", from).await?.map(of_account))
    }

    /// The first user with a record from a sequence on.
    pub(super) async fn next_person(&self, from: u64) -> Result<Option<(u64, Option<Account>)>, Error> {
        Ok(self.next("person.*", from).await?.map(of_account))
    }

    async fn next(&self, keys: &str, from: u64) -> Result<Option<(u64, String)>, Error> {
        let subjects = format!("{}{keys}", self.prefix);
        Ok(persist(|| async {
            match self.stream.raw_message_builder().sequence(from).next_by_subject(&subjects).send().await {
                Ok(message) => Ok(Some((message.sequence, message.subject.to_string()))),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await)
    }
}

/// The account at the end of a key.
fn of_account((sequence, subject): (u64, String)) -> (u64, Option<Account>) {
    (sequence, subject.rsplit('.').next().and_then(unhex))
}

async fn find(context: &jetstream::Context, name: &str) -> Option<Stream> {
    persist(|| async {
        match context.get_stream(name).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) => match error.kind() {
                jetstream::context::GetStreamErrorKind::JetStream(error) if error.code() == 404 => Ok(None),
                _ => Err(error.into()),
            },
        }
    })
    .await
}

/// The other number that servers have for a wrong last sequence, which the client does not know by name.
fn conflict(error: &jetstream::context::PublishError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<jetstream::Error>());
    cause.is_some_and(|cause| cause.error_code() == jetstream::ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// All answers, in the order of the questions.
async fn all<T: Send + 'static, F>(work: impl Iterator<Item = F>) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (index, work) in work.enumerate() {
        tasks.spawn(async move { (index, work.await) });
    }
    let mut answers = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        let (index, answer) = done.map_err(|error| Error::Unreachable(error.into()))?;
        answers.push((index, answer?));
    }
    answers.sort_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

fn hex(account: &Account) -> String {
    account.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Account> {
    let number = u128::from_str_radix(text, 16).ok()?;
    (text.len() == 32).then(|| number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_what_they_were() {
        let account = [0x0a; 16];
        assert_eq!(Bucket::person(&account), format!("person.{}", "0a".repeat(16)));
        assert_eq!(Bucket::erased(&account), format!("erased.{}", "0a".repeat(16)));
        assert_eq!(Bucket::shred(0x0102), "shred.0000000000000102");
        assert_eq!(Bucket::secret(), "meta.secret");
        assert_eq!(unhex(&hex(&account)), Some(account));
        assert_eq!(unhex("0a"), None);
    }
}
