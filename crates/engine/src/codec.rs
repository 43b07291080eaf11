//! The stored form of an entry: a command as admitted, and what came of it.
//!
//! ```text
//! entry    := version u8 = 1 · class u8 · time_ms u64 · policy u32 · account [16] · actor u64 · key [16] · digest [16]
//!             · dated_ms u64 · command · outcome                                     (integers little-endian)
//! command  := code u16 · version u8 · length u32 (varint) · body (postcard)
//! outcome  := 1 u8 · count (varint) · event*            accepted
//!           | 2 u8 · length (varint) · body (postcard)  rejected
//! event    := as command
//! ```
//!
//! Every command and event has an explicit code and version. A changed body gets a new version: the old struct is
//! frozen beside the new one, with a pure upcaster, and the golden bytes of both stay in the tests for ever.

use alloc::vec::Vec;
use core::mem;

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{
    command::{Admitted, Checkpoint, Class, Command, Envelope},
    event::Event,
    ids::{AccountId, Digest, Key},
    reject::Reject,
};

/// Version of the entry's own layout.
pub const ENTRY_VERSION: u8 = 1;

/// Bytes before the command.
pub const ENTRY_HEAD_BYTES: usize = 1 + 1 + 8 + 4 + 16 + 8 + 16 + 16 + 8;

/// Why bytes are no entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It ends too early.
    #[error("entry ends too early")]
    Short,
    /// Bytes are left over.
    #[error("{0} bytes left over")]
    Left(usize),
    /// The layout's version is not known here.
    #[error("entry version {0} is not known")]
    Version(u8),
    /// The class is not known here.
    #[error("class {0} is not known")]
    Class(u8),
    /// The command's code or version is not known here.
    #[error("command {code} version {version} is not known")]
    UnknownCommand {
        /// Its code.
        code: u16,
        /// Its version.
        version: u8,
    },
    /// The event's code or version is not known here.
    #[error("event {code} version {version} is not known")]
    UnknownEvent {
        /// Its code.
        code: u16,
        /// Its version.
        version: u8,
    },
    /// The outcome is neither accepted nor rejected.
    #[error("outcome {0} is not known")]
    Outcome(u8),
    /// A body is not what its code says.
    #[error("body out of form: {0}")]
    Body(postcard::Error),
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted, with its events.
    Accepted(Vec<Event>),
    /// Rejected: nothing changed but the remembered outcome and the clock.
    Rejected(Reject),
}

/// How the command of an entry is read: as a whole, or not at all.
pub trait ReadCommand: Sized {
    /// An empty place for one.
    const BLANK: Self;

    /// Reads a body, or refuses a code or version that is not known here.
    fn read(code: u16, version: u8, body: &[u8]) -> Result<Self, Error>;
}

impl ReadCommand for Command {
    const BLANK: Self = Self::Checkpoint(Checkpoint { index: 0, state_hash: [0; 32], schema: 0 });

    fn read(code: u16, version: u8, body: &[u8]) -> Result<Self, Error> {
        Self::from_body(code, version, body)
    }
}

/// A command that is known here and was not read: what folds an entry needs its events alone. Whether its body is sound is left to
/// who decides again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread;

impl ReadCommand for Unread {
    const BLANK: Self = Self;

    fn read(code: u16, version: u8, _: &[u8]) -> Result<Self, Error> {
        if Command::knows(code, version) { Ok(Self) } else { Err(Error::UnknownCommand { code, version }) }
    }
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<C = Command> {
    /// The command.
    pub admitted: Admitted<C>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Entry {
    /// Reads an entry; refuses anything that is not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut entry = Self::blank();
        entry.read(bytes)?;
        Ok(entry)
    }

    /// Writes the entry; see [`encode`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.outcome {
            Outcome::Accepted(events) => encode(&self.admitted, Ok(events), out),
            Outcome::Rejected(reject) => encode(&self.admitted, Err(reject), out),
        }
    }
}

impl<C: ReadCommand> Entry<C> {
    /// An empty place for [`read`](Self::read).
    pub const fn blank() -> Self {
        let (account, class, key, digest) = (AccountId::NIL, Class::System, Key([0; 16]), Digest([0; 16]));
        let envelope = Envelope { account, class, actor: 0, key, digest, dated_ms: 0, command: C::BLANK };
        let admitted = Admitted { time_ms: 0, policy: 0, envelope };
        Self { admitted, outcome: Outcome::Accepted(Vec::new()) }
    }

    /// Reads an entry as [`decode`](Entry::decode) does, in the place of this one, whose memory it uses again. After an error
    /// nothing of this one is of use.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut input = Input(bytes);
        let [version] = input.array()?;
        if version != ENTRY_VERSION {
            return Err(Error::Version(version));
        }
        let [class] = input.array()?;
        let admitted = &mut self.admitted;
        let envelope = &mut admitted.envelope;
        envelope.class = Class::from_code(class).ok_or(Error::Class(class))?;
        admitted.time_ms = u64::from_le_bytes(input.array()?);
        admitted.policy = u32::from_le_bytes(input.array()?);
        envelope.account = AccountId(input.array()?);
        envelope.actor = u64::from_le_bytes(input.array()?);
        envelope.key = Key(input.array()?);
        envelope.digest = Digest(input.array()?);
        envelope.dated_ms = u64::from_le_bytes(input.array()?);
        let (code, version, body) = input.coded()?;
        envelope.command = C::read(code, version, body)?;
        input.outcome(&mut self.outcome)?;
        if input.0.is_empty() { Ok(()) } else { Err(Error::Left(input.0.len())) }
    }
}

