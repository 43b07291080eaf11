//! The few requests of JetStream that the queue makes, each within bounded time and tried again while the servers are away.
//!
//! Every request may so arrive twice. Reading and deleting by sequence can; a write names the sequence before it, and whoever
//! writes looks for its own bytes when told that another was faster.

use std::future::Future;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind, StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::Error;

/// How long one request may take.
const TRY: Duration = Duration::from_secs(3);
/// How much later than asked for the end of a pull may be told.
const GRACE: Duration = Duration::from_secs(1);
/// The first pause between two; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a stream that others make or delete too is looked at or made.
const RACES_MAX: u32 = 16;
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

const NO_MESSAGE_FOUND: u64 = 10_037;
const STREAM_NOT_FOUND: u64 = 10_059;
/// No number of the server's: nobody listens on the subject.
const NOWHERE: u64 = 0;
const WRONG_SEQUENCE: [u64; 2] = [10_071, 10_164];

/// A stored message.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) body: Vec<u8>,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Put {
    /// It is stored under this sequence.
    Stored(u64),
    /// The last message of the subject is another than was said.
    Conflict,
    /// The stream holds as many messages as it may.
    Full,
    /// No stream takes this subject.
    Nowhere,
}

/// What a pull came to.
#[derive(Debug)]
pub(crate) enum Pulled {
    /// A message.
    Message(Box<Message>),
    /// Nothing in its time.
    Nothing,
}

/// A definite refusal of the server.
struct Refused {
    number: u64,
    description: String,
}

/// Why nothing is known of a try.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What became of one try.
enum Tried<T> {
    Done(T),
    Again(Fault),
}

#[derive(Clone)]
pub(crate) struct Broker {
    client: Client,
    patience: Duration,
}

impl Broker {
    pub(crate) fn new(client: Client, patience: Duration) -> Self {
        Self { client, patience }
    }

