//! The sandbox API of a sandbox that runs in a process of its own: sets how it behaves, shows its cards, and plays the card
//! network by calling a gateway's `/issuer/v1`, signed as a real issuer does.
//!
//! The paths and bodies are those of the gateway's sandbox API, so that the same scripts work; what the gateway answers is passed
//! on as it is. Not here, as an issuer cannot do it: reading an authorization (ask the gateway's ops API) and expiring one.
//!
//! | call | `/issuer/v1` of the gateway |
//! |---|---|
//! | `POST /authorizations` | `/authorizations` |
//! | `POST /authorizations/{id}/increment` | `/authorizations/{id}/increments` |
//! | `POST /authorizations/{id}/clear`, `/reverse`, `/refund` | `/clearings`, `/reversals`, `/refunds` |
//! | `POST /refunds`, `/force-posts` | `/refunds`, `/clearings` of an authorization that never was |
//! | `POST /cards/{issuerCardId}/block` | `/cards/{issuerCardId}/blocks` |
//! | `GET`, `PUT /issuer`, `GET /issuer/cards[/{id}]`, `POST /issuer/cards/{id}/use-code` | – |
//!
//! A message's id is `Idempotency-Key`, else the body's `network_id`, else new.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{BehaviourUpdate, CardView, Sandbox};
use crate::http::{Error as SettingsError, base_url, now_ms};
use crate::signature::{Key, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::wire::BODY_BYTES_MAX;

/// The header of the API key.
const KEY_HEADER: &str = "x-api-key";
/// The header that names a message.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long a gateway may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The gateway to which the network's messages go.
pub struct Gateway {
    /// Its `/issuer/v1`, TLS unless on loopback.
    pub base_url: String,
    /// The secret that it shares with this issuer.
    pub key: Key,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Control {
    sandbox: Sandbox,
    network: Option<(Client, Url, Key)>,
}

type Fields = BTreeMap<String, Box<RawValue>>;
type Answer = Result<Response, Response>;

/// The API, to be nested under a prefix. Without keys it is open to everybody who reaches the listener; without a gateway it
/// plays no network.
///
/// # Errors
/// When the gateway's address is none, or would send in clear.
pub fn router(sandbox: Sandbox, gateway: Option<Gateway>, keys: Vec<SecretString>) -> Result<Router, SettingsError> {
    let network = match gateway {
        None => None,
        Some(gateway) => {
            let url = base_url(&gateway.base_url)?;
            let client = Client::builder()
                .timeout(TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .map_err(SettingsError::Client)?;
            Some((client, url, gateway.key))
        }
    };
    let routes = Router::new()
        .route("/authorizations", post(authorize))
        .route("/authorizations/{id}/increment", post(increment))
        .route("/authorizations/{id}/{action}", post(follow))
        .route("/refunds", post(refund))
        .route("/force-posts", post(force_post))
        .route("/cards/{card}/block", post(block))
        .route("/issuer", get(behaviour).put(behave))
        .route("/issuer/cards", get(cards))
        .route("/issuer/cards/{card}", get(card))
        .route("/issuer/cards/{card}/use-code", post(use_code))
        .with_state(Control { sandbox, network });
    Ok(if keys.is_empty() { routes } else { routes.layer(from_fn_with_state(std::sync::Arc::new(keys), check)) })
}

/// Lets those with a key pass.
async fn check(State(keys): State<std::sync::Arc<Vec<SecretString>>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let given = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok()).or(bearer).unwrap_or_default();
    // All are compared, so that the time says nothing about which one it nearly was.
    let good =
        keys.iter().fold(false, |good, key| good | bool::from(key.expose_secret().as_bytes().ct_eq(given.as_bytes())));
    if good {
        next.run(request).await
    } else {
        problem(StatusCode::UNAUTHORIZED, "unauthorized", "an API key is missing or unknown")
    }
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "code": code, "message": message, "details": {} } }))).into_response()
}

fn failed(error: &crate::Error) -> Response {
    tracing::error!(error = error as &dyn std::error::Error, "the sandbox issuer failed");
    problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the sandbox failed")
}

async fn fields(body: Body) -> Result<Fields, Response> {
    let invalid = |message: &str| problem(StatusCode::BAD_REQUEST, "invalid", message);
    let body: Bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| invalid("the body is too long"))?;
    if body.is_empty() {
        return Ok(Fields::new());
    }
    serde_json::from_slice(&body).map_err(|_| invalid("the body is no JSON object"))
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

#[expect(clippy::result_large_err, reason = "an answer to a person who tries things: it is made once a call")]
fn raw(value: &str) -> Result<Box<RawValue>, Response> {
    to_raw_value(value).map_err(|_| problem(StatusCode::BAD_REQUEST, "invalid", "a text is out of form"))
}

#[expect(clippy::result_large_err, reason = "an answer to a person who tries things: it is made once a call")]
fn new_id() -> Result<String, Response> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "no random bytes"))?;
    Ok(uuid::Builder::from_random_bytes(random).into_uuid().to_string())
}

