//! One call: who calls, for which user, about which card. Extracting it is authenticating it.

use std::net::IpAddr;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, Uri, request::Parts},
};
use florin_engine::{
    codec::Outcome,
    command::Command,
    event::Event,
    ids::{AccountId, CardId, Key, Position},
    money::Asset,
    policy::{Bounds, Policy},
    reject::{Figure, Reason, Reject},
};
use florin_processor::Reply;
use florin_projector::CardRow;
use uuid::Uuid;

use super::{Api, Dashboard};
use crate::{
    gateway::{Gateway, Sender, accepted},
    http::{
        body,
        idempotency::{Content, IdempotencyKey},
        position::At,
        problem::{Dialect, Failure, Problem},
    },
    people,
};

/// Decimals of the document's currency, USD.
pub(super) const CENTS: u8 = 2;

/// A call by somebody whose key is good.
pub(super) struct Call {
    pub(super) gateway: Gateway,
    pub(super) sender: Sender,
    /// Of the path; nil where the path has none, or one that is no id and so names nothing.
    card: CardId,
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    pub(super) address: IpAddr,
}

impl FromRequestParts<Api> for Call {
    type Rejection = Failure<Dashboard>;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let gateway = api.gateway.clone();
        let caller = gateway.caller(&api.keys, &parts.headers, &parts.extensions)?;
        let path = RawPathParams::from_request_parts(parts, &()).await;
        let path = path.map_err(|_| Problem::NotFound)?;
        let mut account = None;
        let mut card = CardId::NIL;
        for (name, value) in &path {
            match name {
                "userId" if value.len() <= people::USER_BYTES_MAX => {
                    account = Some(gateway.account(&caller.company, value));
                }
                "cardId" => card = card_id(value),
                _ => {}
            }
        }
        Ok(Self {
            sender: Sender { account: account.ok_or(Problem::NotFound)?, actor: caller.actor },
            card,
            address: gateway.address(&parts.headers, &parts.extensions),
            headers: std::mem::take(&mut parts.headers),
            uri: std::mem::take(&mut parts.uri),
            gateway,
        })
    }
}

/// An id as this API writes it: 36 characters with hyphens. Nil for anything else.
fn card_id(text: &str) -> CardId {
    let hyphenated = (text.len() == 36).then(|| Uuid::try_parse(text).ok());
    hyphenated.flatten().map_or(CardId::NIL, CardId::from)
}

impl Call {
    pub(super) const fn account(&self) -> AccountId {
        self.sender.account
    }

    /// The card of the path, if it can be one.
    pub(super) fn card(&self) -> Result<CardId, Problem> {
        if self.card.is_nil() {
            return Err(Problem::NotFound);
        }
        Ok(self.card)
    }

    /// Reads the body. For a user who is not known it does not matter what is in it.
    pub(super) async fn body(&self, body: Body) -> Result<Bytes, Problem> {
        match body::json(&self.headers, body).await {
            Ok(bytes) => Ok(bytes),
            Err(problem) => Err(self.of_known_user(problem)),
        }
    }

    /// A problem with the request, or [`Problem::NotFound`] where the user is not known: that goes before.
    pub(super) fn of_known_user(&self, problem: Problem) -> Problem {
        let nothing = Content::of(Dashboard::NAME, "");
        match self.gateway.digest(self.account(), &nothing) {
            Err(Problem::NotFound) => Problem::NotFound,
            _ => problem,
        }
    }

    /// The key of this call's command.
    pub(super) fn key(&self) -> Result<Key, Problem> {
        let key = IdempotencyKey::of(&self.headers).map_err(|problem| self.of_known_user(problem))?;
        Ok(key.fingerprint(Dashboard::NAME, self.account()))
    }

