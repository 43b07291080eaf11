//! What is behind the gateway: the ports it is given, and the traits of those that it cannot name.
//!
//! Dead letters and followers belong to workers, which the gateway does not know; whoever wires the process adapts them.

use std::sync::{Arc, atomic::AtomicBool};

use florin_engine::ids::{AccountId, CardId, Position};
use florin_issuer::{Issuer, Sandbox};
use florin_processor::Handle;
use florin_projector::Views;
use florin_vault::Vault;
use secrecy::SecretString;
use thiserror::Error;

/// Everything behind the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// Where commands go.
    pub handle: Handle,
    /// Where answers are read.
    pub views: Views,
    /// Pseudonyms, digests, personal data.
    pub vault: Vault,
    /// Who reveals numbers and codes.
    pub issuer: Arc<dyn Issuer>,
    /// What settlement gave up; `None` where no settlement runs in this process.
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
    /// Webhooks; `None` where none run in this process.
    pub webhooks: Option<Arc<dyn Webhooks>>,
    /// The sandbox issuer, where that is the issuer.
    pub sandbox: Option<Arc<Sandbox>>,
    /// Who follows the journal, and how far behind it is.
    pub followers: Arc<dyn Followers>,
    /// Set while something that callers count on is still being made, such as the users of the demo: not ready till then.
    pub preparing: Arc<AtomicBool>,
}

/// Why dead letters cannot be had or dealt with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The letter is being tried right now: what becomes of it has to be waited for.
    #[error("the dead letter is being tried right now")]
    BeingTried,
    /// The queue cannot be reached just now; asking again may help.
    #[error("the dead letters cannot be reached now")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The queue failed.
    #[error("the dead letters cannot be reached")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An item that a queue gave up after its last try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id: stable, opaque, 1–64 visible ASCII characters.
    pub id: String,
    /// Which queue: `settlement`, `webhooks`.
    pub queue: String,
    /// The account it is about.
    pub account: AccountId,
    /// The card it is about; nil: none.
    pub card: CardId,
    /// What was to be done, in words.
    pub task: String,
    /// How often it was tried.
    pub tries: u32,
    /// What went wrong the last time.
    pub error: String,
    /// Since when it is dead, ms since 1970.
    pub since_ms: u64,
}

/// The dead letters of all queues. Calls may block on a small store.
pub trait DeadLetters: Send + Sync {
    /// At most `limit`, oldest first.
    fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, Error>;
    /// Puts one back on its queue as new; `false`: there is none of this id. [`Error::BeingTried`] while it is being tried.
    fn retry(&self, id: &str) -> Result<bool, Error>;
    /// Gives one up for good; `false`: there is none of this id. [`Error::BeingTried`] while it is being tried.
    fn drop(&self, id: &str) -> Result<bool, Error>;
}

/// What an endpoint for webhooks is to be.
#[derive(Clone, Debug)]
pub struct WebhookOrder {
    /// The company.
    pub company: String,
    /// The base URL.
    pub url: String,
    /// Whether it gets webhooks.
    pub enabled: bool,
    /// The secret that signs from now on; `None`: as before, or a random one for a new endpoint.
    pub secret: Option<SecretString>,
    /// Have a random secret sign from now on.
    pub rotate: bool,
}

/// An endpoint for webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// The company.
    pub company: String,
    /// The base URL.
    pub url: String,
    /// `enabled`, `disabled` (by ops) or `gone` (it answered 410).
    pub state: String,
    /// How many secrets sign: two while one is replaced.
    pub secrets: usize,
    /// When it was last set, ms since 1970.
    pub changed_ms: u64,
    /// How far its webhooks are taken in, by partition.
    pub positions: Vec<(u16, Position)>,
    /// Webhooks that are not delivered yet.
    pub waiting: usize,
    /// Dead letters.
    pub dead: usize,
    /// When one was last delivered, ms since 1970.
    pub delivered_ms: Option<u64>,
    /// What went wrong last, and when, ms since 1970.
    pub failed: Option<(String, u64)>,
    /// The oldest undelivered and the last delivered webhooks, some of each.
    pub deliveries: Vec<Webhook>,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its `webhook-id`.
    pub id: String,
    /// The path behind the base URL.
    pub path: &'static str,
    /// The card it tells of.
    pub card: CardId,
    /// Where the event stands.
    pub at: (u16, Position),
    /// `waiting`, `failing`, `dead` or `delivered`.
    pub state: &'static str,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, ms since 1970; `None`: not by itself.
    pub next_ms: Option<u64>,
    /// What went wrong the last time; empty: nothing.
    pub error: String,
}

/// Why an order about webhooks is not carried out.
#[derive(Debug, Error)]
pub enum WebhookFault {
    /// The URL will not do; says what it must be.
    #[error("the URL {0}")]
    Url(String),
    /// The secret is none.
    #[error("the secret is none")]
    Secret,
    /// There is no such endpoint or webhook.
    #[error("there is no such endpoint or webhook")]
    Unknown,
    /// The endpoint is disabled.
    #[error("the endpoint is disabled")]
    Disabled,
    /// There are as many endpoints as there may be.
    #[error("there are too many endpoints")]
    Full,
    /// It failed.
    #[error("the webhooks cannot be reached")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The webhooks. Calls may block on a small store.
pub trait Webhooks: Send + Sync {
    /// Sets an endpoint; the second value is the secret, if one was made.
    fn put(&self, order: WebhookOrder) -> Result<(WebhookEndpoint, Option<SecretString>), WebhookFault>;
    /// All endpoints, by company.
    fn list(&self) -> Result<Vec<WebhookEndpoint>, WebhookFault>;
    /// Sends a webhook again, at once.
    fn resend(&self, id: &str) -> Result<(), WebhookFault>;
    /// Sends everything again from a position on, by partition.
    fn replay(&self, company: &str, from: Vec<(u16, Position)>) -> Result<(), WebhookFault>;
}

/// One follower of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    /// What it is called: `projector`, `settlement`.
    pub name: String,
    /// Which partition it follows.
    pub partition: u16,
    /// What it has applied.
    pub position: Position,
    /// Records it is behind the durable journal.
    pub behind_records: u64,
}

/// Whoever follows the journal.
pub trait Followers: Send + Sync {
    /// All followers of all partitions, by name, then partition.
    fn followers(&self) -> Vec<Follower>;
}

/// The projector alone.
impl Followers for Views {
    fn followers(&self) -> Vec<Follower> {
        (0..self.partitions())
            .map(|partition| Follower {
                name: "projector".to_owned(),
                partition,
                position: self.position(partition),
                behind_records: self.lag(partition),
            })
            .collect()
    }
}