impl Control {
    /// Sends a message as the issuer and passes the answer on. `network_id` leaves the body: it named the message.
    async fn send(&self, path: &str, headers: &HeaderMap, mut fields: Fields) -> Answer {
        let Some((client, base, key)) = &self.network else {
            return Err(problem(StatusCode::NOT_FOUND, "not_served", "this sandbox was given no gateway to call"));
        };
        let given = headers.get(IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let id = match given.or_else(|| text(&fields, "network_id")) {
            Some(id) => id,
            None => new_id()?,
        };
        fields.remove("network_id");
        fields.insert("message_id".into(), raw(&id)?);
        if !fields.contains_key("occurred_at") {
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis((self.sandbox.0.settings.clock)());
            fields.insert("occurred_at".into(), raw(&humantime::format_rfc3339_millis(now).to_string())?);
        }
        let unreachable = |message: &str| problem(StatusCode::BAD_GATEWAY, "gateway_unreachable", message);
        let body = serde_json::to_vec(&fields).map_err(|_| unreachable("the message cannot be written"))?;
        let url = base.join(path).map_err(|_| problem(StatusCode::NOT_FOUND, "not_found", "no such path"))?;
        let timestamp = now_ms();
        let signature = key.sign("POST", url.path(), timestamp, &body);
        let sent = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(TIMESTAMP_HEADER, timestamp)
            .header(SIGNATURE_HEADER, signature)
            .body(body)
            .send()
            .await;
        let answer = sent.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the gateway does not answer");
            unreachable("the gateway does not answer; the message may have been taken: send it again with the same key")
        })?;
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
        let body = answer.bytes().await.map_err(|_| unreachable("the gateway's answer broke off"))?;
        Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

async fn authorize(State(control): State<Control>, headers: HeaderMap, body: Body) -> Answer {
    let mut fields = fields(body).await?;
    let id = match text(&fields, "network_id") {
        Some(id) => id,
        None => new_id()?,
    };
    fields.insert("authorization_id".into(), raw(&id)?);
    control.send("authorizations", &headers, fields).await
}

async fn increment(State(control): State<Control>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Answer {
    let path = format!("authorizations/{}/increments", segment(&id)?);
    control.send(&path, &headers, fields(body).await?).await
}

async fn follow(
    State(control): State<Control>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let path = match action.as_str() {
        "clear" => "clearings",
        "reverse" => "reversals",
        "refund" => "refunds",
        _ => return Err(problem(StatusCode::NOT_FOUND, "not_served", "an issuer cannot do that")),
    };
    let mut fields = fields(body).await?;
    fields.insert("authorization_id".into(), raw(&id)?);
    if action == "clear" && !fields.contains_key("amount") && !fields.contains_key("final") {
        fields.insert(
            "final".into(),
            RawValue::from_string("true".into()).map_err(|_| StatusCode::BAD_REQUEST.into_response())?,
        );
    }
    control.send(path, &headers, fields).await
}

async fn refund(State(control): State<Control>, headers: HeaderMap, body: Body) -> Answer {
    control.send("refunds", &headers, fields(body).await?).await
}

async fn force_post(State(control): State<Control>, headers: HeaderMap, body: Body) -> Answer {
    let mut fields = fields(body).await?;
    let id = match text(&fields, "network_id") {
        Some(id) => id,
        None => new_id()?,
    };
    fields.insert("authorization_id".into(), raw(&id)?);
    control.send("clearings", &headers, fields).await
}

async fn block(State(control): State<Control>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Answer {
    let path = format!("cards/{}/blocks", segment(&id)?);
    control.send(&path, &headers, fields(body).await?).await
}

/// An id that is to be a part of a path: visible, and nothing that could lead elsewhere.
#[expect(clippy::result_large_err, reason = "an answer to a person who tries things: it is made once a call")]
fn segment(id: &str) -> Result<&str, Response> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let fits = !id.is_empty() && id.bytes().all(good);
    fits.then_some(id).ok_or_else(|| problem(StatusCode::NOT_FOUND, "not_found", "no such id"))
}

async fn behaviour(State(control): State<Control>) -> Response {
    Json(control.sandbox.behaviour()).into_response()
}

async fn behave(State(control): State<Control>, Json(update): Json<BehaviourUpdate>) -> Answer {
    let changed = control.sandbox.update_behaviour(update);
    let changed = changed.map_err(|error| problem(StatusCode::BAD_REQUEST, "invalid", &error.to_string()))?;
    Ok(Json(changed).into_response())
}

async fn cards(State(control): State<Control>) -> Answer {
    let mut cards = Vec::new();
    for card in control.sandbox.cards().await.map_err(|error| failed(&error))? {
        cards.push(shown(&control.sandbox, &card).await?);
    }
    Ok(Json(json!({ "cards": cards })).into_response())
}

async fn card(State(control): State<Control>, Path(id): Path<Uuid>) -> Answer {
    let found = control.sandbox.card(id).await.map_err(|error| failed(&error))?;
    let found = found.ok_or_else(|| problem(StatusCode::NOT_FOUND, "not_found", "no such card at the issuer"))?;
    Ok(Json(shown(&control.sandbox, &found).await?).into_response())
}

async fn use_code(State(control): State<Control>, Path(id): Path<Uuid>, body: Body) -> Answer {
    let code = text(&fields(body).await?, "code");
    let code = code.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "invalid", "code is missing"))?;
    let good = control.sandbox.use_code(id, &code).await.map_err(|error| failed(&error))?;
    Ok(Json(json!({ "good": good })).into_response())
}

async fn shown(sandbox: &Sandbox, card: &CardView) -> Result<Value, Response> {
    let calls = sandbox.calls(card.request_id).await.map_err(|error| failed(&error))?;
    let expiry = card.issued.expiry;
    Ok(json!({
        "card_id": card.card_id, "issuer_card_id": card.issued.issuer_card_id, "request_id": card.request_id,
        "calls": calls, "times_issued": card.times_issued, "kind": card.kind, "status": card.status,
        "status_change": card.status_change, "limits": card.limits, "limits_change": card.limits_change,
        "last4": format!("{:04}", card.issued.last4), "expiry": format!("{:02}/{:04}", expiry.month, expiry.year),
    }))
}