    /// Sends a command. A reject becomes a problem; `field` is what its amount bounds are about, `bounds` which they are, asked
    /// for only where the engine does not say it.
    pub(super) async fn send(
        &self,
        key: Key,
        content: &Content,
        command: Command,
        field: &'static str,
        bounds: impl FnOnce(&Policy) -> Option<Bounds>,
    ) -> Result<(Reply, Vec<Event>), Failure<Dashboard>> {
        let digest = self.gateway.digest(self.account(), content)?;
        let mut reply = self.gateway.send(self.sender, key, digest, command).await?;
        let outcome = std::mem::replace(&mut reply.outcome, Outcome::Accepted(Vec::new()));
        match accepted(outcome, Some(field), CENTS) {
            Ok(events) => Ok((reply, events)),
            Err(Problem::Rejected { reject, .. }) => {
                let problem = Problem::rejected(self.bounded(reject, bounds), Some(field), CENTS);
                Err(Failure::from(problem).replayed(reply.replayed))
            }
            Err(problem) => Err(Failure::from(problem).replayed(reply.replayed)),
        }
    }

    /// An amount of nothing is told as what it is beside the policy's bounds: below the smallest.
    fn bounded(&self, reject: Reject, bounds: impl FnOnce(&Policy) -> Option<Bounds>) -> Reject {
        if reject.reason != Reason::AmountNotPositive {
            return reject;
        }
        let policy = self.gateway.ports().views.policy();
        let smallest = policy.and_then(|(_, policy)| bounds(&policy)).map(|bounds| bounds.min.0);
        match smallest {
            Some(smallest) => Reject::new(Reason::AmountBelowMinimum).with(Figure::Limit, smallest),
            None => reject,
        }
    }

    /// Waits until the views show what they must, and refuses a user whom they do not know.
    pub(super) async fn see(&self) -> Result<At, Problem> {
        let at = self.gateway.see(self.account(), &self.headers).await;
        let at = at.map_err(|problem| self.of_known_user(problem))?;
        let account = self.gateway.ports().views.account(self.account());
        account.map_err(|error| Problem::internal("the views cannot be read", &error))?.ok_or(Problem::NotFound)?;
        // An erased user is as unknown here as one who was never registered.
        self.gateway.digest(self.account(), &Content::of(Dashboard::NAME, ""))?;
        Ok(at)
    }

    /// The card of the path, if it is this user's.
    pub(super) fn card_row(&self) -> Result<CardRow, Problem> {
        let row = self.gateway.card_of(self.account(), self.card)?;
        row.ok_or(Problem::NotFound)
    }

    /// The name that the user gave a card; empty where there is none.
    pub(super) fn card_name(&self, row: &CardRow) -> Result<String, Problem> {
        let profile = people::profile(&self.gateway.ports().vault, row)?;
        Ok(profile.card_name.unwrap_or_default())
    }

    /// Decimals of an asset by the policy in force.
    pub(super) fn decimals(&self, asset: Asset) -> u8 {
        if asset == Asset::USD {
            return CENTS;
        }
        let policy = self.gateway.ports().views.policy();
        policy.and_then(|(_, policy)| policy.asset(asset).map(|asset| asset.decimals)).unwrap_or(CENTS)
    }
}

/// Where an answer to a write stands: its entry, or a later one that it has seen.
pub(super) const fn at(reply: &Reply, seen: Position) -> At {
    At { partition: reply.partition, position: if seen.0 > reply.position.0 { seen } else { reply.position } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hyphenated_uuid_is_a_card_id() {
        let id = "0192f0c1-2b3c-8000-8123-456789abcdef";
        assert_eq!(card_id(id).to_string(), id);
        assert_eq!(card_id(&id.to_uppercase()).to_string(), id);
        for other in [
            "",
            "1",
            "0192f0c12b3c80008123456789abcdef",
            "{0192f0c1-2b3c-8000-8123-456789abcdef}",
            "0192f0c1-2b3c-8000-8123-456789abcdeg",
            "../../../../../../../etc/passwd00000",
        ] {
            assert!(card_id(other).is_nil(), "{other}");
        }
    }
}
