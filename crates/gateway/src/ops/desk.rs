//! The desk: what the ops, sandbox and issuer APIs work with, and how they send a command and see what it did.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue};
use florin_engine::{
    codec::Outcome,
    command::{Class, Command, Envelope},
    event::Event,
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Digest, Key, Position},
    money::{Asset, Sealed},
};
use florin_processor::Reply;
use florin_projector::{AppealRow, AuthorizationRow, CardRequestRow, CardRow};

use super::failure::Failure;
use crate::{
    Gateway, Ports,
    http::{idempotency::Content, position::At, problem::Problem},
};

/// How long an answer waits for the views to show what was just written.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// The vault's context of free texts that operators and issuers give.
pub const REASON_CONTEXT: &str = "reason";
/// The vault's context of the reference of a deposit or withdrawal.
pub const REFERENCE_CONTEXT: &str = "reference";

/// The gateway, and under which name and class of sender they are used.
#[derive(Clone)]
pub struct Desk {
    /// The core that all APIs share.
    pub gateway: Gateway,
    /// The API's name: scope of its idempotency keys and content digests.
    pub api: &'static str,
    /// As which class its commands are sent.
    pub class: Class,
}

/// A command on its way: who sends it, under which key, with what content.
pub struct Sending {
    /// Whose account.
    pub account: AccountId,
    /// Tag of the credential.
    pub actor: u64,
    /// Its key.
    pub key: Key,
    /// Its digest.
    pub digest: Digest,
    /// The message's own date, ms since 1970; 0: none.
    pub dated_ms: u64,
    /// What is asked.
    pub command: Command,
}

impl Desk {
    /// What is behind the gateway.
    pub fn ports(&self) -> &Ports {
        self.gateway.ports()
    }

    /// The account of a user, registered or not.
    pub fn account(&self, company: &str, user: &str) -> AccountId {
        self.gateway.account(company, user)
    }

    /// Sends a command; a reject is a reply.
    pub async fn send(&self, sending: Sending) -> Result<Reply, Failure> {
        Ok(self.ports().handle.submit(self.envelope(sending)).await?)
    }

