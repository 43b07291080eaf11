//! The sandbox API, `/sandbox/v1`: plays the card network and sets how the sandbox issuer behaves. Only where that is the issuer.
//!
//! Messages are those of the issuer's API (`issuer_inbound`), decided on the same lane with the same deadline. A
//! message's key is `Idempotency-Key`, else the body's `network_id`, else a new one. An authorization is named by the id
//! that the answer gave, or by the `network_id` it was made with and the body's `card_id`; so a reversal can come before
//! its authorization. Every answer waits until the views show what it did. `README.md` plays every story from curl.

pub mod issuer;
mod openapi;

use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use florin_engine::{
    command::Class,
    ids::{AccountId, AuthorizationId, Key, Kind, mint},
};
use florin_processor::Reply;
use florin_projector::AuthorizationRow;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::{
    Gateway,
    http::{
        self,
        amount::Money,
        idempotency::IdempotencyKey,
        json::Fields,
        keys::ApiKey,
        plain::{self, Details},
        problem::Problem,
        time::Time,
    },
    issuer_inbound::{
        message::{Message, Target, authorization_of, network_id, network_key},
        network::{self, Sent, target, target_of},
        outcome::{self, figures},
    },
    ops::{
        Guard, api,
        call::{Answer, Call, Params, shown, written},
        desk::{Desk, now_ms},
        failure::Failure,
    },
};

/// Where the API is served by default.
pub const PREFIX: &str = "/sandbox/v1";

/// The API's name in keys and digests.
const API: &str = "sandbox";

/// The API, to be nested under `prefix`; without keys it is open to everybody who reaches the listener.
pub fn router(gateway: &Gateway, keys: Option<&[ApiKey]>, prefix: &str) -> Router {
    let desk = Desk { gateway: gateway.clone(), api: API, class: Class::Network };
    let document = Router::new().route(http::openapi::PATH, http::openapi::route(openapi::Document::openapi(), prefix));
    let guard = Guard::new(gateway, keys);
    api(routes(), desk, guard).merge(document)
}

fn routes() -> Router<Desk> {
    Router::new()
        .route("/authorizations", post(authorize))
        .route("/authorizations/{id}", get(authorization))
        .route("/authorizations/{id}/clear", post(clear))
        .route("/authorizations/{id}/reverse", post(reverse))
        .route("/authorizations/{id}/increment", post(increment))
        .route("/authorizations/{id}/expire", post(expire))
        .route("/authorizations/{id}/refund", post(refund))
        .route("/refunds", post(credit))
        .route("/force-posts", post(force_post))
        .route("/issuer", get(issuer::behaviour).put(issuer::behave))
        .route("/issuer/cards", get(issuer::cards))
        .route("/issuer/cards/{card}", get(issuer::card))
        .route("/issuer/cards/{card}/use-code", post(issuer::use_code))
}

/// An authorization as the views show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthorizationShown {
    /// Its id.
    pub authorization_id: String,
    /// Its card.
    pub card_id: String,
    /// `pending`, `completed`, `declined` or `failed`.
    #[schema(value_type = String, example = "pending")]
    pub status: &'static str,
    /// The stable word of a decline, else null.
    #[schema(value_type = Option<String>)]
    pub reason: Option<&'static str>,
    /// The figures of a decline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<Details>,
    /// Authorized, increments included; of a declined one what was asked for.
    #[schema(value_type = f64, example = 50.00)]
    pub authorized: Money,
    /// Still held.
    #[schema(value_type = f64, example = 50.00)]
    pub held: Money,
    /// Cleared or force-posted in all.
    #[schema(value_type = f64, example = 0.00)]
    pub cleared: Money,
    /// Refunded against it.
    #[schema(value_type = f64, example = 0.00)]
    pub refunded: Money,
    /// The card's currency.
    #[schema(example = "USD")]
    pub currency: String,
    /// Whether the hold is open.
    pub open: bool,
    /// When the hold expires; null: there was none.
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Time>,
    /// Where.
    pub merchant: String,
}

