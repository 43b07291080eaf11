//! One call: whose token it carries, and which of the user's cards it is about. Extracting it is authenticating it.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, Uri, request::Parts},
};
use florin_engine::{
    codec::Outcome,
    command::Command,
    event::Event,
    ids::{AccountId, CardId, Digest, Key},
    money::Asset,
};
use florin_processor::Reply;
use florin_projector::CardRow;
use uuid::Uuid;

use super::{Api, Mobile, Windows};
use crate::{
    gateway::{Gateway, Sender, accepted},
    http::{
        body,
        idempotency::{Content, IdempotencyKey},
        json::Fields,
        position::At,
        problem::{Dialect, Failure, Fault, Problem},
    },
    people,
};

/// Decimals of a currency with cents.
pub(super) const CENTS: u8 = 2;

/// A call by a user whose token is good.
pub(super) struct Call {
    pub(super) gateway: Gateway,
    windows: Arc<Windows>,
    pub(super) sender: Sender,
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    pub(super) address: IpAddr,
}

impl FromRequestParts<Api> for Call {
    type Rejection = Failure<Mobile>;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let gateway = api.gateway.clone();
        let bearer = gateway.bearer(&parts.headers, &parts.extensions)?;
        // A company's token says for no user.
        let user = bearer.subject.as_deref().ok_or(Problem::Unauthorized)?;
        let account = gateway.account(&bearer.company, user);
        Ok(Self {
            sender: Sender { account, actor: bearer.actor },
            address: gateway.address(&parts.headers, &parts.extensions),
            headers: std::mem::take(&mut parts.headers),
            uri: std::mem::take(&mut parts.uri),
            windows: Arc::clone(&api.windows),
            gateway,
        })
    }
}

/// The parameter of the path; empty where it is not UTF-8.
pub(super) struct Param(String);

impl<S: Send + Sync> FromRequestParts<S> for Param {
    type Rejection = Failure<Mobile>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Ok(params) = RawPathParams::from_request_parts(parts, state).await else {
            return Ok(Self(String::new()));
        };
        Ok(Self(params.iter().next().map_or_else(String::new, |(_, value)| value.to_owned())))
    }
}

impl Param {
    /// As an id as this API writes it: 36 characters with hyphens.
    pub(super) fn uuid(&self, name: &'static str) -> Result<Uuid, Problem> {
        let hyphenated = (self.0.len() == 36).then(|| Uuid::try_parse(&self.0).ok());
        hyphenated.flatten().ok_or_else(|| Problem::field(name, Fault::Form("a UUID")))
    }

    /// As a numeric id: plain digits, above zero.
    pub(super) fn number(&self, name: &'static str) -> Result<u64, Problem> {
        let plain = self.0.bytes().all(|byte| byte.is_ascii_digit());
        let number = plain.then(|| self.0.parse::<i64>().ok()).flatten().filter(|number| *number > 0);
        let (minimum, maximum) = (1, i64::MAX);
        let number = number.and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| Problem::field(name, Fault::OutOfRange { minimum, maximum }))
    }
}

/// The numeric id of a card, of a body.
pub(super) fn card_id(body: &Fields<'_>) -> Result<u64, Problem> {
    let number = body.whole("card_id", 1, i64::MAX)?;
    u64::try_from(number).map_err(|_| body.fault("card_id", Fault::OutOfRange { minimum: 1, maximum: i64::MAX }))
}

impl Call {
    pub(super) const fn account(&self) -> AccountId {
        self.sender.account
    }

    /// Refuses a user who was never registered, or is erased: such a one has nothing here, whatever is asked.
    pub(super) fn known(&self) -> Result<(), Problem> {
        self.digest(&Content::of(Mobile::NAME, "")).map(|_| ())
    }

    fn digest(&self, content: &Content) -> Result<Digest, Problem> {
        self.gateway.digest(self.account(), content)
    }

    /// Reads the body, of a user who is known.
    pub(super) async fn body(&self, body: Body) -> Result<Bytes, Problem> {
        self.known()?;
        body::json(&self.headers, body).await
    }