    /// Tries until it is done or patience is over.
    async fn persist<T, F>(&self, doing: &'static str, mut ask: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Tried<T>>,
    {
        let until = Instant::now() + self.patience;
        let mut pause = PAUSE;
        loop {
            match ask().await {
                Tried::Done(done) => return Ok(done),
                Tried::Again(source) if Instant::now() + pause >= until => {
                    return Err(Error::Unreachable { doing, source });
                }
                Tried::Again(source) => tracing::debug!(doing, %source, "asked again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Hands something to the connection, in bounded time. While it is away, what it is given would wait there and be sent
    /// once it is back: long after who asked was told to come again.
    async fn handed<T, E>(&self, handing: impl Future<Output = Result<T, E>>) -> Result<Result<T, E>, Fault> {
        if self.client.connection_state() != State::Connected {
            return Err("no server can be reached".into());
        }
        tokio::time::timeout(TRY, handing).await.map_err(Into::into)
    }

    /// One request that is answered in JSON.
    async fn ask(&self, subject: &str, headers: Option<HeaderMap>, body: &[u8]) -> Tried<Result<Value, Refused>> {
        let mut request = Request::new().payload(body.to_vec().into()).timeout(Some(TRY));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let answer = match self.handed(self.client.send_request(subject.to_owned(), request)).await {
            Err(away) => return Tried::Again(away),
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                return Tried::Done(Err(Refused { number: NOWHERE, description: "nobody answers".into() }));
            }
            Ok(Err(error)) => return Tried::Again(Box::new(error)),
        };
        let value: Value = match serde_json::from_slice(&answer.payload) {
            Ok(value) => value,
            Err(error) => return Tried::Again(Box::new(error)),
        };
        let Some(error) = value.get("error") else {
            return Tried::Done(Ok(value));
        };
        let description = error["description"].as_str().unwrap_or("no description").to_owned();
        // A cluster that has no leader just now.
        if error["code"] == 503 && !description.contains("maximum") {
            return Tried::Again(description.into());
        }
        Tried::Done(Err(Refused { number: error["err_code"].as_u64().unwrap_or(u64::MAX), description }))
    }

    /// One request of the API: where nobody answers, JetStream is not there yet.
    async fn ask_api(&self, subject: &str, body: &[u8]) -> Tried<Result<Value, Refused>> {
        match self.ask(subject, None, body).await {
            Tried::Done(Err(Refused { number: NOWHERE, description })) => Tried::Again(description.into()),
            tried => tried,
        }
    }

    /// A request of the JetStream API; `None`: there is no such stream or message.
    pub(crate) async fn api(&self, doing: &'static str, call: &str, body: &Value) -> Result<Option<Value>, Error> {
        let (subject, body) = (format!("$JS.API.{call}"), body.to_string());
        match self.persist(doing, || self.ask_api(&subject, body.as_bytes())).await? {
            Ok(value) => Ok(Some(value)),
            Err(Refused { number: NO_MESSAGE_FOUND | STREAM_NOT_FOUND, .. }) => Ok(None),
            Err(refused) => Err(Error::Refused { doing, reason: refused.description }),
        }
    }

    /// The stream `name`, made with `config` if it is not there. When it can be neither seen nor made, others are making or
    /// deleting it at this moment: it is tried again.
    pub(crate) async fn stream(&self, doing: &'static str, name: &str, config: &Value) -> Result<Value, Error> {
        let (info, create) = (format!("STREAM.INFO.{name}"), format!("STREAM.CREATE.{name}"));
        let mut tries = 0;
        loop {
            if let Some(found) = self.api(doing, &info, &json!({})).await? {
                return Ok(found);
            }
            let failed = match self.api(doing, &create, config).await {
                Ok(Some(made)) => return Ok(made),
                Ok(None) => Error::Refused { doing, reason: "it is gone again".into() },
                Err(refused @ Error::Refused { .. }) => refused,
                Err(error) => return Err(error),
            };
            tries += 1;
            if tries == RACES_MAX {
                return Err(failed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes a message; `last`: which sequence the last message of its subject must have, 0 for none.
    pub(crate) async fn put(
        &self,
        doing: &'static str,
        subject: &str,
        body: &[u8],
        last: Option<u64>,
    ) -> Result<Put, Error> {
        let headers = last.map(|last| {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Expected-Last-Subject-Sequence", last.to_string().as_str());
            headers
        });
        match self.persist(doing, || self.ask(subject, headers.clone(), body)).await? {
            Ok(value) => Ok(Put::Stored(value["seq"].as_u64().unwrap_or(0))),
            Err(Refused { number: NOWHERE, .. }) => Ok(Put::Nowhere),
            Err(refused) if WRONG_SEQUENCE.contains(&refused.number) => Ok(Put::Conflict),
            Err(refused) if refused.description.contains("maximum messages per subject") => Ok(Put::Conflict),
            Err(refused) if refused.description.contains("maximum") => Ok(Put::Full),
            Err(refused) => Err(Error::Refused { doing, reason: refused.description }),
        }
    }

    /// The last message of a subject, as the stream's leader has it.
    pub(crate) async fn last(&self, doing: &'static str, stream: &str, subject: &str) -> Result<Option<Stored>, Error> {
        self.get(doing, stream, &json!({ "last_by_subj": subject })).await
    }

    /// The first message of the subjects from a sequence on.
    pub(crate) async fn next(
        &self,
        doing: &'static str,
        stream: &str,
        subjects: &str,
        from: u64,
    ) -> Result<Option<Stored>, Error> {
        self.get(doing, stream, &json!({ "seq": from, "next_by_subj": subjects })).await
    }

    async fn get(&self, doing: &'static str, stream: &str, which: &Value) -> Result<Option<Stored>, Error> {
        let Some(value) = self.api(doing, &format!("STREAM.MSG.GET.{stream}"), which).await? else {
            return Ok(None);
        };
        let message = &value["message"];
        let body = message["data"].as_str().map_or(Some(Vec::new()), |data| STANDARD.decode(data).ok());
        match (message["seq"].as_u64(), body) {
            (Some(sequence), Some(body)) => Ok(Some(Stored { sequence, body })),
            _ => Err(Error::Refused { doing, reason: "an answer out of form".into() }),
        }
    }

    /// Deletes the message of a sequence; `false`: it is gone.
    pub(crate) async fn delete(&self, doing: &'static str, stream: &str, sequence: u64) -> Result<bool, Error> {
        let call = format!("$JS.API.STREAM.MSG.DELETE.{stream}");
        let body = json!({ "seq": sequence, "no_erase": true }).to_string();
        match self.persist(doing, || self.ask_api(&call, body.as_bytes())).await? {
            Ok(value) => Ok(value["success"] == true),
            // What the server says of a sequence that is not there differs from version to version.
            Err(refused) if refused.number == NO_MESSAGE_FOUND || refused.description.contains("no message") => {
                Ok(false)
            }
            Err(refused) if refused.description.contains("not found") => Ok(false),
            Err(refused) => Err(Error::Refused { doing, reason: refused.description }),
        }
    }

    /// The subjects of a stream that match.
    pub(crate) async fn subjects(&self, doing: &'static str, stream: &str, filter: &str) -> Result<Vec<String>, Error> {
        let info = self.api(doing, &format!("STREAM.INFO.{stream}"), &json!({ "subjects_filter": filter })).await?;
        let subjects = info.and_then(|info| info["state"]["subjects"].as_object().cloned()).unwrap_or_default();
        Ok(subjects.into_iter().map(|(subject, _)| subject).collect())
    }

    /// One message of a consumer, waited for at most `expires`.
    pub(crate) async fn pull(&self, stream: &str, consumer: &str, expires: Duration) -> Result<Pulled, Error> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let nanos = u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX);
        let body = json!({ "batch": 1, "expires": nanos }).to_string();
        let unreachable = |source: Fault| Error::Unreachable { doing: "taking an item", source };
        // An inbox of its own: a delivery comes under the item's subject, not the inbox's.
        let inbox = self.client.new_inbox();
        let answers = self.handed(self.client.subscribe(inbox.clone())).await.map_err(unreachable)?;
        let mut answers = answers.map_err(|error| unreachable(Box::new(error)))?;
        let asked = self.handed(self.client.publish_with_reply(subject, inbox, body.into())).await;
        asked.map_err(unreachable)?.map_err(|error| unreachable(Box::new(error)))?;
        match tokio::time::timeout(expires + GRACE, answers.next()).await {
            Ok(Some(message)) => match message.status {
                None | Some(StatusCode::OK) => Ok(Pulled::Message(Box::new(message))),
                Some(StatusCode::NO_RESPONDERS) => Err(unreachable("nobody serves the queue's consumer".into())),
                Some(_) => Ok(Pulled::Nothing),
            },
            Ok(None) => Err(unreachable("the connection is closed".into())),
            // A server says when the time is over; silence says that it was away, or has no such consumer.
            Err(late) => Err(unreachable(late.into())),
        }
    }

    /// Tells the consumer about a delivered message, and waits until it knows.
    pub(crate) async fn tell(&self, doing: &'static str, reply: &str, word: &str) -> Result<(), Error> {
        self.persist(doing, || async {
            let request = Request::new().payload(word.to_owned().into()).timeout(Some(TRY));
            match self.handed(self.client.send_request(reply.to_owned(), request)).await {
                Ok(Ok(_)) => Tried::Done(()),
                Ok(Err(error)) => Tried::Again(Box::new(error)),
                Err(away) => Tried::Again(away),
            }
        })
        .await
    }
}
