//! The sender: hands messages to the mail server, one at a time, and records what became of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::codec::{Entry, Outcome};
use florin_engine::command::{Class, RecordAppealEmail};
use florin_engine::event::Event;
use florin_engine::money::Sealed;
use florin_engine::reject::Retry;
use florin_engine::terms::EmailStatus;
use florin_journal::{PartitionId, Provider};
use lettre::message::header::ContentType;
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::outbox::{Letter, Outbox};
use super::{Error, Opener, Options, mailbox};
use crate::derive;
use crate::engine::Engine;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Longest sleep; a clock that is set is noticed after it.
const SLEEP_MAX: Duration = Duration::from_mins(1);

/// How a try ended.
enum Tried {
    /// The server took it.
    Sent,
    /// No try will help.
    Refused(String),
    /// Another try may.
    Failed(String),
    /// It is Florin that cannot go on: not counted as a try.
    Wait(String),
}

pub(super) struct Sender<E, P> {
    engine: E,
    provider: P,
    opener: Arc<dyn Opener>,
    outbox: Outbox,
    options: Options,
    transport: Transport,
    domain: String,
}

/// The mail server of the settings.
pub(super) fn transport(options: &Options) -> Result<Transport, Error> {
    let url = options.url.expose_secret();
    if !(url.starts_with("smtp://") || url.starts_with("smtps://")) {
        return Err(Error::Url);
    }
    let server = Transport::from_url(url).map_err(|_| Error::Url)?;
    Ok(server.timeout(Some(options.timeout)).build())
}

impl<E: Engine, P: Provider> Sender<E, P> {
    pub(super) fn new(
        engine: E,
        provider: P,
        opener: Arc<dyn Opener>,
        outbox: Outbox,
        options: Options,
    ) -> Result<Self, Error> {
        let transport = transport(&options)?;
        let domain = mailbox(&options.from)?.email.domain().to_owned();
        mailbox(&options.to)?;
        Ok(Self { engine, provider, opener, outbox, options, transport, domain })
    }

