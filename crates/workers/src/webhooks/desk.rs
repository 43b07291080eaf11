//! The desk: what operators ask of the webhooks and order from them.

use std::sync::{Arc, Mutex, PoisonError};

use florin_engine::ids::{AccountId, CardId, Position};
use secrecy::SecretString;
use tokio::sync::{self, mpsc, oneshot};

use super::Error;
use super::delivery::{Delivery, Kind};
use super::endpoint::State;
use super::id::MessageId;
use super::signature::Secret;

/// Orders that may wait.
const ORDERS_MAX: usize = 64;

/// What an endpoint is to be.
#[derive(Clone, Debug)]
pub struct Order {
    /// The company.
    pub company: String,
    /// The base URL.
    pub url: String,
    /// Whether it gets webhooks.
    pub enabled: bool,
    /// What signs from now on; `None`: what signed before, or a random one for a new endpoint.
    pub secret: Option<Secret>,
    /// Have a random secret sign from now on.
    pub rotate: bool,
}

/// An endpoint as operators see it.
#[derive(Clone, Debug)]
pub struct EndpointShown {
    /// The company.
    pub company: String,
    /// Its base URL.
    pub url: String,
    /// Whether it gets webhooks.
    pub state: State,
    /// How many secrets sign.
    pub secrets: usize,
    /// When it was last changed, ms since 1970.
    pub changed_ms: u64,
    /// How far its webhooks are taken in, by partition.
    pub positions: Vec<(u16, Position)>,
    /// Not delivered yet.
    pub waiting: usize,
    /// Dead letters.
    pub dead: usize,
    /// When something was last delivered, ms since 1970; `None`: not since the start.
    pub delivered_ms: Option<u64>,
    /// What went wrong last, and when, ms since 1970; `None`: nothing since the start.
    pub failed: Option<(String, u64)>,
    /// The oldest undelivered, at most 100, and the last that were delivered, at most 20.
    pub deliveries: Vec<Shown>,
}

/// A webhook as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its `webhook-id`.
    pub id: String,
    /// To whom.
    pub company: String,
    /// What it tells.
    pub kind: Kind,
    /// Whose card.
    pub account: AccountId,
    /// Which card.
    pub card: CardId,
    /// Where the event stands.
    pub position: Position,
    /// `waiting`, `failing`, `dead` or `delivered`.
    pub state: &'static str,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, ms since 1970; `None`: not by itself.
    pub next_ms: Option<u64>,
    /// Since when it is dead, ms since 1970.
    pub died_ms: Option<u64>,
    /// What went wrong the last time; empty: nothing.
    pub error: String,
}

impl Shown {
    pub(super) fn of(id: MessageId, delivery: &Delivery) -> Self {
        let state = match (delivery.died_ms, delivery.tries) {
            (Some(_), _) => "dead",
            (None, 0) => "waiting",
            (None, _) => "failing",
        };
        Self {
            id: id.to_string(),
            company: delivery.company.clone(),
            kind: delivery.kind,
            account: delivery.account,
            card: delivery.card,
            position: delivery.mark.position,
            state,
            tries: delivery.tries,
            next_ms: delivery.died_ms.is_none().then_some(delivery.next_ms),
            died_ms: delivery.died_ms,
            error: delivery.error.clone(),
        }
    }
}

/// An answer to come.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What is asked of the office.
pub(super) enum Asked {
    Put(Order, Reply<(EndpointShown, Option<SecretString>)>),
    List(Reply<Vec<EndpointShown>>),
    Letters(Reply<Vec<Shown>>),
    Resend(MessageId, Reply<()>),
    Retry(MessageId, Reply<()>),
    Discard(MessageId, Reply<()>),
    Replay(String, Vec<(u16, Position)>, Reply<()>),
}

/// The desk. Cheap to clone; its calls fail with [`Error::Stopped`] where the webhooks do not run.
#[derive(Clone, Debug)]
pub struct Desk {
    orders: mpsc::Sender<Asked>,
    lags: Lags,
}

/// How far each partition was told, as last seen.
pub(super) type Lags = Arc<Mutex<Vec<Lag>>>;

/// How far the webhooks of a partition are taken in: by the enabled endpoint that is furthest behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: u16,
    /// How far.
    pub position: Position,
    /// Records it is behind the journal.
    pub behind_records: u64,
}

/// What the desk's orders come out of. Cheap to clone; one [`super::Webhooks::run`] uses it at a time.
#[derive(Clone, Debug)]
pub struct Inbox {
    pub(super) orders: Arc<sync::Mutex<mpsc::Receiver<Asked>>>,
    pub(super) lags: Lags,
}

impl Desk {
    /// A desk, and the inbox for [`super::Webhooks::run`].
    pub fn open() -> (Self, Inbox) {
        let (orders, receive) = mpsc::channel(ORDERS_MAX);
        let lags = Lags::default();
        (Self { orders, lags: Arc::clone(&lags) }, Inbox { orders: Arc::new(sync::Mutex::new(receive)), lags })
    }

    async fn ask<T>(&self, asked: impl FnOnce(Reply<T>) -> Asked) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(asked(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// How far each partition that is looked after here is told, as last seen; does not wait.
    pub fn lags(&self) -> Vec<Lag> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets a company's endpoint. What happens from then on is sent to it; the second value is the secret, if one was made.
    pub async fn put(&self, order: Order) -> Result<(EndpointShown, Option<SecretString>), Error> {
        self.ask(|reply| Asked::Put(order, reply)).await
    }

    /// All endpoints, by company.
    pub async fn list(&self) -> Result<Vec<EndpointShown>, Error> {
        self.ask(Asked::List).await
    }

    /// All dead letters, the oldest death first.
    pub async fn letters(&self) -> Result<Vec<Shown>, Error> {
        self.ask(Asked::Letters).await
    }

    /// Sends a webhook at once, whether it was delivered, waits or is dead. [`Error::Unknown`] where it is not kept.
    pub async fn resend(&self, id: MessageId) -> Result<(), Error> {
        self.ask(|reply| Asked::Resend(id, reply)).await
    }

    /// Has a dead letter tried again from the beginning.
    pub async fn retry(&self, id: MessageId) -> Result<(), Error> {
        self.ask(|reply| Asked::Retry(id, reply)).await
    }

    /// Gives a dead letter up for good.
    pub async fn discard(&self, id: MessageId) -> Result<(), Error> {
        self.ask(|reply| Asked::Discard(id, reply)).await
    }

    /// Sends a company everything again that is kept from a position on, by partition.
    pub async fn replay(&self, company: String, from: Vec<(u16, Position)>) -> Result<(), Error> {
        self.ask(|reply| Asked::Replay(company, from, reply)).await
    }
}
