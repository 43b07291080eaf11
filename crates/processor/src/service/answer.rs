//! One request answered: its form, then the handle.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message};
use florin_engine::{
    codec::Outcome,
    command::{Class, Envelope},
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answered, Desk, is_network, json};
use crate::wire::fault::Fault;
use crate::wire::query::{self, ASKED_MAX, Ask, AskWork};
use crate::wire::{BINARY, CONTENT_TYPE, JSON, REJECT, What, command};
use crate::{Error, Reply};

/// The form of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Binary,
}

impl Form {
    /// JSON unless the message says otherwise.
    fn of(message: &Message) -> Result<Self, Fault> {
        let said =
            message.headers.as_ref().and_then(|headers| headers.get(CONTENT_TYPE)).map(async_nats::HeaderValue::as_str);
        match said.map(|said| said.split(';').next().unwrap_or(said).trim()) {
            None | Some(JSON) => Ok(Self::Json),
            Some(BINARY) => Ok(Self::Binary),
            Some(_) => Err(Fault::Malformed(format!("{CONTENT_TYPE}: it is {JSON} or {BINARY}"))),
        }
    }

    fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, if self == Self::Json { JSON } else { BINARY });
        headers
    }

    fn read<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Fault> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|error| Fault::Malformed(error.to_string())),
            Self::Binary => postcard::from_bytes(bytes).map_err(|error| Fault::Malformed(error.to_string())),
        }
    }

    fn write<T: Serialize>(self, value: &T) -> Answered {
        let bytes = match self {
            Self::Json => serde_json::to_vec(value).map_err(|error| error.to_string()),
            Self::Binary => postcard::to_allocvec(value).map_err(|error| error.to_string()),
        };
        let bytes =
            bytes.map_err(|reason| Error::Stopped { reason: format!("an answer cannot be written: {reason}") })?;
        Ok((self.headers(), bytes))
    }
}

pub(super) async fn answer(desk: &Desk, what: What, message: &Message) -> Answered {
    let form = Form::of(message)?;
    let bytes = &message.payload[..];
    let (handle, partition) = (&desk.handle, desk.partition);
    match what {
        What::Command(class) if form == Form::Binary => binary(desk, class, bytes).await,
        What::Command(class) => commands(desk, class, bytes).await,
        What::GiveUp => {
            handle.give_up(&one(desk, form, bytes)?)?;
            form.write(&true)
        }
        What::TakenBack => form.write(&handle.taken_back(&one(desk, form, bytes)?).await?),
        What::ConfirmClock => {
            handle.confirm_clock(partition).await?;
            form.write(&true)
        }
        What::Status => form.write(&query::Status::from(&handle.status(partition).await?)),
        What::Due => {
            let due = handle.due(partition, bounded(asked::<Ask>(form, bytes)?.max)?).await?;
            form.write(&due.into_iter().map(query::DueItem::from).collect::<Vec<_>>())
        }
        What::Work => {
            let ask: AskWork = asked(form, bytes)?;
            let max = bounded(ask.max)?;
            let work = match ask.card {
                // Who asks here has taken the card to be of this partition.
                Some(card) if card.partition() != partition => {
                    return Err(Error::Misrouted(florin_journal::PartitionId(card.partition())).into());
                }
                Some(card) => handle.work_of_card(card).await?.into_iter().collect(),
                None => handle.work(partition, max).await?,
            };
            form.write(&work.into_iter().map(query::WorkItem::from).collect::<Vec<_>>())
        }
    }
}

fn asked<T: DeserializeOwned + Default>(form: Form, bytes: &[u8]) -> Result<T, Fault> {
    if bytes.is_empty() { Ok(T::default()) } else { form.read(bytes) }
}

fn bounded(max: u32) -> Result<usize, Fault> {
    if !(1..=ASKED_MAX).contains(&max) {
        return Err(Fault::Malformed(format!("max: it is 1 to {ASKED_MAX}")));
    }
    Ok(max as usize)
}

/// The one authorization that is given up or asked about.
fn one(desk: &Desk, form: Form, bytes: &[u8]) -> Result<Envelope, Fault> {
    let mut envelopes = match form {
        Form::Binary => {
            let read = command::read_request(bytes, Class::Network);
            read.map_err(|error| Fault::Malformed(error.to_string()))?.envelopes
        }
        Form::Json => json::read(bytes, Class::Network)?.envelopes,
    };
    match (envelopes.pop(), envelopes.is_empty()) {
        (Some(envelope), true) => here(desk, &envelope).map(|()| envelope),
        _ => Err(Fault::Malformed("exactly one command is asked about".into())),
    }
}

fn here(desk: &Desk, envelope: &Envelope) -> Result<(), Fault> {
    let to = crate::handle::route(envelope);
    if to != desk.partition {
        return Err(Error::Misrouted(florin_journal::PartitionId(to)).into());
    }
    Ok(())
}

async fn binary(desk: &Desk, class: Class, bytes: &[u8]) -> Answered {
    let read = command::read_request(bytes, class).map_err(|error| Fault::Malformed(error.to_string()))?;
    let replies = submit(desk, class, read.envelopes, read.deadline_ms).await?;
    Ok((Form::Binary.headers(), command::write_answer(desk.partition, &replies, desk.most)))
}

async fn commands(desk: &Desk, class: Class, bytes: &[u8]) -> Answered {
    let read = json::read(bytes, class)?;
    let replies = submit(desk, class, read.envelopes, read.deadline_ms).await?;
    let mut headers = Form::Json.headers();
    let body = if read.single {
        let Some(reply) = replies.first() else { return Err(Fault::Malformed("there is no command".into())) };
        if let Outcome::Rejected(reject) = &reply.outcome {
            headers.insert(async_nats::service::NATS_SERVICE_ERROR, reject.to_string().as_str());
            headers.insert(async_nats::service::NATS_SERVICE_ERROR_CODE, "422");
            headers.insert(REJECT, (reject.reason as u16).to_string().as_str());
        }
        json::reply(reply)
    } else {
        replies.iter().map(json::reply).collect()
    };
    let bytes = Form::Json.write(&body)?.1;
    if bytes.len() > desk.most {
        let reason = "the outcomes do not fit into a message, but stand: ask again with fewer commands".into();
        return Err(Error::Stopped { reason }.into());
    }
    Ok((headers, bytes))
}

/// A lone command goes by its own lane, and may have a deadline.
async fn submit(
    desk: &Desk,
    class: Class,
    mut envelopes: Vec<Envelope>,
    deadline_ms: Option<u32>,
) -> Result<Vec<Reply>, Fault> {
    for envelope in &envelopes {
        here(desk, envelope)?;
    }
    let deadline = deadline_ms.map(|ms| Instant::now() + Duration::from_millis(ms.into()));
    if envelopes.len() > 1 {
        if deadline.is_some() || is_network(class) {
            return Err(Fault::Malformed(
                "several commands in one message: not of the network, and without a deadline".into(),
            ));
        }
        return Ok(desk.handle.submit_batch(desk.partition, envelopes).await?);
    }
    let Some(envelope) = envelopes.pop() else { return Ok(Vec::new()) };
    let reply = match deadline {
        None => desk.handle.submit(envelope).await?,
        Some(deadline) => desk.handle.submit_by(envelope, deadline).await?,
    };
    Ok(vec![reply])
}