    pub(super) async fn run(self, held: watch::Receiver<BTreeSet<u16>>) -> Result<(), Error> {
        loop {
            metrics::gauge!("florin_mail_letters").set(self.outbox.len() as f64);
            let mine = held.borrow().clone();
            let now_ms = self.options.clock.wall_ms();
            let wait = match self.outbox.first(&mine) {
                Some(letter) if letter.next_ms <= now_ms => {
                    self.turn(letter).await?;
                    continue;
                }
                Some(letter) => Duration::from_millis(letter.next_ms - now_ms).min(SLEEP_MAX),
                None => SLEEP_MAX,
            };
            tokio::select! {
                () = self.outbox.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn turn(&self, mut letter: Letter) -> Result<(), Error> {
        if letter.state == EmailStatus::Queued {
            let tried = self.attempt(&letter).await;
            let (appeal, number) = (letter.appeal, letter.number);
            match tried {
                Tried::Sent => {
                    tracing::info!(%appeal, number, "an appeal's e-mail is sent");
                    letter.state = EmailStatus::Sent;
                }
                Tried::Refused(why) => {
                    tracing::error!(%appeal, number, why, "an appeal's e-mail has failed");
                    letter.state = EmailStatus::Failed;
                }
                Tried::Failed(why) => {
                    letter.tries = letter.tries.saturating_add(1);
                    if letter.tries >= self.options.tries_max {
                        tracing::error!(%appeal, number, why, tries = letter.tries, "an appeal's e-mail has failed");
                        letter.state = EmailStatus::Failed;
                    } else {
                        tracing::warn!(%appeal, number, why, tries = letter.tries, "an appeal's e-mail is tried again");
                        metrics::counter!("florin_mail_tries_total", "outcome" => "retried").increment(1);
                        let wait = self.options.backoff.wait_by_chance(letter.tries - 1);
                        return self.later(letter, wait).await;
                    }
                }
                Tried::Wait(why) => {
                    tracing::warn!(%appeal, number, why, "an appeal's e-mail waits");
                    return self.later(letter, self.options.pause).await;
                }
            }
            let outcome = if letter.state == EmailStatus::Sent { "sent" } else { "failed" };
            metrics::counter!("florin_mail_tries_total", "outcome" => outcome).increment(1);
            // Kept before it is recorded, so that a crash in between sends nothing again.
            self.outbox.keep(letter).await?;
        }
        self.record(letter).await
    }

    async fn later(&self, mut letter: Letter, wait: Duration) -> Result<(), Error> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        letter.next_ms = self.options.clock.wall_ms().saturating_add(wait_ms);
        self.outbox.keep(letter).await
    }

    /// Sends what became of it to the engine.
    async fn record(&self, letter: Letter) -> Result<(), Error> {
        let (now_ms, status) = (self.options.clock.wall_ms(), letter.state);
        let content = [&letter.appeal.0[..], &[status.code()]].concat();
        let command = RecordAppealEmail { appeal: letter.appeal, status };
        let envelope = derive::envelope(letter.account, Class::Settlement, command.into(), &content, 0, now_ms);
        match self.engine.submit(envelope).await.map(|reply| reply.outcome) {
            Ok(Outcome::Accepted(_)) => self.outbox.done(letter.appeal).await,
            Ok(Outcome::Rejected(reject)) if reject.reason.retry() != Retry::Later => {
                tracing::error!(appeal = %letter.appeal, %reject, "what became of an e-mail cannot be recorded");
                self.outbox.done(letter.appeal).await
            }
            Ok(Outcome::Rejected(_)) => self.later(letter, self.options.pause).await,
            Err(error) => {
                tracing::debug!(%error, "recording an e-mail is put off");
                self.later(letter, self.options.pause).await
            }
        }
    }

    async fn attempt(&self, letter: &Letter) -> Tried {
        let sealed = match self.sealed(letter).await {
            Ok(Some(sealed)) => sealed,
            Ok(None) => return Tried::Refused("the journal holds no such appeal".into()),
            Err(error) => return Tried::Wait(error.to_string()),
        };
        let text = match self.opener.open(letter.account, &sealed) {
            Ok(Some(text)) => text,
            Ok(None) => return Tried::Refused("the user's personal data was erased".into()),
            Err(error) => return Tried::Wait(error.to_string()),
        };
        let message = match self.message(letter, text) {
            Ok(message) => message,
            Err(why) => return Tried::Refused(why),
        };
        // Each command has its time; the whole has too, whatever a server trickles.
        let within = self.options.timeout.saturating_mul(4);
        match tokio::time::timeout(within, self.transport.send(message)).await {
            Ok(Ok(_)) => Tried::Sent,
            Ok(Err(error)) if error.is_permanent() => Tried::Refused(told(&error)),
            Ok(Err(error)) => Tried::Failed(told(&error)),
            Err(_) => Tried::Failed("the mail server took too long".into()),
        }
    }

    /// The message as it stands in the journal.
    async fn sealed(&self, letter: &Letter) -> Result<Option<Sealed>, florin_journal::Error> {
        let record = self.provider.read(PartitionId(letter.partition()), letter.position.index()).await?;
        let entry = record.entry(letter.position.entry()).and_then(|bytes| Entry::decode(bytes).ok());
        let Some(Outcome::Accepted(events)) = entry.map(|entry| entry.outcome) else { return Ok(None) };
        Ok(events.into_iter().find_map(|event| match event {
            Event::AppealOpened(event) if event.appeal == letter.appeal => Some(event.message),
            _ => None,
        }))
    }

    /// The message. What the user wrote is in its body alone, which is encoded as the standard asks.
    fn message(&self, letter: &Letter, text: String) -> Result<Message, String> {
        let told = |error: &dyn std::error::Error| error.to_string();
        Message::builder()
            .from(mailbox(&self.options.from).map_err(|error| told(&error))?)
            .to(mailbox(&self.options.to).map_err(|error| told(&error))?)
            .subject(format!("Appeal {} against the block of card {}", letter.number, letter.card))
            .message_id(Some(format!("<appeal-{}@{}>", letter.appeal, self.domain)))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| told(&error))
    }
}

/// What the server said, or what kept it from saying anything. It may quote an address, never the text.
fn told(error: &lettre::transport::smtp::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
