//! Webhooks between crates that do not know each other: the views list what is due, the gateway makes the bodies, the
//! workers send them, and ops ask by the gateway.

use std::collections::BTreeSet;
use std::sync::Arc;

use florin_engine::ids::Position;
use florin_gateway::dialects::baas::webhooks as bodies;
use florin_gateway::ports::{self, Follower, Followers, WebhookEndpoint, WebhookFault, WebhookOrder, Webhooks};
use florin_journal::Hash;
use florin_projector::{DueKeep, DueKind, DueMark, DueRow, Views};
use florin_vault::Vault;
use florin_workers::mail::Outbox;
use florin_workers::queue::Checkpoint;
use florin_workers::webhooks::{Desk, Due, EndpointShown, Error, Kind, Mark, Order, Reached, Secret, Shown, Source};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

/// Most that is forgotten in one batch, so that reads do not wait long.
const FORGET_MAX: usize = 512;
/// How long it is waited for the views before they are looked at again.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// What the views list, with the bodies of the baas document.
#[derive(Clone)]
pub(super) struct Listed {
    pub(super) views: Views,
    pub(super) vault: Vault,
}

impl Source for Listed {
    fn partitions(&self) -> u16 {
        self.views.partitions()
    }

    fn reached(&self, partition: u16) -> Result<Option<Reached>, Error> {
        let reached = self.views.reached(partition).map_err(views)?;
        Ok(reached
            .map(|(index, hash, position)| Reached { checkpoint: Checkpoint { index, hash: Hash(hash) }, position }))
    }

    fn due_after(&self, partition: u16, company: &str, after: Mark, max: usize) -> Result<Vec<Due>, Error> {
        let rows = self.views.due_after(partition, company, due_mark(after), max).map_err(views)?;
        Ok(rows.iter().map(|(mark, row)| due(*mark, row)).collect())
    }

    fn due(&self, partition: u16, company: &str, mark: Mark) -> Result<Option<Due>, Error> {
        let row = self.views.due(partition, company, due_mark(mark)).map_err(views)?;
        Ok(row.map(|row| due(due_mark(mark), &row)))
    }

    fn body(&self, partition: u16, company: &str, mark: Mark) -> Result<Option<Vec<u8>>, Error> {
        let Some(row) = self.views.due(partition, company, due_mark(mark)).map_err(views)? else {
            return Ok(None);
        };
        let body = match row.kind {
            DueKind::Card => bodies::card_body(&self.views, &self.vault, &row.card, row.time_ms),
            DueKind::Limits => bodies::limits_body(&self.views, &row.card, row.time_ms),
        };
        body.map(|body| Some(body.into_bytes())).map_err(|error| Error::Source(Box::new(error)))
    }

    async fn moved(&self, partition: u16, seen: Position) {
        // Late is not wrong: whoever waits looks, and waits again.
        let _ = tokio::time::timeout(PATIENCE, self.views.moved(partition, seen)).await;
    }

    fn forget(&self, partition: u16, needed: Position, since_ms: u64, except: &BTreeSet<Mark>) -> Result<(), Error> {
        let except = except.iter().copied().map(due_mark).collect();
        let keep = DueKeep { since_ms, needed };
        while self.views.forget_due(partition, keep, &except, FORGET_MAX).map_err(views)? >= FORGET_MAX {}
        Ok(())
    }

    fn lag(&self, partition: u16) -> u64 {
        self.views.lag(partition)
    }
}

fn views(error: florin_projector::Error) -> Error {
    Error::Source(Box::new(error))
}

fn due(mark: DueMark, row: &DueRow) -> Due {
    let kind = match row.kind {
        DueKind::Card => Kind::Card,
        DueKind::Limits => Kind::Limits,
    };
    let mark = Mark { position: mark.position, number: mark.number };
    Due { mark, kind, account: row.card.account, card: row.card.card }
}

const fn due_mark(mark: Mark) -> DueMark {
    DueMark { position: mark.position, number: mark.number }
}

/// The desk as ops ask it. Called from threads that may block.
pub(super) struct Asked {
    desk: Desk,
    runtime: Handle,
}

impl Asked {
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk, runtime: Handle::current() }
    }
}

impl Webhooks for Asked {
    fn put(&self, order: WebhookOrder) -> Result<(WebhookEndpoint, Option<SecretString>), WebhookFault> {
        let secret = order.secret.as_ref().map(|secret| Secret::parse(secret.expose_secret()));
        let secret = secret.transpose().map_err(|_| WebhookFault::Secret)?;
        let order =
            Order { company: order.company, url: order.url, enabled: order.enabled, secret, rotate: order.rotate };
        let (shown, secret) = self.runtime.block_on(self.desk.put(order)).map_err(fault)?;
        Ok((endpoint(shown), secret))
    }

    fn list(&self) -> Result<Vec<WebhookEndpoint>, WebhookFault> {
        let list = self.runtime.block_on(self.desk.list()).map_err(fault)?;
        Ok(list.into_iter().map(endpoint).collect())
    }