impl AuthorizationShown {
    fn of(row: &AuthorizationRow, decimals: u8) -> Self {
        let money = |amount| Money::new(amount, decimals);
        Self {
            authorization_id: row.authorization.to_string(),
            card_id: row.card.to_string(),
            status: row.status.word(),
            reason: row.decline.as_ref().map(|decline| decline.reason.word()),
            details: row.decline.as_ref().map(|decline| figures(decline, decimals)),
            authorized: money(row.authorized),
            held: money(row.held),
            cleared: money(row.cleared),
            refunded: money(row.refunded),
            currency: row.currency.to_string(),
            open: row.open,
            expires_at: (row.expires_at_ms != 0).then_some(Time(row.expires_at_ms)),
            merchant: row.merchant.name.clone(),
        }
    }
}

/// The body of a call; one that needs nothing may be empty and of no type.
async fn optional(body: Body) -> Result<Bytes, Failure> {
    let body = http::body::whole(body).await?;
    Ok(if body.is_empty() { Bytes::from_static(b"{}") } else { body })
}

/// The card that a body names.
async fn card(call: &Call, body: &Fields<'_>) -> Result<Target, Failure> {
    let row = call.desk.card(&body.text("card_id")?).await?;
    Ok(target(&call.desk, &row))
}

/// The authorization that a path names, with its card.
async fn about(call: &Call, id: &str, body: &Fields<'_>) -> Result<(Target, AuthorizationId), Failure> {
    match call.desk.authorization(id).await {
        Ok(row) => return Ok((target_of(&call.desk, &row), row.authorization)),
        Err(Failure::Problem(Problem::NotFound)) if body.given("card_id")?.is_some() => {}
        Err(failure) => return Err(failure),
    }
    let target = card(call, body).await?;
    Ok((target, authorization_of(target.account, API, id)))
}

/// The key of a message.
fn key(call: &Call, account: AccountId, body: &Fields<'_>, scope: &'static str) -> Result<Key, Problem> {
    let given = IdempotencyKey::of(&call.headers)?;
    Ok(match (&given, network_id(body, "network_id")?) {
        (IdempotencyKey::Made(_), Some(id)) => network_key(account, API, scope, &id),
        _ => given.fingerprint(API, account),
    })
}

async fn send(call: &Call, target: Target, authorization: AuthorizationId, key: Key, message: Message) -> Answer {
    let sent = Sent { target, authorization, actor: call.actor, key, dated_ms: now_ms(), message };
    Ok(answer(call, network::send(&call.desk, sent).await?).await)
}

async fn answer(call: &Call, (reply, answer): (Option<Reply>, outcome::Answer)) -> Response {
    match reply {
        Some(reply) => {
            call.desk.seen(&reply).await;
            written(StatusCode::OK, &reply, &answer)
        }
        None => plain::json(StatusCode::OK, &answer),
    }
}

/// Asks for an authorization; approved or declined, it is answered 200.
#[utoipa::path(post, path = "/authorizations", tag = "network", request_body = openapi::Authorization,
    responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn authorize(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let target = card(&call, &body).await?;
    let message = Message::authorize(&body, &target)?;
    let key = key(&call, target.account, &body, message.name())?;
    let authorization = new_authorization(&target, key, &body)?;
    send(&call, target, authorization, key, message).await
}

/// An authorization that a message makes: from the network's id, else from the message's key.
fn new_authorization(target: &Target, key: Key, body: &Fields<'_>) -> Result<AuthorizationId, Problem> {
    Ok(match network_id(body, "network_id")? {
        Some(id) => authorization_of(target.account, API, &id),
        None => AuthorizationId(mint(target.account, key, Kind::Authorization)),
    })
}

/// An authorization with what is held, cleared and refunded of it.
#[utoipa::path(get, path = "/authorizations/{id}", tag = "network", params(openapi::OfAuthorization),
    responses((status = 200, description = "The authorization.", body = AuthorizationShown), crate::ops::openapi::ReadErrors))]
async fn authorization(call: Call, Params(id): Params<String>) -> Answer {
    let row = call.desk.authorization(&id).await?;
    Ok(shown(&AuthorizationShown::of(&row, call.desk.decimals(row.currency))))
}

