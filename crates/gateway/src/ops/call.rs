//! One call: its desk, its caller, its headers; how it reads its body, sends its command and answers.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, Path, Query},
    http::{HeaderMap, StatusCode, request::Parts},
    response::Response,
};
use florin_engine::{
    command::Command,
    ids::{AccountId, Digest},
    money::Sealed,
};
use florin_processor::Reply;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    desk::{self, Desk, Sending},
    failure::Failure,
};
use crate::http::{
    body,
    idempotency::{Content, IdempotencyKey, REPLAYED, REPLAYED_YES},
    json::Fields,
    keys::Caller,
    plain,
    position::{At, POSITION},
    problem::Problem,
};

/// What a handler answers.
pub type Answer = Result<Response, Failure>;

/// Most characters of a free text.
const REASON_MAX: usize = 2_000;

/// A call as it came in, without its body.
pub struct Call {
    /// What it works with.
    pub desk: Desk,
    /// Tag of the credential.
    pub actor: u64,
    /// Its headers.
    pub headers: HeaderMap,
}

impl FromRequestParts<Desk> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Failure> {
        // The layer in front put it there; without one nobody is known.
        let caller = parts.extensions.get::<Caller>().ok_or(Problem::Unauthorized)?;
        Ok(Self { desk: desk.clone(), actor: caller.actor, headers: parts.headers.clone() })
    }
}

/// Parameters of the path. What cannot be one, such as bytes that are no UTF-8, names nothing that is here.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(params)) => Ok(Self(params)),
            Err(_) => Err(Problem::NotFound.into()),
        }
    }
}

/// Parameters of the query.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(_) => Err(Problem::Malformed("a parameter of the query is out of form".into()).into()),
        }
    }
}

impl Call {
    /// Reads the body.
    pub async fn body(&self, body: Body) -> Result<Bytes, Failure> {
        Ok(body::json(&self.headers, body).await?)
    }

    /// Sends a command under the call's idempotency key, and waits until the views show it. A reject is a reply.
    pub async fn send(
        &self,
        account: AccountId,
        content: &Content,
        command: impl Into<Command>,
    ) -> Result<Reply, Failure> {
        let digest = self.desk.digest(account, content)?;
        self.send_as(account, digest, command).await
    }

    /// As [`Call::send`], with a digest of its own.
    pub async fn send_as(
        &self,
        account: AccountId,
        digest: Digest,
        command: impl Into<Command>,
    ) -> Result<Reply, Failure> {
        let key = IdempotencyKey::of(&self.headers)?.fingerprint(self.desk.api, account);
        let sending =
            Sending { account, actor: self.actor, key, digest, dated_ms: desk::now_ms(), command: command.into() };
        let reply = self.desk.send(sending).await?;
        self.desk.seen(&reply).await;
        Ok(reply)
    }

    /// The reason that an operator gives, sealed; and its text for the digest.
    pub fn reason(&self, account: AccountId, body: &Fields<'_>) -> Result<(Sealed, String), Failure> {
        let reason = body.line("reason", 1, REASON_MAX)?;
        let sealed = self.desk.seal(account, desk::REASON_CONTEXT, &reason)?;
        // Once the person is erased it is kept nowhere, and so it must not be in a digest that anybody could test either.
        let told = if sealed.0.is_empty() { String::new() } else { reason.into_owned() };
        Ok((sealed, told))
    }
}

/// An answer to a read.
pub fn shown(body: &impl Serialize) -> Response {
    plain::json(StatusCode::OK, body)
}

/// An answer to a write: where it stands, and whether it is the first outcome again.
pub fn written(status: StatusCode, reply: &Reply, body: &impl Serialize) -> Response {
    let mut response = plain::json(status, body);
    let at = At { partition: reply.partition, position: reply.position };
    response.headers_mut().insert(POSITION, at.header());
    if reply.replayed {
        response.headers_mut().insert(REPLAYED, REPLAYED_YES);
    }
    response
}
