//! Webhooks: what happened to cards is told to their companies, at least once and in order per card.
//!
//! Shape: a [`Source`] lists what is due to a company, as of each event; one courier per company ([`courier`]) takes it in,
//! keeps it in a [`Store`] until it is delivered, and sends it with [`client`]; [`Desk`] is what operators ask and order. The
//! store is a file of one process ([`Embedded`]) or shared by several ([`Shared`]), each of which looks after the partitions it
//! holds; operators may then be answered by one that holds none ([`Webhooks::attend`]).
//!
//! Order: of a card one webhook is under way at a time, the oldest first; while it fails, the later ones of that card wait
//! and other cards go on. After the last try it is a dead letter and the card goes on without it: each body shows the
//! whole card, so a later one stands for itself. A dead letter that is retried comes before what is still waiting.
//!
//! At least once: what is due is stored together with the position up to which it was taken in, and goes when it was
//! answered with 2xx. After a crash some come again, under the same `webhook-id`.
//!
//! Bounds: [`Options::window`] undelivered webhooks per company and partition (the rest stays with the source, and other
//! companies do not notice), [`Options::concurrency`] requests per company, [`COMPANIES_MAX`] companies.
//!
//! Absent on purpose: bodies in the store. They are made when they are sent, from what was kept of the card.

mod clerk;
mod client;
mod courier;
mod delivery;
mod desk;
mod embedded;
mod endpoint;
mod guard;
mod id;
mod lines;
mod office;
mod order;
mod schedule;
mod shared;
mod signature;
mod source;
mod store;

use std::sync::Arc;
use std::time::Duration;

use florin_journal::LedgerId;

pub use delivery::{Cursor, Delivery, Kind, Mark};
pub use desk::{Desk, EndpointShown, Inbox, Lag, Order, Shown};
pub use embedded::Embedded;
pub use endpoint::{Endpoint, Seal, State};
pub use guard::{BadUrl, check_url, is_public};
pub use id::{MessageId, NotAnId};
pub use office::Webhooks;
pub use order::{Standing, Task};
pub use schedule::Schedule;
pub use shared::Shared;
pub use signature::{BadSecret, Secret, sign};
pub use source::{Due, Reached, Source};
pub use store::{Change, Kept, Store};

/// Most companies with an endpoint.
pub const COMPANIES_MAX: usize = 1_000;

/// What goes wrong with webhooks. Nothing at a receiver is an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The journal lacks, or has otherwise, what was sent already.
    #[error("the webhooks' positions do not fit the journal")]
    Journal(#[from] florin_journal::Error),
    /// Another process has the file open.
    #[error("{path} is open in another process: stop it first")]
    Locked {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The store that processes share cannot be used, or another process has changed it.
    #[error(transparent)]
    Bucket(#[from] crate::bucket::Error),
    /// The storage failed while doing something.
    #[error("the webhooks' storage failed while {doing}")]
    Storage {
        /// What.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is due cannot be read.
    #[error("what is due cannot be read")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No secret can be made, sealed or opened.
    #[error("an endpoint's secret cannot be used")]
    Secret(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The endpoint's address is not allowed.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The given secret is none.
    #[error(transparent)]
    BadSecret(#[from] BadSecret),
    /// There is no such endpoint, webhook or dead letter.
    #[error("there is no {0} of this name")]
    Unknown(&'static str),
    /// The endpoint is disabled: enable it first.
    #[error("the endpoint of {0} is disabled: enable it first")]
    Disabled(String),
    /// There are as many endpoints as there may be.
    #[error("there are {COMPANIES_MAX} endpoints already")]
    Full,
    /// The webhooks have stopped, or the partition is not held here.
    #[error("the webhooks do not run here any more")]
    Stopped,
    /// A part of them panicked.
    #[error("a part of the webhooks broke down")]
    Broken(#[from] tokio::task::JoinError),
}

/// A boxed cause.
pub(crate) fn storage<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl Fn(E) -> Error {
    move |source| Error::Storage { doing, source: source.into() }
}

/// Settings of the webhooks.
#[derive(Clone)]
pub struct Options {
    /// The ledger, named by every `webhook-id`.
    pub ledger: LedgerId,
    /// Seals secrets for the store.
    pub seal: Arc<dyn Seal>,
    /// When what is tried again.
    pub schedule: Schedule,
    /// How long an answer may take [15 s].
    pub timeout: Duration,
    /// Requests of one company at the same time [8].
    pub concurrency: usize,
    /// Undelivered webhooks of a company in a partition before no more are taken in, dead letters included [10,000].
    pub window: usize,
    /// Whether receivers on private and loopback addresses are allowed [no].
    pub allow_private: bool,
    /// Whether receivers without TLS are allowed [no].
    pub allow_http: bool,
    /// How long a replaced secret still signs beside the new one [24 h].
    pub rotation: Duration,
    /// How long what is due is kept for a replay after everybody has sent it [72 h].
    pub replay: Duration,
    /// How often what is old is forgotten [1 min].
    pub forget_every: Duration,
    /// How long requests under way may go on at the end [5 s].
    pub grace: Duration,
}

impl Options {
    /// The defaults.
    pub fn new(ledger: LedgerId, seal: Arc<dyn Seal>) -> Self {
        Self {
            ledger,
            seal,
            schedule: Schedule::default(),
            timeout: Duration::from_secs(15),
            concurrency: 8,
            window: 10_000,
            allow_private: false,
            allow_http: false,
            rotation: Duration::from_hours(24),
            replay: Duration::from_hours(72),
            forget_every: Duration::from_mins(1),
            grace: Duration::from_secs(5),
        }
    }
}

/// The wall clock, ms since 1970.
pub(crate) fn now_ms() -> u64 {
    florin_processor::Clock::wall_ms(&florin_processor::SystemClock)
}
