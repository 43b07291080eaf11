//! Commands and their outcomes in Florin's binary form, for volume.
//!
//! ```text
//! request  := version u8 = 1 · class u8 · deadline_ms u32 (0: none) · count u32 · envelope*
//! envelope := account [16] · actor u64 · key [16] · digest [16] · dated_ms u64 · command
//! answer   := version u8 = 1 · partition u16 · count u32 · reply*
//! reply    := flags u8 (1: replayed) · account [16] · position u64 · time_ms u64 · outcome
//! ```
//!
//! Integers little-endian; command and outcome as the journal stores them (engine, `codec.rs`), so with their own codes
//! and versions. The deadline counts from when the request is read. An answer may tell of fewer commands than were asked,
//! the first ones, if more would not fit into a message: the rest is asked for again, with the same keys.

use florin_engine::{
    codec::{Outcome, decode_command, decode_outcome, encode_command, encode_outcome},
    command::{Class, Envelope},
    ids::{AccountId, Digest, Key, Position},
};

use crate::Reply;
use crate::handle::BATCH_COMMANDS_MAX;

const VERSION: u8 = 1;

/// Bytes of a request before its envelopes.
pub const HEAD_BYTES: usize = 1 + 1 + 4 + 4;

/// Commands as they came, and by when they are to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of one class.
    pub envelopes: Vec<Envelope>,
    /// In how many ms from now the deadline is.
    pub deadline_ms: Option<u32>,
}

/// Bytes that are no request or answer, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It ends too early, or goes on after its end.
    #[error("the length of the message is not that of what it says it holds")]
    Length,
    /// Of another version.
    #[error("version {0} of the binary form is not known here")]
    Version(u8),
    /// Of another class than the subject.
    #[error("the commands are of class {found}, the subject is of class {wanted}")]
    Class {
        /// The subject's.
        wanted: u8,
        /// The message's.
        found: u8,
    },
    /// More commands than a batch may have.
    #[error("a batch has at most {BATCH_COMMANDS_MAX} commands, this one has {0}")]
    Count(u32),
    /// A command or outcome that cannot be read.
    #[error("command {at}: {source}")]
    Body {
        /// The how many-th, from 0.
        at: u32,
        /// Why.
        source: florin_engine::codec::Error,
    },
}

/// Begins a request; envelopes are added with [`push`].
pub fn begin(class: Class, deadline_ms: Option<u32>) -> Vec<u8> {
    let mut out = vec![VERSION, class.code()];
    // At least one: zero says that there is none.
    out.extend_from_slice(&deadline_ms.map_or(0, |ms| ms.max(1)).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out
}

/// Adds an envelope, unless the request would be longer than `most` then; says whether it did.
pub fn push(out: &mut Vec<u8>, envelope: &Envelope, most: usize) -> bool {
    let before = out.len();
    out.extend_from_slice(&envelope.account.0);
    out.extend_from_slice(&envelope.actor.to_le_bytes());
    out.extend_from_slice(&envelope.key.0);
    out.extend_from_slice(&envelope.digest.0);
    out.extend_from_slice(&envelope.dated_ms.to_le_bytes());
    encode_command(&envelope.command, out);
    let fits = out.len() <= most;
    if fits {
        count(out, 6);
    } else {
        out.truncate(before);
    }
    fits
}

/// One more in the count at `at`.
fn count(out: &mut [u8], at: usize) {
    if let Some(bytes) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *bytes = u32::from_le_bytes(*bytes).saturating_add(1).to_le_bytes();
    }
}

/// Reads a request that came to the subject of `class`.
pub fn read_request(bytes: &[u8], class: Class) -> Result<Request, Error> {
    let mut input = Input(bytes);
    input.version()?;
    let [found] = input.array()?;
    if found != class.code() {
        return Err(Error::Class { wanted: class.code(), found });
    }
    let deadline_ms = u32::from_le_bytes(input.array()?);
    let count = u32::from_le_bytes(input.array()?);
    if count as usize > BATCH_COMMANDS_MAX {
        return Err(Error::Count(count));
    }
    // What a lying count reserves is bounded by the bytes there are.
    let mut envelopes = Vec::with_capacity((count as usize).min(bytes.len() / 64));
    for at in 0..count {
        let account = AccountId(input.array()?);
        let actor = u64::from_le_bytes(input.array()?);
        let key = Key(input.array()?);
        let digest = Digest(input.array()?);
        let dated_ms = u64::from_le_bytes(input.array()?);
        let (command, rest) = decode_command(input.0).map_err(|source| Error::Body { at, source })?;
        input.0 = rest;
        envelopes.push(Envelope { account, class, actor, key, digest, dated_ms, command });
    }
    input.end()?;
    Ok(Request { envelopes, deadline_ms: (deadline_ms > 0).then_some(deadline_ms) })
}

