//! The sandbox behind the REST contract of `CONTRACT.md`, so that the HTTP adapter is tested against a real server.

use std::fmt::Display;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use super::Sandbox;
use crate::signature::{Key, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::wire::{
    AbandonBody, AbandonedBody, BODY_BYTES_MAX, CodeBody, Empty, FindBody, FoundBody, IDEMPOTENCY_HEADER, IssueBody,
    LimitsBody, RefusalBody, RevealBody, RevealedBody, StateBody, StatusBody,
};
use crate::{Answer, Error, Issuer, LimitsRequest, Refusal, StatusRequest};

/// The routes of the contract, every one behind the signature. May be nested under a prefix: the whole path is signed.
pub fn router(sandbox: Sandbox, key: Key) -> Router {
    let gate = Gate { clock: sandbox.0.settings.clock.clone(), key };
    Router::new()
        .route("/v1/cards", post(issue))
        .route("/v1/cards/find", post(find))
        .route("/v1/cards/{card_id}/status", put(status))
        .route("/v1/cards/{card_id}/limits", put(limits))
        .route("/v1/cards/{card_id}/reveals", post(reveal))
        .route("/v1/cards/{card_id}/one-time-codes", post(one_time_code))
        .route("/v1/requests/{request_id}", get(request))
        .route("/v1/requests/{request_id}/abandonment", post(abandon))
        .with_state(sandbox)
        .layer(from_fn_with_state(gate, check))
}

#[derive(Clone)]
struct Gate {
    clock: super::Clock,
    key: Key,
}

/// Lets signed requests pass, and nothing of a longer body than the contract's.
async fn check(State(gate): State<Gate>, OriginalUri(uri): OriginalUri, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let named = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let checked = gate.key.verify(
        parts.method.as_str(),
        path,
        named(TIMESTAMP_HEADER),
        named(SIGNATURE_HEADER),
        &body,
        (gate.clock)(),
    );
    if let Err(reason) = checked {
        return error(StatusCode::UNAUTHORIZED, reason);
    }
    let mut response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn issue(State(sandbox): State<Sandbox>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(body) = parse::<IssueBody>(&body).filter(|body| same_id(&headers, body.request_id)) else {
        return refusal(Refusal::Invalid);
    };
    let (request, profile) = body.into_request();
    answer(sandbox.issue_open(request, profile).await)
}

async fn status(
    State(sandbox): State<Sandbox>,
    Path(card_id): Path<Uuid>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(body) = parse::<StatusBody>(&body).filter(|body| same_id(&headers, body.request_id)) else {
        return refusal(Refusal::Invalid);
    };
    let request = StatusRequest { request_id: body.request_id, card_id, change: body.change, status: body.status };
    answer(empty(sandbox.set_status(request).await))
}

async fn limits(
    State(sandbox): State<Sandbox>,
    Path(card_id): Path<Uuid>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(body) = parse::<LimitsBody>(&body).filter(|body| same_id(&headers, body.request_id)) else {
        return refusal(Refusal::Invalid);
    };
    let request = LimitsRequest { request_id: body.request_id, card_id, change: body.change, limits: body.limits };
    answer(empty(sandbox.set_limits(request).await))
}

async fn request(State(sandbox): State<Sandbox>, Path(request_id): Path<Uuid>) -> Response {
    plain(sandbox.request(request_id).await.map(StateBody::from))
}

async fn abandon(State(sandbox): State<Sandbox>, Path(request_id): Path<Uuid>, body: Bytes) -> Response {
    let Some(AbandonBody { card_id }) = parse(&body) else {
        return refusal(Refusal::Invalid);
    };
    let outcome = sandbox.abandon(request_id, card_id).await;
    plain(outcome.map(|outcome| AbandonedBody { outcome }))
}

async fn reveal(State(sandbox): State<Sandbox>, Path(card_id): Path<Uuid>, body: Bytes) -> Response {
    let Some(RevealBody { what }) = parse(&body) else {
        return refusal(Refusal::Invalid);
    };
    plain(sandbox.reveal(card_id, what).await.map(|revealed| RevealedBody::from(&revealed)))
}

async fn one_time_code(State(sandbox): State<Sandbox>, Path(card_id): Path<Uuid>) -> Response {
    plain(sandbox.one_time_code(card_id).await.map(|code| CodeBody::from(&code)))
}

async fn find(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let Some(FindBody { number }) = parse(&body) else {
        return refusal(Refusal::Invalid);
    };
    let found = sandbox.find_by_number(&number.0).await;
    plain(found.map(|card_id| FoundBody { card_id }))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

fn same_id(headers: &HeaderMap, request_id: Uuid) -> bool {
    let named = headers.get(IDEMPOTENCY_HEADER).and_then(|value| value.to_str().ok());
    named.and_then(|text| Uuid::parse_str(text).ok()) == Some(request_id)
}

fn empty(result: Result<Answer<()>, Error>) -> Result<Answer<Empty>, Error> {
    result.map(|answer| match answer {
        Answer::Done(()) => Answer::Done(Empty {}),
        Answer::Refused(refusal) => Answer::Refused(refusal),
    })
}

fn answer<T: Serialize>(result: Result<Answer<T>, Error>) -> Response {
    match result {
        Ok(Answer::Done(body)) => Json(body).into_response(),
        Ok(Answer::Refused(reason)) => refusal(reason),
        Err(failure) => failed(&failure),
    }
}

fn plain<T: Serialize>(result: Result<T, Error>) -> Response {
    answer(result.map(Answer::Done))
}

fn refusal(refusal: Refusal) -> Response {
    let status = match refusal {
        Refusal::Invalid => StatusCode::BAD_REQUEST,
        Refusal::UnknownCard => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    (status, Json(RefusalBody { refusal })).into_response()
}

fn failed(failure: &Error) -> Response {
    match failure {
        Error::Refused(reason) => refusal(*reason),
        Error::TimedOut => error(StatusCode::GATEWAY_TIMEOUT, failure),
        Error::Status(status) => {
            error(StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), failure)
        }
        _ => {
            tracing::error!(error = failure as &dyn std::error::Error, "the sandbox issuer failed");
            error(StatusCode::INTERNAL_SERVER_ERROR, failure)
        }
    }
}

fn error(status: StatusCode, message: impl Display) -> Response {
    (status, Json(json!({ "error": message.to_string() }))).into_response()
}
