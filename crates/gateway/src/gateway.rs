//! What every dialect works with: authentication and limits, sending commands, waiting for views, revealing.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::{Extensions, HeaderMap};
use florin_engine::{
    codec::Outcome,
    command::{Class, Command, Envelope, RecordReveal},
    event::Event,
    ids::{AccountId, CardId, Digest, Key, Position},
    money::{Asset, Sealed},
    terms::RevealKind,
};
use florin_processor::Reply;
use florin_projector::CardRow;

use crate::{
    http::{
        idempotency::{Content, IdempotencyKey},
        keys::{Caller, Keys},
        peer,
        position::At,
        problem::Problem,
        rates::Limiters,
        tokens::{Bearer, Tokens},
    },
    people,
    ports::Ports,
    settings::Settings,
};

/// The gateway's core, shared by all dialects and listeners. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    ports: Ports,
    settings: Settings,
    limiters: Limiters,
    tokens: Tokens,
    written: Written,
}

/// A command of a dialect's user.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Whose account.
    pub account: AccountId,
    /// Tag of the credential.
    pub actor: u64,
}

impl Gateway {
    /// A gateway in front of these ports.
    pub fn new(ports: Ports, settings: Settings) -> Self {
        let written = Written::new(ports.handle.partitions());
        let tokens = Tokens::new(&settings.tokens);
        Self(Arc::new(Inner { limiters: Limiters::new(&settings.rates), tokens, written, ports, settings }))
    }

