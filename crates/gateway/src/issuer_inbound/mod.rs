//! The issuer's calls, `/issuer/v1`: authorizations, what follows them, and blocks; signed by the issuer.
//!
//! A request carries `Florin-Timestamp` and `Florin-Signature` over method, path, timestamp and body
//! ([`florin_issuer::signature`]). Every message has a `message_id`, its idempotency key here: sent again it is answered again
//! and done once. Cards are named by `card_id` (ours) or `issuer_card_id`; authorizations by the network's own id, from
//! which ours is minted, so that a reversal may come before its authorization; ours is taken too.
//!
//! An authorization is decided within [`crate::Settings::authorization_wait`] or declined. A clearing of an amount that belongs
//! to no authorization is posted by the engine as a force post. `message.rs`, `network.rs` and `outcome.rs` are shared with the sandbox.

pub mod message;
pub mod network;
pub mod outcome;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use florin_engine::{
    command::{ChangeStatus, Class},
    ids::AuthorizationId,
    terms::Change,
};
use florin_issuer::signature::{self, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use florin_processor::Reply;

use crate::{
    Gateway,
    http::{
        body,
        idempotency::Content,
        json::Fields,
        keys::Caller,
        paths::Paths,
        plain::{self, Told},
        problem::{Fault, Problem},
    },
    ops::{
        call::{Answer, Call, Params, written},
        cards::CardShown,
        desk::{Desk, Sending, accepted, now_ms},
        failure::Failure,
    },
};
use message::{Message, Target, authorization_of, network_id, network_key};
use network::{Sent, target, target_of};

/// Where the API is served by default.
pub const PREFIX: &str = "/issuer/v1";

/// The API's name in keys and digests.
pub const API: &str = "issuer";
/// Tag of the issuer's credential in the journal.
const ACTOR: u64 = u64::from_be_bytes(*b"\0\0issuer");

/// The API under [`PREFIX`], for whoever signs with `key`.
pub fn router(gateway: &Gateway, key: signature::Key) -> Router {
    let desk = Desk { gateway: gateway.clone(), api: API, class: Class::Network };
    Paths::under(PREFIX)
        .route("/authorizations", post(authorize))
        .route("/authorizations/{id}/increments", post(increment))
        .route("/clearings", post(clear))
        .route("/reversals", post(reverse))
        .route("/refunds", post(refund))
        .route("/cards/{card}/blocks", post(block))
        .or(async || Failure::from(Problem::NotFound), async || Told::of(&Problem::MethodNotAllowed))
        .layer(middleware::from_fn_with_state(Arc::new(key), signed))
        .with_state(desk)
}

/// Lets in what the issuer signed.
async fn signed(State(key): State<Arc<signature::Key>>, request: Request, next: Next) -> Response {
    match verify(&key, request).await {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

async fn verify(key: &signature::Key, request: Request) -> Result<Request, Failure> {
    let (mut parts, body) = request.into_parts();
    let body = body::whole(body).await?;
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let timestamp = header(TIMESTAMP_HEADER).unwrap_or_default();
    let signature = header(SIGNATURE_HEADER).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let method = parts.method.as_str();
    key.verify(method, path, timestamp, signature, &body, now_ms()).map_err(|error| {
        tracing::warn!(%error, "an issuer's message was not let in");
        Problem::Unauthorized
    })?;
    parts.extensions.insert(Caller { company: API.into(), actor: ACTOR });
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// What a message is about.
struct About {
    target: Target,
    authorization: AuthorizationId,
}

/// The card that a body names.
async fn card(call: &Call, body: &Fields<'_>) -> Result<Target, Failure> {
    let row = match (body.text_if("card_id")?, body.text_if("issuer_card_id")?) {
        (Some(id), _) => call.desk.card(&id).await?,
        (None, Some(id)) => call.desk.card_of_issuer(&id).await?,
        (None, None) => return Err(Problem::missing("card_id").into()),
    };
    Ok(target(&call.desk, &row))
}

/// The authorization of that id: ours where it is one, else minted from the network's for the card that the body names.
async fn about(call: &Call, id: &str, body: &Fields<'_>) -> Result<About, Failure> {
    match call.desk.authorization(id).await {
        Ok(row) => {
            return Ok(About { target: target_of(&call.desk, &row), authorization: row.authorization });
        }
        Err(Failure::Problem(Problem::NotFound)) => {}
        Err(failure) => return Err(failure),
    }
    let target = card(call, body).await?;
    Ok(About { target, authorization: authorization_of(target.account, API, id) })
}

/// The message's own date: when what it tells happened. It is what a message repeated after its key is forgotten is refused
/// by, and so it must be the message's, not that of its sending.
fn dated_ms(body: &Fields<'_>) -> Result<u64, Problem> {
    let text = body.text("occurred_at")?;
    let time = humantime::parse_rfc3339(&text).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let ms = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    ms.ok_or_else(|| body.fault("occurred_at", Fault::Form("an RFC 3339 time in UTC")))
}

fn required(body: &Fields<'_>, field: &'static str) -> Result<String, Problem> {
    let id = network_id(body, field)?.ok_or_else(|| body.fault(field, Fault::Missing))?;
    Ok(id.into_owned())
}

fn sent(call: &Call, about: &About, body: &Fields<'_>, message: Message) -> Result<Sent, Problem> {
    let id = required(body, "message_id")?;
    Ok(Sent {
        target: about.target,
        authorization: about.authorization,
        actor: call.actor,
        key: network_key(about.target.account, API, message.name(), &id),
        dated_ms: dated_ms(body)?,
        message,
    })
}

fn answer((reply, answer): (Option<Reply>, outcome::Answer)) -> Response {
    match reply {
        Some(reply) => written(StatusCode::OK, &reply, &answer),
        None => plain::json(StatusCode::OK, &answer),
    }
}

/// `{message_id, occurred_at, authorization_id, card_id | issuer_card_id, amount, merchant?, mcc?, country?, card_present?, pin_entered?}`.
async fn authorize(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let id = required(&body, "authorization_id")?;
    let target = card(&call, &body).await?;
    let about = About { target, authorization: authorization_of(target.account, API, &id) };
    let message = Message::authorize(&body, &target)?;
    let sent = sent(&call, &about, &body, message)?;
    Ok(answer(network::send(&call.desk, sent).await?))
}

/// `{message_id, occurred_at, card_id | issuer_card_id, amount}`.
async fn increment(call: Call, Params(id): Params<String>, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let about = about(&call, &id, &body).await?;
    let message = Message::increment(&body, &about.target)?;
    let sent = sent(&call, &about, &body, message)?;
    Ok(answer(network::send(&call.desk, sent).await?))
}

/// `{message_id, occurred_at, authorization_id, card_id | issuer_card_id, amount?, final?}`.
async fn clear(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let id = required(&body, "authorization_id")?;
    let about = about(&call, &id, &body).await?;
    let message = Message::clear(&body, &about.target)?;
    let sent = sent(&call, &about, &body, message)?;
    Ok(answer(network::send(&call.desk, sent).await?))
}

/// `{message_id, occurred_at, authorization_id, card_id | issuer_card_id, amount?}`.
async fn reverse(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let id = required(&body, "authorization_id")?;
    let about = about(&call, &id, &body).await?;
    let message = Message::reverse(&body, &about.target)?;
    let sent = sent(&call, &about, &body, message)?;
    Ok(answer(network::send(&call.desk, sent).await?))
}

/// `{message_id, occurred_at, authorization_id?, card_id | issuer_card_id, amount?, merchant?, …}`; the amount is required without an
/// authorization.
async fn refund(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let about = match network_id(&body, "authorization_id")? {
        Some(id) => about(&call, &id, &body).await?,
        None => About { target: card(&call, &body).await?, authorization: AuthorizationId::NIL },
    };
    let linked = !about.authorization.is_nil();
    let message = Message::refund(&body, &about.target, linked)?;
    let sent = sent(&call, &about, &body, message)?;
    Ok(answer(network::send(&call.desk, sent).await?))
}

/// `{message_id, occurred_at, reason, fraud?}`: the issuer blocked a card on its own account.
async fn block(call: Call, Params(issuer_card): Params<String>, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let row = match call.desk.card_of_issuer(&issuer_card).await {
        Err(Failure::Problem(Problem::NotFound)) => call.desk.card(&issuer_card).await?,
        found => found?,
    };
    let id = required(&body, "message_id")?;
    let fraud = body.flag_if("fraud")?.unwrap_or(false);
    let (reason, told) = call.reason(row.account, &body)?;
    let content =
        Content::of(API, "block").with("card", row.card.0).with("fraud", [u8::from(fraud)]).with("reason", told);
    let command =
        ChangeStatus { card: row.card, change: if fraud { Change::BlockForFraud } else { Change::Block }, reason };
    let sending = Sending {
        account: row.account,
        actor: call.actor,
        key: network_key(row.account, API, "block", &id),
        digest: call.desk.digest(row.account, &content)?,
        dated_ms: dated_ms(&body)?,
        command: command.into(),
    };
    let reply = call.desk.send(sending).await?;
    accepted(&reply.outcome, None, 2)?;
    call.desk.seen(&reply).await;
    let row = call.desk.card(&row.card.to_string()).await?;
    let shown = CardShown::of(&row, call.desk.decimals(row.currency));
    Ok(written(StatusCode::OK, &reply, &shown))
}
