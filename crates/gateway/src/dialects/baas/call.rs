//! One call: who calls, for which user, about what. Extracting it is authenticating it.
//!
//! In this order: the token (401, 429), the two headers (400), whether the token may act for that user, and whether the company
//! has such a user (403). Nothing else is looked at before that.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, Path, path::ErrorKind, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, request::Parts},
    response::Response,
};
use florin_engine::{
    codec::Outcome,
    command::Command,
    event::Event,
    ids::{AccountId, CardId, Key},
    money::Country,
    policy::{CardKind, Policy, Programme, ProgrammeCode},
    terms::RevealKind,
};
use florin_processor::Reply;
use florin_projector::{AccountRow, CardRow};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Baas,
    error::{Failure, Told},
    pattern,
};
use crate::{
    gateway::{Gateway, Sender},
    http::{
        body,
        idempotency::{Content, IdempotencyKey, REPLAYED, REPLAYED_YES},
        plain::json,
        position::{AS_OF, At, POSITION},
        problem::{Dialect, Fault, Problem},
    },
};

const ADDRESS: &str = "X-User-Address";
const CHAIN: &str = "X-Chain-Id";

/// A call by somebody who may act for this user.
pub(super) struct Call {
    pub(super) gateway: Gateway,
    pub(super) sender: Sender,
    /// The user's address, in lower case.
    pub(super) owner: String,
    pub(super) headers: HeaderMap,
    address: IpAddr,
    path: Vec<(String, String)>,
    /// A parameter of the path that is no UTF-8; `path` is empty then.
    unreadable: Option<String>,
}

impl FromRequestParts<Gateway> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Failure> {
        let bearer = gateway.bearer(&parts.headers, &parts.extensions)?;
        let address = header(&parts.headers, ADDRESS, pattern::is_address)?.to_ascii_lowercase();
        let chain = header(&parts.headers, CHAIN, pattern::is_chain)?;
        let user = format!("{chain}:{address}");
        if bearer.subject.as_ref().is_some_and(|subject| !subject.eq_ignore_ascii_case(&user)) {
            return Err(Told::forbidden().into());
        }
        let account = gateway.account(&bearer.company, &user);
        // Of a user who was never registered, or is erased, there is no digest: told as a token for another user.
        gateway.digest(account, &Content::of(Baas::NAME, ""))?;
        let (path, unreadable) = match Path::<Vec<(String, String)>>::from_request_parts(parts, &()).await {
            Ok(Path(path)) => (path, None),
            Err(refused) => (Vec::new(), Some(unreadable(&refused))),
        };
        Ok(Self {
            sender: Sender { account, actor: bearer.actor },
            owner: address,
            address: gateway.address(&parts.headers, &parts.extensions),
            headers: std::mem::take(&mut parts.headers),
            gateway: gateway.clone(),
            path,
            unreadable,
        })
    }
}