    /// Sends what asks for an approval, and is not decided after `within`. `None`: it was too late, or the approval was taken
    /// back since. What is too late is reversed, so that every later copy of the message is told the same.
    pub async fn send_within(&self, sending: Sending, within: Duration) -> Result<Option<Reply>, Failure> {
        let (handle, envelope) = (&self.ports().handle, self.envelope(sending));
        let reply = match handle.submit_by(envelope.clone(), Instant::now() + within).await {
            Ok(reply) => reply,
            Err(florin_processor::Error::DeadlinePassed) => {
                handle.give_up(&envelope)?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if reply.replayed && handle.taken_back(&envelope).await? {
            return Ok(None);
        }
        Ok(Some(reply))
    }

    fn envelope(&self, sending: Sending) -> Envelope {
        Envelope {
            account: sending.account,
            class: self.class,
            actor: sending.actor,
            key: sending.key,
            digest: sending.digest,
            dated_ms: sending.dated_ms,
            command: sending.command,
        }
    }

    /// Waits until the views show a reply. One that they do not show in time is answered all the same: it is durable, and
    /// the answer names its position.
    pub async fn seen(&self, reply: &Reply) {
        let waited = self.ports().views.wait(reply.partition, reply.position, SEEN_WITHIN);
        if let Err(late) = waited.await {
            tracing::warn!(%late, "an answer goes out before the views show it");
        }
    }

    /// Waits until the views show what is durable now, and what `X-Florin-Position` names. Views that are slow to follow do
    /// not hold an operator up for long: he is answered all the same, and told as of where; only what he named must be there.
    pub async fn catch_up(&self, headers: &HeaderMap) -> Result<HeaderValue, Failure> {
        let (views, handle) = (&self.ports().views, &self.ports().handle);
        if let Some(at) = At::asked(headers, handle.partitions())? {
            views.wait(at.partition, at.position, SEEN_WITHIN).await.map_err(|_| Problem::Behind)?;
        }
        let mut as_of = Vec::new();
        for partition in 0..handle.partitions() {
            if let Ok(status) = handle.status(partition).await {
                // Late or not: the answer says where it stands.
                let _ = views.wait(partition, Position::new(status.head.index, 0), SEEN_WITHIN).await;
            }
            as_of.push(At { partition, position: views.position(partition) }.to_string());
        }
        Ok(HeaderValue::from_str(&as_of.join(", ")).unwrap_or(HeaderValue::from_static("0-0.0")))
    }

    /// The digest of a content under the user's key. Once the person is erased there is no such key, and what operators
    /// still have to do with the account is told apart by content that says nothing about the person.
    pub fn digest(&self, account: AccountId, content: &Content) -> Result<Digest, Failure> {
        match self.ports().vault.digest(account.0, content.bytes()) {
            Ok(digest) => Ok(Digest(digest)),
            Err(florin_vault::Error::Erased) => Ok(public_digest(content)),
            Err(error) => Err(Failure::vault(&error)),
        }
    }

    /// Seals a free text under the user's key; nothing once the person is erased.
    pub fn seal(&self, account: AccountId, context: &'static str, text: &str) -> Result<Sealed, Failure> {
        match self.ports().vault.seal(account.0, context, text.as_bytes()) {
            Ok(sealed) => Ok(Sealed(sealed)),
            Err(florin_vault::Error::Erased) => Ok(Sealed::NONE),
            Err(error) => Err(Failure::vault(&error)),
        }
    }

    /// Opens a text; `None` where there is none, or the person was erased.
    pub fn open(&self, account: AccountId, context: &'static str, sealed: &Sealed) -> Result<Option<String>, Failure> {
        if sealed.0.is_empty() {
            return Ok(None);
        }
        match self.ports().vault.open_sealed(account.0, context, &sealed.0) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(florin_vault::Error::Erased) => Ok(None),
            Err(error) => Err(Failure::vault(&error)),
        }
    }

    /// A card by our id or, if the id is none of ours, [`Problem::NotFound`].
    pub async fn card(&self, id: &str) -> Result<CardRow, Failure> {
        let id: CardId = uuid(id)?.into();
        let find = || self.ports().views.card(id);
        self.find([id.partition()], find).await
    }

    /// A card by the issuer's id, which does not say where the card is.
    pub async fn card_of_issuer(&self, issuer_card: &str) -> Result<CardRow, Failure> {
        let find = || self.ports().views.card_by_issuer_id(issuer_card);
        self.find(0..self.ports().handle.partitions(), find).await
    }

    /// An authorization by our id.
    pub async fn authorization(&self, id: &str) -> Result<AuthorizationRow, Failure> {
        let id: AuthorizationId = uuid(id)?.into();
        let find = || self.ports().views.authorization(id);
        self.find([id.partition()], find).await
    }

    /// A request for a card by its id.
    pub async fn card_request(&self, id: &str) -> Result<CardRequestRow, Failure> {
        let id: CardRequestId = uuid(id)?.into();
        let find = || self.ports().views.card_request(id);
        self.find([id.partition()], find).await
    }

    /// An appeal by its id.
    pub async fn appeal(&self, id: &str) -> Result<AppealRow, Failure> {
        let id: AppealId = uuid(id)?.into();
        let find = || self.ports().views.appeal(id);
        self.find([id.partition()], find).await
    }

    /// Looks again, once the views of the partitions have seen what is durable, for what they do not show yet.
    async fn find<T>(
        &self,
        partitions: impl IntoIterator<Item = u16>,
        find: impl Fn() -> Result<Option<T>, florin_projector::Error>,
    ) -> Result<T, Failure> {
        let look = || find().map_err(|error| Failure::views(&error));
        if let Some(found) = look()? {
            return Ok(found);
        }
        for partition in partitions {
            // An id that names no partition of ours names nothing that is here.
            if partition < self.ports().handle.partitions() {
                let head = self.ports().handle.status(partition).await?.head;
                // Late or not, there is one more look.
                let _ = self.ports().views.wait(partition, Position::new(head.index, 0), SEEN_WITHIN).await;
            }
        }
        look()?.ok_or_else(|| Problem::NotFound.into())
    }

    /// Decimals of an asset by the policy in force; 2 where it does not know the asset.
    pub fn decimals(&self, asset: Asset) -> u8 {
        self.gateway.decimals(asset)
    }
}

/// A digest of what is no secret: network messages and policies, which stand in the journal in clear beside it.
pub fn public_digest(content: &Content) -> Digest {
    let hash = blake3::derive_key("florin 2026 digest of public content", content.bytes());
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash[..16]);
    Digest(digest)
}

/// The events of a reply, or its reject as a problem.
pub fn accepted<'a>(outcome: &'a Outcome, field: Option<&'static str>, decimals: u8) -> Result<&'a [Event], Failure> {
    match outcome {
        Outcome::Accepted(events) => Ok(events),
        Outcome::Rejected(reject) => Err(Problem::rejected(reject.clone(), field, decimals).into()),
    }
}

/// The wall clock, ms since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// An id of ours; what is no id is nothing that is here.
pub fn uuid(text: &str) -> Result<uuid::Uuid, Failure> {
    text.parse().map_err(|_| Problem::NotFound.into())
}