/// Clears an authorization, in part or finally.
#[utoipa::path(post, path = "/authorizations/{id}/clear", tag = "network", params(openapi::OfAuthorization),
    request_body = openapi::Clearing, responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn clear(call: Call, Params(id): Params<String>, body: Body) -> Answer {
    follow(call, id, body, Message::clear).await
}

/// Reverses an authorization, in full or in part; also one that is still to come.
#[utoipa::path(post, path = "/authorizations/{id}/reverse", tag = "network", params(openapi::OfAuthorization),
    request_body = openapi::Part, responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn reverse(call: Call, Params(id): Params<String>, body: Body) -> Answer {
    follow(call, id, body, Message::reverse).await
}

/// Raises the hold; approved or declined, it is answered 200.
#[utoipa::path(post, path = "/authorizations/{id}/increment", tag = "network", params(openapi::OfAuthorization),
    request_body = openapi::More, responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn increment(call: Call, Params(id): Params<String>, body: Body) -> Answer {
    follow(call, id, body, Message::increment).await
}

/// Lets the hold expire now.
#[utoipa::path(post, path = "/authorizations/{id}/expire", tag = "network", params(openapi::OfAuthorization),
    responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn expire(call: Call, Params(id): Params<String>, body: Body) -> Answer {
    follow(call, id, body, |_, _| Ok(Message::Expire)).await
}

/// Refunds what was cleared, in full or in part.
#[utoipa::path(post, path = "/authorizations/{id}/refund", tag = "network", params(openapi::OfAuthorization),
    request_body = openapi::Part, responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn refund(call: Call, Params(id): Params<String>, body: Body) -> Answer {
    follow(call, id, body, |body, target| Message::refund(body, target, true)).await
}

/// A message about an authorization that a path names. What needs nothing may come without a body.
async fn follow(
    call: Call,
    id: String,
    body: Body,
    read: impl FnOnce(&Fields<'_>, &Target) -> Result<Message, Problem>,
) -> Answer {
    let body = optional(body).await?;
    let body = Fields::parse(&body)?;
    let (target, authorization) = about(&call, &id, &body).await?;
    let message = read(&body, &target)?;
    let key = key(&call, target.account, &body, message.name())?;
    send(&call, target, authorization, key, message).await
}

/// Credits a card without a purchase.
#[utoipa::path(post, path = "/refunds", tag = "network", request_body = openapi::Posting,
    responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn credit(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let target = card(&call, &body).await?;
    let message = Message::refund(&body, &target, false)?;
    let key = key(&call, target.account, &body, message.name())?;
    send(&call, target, AuthorizationId::NIL, key, message).await
}

/// Posts a purchase without a hold, in every state of the card and below zero if need be.
#[utoipa::path(post, path = "/force-posts", tag = "network", request_body = openapi::Posting,
    responses((status = 200, description = "What came of it.", body = outcome::Answer), crate::ops::openapi::WriteErrors))]
async fn force_post(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let target = card(&call, &body).await?;
    let message = Message::force_post(&body, &target)?;
    let key = key(&call, target.account, &body, message.name())?;
    let authorization = new_authorization(&target, key, &body)?;
    send(&call, target, authorization, key, message).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openapi_document_names_every_call() {
        let document = serde_json::to_value(openapi::Document::openapi()).unwrap();
        for (path, method) in [
            ("/authorizations", "post"),
            ("/authorizations/{id}", "get"),
            ("/authorizations/{id}/clear", "post"),
            ("/authorizations/{id}/reverse", "post"),
            ("/authorizations/{id}/increment", "post"),
            ("/authorizations/{id}/expire", "post"),
            ("/authorizations/{id}/refund", "post"),
            ("/refunds", "post"),
            ("/force-posts", "post"),
            ("/issuer", "get"),
            ("/issuer", "put"),
            ("/issuer/cards", "get"),
            ("/issuer/cards/{cardId}", "get"),
            ("/issuer/cards/{cardId}/use-code", "post"),
        ] {
            let responses = &document["paths"][path][method]["responses"];
            assert!(responses["200"].is_object() && responses["404"].is_object(), "{method} {path}");
        }
    }
}