/// Appends the stored form of a command and its outcome to `out`.
pub fn encode(admitted: &Admitted, outcome: Result<&[Event], &Reject>, out: &mut Vec<u8>) {
    let envelope = &admitted.envelope;
    out.push(ENTRY_VERSION);
    out.push(envelope.class.code());
    out.extend_from_slice(&admitted.time_ms.to_le_bytes());
    out.extend_from_slice(&admitted.policy.to_le_bytes());
    out.extend_from_slice(&envelope.account.0);
    out.extend_from_slice(&envelope.actor.to_le_bytes());
    out.extend_from_slice(&envelope.key.0);
    out.extend_from_slice(&envelope.digest.0);
    out.extend_from_slice(&envelope.dated_ms.to_le_bytes());
    coded(envelope.command.code(), out, |out| envelope.command.body(out));
    encode_outcome(outcome, out);
}

/// Appends a command in its stored form: code, version, body. Also how commands travel between processes.
pub fn encode_command(command: &Command, out: &mut Vec<u8>) {
    coded(command.code(), out, |out| command.body(out));
}

/// Reads a command off the front of `bytes`; gives what is left.
pub fn decode_command(bytes: &[u8]) -> Result<(Command, &[u8]), Error> {
    let mut input = Input(bytes);
    let (code, version, body) = input.coded()?;
    Ok((Command::from_body(code, version, body)?, input.0))
}

/// Appends an outcome in its stored form.
pub fn encode_outcome(outcome: Result<&[Event], &Reject>, out: &mut Vec<u8>) {
    match outcome {
        Ok(events) => {
            out.push(1);
            varint(events.len(), out);
            for event in events {
                coded(event.code(), out, |out| event.body(out));
            }
        }
        Err(reject) => {
            out.push(2);
            sized(out, |out| append(reject, out));
        }
    }
}

/// Reads an outcome off the front of `bytes`; gives what is left.
pub fn decode_outcome(bytes: &[u8]) -> Result<(Outcome, &[u8]), Error> {
    let mut input = Input(bytes);
    let mut outcome = Outcome::Accepted(Vec::new());
    input.outcome(&mut outcome)?;
    Ok((outcome, input.0))
}

fn coded(code: u16, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&code.to_le_bytes());
    out.push(1);
    sized(out, body);
}

/// Writes a body behind its length as a varint. One byte is kept for the length, as nearly all bodies need no more;
/// a longer one is moved.
fn sized(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    body(out);
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = u8::try_from(length).unwrap_or(0x7F);
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    varint(length, &mut prefix);
    out.splice(at..=at, prefix);
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

struct Append<'a>(&'a mut Vec<u8>);

/// Longest form of a 64-bit number.
const NUMBER_BYTES_MAX: usize = 10;

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Most are numbers, written a moment ago byte by byte: to read them back in larger pieces would wait for them to arrive.
        if bytes.len() <= NUMBER_BYTES_MAX {
            for byte in bytes {
                self.0.push(*byte);
            }
        } else {
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends a value as postcard. Our own types have no way to fail: all lengths are known and memory is the only sink.
pub(crate) fn append<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let written = postcard::serialize_with_flavor(value, Append(out));
    debug_assert!(written.is_ok(), "a stored type serialises without error");
}

/// Reads a value that fills the bytes exactly.
pub(crate) fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(Error::Body)?;
    if rest.is_empty() { Ok(value) } else { Err(Error::Left(rest.len())) }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Error::Short)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Error::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn varint(&mut self) -> Result<usize, Error> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7F).checked_shl(shift).ok_or(Error::Short)?;
            if byte & 0x80 == 0 {
                return Ok(value as usize);
            }
        }
        Err(Error::Short)
    }

    fn outcome(&mut self, outcome: &mut Outcome) -> Result<(), Error> {
        match self.array()? {
            [1] => {
                let count = self.varint()?;
                let mut events = match outcome {
                    Outcome::Accepted(events) => mem::take(events),
                    Outcome::Rejected(_) => Vec::new(),
                };
                events.clear();
                events.reserve(count.min(64));
                for _ in 0..count {
                    let (code, version, body) = self.coded()?;
                    events.push(Event::from_body(code, version, body)?);
                }
                *outcome = Outcome::Accepted(events);
            }
            [2] => {
                let length = self.varint()?;
                *outcome = Outcome::Rejected(whole(self.take(length)?)?);
            }
            [other] => return Err(Error::Outcome(other)),
        }
        Ok(())
    }

    fn coded(&mut self) -> Result<(u16, u8, &'a [u8]), Error> {
        let code = u16::from_le_bytes(self.array()?);
        let [version] = self.array()?;
        let length = self.varint()?;
        Ok((code, version, self.take(length)?))
    }
}