/// Which parameter of a path is no UTF-8.
fn unreadable(refused: &PathRejection) -> String {
    match refused {
        PathRejection::FailedToDeserializePathParams(refused) => match refused.kind() {
            ErrorKind::InvalidUtf8InPathParam { key } => key.clone(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// A header that must be there, once, and in its form.
fn header<'a>(headers: &'a HeaderMap, name: &'static str, fits: fn(&str) -> bool) -> Result<&'a str, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| Problem::missing(name))?;
    let value = value.to_str().ok().filter(|value| fits(value) && values.next().is_none());
    value.ok_or_else(|| Problem::field(name, Fault::Form("as its pattern says")))
}

/// An accepted command.
pub(super) struct Sent {
    pub(super) reply: Reply,
    pub(super) events: Vec<Event>,
}

impl Sent {
    /// An answer that tells where the command stands.
    fn placed(&self, mut response: Response) -> Response {
        let at = At { partition: self.reply.partition, position: self.reply.position };
        let headers = response.headers_mut();
        headers.insert(POSITION, at.header());
        if self.reply.replayed {
            headers.insert(REPLAYED, REPLAYED_YES);
        }
        response
    }

    /// 200 without a body.
    pub(super) fn empty(&self) -> Response {
        self.placed(Response::new(Body::empty()))
    }

    /// 200 with a body.
    pub(super) fn json(&self, body: &impl Serialize) -> Response {
        self.placed(json(StatusCode::OK, body))
    }
}

impl Call {
    pub(super) const fn account(&self) -> AccountId {
        self.sender.account
    }

    fn param(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Refuses a path with a parameter that is no UTF-8, and so of no form.
    fn readable(&self) -> Result<(), Problem> {
        let unreadable = self.unreadable.clone();
        unreadable.map_or(Ok(()), |name| Err(Problem::field(name, Fault::Form("UTF-8"))))
    }

    /// The type and the country of the path.
    pub(super) fn kind_and_country(&self) -> Result<(CardKind, Country), Problem> {
        self.readable()?;
        let kind = match self.param("type") {
            "Virtual" => CardKind::Virtual,
            "Plastic" => CardKind::Physical,
            _ => return Err(Problem::field("type", Fault::Form("Virtual or Plastic"))),
        };
        Ok((kind, self.country()?))
    }

    /// The country of the path.
    pub(super) fn country(&self) -> Result<florin_engine::money::Country, Problem> {
        self.readable()?;
        let country = Country::parse(self.param("country"));
        country.ok_or_else(|| Problem::field("country", Fault::Form("an ISO 3166-1 alpha-2 code")))
    }

    /// The card of the path: nil where it is no id as this API writes them, and so names no card.
    fn card_id(&self) -> CardId {
        let text = self.param("cardId");
        let hyphenated = (text.len() == 36).then(|| Uuid::try_parse(text).ok());
        hyphenated.flatten().map_or(CardId::NIL, CardId::from)
    }

    /// The card of the path, if it can be one.
    pub(super) fn card(&self) -> Result<CardId, Told> {
        Some(self.card_id()).filter(|card| !card.is_nil()).ok_or_else(Told::no_card)
    }

    /// The card of the path as the views show it, if it is this user's.
    pub(super) fn card_row(&self) -> Result<CardRow, Failure> {
        let row = self.gateway.card_of(self.account(), self.card_id())?;
        Ok(row.ok_or_else(Told::no_card)?)
    }

    /// Reads a JSON body.
    pub(super) async fn body(&self, body: Body) -> Result<Bytes, Problem> {
        body::json(&self.headers, body).await
    }

    /// Reads past a body that says nothing.
    pub(super) async fn no_body(&self, body: Body) -> Result<(), Problem> {
        body::whole(body).await.map(|_| ())
    }

    /// The key of this call's command.
    pub(super) fn key(&self) -> Result<Key, Problem> {
        Ok(IdempotencyKey::of(&self.headers)?.fingerprint(Baas::NAME, self.account()))
    }

    /// Sends a command under the call's key.
    pub(super) async fn send(&self, key: Key, content: &Content, command: Command) -> Result<Sent, Failure> {
        let digest = self.gateway.digest(self.account(), content)?;
        let mut reply = self.gateway.send(self.sender, key, digest, command).await?;
        match std::mem::replace(&mut reply.outcome, Outcome::Accepted(Vec::new())) {
            Outcome::Accepted(events) => Ok(Sent { reply, events }),
            Outcome::Rejected(reject) => Err(Failure::rejected(reject, reply.replayed)),
        }
    }

    /// Waits until a card is as `done` says, within the time that such calls wait.
    pub(super) async fn watch(
        &self,
        card: CardId,
        sent: &Sent,
        done: impl Fn(&CardRow) -> bool,
    ) -> Result<Option<CardRow>, Problem> {
        self.gateway.watch(self.account(), card, sent.reply.position, done).await
    }

    /// Waits until the views show what they must; where they then stand.
    pub(super) async fn see(&self) -> Result<At, Problem> {
        self.gateway.see(self.account(), &self.headers).await
    }

    /// The user as the views show it; one who is registered just now may not be there yet.
    pub(super) fn account_row(&self) -> Result<AccountRow, Failure> {
        let row = self.gateway.ports().views.account(self.account());
        let row = row.map_err(|error| Problem::internal("the views cannot be read", &error))?;
        Ok(row.ok_or_else(Told::forbidden)?)
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> Result<Arc<Policy>, Problem> {
        let policy = self.gateway.ports().views.policy();
        policy.map(|(_, policy)| policy).ok_or(Problem::Busy { retry_after_s: 1 })
    }

    /// Records a reveal before it is made.
    pub(super) async fn record_reveal(&self, card: CardId, kind: RevealKind) -> Result<Reply, Failure> {
        let recorded = self.gateway.record_reveal(Baas::NAME, self.sender, card, kind, self.address);
        Ok(recorded.await?)
    }
}

/// This API's programme.
pub(super) fn programme(policy: &Policy) -> Result<&Programme, Problem> {
    policy.programme(ProgrammeCode::Baas).ok_or(Problem::Busy { retry_after_s: 60 })
}

/// 200 with a body that was read as of a position.
pub(super) fn read(at: At, body: &impl Serialize) -> Response {
    let mut response = json(StatusCode::OK, body);
    response.headers_mut().insert(AS_OF, at.header());
    response
}

/// A delivery provider as it may be named: 1–64 bytes without control characters.
pub(super) fn provider(text: Cow<'_, str>) -> Result<Cow<'_, str>, Problem> {
    let fits = (1..=64).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(Problem::field("delivery_provider", Fault::Form("1 to 64 bytes"))) }
}

/// Nobody may keep it.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