    /// What is behind it.
    pub fn ports(&self) -> &Ports {
        &self.0.ports
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The caller's address.
    pub fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> IpAddr {
        peer::address(headers, extensions, self.0.settings.proxies)
    }

    /// Counts a request of an address.
    pub fn admit(&self, address: IpAddr) -> Result<(), Problem> {
        self.0.limiters.addresses.check(&address)
    }

    /// Counts a refused credential of an address.
    pub fn refused(&self, address: IpAddr) -> Result<(), Problem> {
        self.0.limiters.refused.check(&address)
    }

    /// Whose key a request carries, within the limits of its address and key.
    pub fn caller<'a>(
        &self,
        keys: &'a Keys,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<&'a Caller, Problem> {
        let limiters = &self.0.limiters;
        let address = self.address(headers, extensions);
        limiters.addresses.check(&address)?;
        match keys.caller(headers) {
            Ok(caller) => {
                limiters.keys.check(&caller.actor)?;
                Ok(caller)
            }
            Err(refused) => {
                limiters.refused.check(&address)?;
                Err(refused)
            }
        }
    }

    /// Whose token a request carries in `Authorization: Bearer`, within the limits of its address, and of its key and user.
    pub fn bearer(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Bearer, Problem> {
        let limiters = &self.0.limiters;
        let address = self.address(headers, extensions);
        limiters.addresses.check(&address)?;
        match self.0.tokens.bearer(headers) {
            Ok(bearer) => {
                limiters.keys.check(&bearer.caller)?;
                Ok(bearer)
            }
            Err(refused) => {
                limiters.refused.check(&address)?;
                Err(refused)
            }
        }
    }

    /// The account of a company's user, registered or not.
    pub fn account(&self, company: &str, user: &str) -> AccountId {
        let ports = self.ports();
        people::account(&ports.vault, ports.handle.partitions(), company, user)
    }

    /// Decimals of an asset by the policy in force; 2 where it does not know the asset.
    pub fn decimals(&self, asset: Asset) -> u8 {
        let policy = self.ports().views.policy();
        let known = policy.and_then(|(_, policy)| policy.asset(asset).map(|asset| asset.decimals));
        known.unwrap_or(2)
    }

    /// The digest of a content; [`Problem::NotFound`] for a user who is not known.
    pub fn digest(&self, account: AccountId, content: &Content) -> Result<Digest, Problem> {
        people::digest(&self.ports().vault, account, content)
    }

    /// Sends a user's command and remembers where it stands for the reads that follow. A reject is a reply.
    pub async fn send(&self, sender: Sender, key: Key, digest: Digest, command: Command) -> Result<Reply, Problem> {
        let envelope = Envelope {
            account: sender.account,
            class: Class::User,
            actor: sender.actor,
            key,
            digest,
            dated_ms: 0,
            command,
        };
        let reply = self.ports().handle.submit(envelope).await;
        let reply = reply.map_err(|error| unanswered(&error))?;
        self.0.written.note(sender.account, reply.position);
        Ok(reply)
    }

    /// Waits until the views show what this gateway wrote for the account, and what the request's `X-Florin-Position` names.
    /// Answers where the views then stand.
    pub async fn see(&self, account: AccountId, headers: &HeaderMap) -> Result<At, Problem> {
        let partition = account.partition();
        self.reach(partition, self.0.written.of(account)).await?;
        if let Some(at) = At::asked(headers, self.ports().handle.partitions())? {
            self.reach(at.partition, at.position).await?;
        }
        Ok(At { partition, position: self.ports().views.position(partition) })
    }

    async fn reach(&self, partition: u16, position: Position) -> Result<(), Problem> {
        let wait = self.0.settings.read_wait;
        let reached = self.ports().views.wait(partition, position, wait).await;
        reached.map_err(|late| {
            tracing::warn!(%late, "a read is not answered");
            Problem::Behind
        })
    }

    /// A card of this account; a card of another's is no card.
    pub fn card_of(&self, account: AccountId, card: CardId) -> Result<Option<CardRow>, Problem> {
        let row = self.ports().views.card(card);
        let row = row.map_err(|error| Problem::internal("the views cannot be read", &error))?;
        Ok(row.filter(|row| row.account == account))
    }

    /// Waits until `done` holds for a card, at most [`Settings::settlement_wait`], looking again whenever the views of its partition
    /// move. Answers the card as last seen, done or not; `None` while the views do not show it.
    pub async fn watch(
        &self,
        account: AccountId,
        card: CardId,
        from: Position,
        done: impl Fn(&CardRow) -> bool,
    ) -> Result<Option<CardRow>, Problem> {
        let partition = card.partition();
        let views = &self.ports().views;
        let until = tokio::time::Instant::now() + self.0.settings.settlement_wait;
        let left = || until.saturating_duration_since(tokio::time::Instant::now());
        let mut next = from;
        loop {
            let in_time = views.wait(partition, next, left()).await.is_ok();
            // The position before the card: a move in between is seen in the card, a later one ends the next wait.
            next = Position(views.position(partition).0 + 1);
            let row = self.card_of(account, card)?;
            if !in_time || left() == Duration::ZERO || row.as_ref().is_some_and(&done) {
                return Ok(row);
            }
        }
    }

    /// Counts a look-up of a card by its number, found or not, within the limit of reveals.
    pub fn count_look_up(&self, account: AccountId) -> Result<(), Problem> {
        self.0.limiters.reveals.check(&(account.0, CardId::NIL.0))
    }

    /// Records a reveal before anything is revealed: within the limit per card and user, and only if the engine lets it.
    pub async fn record_reveal(
        &self,
        dialect: &'static str,
        sender: Sender,
        card: CardId,
        kind: RevealKind,
        address: IpAddr,
    ) -> Result<Reply, Problem> {
        let address = address.to_string();
        let content =
            Content::of(dialect, "reveal").with("card", card.0).with("kind", [kind.code()]).with("address", &address);
        // Nothing revealed is ever stored to be replayed, so a key of the caller's means nothing here.
        let key = IdempotencyKey::made()?;
        self.reveal(dialect, sender, RecordReveal { card, kind, address: Sealed::default() }, &address, &content, &key)
            .await
    }

    /// The same for what `id` admits to once: a second call with it, on this gateway or another, is answered as replayed,
    /// whoever asks.
    pub async fn record_reveal_once(
        &self,
        dialect: &'static str,
        sender: Sender,
        card: CardId,
        kind: RevealKind,
        address: IpAddr,
        id: [u8; 16],
    ) -> Result<Reply, Problem> {
        let content = Content::of(dialect, "reveal").with("card", card.0).with("kind", [kind.code()]).with("id", id);
        let key = IdempotencyKey::Made(id);
        let command = RecordReveal { card, kind, address: Sealed::default() };
        self.reveal(dialect, sender, command, &address.to_string(), &content, &key).await
    }

    async fn reveal(
        &self,
        dialect: &'static str,
        sender: Sender,
        mut command: RecordReveal,
        address: &str,
        content: &Content,
        key: &IdempotencyKey<'_>,
    ) -> Result<Reply, Problem> {
        self.0.limiters.reveals.check(&(sender.account.0, command.card.0))?;
        let vault = &self.ports().vault;
        command.address = people::seal(vault, sender.account, people::REVEAL_CONTEXT, address.as_bytes())?;
        let digest = self.digest(sender.account, content)?;
        let key = key.fingerprint(dialect, sender.account);
        let reply = self.send(sender, key, digest, command.into()).await?;
        match reply.outcome {
            Outcome::Accepted(_) => Ok(reply),
            Outcome::Rejected(reject) => Err(Problem::rejected(reject, None, 2)),
        }
    }

    /// Asks the issuer within [`Settings::issuer_wait`]. `None`: it definitely refuses.
    pub async fn ask_issuer<T>(&self, asked: florin_issuer::Pending<'_, T>) -> Result<Option<T>, Problem> {
        match tokio::time::timeout(self.0.settings.issuer_wait, asked).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(error)) if error.is_unknown() => {
                tracing::warn!(%error, "the issuer does not answer");
                Err(Problem::IssuerUnavailable)
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "the issuer refuses");
                Ok(None)
            }
            Err(_) => {
                tracing::warn!("the issuer does not answer in time");
                Err(Problem::IssuerUnavailable)
            }
        }
    }
}