/// An answer with as many of the replies, from the first, as fit into `most` bytes; at least the first.
pub fn write_answer(partition: u16, replies: &[Reply], most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(most.min(64 + replies.len() * 96));
    out.push(VERSION);
    out.extend_from_slice(&partition.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for (n, reply) in replies.iter().enumerate() {
        let before = out.len();
        out.push(u8::from(reply.replayed));
        out.extend_from_slice(&reply.account.0);
        out.extend_from_slice(&reply.position.0.to_le_bytes());
        out.extend_from_slice(&reply.time_ms.to_le_bytes());
        let outcome = match &reply.outcome {
            Outcome::Accepted(events) => Ok(events.as_slice()),
            Outcome::Rejected(reject) => Err(reject),
        };
        encode_outcome(outcome, &mut out);
        if n > 0 && out.len() > most {
            out.truncate(before);
            break;
        }
        count(&mut out, 3);
    }
    out
}

/// Reads an answer.
pub fn read_answer(bytes: &[u8]) -> Result<Vec<Reply>, Error> {
    let mut input = Input(bytes);
    input.version()?;
    let partition = u16::from_le_bytes(input.array()?);
    let count = u32::from_le_bytes(input.array()?);
    let mut replies = Vec::with_capacity((count as usize).min(bytes.len() / 32));
    for at in 0..count {
        let [flags] = input.array()?;
        let account = AccountId(input.array()?);
        let position = Position(u64::from_le_bytes(input.array()?));
        let time_ms = u64::from_le_bytes(input.array()?);
        let (outcome, rest) = decode_outcome(input.0).map_err(|source| Error::Body { at, source })?;
        input.0 = rest;
        replies.push(Reply { partition, position, time_ms, replayed: flags & 1 == 1, account, outcome });
    }
    input.end()?;
    Ok(replies)
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Error::Length)?;
        self.0 = rest;
        Ok(*head)
    }

    fn version(&mut self) -> Result<(), Error> {
        match self.array()? {
            [VERSION] => Ok(()),
            [other] => Err(Error::Version(other)),
        }
    }

    fn end(&self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Length) }
    }
}

#[cfg(test)]
mod tests {
    use florin_engine::command::TopUp;
    use florin_engine::ids::CardId;
    use florin_engine::money::Minor;
    use florin_engine::reject::Reason;

    use super::*;

    fn envelope(n: u8) -> Envelope {
        Envelope {
            account: AccountId([n; 16]),
            class: Class::User,
            actor: 2,
            key: Key([3; 16]),
            digest: Digest([4; 16]),
            dated_ms: 5,
            command: TopUp { card: CardId([6; 16]), amount: Minor(100) }.into(),
        }
    }

    #[test]
    fn a_request_is_as_documented_and_is_read_back() {
        let mut bytes = begin(Class::User, Some(700));
        assert!(push(&mut bytes, &envelope(1), 1_000));
        let mut golden = vec![1, 1, 0xBC, 2, 0, 0, 1, 0, 0, 0];
        golden.extend([1; 16]);
        golden.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend([3; 16]);
        golden.extend([4; 16]);
        golden.extend([5, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend([50, 0, 1, 18]);
        golden.extend([6; 16]);
        golden.extend([0xC8, 1]);
        assert_eq!(bytes, golden);
        let read = read_request(&bytes, Class::User).unwrap();
        assert_eq!(read, Request { envelopes: vec![envelope(1)], deadline_ms: Some(700) });
    }

    #[test]
    fn what_does_not_fit_is_not_added() {
        let mut bytes = begin(Class::User, None);
        assert!(push(&mut bytes, &envelope(1), 200));
        assert!(!push(&mut bytes, &envelope(2), 150));
        assert_eq!(read_request(&bytes, Class::User).unwrap().envelopes, [envelope(1)]);
    }

    #[test]
    fn any_cut_or_longer_request_and_another_class_is_refused() {
        let mut bytes = begin(Class::User, None);
        push(&mut bytes, &envelope(1), 1_000);
        for at in 0..bytes.len() {
            assert!(read_request(&bytes[..at], Class::User).is_err(), "cut at {at}");
        }
        assert_eq!(read_request(&bytes, Class::Ops), Err(Error::Class { wanted: 2, found: 1 }));
        bytes.push(0);
        assert_eq!(read_request(&bytes, Class::User), Err(Error::Length));
        let lying = [1, 1, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(read_request(&lying, Class::User), Err(Error::Count(u32::MAX)));
    }

    #[test]
    fn an_answer_tells_of_the_first_that_fit() {
        let reply = |n| Reply {
            partition: 7,
            position: Position::new(n, 0),
            time_ms: 9,
            replayed: n == 2,
            account: AccountId([1; 16]),
            outcome: Outcome::Rejected(Reason::NotDue.into()),
        };
        let replies = [reply(1), reply(2), reply(3)];
        assert_eq!(read_answer(&write_answer(7, &replies, 1_000)).unwrap(), replies);
        let whole = write_answer(7, &replies, 1_000).len();
        assert_eq!(read_answer(&write_answer(7, &replies, whole - 1)).unwrap(), replies[..2]);
        assert_eq!(read_answer(&write_answer(7, &replies, 1)).unwrap(), replies[..1]);
    }
}