    /// Counts a request to change a status.
    pub(super) fn count_status_change(&self) -> Result<(), Problem> {
        self.windows.status_changes.check(&self.address)
    }

    /// Counts an appeal.
    pub(super) fn count_appeal(&self) -> Result<(), Problem> {
        self.windows.appeals.check(&self.address)
    }

    /// Waits until the views show what they must, of a user who is known.
    pub(super) async fn see(&self) -> Result<At, Problem> {
        self.known()?;
        self.gateway.see(self.account(), &self.headers).await
    }

    /// The user's card of a numeric id.
    pub(super) async fn card(&self, number: u64) -> Result<(CardRow, At), Problem> {
        let at = self.gateway.see(self.account(), &self.headers).await?;
        let row = self.gateway.ports().views.card_by_number(number);
        let row = row.map_err(|error| Problem::internal("the views cannot be read", &error))?;
        let row = row.filter(|row| row.account == self.account()).ok_or(Problem::NotFound)?;
        Ok((row, at))
    }

    /// The user's card of an id, as the views show it now.
    pub(super) fn card_of(&self, card: CardId) -> Result<CardRow, Problem> {
        self.gateway.card_of(self.account(), card)?.ok_or(Problem::NotFound)
    }

    /// The key of this call's command.
    pub(super) fn key(&self) -> Result<Key, Problem> {
        Ok(IdempotencyKey::of(&self.headers)?.fingerprint(Mobile::NAME, self.account()))
    }

    /// Sends a command. A reject becomes a problem; `field` is what its amount bounds are about.
    pub(super) async fn send(
        &self,
        key: Key,
        content: &Content,
        command: impl Into<Command>,
        field: Option<&'static str>,
    ) -> Result<(Reply, Vec<Event>), Failure<Mobile>> {
        let digest = self.digest(content)?;
        let mut reply = self.gateway.send(self.sender, key, digest, command.into()).await?;
        let outcome = std::mem::replace(&mut reply.outcome, Outcome::Accepted(Vec::new()));
        match accepted(outcome, field, CENTS) {
            Ok(events) => Ok((reply, events)),
            Err(problem) => Err(Failure::from(problem).replayed(reply.replayed)),
        }
    }

    /// What the user told of a card when asking for it; nothing where nothing was told.
    pub(super) fn profile(&self, sealed: &florin_engine::money::Sealed) -> Result<florin_issuer::Profile, Problem> {
        if sealed.0.is_empty() {
            self.known()?;
            return Ok(florin_issuer::Profile::default());
        }
        let vault = &self.gateway.ports().vault;
        let profile = people::open(vault, self.account(), florin_issuer::PROFILE_CONTEXT, sealed)?;
        // Sealed and not to be opened: the user is erased.
        let profile = profile.ok_or(Problem::NotFound)?;
        serde_json::from_slice(&profile).map_err(|error| Problem::internal("a card's profile is not its JSON", &error))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hyphenated_uuid_is_an_id() {
        let of = |text: &str| Param(text.to_owned()).uuid("uuid");
        let id = "0192f0c1-2b3c-8000-8123-456789abcdef";
        assert_eq!(of(id).map(|id| id.to_string()), Ok(id.to_owned()));
        assert!(of(&id.to_uppercase()).is_ok());
        for other in
            ["", "1", "0192f0c12b3c80008123456789abcdef", "{0192f0c1-2b3c-8000-8123-456789abcdef}", "urn:uuid:x"]
        {
            assert_eq!(of(other), Err(Problem::field("uuid", Fault::Form("a UUID"))), "{other}");
        }
    }

    #[test]
    fn a_number_is_plain_digits_above_zero() {
        let of = |text: &str| Param(text.to_owned()).number("card_id");
        assert_eq!(of("508"), Ok(508));
        assert_eq!(of("9223372036854775807"), Ok(9_223_372_036_854_775_807));
        for other in ["", "0", "-1", "+1", "1.0", "1e3", "9223372036854775808", "x", "٥"] {
            assert!(of(other).is_err(), "{other}");
        }
    }
}
