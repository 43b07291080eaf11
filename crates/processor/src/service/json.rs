//! Commands and outcomes as JSON, for people and other languages; documented in `SERVICES.md`.

use blake3::Hasher;
use florin_engine::{
    codec::{Outcome, encode_command},
    command::{Class, Command, Envelope},
    human::snake,
    ids::{AccountId, Digest, Key, Kind, mint},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Reply;
use crate::handle::BATCH_COMMANDS_MAX;
use crate::wire::class_name;
use crate::wire::fault::Fault;

/// Context of the digest that the service computes for a command in JSON.
const DIGEST: &str = "florin 2026 digest of a command in json";

/// Commands read from JSON.
#[derive(Debug)]
pub struct Read {
    /// In order.
    pub envelopes: Vec<Envelope>,
    /// Of a single one.
    pub deadline_ms: Option<u32>,
    /// Whether it was an object, not an array.
    pub single: bool,
}

/// What is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    #[serde(default)]
    account: AccountId,
    key: String,
    #[serde(default)]
    class: Option<Class>,
    #[serde(default)]
    deadline_ms: Option<u32>,
    #[serde(default)]
    dated_ms: u64,
    #[serde(default)]
    actor: u64,
    command: Map<String, Value>,
}

/// Reads one command or an array of them, sent to the subject of `class`. What is wrong is told with its path.
pub fn read(bytes: &[u8], class: Class) -> Result<Read, Fault> {
    let malformed = |error: serde_json::Error| Fault::Malformed(format!("the body is not JSON: {error}"));
    match serde_json::from_slice(bytes).map_err(malformed)? {
        Value::Array(all) => {
            if all.len() > BATCH_COMMANDS_MAX {
                let found = all.len();
                return Err(crate::Error::BatchTooLarge { max: BATCH_COMMANDS_MAX, found }.into());
            }
            let mut envelopes = Vec::with_capacity(all.len());
            for (n, value) in all.into_iter().enumerate() {
                let (envelope, deadline_ms) = envelope(value, class, &format!("[{n}]."))?;
                if deadline_ms.is_some() {
                    return Err(Fault::Malformed(format!("[{n}].deadline_ms: only a single command has a deadline")));
                }
                envelopes.push(envelope);
            }
            Ok(Read { envelopes, deadline_ms: None, single: false })
        }
        value => {
            let (envelope, deadline_ms) = envelope(value, class, "")?;
            Ok(Read { envelopes: vec![envelope], deadline_ms, single: true })
        }
    }
}

fn envelope(value: Value, class: Class, at: &str) -> Result<(Envelope, Option<u32>), Fault> {
    let wrong = |path: &str, what: &dyn std::fmt::Display| Fault::Malformed(format!("{at}{path}: {what}"));
    let sent: Sent =
        serde_path_to_error::deserialize(value).map_err(|error| wrong(&error.path().to_string(), error.inner()))?;
    if let Some(said) = sent.class
        && said != class
    {
        let what = format!("it is {}, but the subject is of {}", class_name(said), class_name(class));
        return Err(wrong("class", &what));
    }
    if sent.account.is_nil() && class != Class::Network {
        return Err(wrong("account", &"missing: only a network command may go by its card"));
    }
    if !(1..=255).contains(&sent.key.len()) {
        return Err(wrong("key", &"it has 1 to 255 bytes"));
    }
    let key = Key::of(sent.account, sent.key.as_bytes());
    let mut named = sent.command.into_iter();
    let (Some((name, mut body)), None) = (named.next(), named.next()) else {
        return Err(wrong("command", &"it has exactly one field, the command's name"));
    };
    fill_in(&name, &mut body, sent.account, key);
    let mut track = serde_path_to_error::Track::new();
    let read = Command::deserialize_body(&name, serde_path_to_error::Deserializer::new(body.clone(), &mut track));
    let Some(read) = read else {
        return Err(wrong("command", &format!("there is no command {name:?}")));
    };
    let command = read.map_err(|error| {
        let path = track.path().to_string();
        let path = if path == "." { String::new() } else { format!(".{path}") };
        wrong(&format!("command.{name}{path}"), &error)
    })?;
    let known = command.serialize_body(serde_json::value::Serializer).unwrap_or_default();
    if let Some(path) = unknown(&body, &known) {
        return Err(wrong(&format!("command.{name}{path}"), &"there is no such field"));
    }
    let digest = digest(sent.account, key, &command);
    let Sent { account, dated_ms, actor, deadline_ms, .. } = sent;
    Ok((Envelope { account, class, actor, key, digest, dated_ms, command }, deadline_ms))
}

/// Ids that are minted from account and key need not be said.
fn fill_in(name: &str, body: &mut Value, account: AccountId, key: Key) {
    let minted: &[(&str, Kind)] = match name {
        "issue_card" => &[("card", Kind::Card)],
        "request_card" => &[("request", Kind::CardRequest), ("card", Kind::Card)],
        "open_appeal" => &[("appeal", Kind::Appeal)],
        "authorize" | "force_post" if !account.is_nil() => &[("authorization", Kind::Authorization)],
        _ => &[],
    };
    if let Value::Object(body) = body {
        for (field, kind) in minted {
            let id = || json!(AccountId(mint(account, key, *kind)));
            body.entry(*field).or_insert_with(id);
        }
    }
}

/// The path of the first field that was sent and is not known.
fn unknown(sent: &Value, known: &Value) -> Option<String> {
    match (sent, known) {
        (Value::Object(sent), Value::Object(known)) => sent.iter().find_map(|(name, value)| match known.get(name) {
            None => Some(format!(".{name}")),
            Some(known) => unknown(value, known).map(|path| format!(".{name}{path}")),
        }),
        (Value::Array(sent), Value::Array(known)) => sent
            .iter()
            .zip(known)
            .enumerate()
            .find_map(|(n, (sent, known))| unknown(sent, known).map(|path| format!("[{n}]{path}"))),
        _ => None,
    }
}

/// Over the command in its stored form, which the journal holds anyway, for this account and key only.
fn digest(account: AccountId, key: Key, command: &Command) -> Digest {
    let mut bytes = Vec::new();
    encode_command(command, &mut bytes);
    let mut hasher = Hasher::new_derive_key(DIGEST);
    hasher.update(&account.0).update(&key.0).update(&bytes);
    let mut digest = Digest::default();
    digest.0.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

/// An outcome.
pub fn reply(reply: &Reply) -> Value {
    let outcome = match &reply.outcome {
        Outcome::Accepted(events) => {
            let event = |event: &florin_engine::event::Event| {
                let body = event.serialize_body(serde_json::value::Serializer).unwrap_or_default();
                json!({ snake(event.name()): body })
            };
            json!({ "accepted": events.iter().map(event).collect::<Vec<_>>() })
        }
        Outcome::Rejected(reject) => {
            let figures: Map<String, Value> =
                reject.figures.iter().map(|(name, value)| (snake(&format!("{name:?}")), json!(value))).collect();
            json!({ "rejected": {
                "number": reject.reason as u16,
                "reason": snake(&format!("{:?}", reject.reason)),
                "text": reject.reason.text(),
                "retry": reject.reason.retry() == florin_engine::reject::Retry::Later,
                "figures": figures,
            } })
        }
    };
    json!({
        "partition": reply.partition,
        "position": reply.position,
        "time_ms": reply.time_ms,
        "replayed": reply.replayed,
        "account": reply.account,
        "outcome": outcome,
    })
}
