//! The outbox: appeals are sent on by e-mail, and what became of that is recorded (lifecycle.md, Appeals).
//!
//! Shape: one follower per partition puts every opened appeal into a durable [`Outbox`] and takes out what is recorded as
//! sent or failed; one sender hands messages to the mail server and sends `RecordAppealEmail`.
//!
//! At least once: a message is marked as sent before that is recorded, so a crash between the two sends nothing again; a crash
//! between the server's answer and the mark sends it once more, under the same `Message-ID`.
//!
//! Bounds: [`LETTERS_MAX`] appeals in the outbox (the journal keeps the rest), one message at a time, a time-out and a number of
//! tries for each. What the server refuses for good (5xx) is failed at once, whatever else after the last try.
//!
//! Absent on purpose: anything personal in subject, headers and log. The subject is made of ids; the text is opened when it is
//! sent.

mod follow;
mod outbox;
mod sender;
mod shared;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::ids::{AccountId, Position};
use florin_engine::money::Sealed;
use florin_journal::{PartitionId, Provider};
use florin_processor::{Clock as WallClock, SystemClock};
use lettre::message::Mailbox;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::engine::Engine;
use follow::Follower;
pub use outbox::Outbox;
use sender::Sender;

/// Most appeals that wait in the outbox.
pub const LETTERS_MAX: usize = 10_000;

/// What goes wrong with mail. Nothing at the mail server is an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The journal cannot be followed.
    #[error("the mail worker cannot follow the journal")]
    Journal(#[from] florin_journal::Error),
    /// An entry of the journal cannot be read.
    #[error("the mail worker cannot read the entry at {position} of partition {partition}")]
    Entry {
        /// Where.
        partition: u16,
        /// Where there.
        position: Position,
        /// Why.
        #[source]
        source: florin_engine::codec::Error,
    },
    /// Another process has the file open.
    #[error("{path} is open in another process: stop it first")]
    Locked {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The outbox that processes share cannot be used, or another process has changed it.
    #[error(transparent)]
    Bucket(#[from] crate::bucket::Error),
    /// The storage failed while doing something.
    #[error("the outbox's storage failed while {doing}")]
    Storage {
        /// What.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The mail server's URL cannot be used. It is not shown: it may hold a password.
    #[error("must be smtp://HOST:PORT or smtps://HOST:PORT, with user and password if the server asks for them")]
    Url,
    /// An address cannot be used.
    #[error("must be a mail address such as \"Appeals <appeals@example.com>\"")]
    Address,
    /// A part of it panicked.
    #[error("a part of the mail worker broke down")]
    Broken(#[from] tokio::task::JoinError),
}

/// Opens what a user wrote.
pub trait Opener: Send + Sync {
    /// The text of an appeal; `None`: the user is erased.
    fn open(
        &self,
        account: AccountId,
        message: &Sealed,
    ) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Settings of the mail worker.
#[derive(Clone)]
pub struct Options {
    /// The mail server: `smtp://` or `smtps://`, `?tls=required` for STARTTLS.
    pub url: SecretString,
    /// Who the messages are from.
    pub from: String,
    /// Who they are to.
    pub to: String,
    /// How long a connection may take for one command [30 s].
    pub timeout: Duration,
    /// Waits between tries [30 s, doubled up to 1 h].
    pub backoff: Backoff,
    /// Tries before an e-mail has failed [12].
    pub tries_max: u32,
    /// Wait when it is Florin itself that cannot go on [1 s].
    pub pause: Duration,
    /// Dates messages and commands.
    pub clock: Arc<dyn WallClock>,
}

impl Options {
    /// The defaults, for a server, a sender and a receiver.
    pub fn new(url: SecretString, from: String, to: String) -> Self {
        Self {
            url,
            from,
            to,
            timeout: Duration::from_secs(30),
            backoff: Backoff { first: Duration::from_secs(30), max: Duration::from_hours(1) },
            tries_max: 12,
            pause: Duration::from_secs(1),
            clock: Arc::new(SystemClock),
        }
    }

    /// Whether URL and addresses can be used; the name of the one that cannot.
    pub fn check(&self) -> Result<(), (&'static str, Error)> {
        sender::transport(self).map_err(|error| ("url", error))?;
        check_address(&self.from).map_err(|error| ("from", error))?;
        check_address(&self.to).map_err(|error| ("to", error))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

/// Whether a text is a mail address.
pub fn check_address(text: &str) -> Result<(), Error> {
    mailbox(text).map(|_| ())
}

fn mailbox(text: &str) -> Result<Mailbox, Error> {
    if text.chars().any(char::is_control) {
        return Err(Error::Address);
    }
    text.parse().map_err(|_| Error::Address)
}

/// The mail worker.
#[derive(Clone, Copy, Debug)]
pub struct Mail;

impl Mail {
    /// Finds out whether the journal has what the outbox remembers of it. Ask before anything is written to the journal.
    pub async fn confirm<P: Provider>(provider: &P, outbox: &Outbox) -> Result<(), Error> {
        for partition in 0..provider.ledger().partitions {
            if let Some(checkpoint) = outbox.reached(partition) {
                provider.confirm(PartitionId(partition), checkpoint.index, checkpoint.hash).await?;
            }
        }
        Ok(())
    }

    /// Runs until `shutdown` resolves; `held` names the partitions that are this process's (`None`: all). Ends earlier only
    /// with an error that a restart may mend.
    pub async fn run<E: Engine, P: Provider>(
        engine: E,
        provider: P,
        opener: Arc<dyn Opener>,
        outbox: Outbox,
        options: Options,
        held: Option<watch::Receiver<BTreeSet<u16>>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let all: BTreeSet<u16> = (0..provider.ledger().partitions).collect();
        let (_keep, held) = held.map_or_else(
            || {
                let (send, receive) = watch::channel(all);
                (Some(send), receive)
            },
            |held| (None, held),
        );
        let mut parts: JoinSet<Result<(), Error>> = JoinSet::new();
        for partition in 0..provider.ledger().partitions {
            let follower = Follower { partition, provider: provider.clone(), outbox: outbox.clone() };
            parts.spawn(follower.run(held.clone()));
        }
        let sender = Sender::new(engine, provider, opener, outbox, options)?;
        parts.spawn(sender.run(held));
        tokio::pin!(shutdown);
        let ended = tokio::select! {
            () = &mut shutdown => Ok(()),
            Some(part) = parts.join_next() => part.map_err(Error::from).and_then(|part| part),
        };
        // A message under way may be left: whether the server took it is found out by sending it again, under its id.
        parts.shutdown().await;
        ended
    }
}