    fn resend(&self, id: &str) -> Result<(), WebhookFault> {
        let id = id.parse().map_err(|_| WebhookFault::Unknown)?;
        self.runtime.block_on(self.desk.resend(id)).map_err(fault)
    }

    fn replay(&self, company: &str, from: Vec<(u16, Position)>) -> Result<(), WebhookFault> {
        self.runtime.block_on(self.desk.replay(company.to_owned(), from)).map_err(fault)
    }
}

fn fault(error: Error) -> WebhookFault {
    match error {
        Error::Url(why) => WebhookFault::Url(why.to_string()),
        Error::BadSecret(_) => WebhookFault::Secret,
        Error::Unknown(_) => WebhookFault::Unknown,
        Error::Disabled(_) => WebhookFault::Disabled,
        Error::Full => WebhookFault::Full,
        error => WebhookFault::Failed(Box::new(error)),
    }
}

fn endpoint(shown: EndpointShown) -> WebhookEndpoint {
    WebhookEndpoint {
        company: shown.company,
        url: shown.url,
        state: shown.state.word().to_owned(),
        secrets: shown.secrets,
        changed_ms: shown.changed_ms,
        positions: shown.positions,
        waiting: shown.waiting,
        dead: shown.dead,
        delivered_ms: shown.delivered_ms,
        failed: shown.failed,
        deliveries: shown.deliveries.into_iter().map(webhook).collect(),
    }
}

fn webhook(shown: Shown) -> ports::Webhook {
    ports::Webhook {
        id: shown.id,
        path: shown.kind.path(),
        card: shown.card,
        at: (shown.account.partition(), shown.position),
        state: shown.state,
        tries: shown.tries,
        next_ms: shown.next_ms,
        error: shown.error,
    }
}

/// The views, the webhooks and the mail, as followers.
pub(super) struct Following {
    pub(super) views: Views,
    pub(super) desk: Option<Desk>,
    pub(super) mail: Option<Outbox>,
}

impl Followers for Following {
    fn followers(&self) -> Vec<Follower> {
        let mut followers = self.views.followers();
        let lags = self.desk.iter().flat_map(Desk::lags);
        followers.extend(lags.map(|lag| Follower {
            name: "webhooks".to_owned(),
            partition: lag.partition,
            position: lag.position,
            behind_records: lag.behind_records,
        }));
        for partition in 0..self.views.partitions() {
            let reached = self.mail.as_ref().and_then(|mail| mail.reached(partition));
            let head = self.views.reached(partition).ok().flatten();
            if let (Some(reached), Some((head, ..))) = (reached, head) {
                followers.push(Follower {
                    name: "mail".to_owned(),
                    partition,
                    position: Position::new(reached.index, 0),
                    behind_records: head.saturating_sub(reached.index) + self.views.lag(partition),
                });
            }
        }
        followers
    }
}

/// The dead letters of settlement and webhooks together.
pub(super) struct AllLetters {
    pub(super) settlement: Option<Arc<dyn ports::DeadLetters>>,
    pub(super) webhooks: Option<Desk>,
    pub(super) runtime: Handle,
}

impl ports::DeadLetters for AllLetters {
    fn list(&self, limit: usize) -> Result<Vec<ports::DeadLetter>, ports::Error> {
        let mut letters = self.settlement.as_ref().map_or(Ok(Vec::new()), |letters| letters.list(limit))?;
        if let Some(desk) = &self.webhooks {
            let dead = self.runtime.block_on(desk.letters()).map_err(|error| ports::Error::Failed(Box::new(error)))?;
            letters.extend(dead.into_iter().map(letter));
        }
        letters.sort_by_key(|letter| letter.since_ms);
        letters.truncate(limit);
        Ok(letters)
    }

    fn retry(&self, id: &str) -> Result<bool, ports::Error> {
        match (id.parse(), &self.webhooks) {
            (Ok(id), Some(desk)) => found(self.runtime.block_on(desk.retry(id))),
            _ => self.settlement.as_ref().map_or(Ok(false), |letters| letters.retry(id)),
        }
    }

    fn drop(&self, id: &str) -> Result<bool, ports::Error> {
        match (id.parse(), &self.webhooks) {
            (Ok(id), Some(desk)) => found(self.runtime.block_on(desk.discard(id))),
            _ => self.settlement.as_ref().map_or(Ok(false), |letters| ports::DeadLetters::drop(&**letters, id)),
        }
    }
}

fn found(done: Result<(), Error>) -> Result<bool, ports::Error> {
    match done {
        Ok(()) => Ok(true),
        Err(Error::Unknown(_)) => Ok(false),
        Err(error) => Err(ports::Error::Failed(Box::new(error))),
    }
}

fn letter(shown: Shown) -> ports::DeadLetter {
    ports::DeadLetter {
        id: shown.id,
        queue: "webhooks".to_owned(),
        account: shown.account,
        card: shown.card,
        task: shown.kind.path().to_owned(),
        tries: shown.tries,
        error: shown.error,
        since_ms: shown.died_ms.unwrap_or(0),
    }
}