/// The events of a reply, or the reject as a problem with a dialect's field name and the decimals of its money.
pub fn accepted(outcome: Outcome, field: Option<&'static str>, decimals: u8) -> Result<Vec<Event>, Problem> {
    match outcome {
        Outcome::Accepted(events) => Ok(events),
        Outcome::Rejected(reject) => Err(Problem::rejected(reject, field, decimals)),
    }
}

/// A command without an outcome: the same may be sent again with the same key.
pub fn unanswered(error: &florin_processor::Error) -> Problem {
    use florin_processor::Error;

    let retry_after_s = match error {
        Error::Busy { retry_after_ms } => retry_after_ms.div_ceil(1_000).max(1),
        Error::DeadlinePassed => 1,
        error => {
            tracing::error!(%error, "a command has no outcome");
            5
        }
    };
    Problem::Busy { retry_after_s }
}

/// Where this gateway last wrote, account by account, without a lock and in bounded memory.
///
/// Accounts of a partition share slots by their hash. A shared slot holds the later position of the two, so a read may wait for
/// a little more than it must, never for less.
struct Written {
    slots: Box<[AtomicU64]>,
    per_partition: usize,
}

impl Written {
    const SLOTS: usize = 1 << 16;

    fn new(partitions: u16) -> Self {
        let partitions = usize::from(partitions.max(1));
        let per_partition = (Self::SLOTS / partitions).max(64);
        Self { slots: (0..partitions * per_partition).map(|_| AtomicU64::new(0)).collect(), per_partition }
    }

    fn slot(&self, account: AccountId) -> Option<&AtomicU64> {
        // An account's id is random but for its partition, see `AccountId::from_pseudonym`.
        let [.., a, b, c, d] = account.0;
        let spread = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(0);
        let first = usize::from(account.partition()) * self.per_partition;
        self.slots.get(first + spread % self.per_partition)
    }

    fn note(&self, account: AccountId, position: Position) {
        if let Some(slot) = self.slot(account) {
            slot.fetch_max(position.0, Ordering::AcqRel);
        }
    }

    fn of(&self, account: AccountId) -> Position {
        let slot = self.slot(account);
        Position(slot.map_or(0, |slot| slot.load(Ordering::Acquire)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_waits_for_the_last_write_of_its_account() {
        let written = Written::new(3);
        let accounts = [1_u8, 2, 3].map(|n| AccountId::from_pseudonym([n; 16], 3));
        for (n, account) in (1..).zip(accounts) {
            written.note(account, Position(n * 10));
            written.note(account, Position(n));
        }
        for (n, account) in (1..).zip(accounts) {
            assert_eq!(written.of(account), Position(n * 10));
        }
    }

    #[test]
    fn partitions_never_share_a_slot() {
        let written = Written::new(2);
        written.note(AccountId::of_partition(0), Position(7));
        assert_eq!(written.of(AccountId::of_partition(1)), Position(0));
    }
}
