//! Webhooks: where each company's go, how they fare, and sending them again.

use std::sync::Arc;

use axum::{body::Body, http::StatusCode, response::IntoResponse};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    call::{Answer, Call, Params, shown},
    failure::Failure,
};
use crate::{
    http::{
        json::{Fields, check_line},
        position::At,
        problem::{Fault, Problem},
        time::Time,
    },
    ports::{self, Webhook, WebhookFault, WebhookOrder, Webhooks},
};

/// Most bytes of a company's name.
const COMPANY_BYTES_MAX: usize = 64;
/// Most bytes of a base URL, as the worker bounds it.
const URL_MAX: usize = 1_024;
/// Most characters of a secret.
const SECRET_MAX: usize = 128;
/// Most characters of a list of positions.
const FROM_MAX: usize = 2_048;

/// All endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointList {
    /// By company.
    pub endpoints: Vec<EndpointShown>,
}

/// A company's endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointShown {
    /// The company.
    pub company: String,
    /// The base URL.
    pub url: String,
    /// `enabled`, `disabled` by ops, or `gone`: it answered 410.
    #[schema(example = "enabled")]
    pub state: String,
    /// How many secrets sign: more than one while one is replaced.
    pub secrets: usize,
    /// When it was last set.
    #[schema(value_type = String)]
    pub changed_at: Time,
    /// Up to where its webhooks are taken in: `<partition>-<record>.<entry>`.
    pub positions: Vec<String>,
    /// Webhooks that are not delivered yet.
    pub waiting: usize,
    /// Dead letters.
    pub dead: usize,
    /// When one was last delivered; null: not since the start.
    #[schema(value_type = Option<String>)]
    pub delivered_at: Option<Time>,
    /// What went wrong last; null: nothing since the start.
    pub last_error: Option<String>,
    /// When that was.
    #[schema(value_type = Option<String>)]
    pub failed_at: Option<Time>,
    /// The oldest that are not delivered (at most 100), and the last that were (at most 20).
    pub deliveries: Vec<WebhookShown>,
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookShown {
    /// Its `webhook-id`.
    pub id: String,
    /// The path behind the base URL.
    #[schema(value_type = String, example = "/v2/webhooks/cards")]
    pub path: &'static str,
    /// The card it tells of.
    pub card_id: String,
    /// Where the event stands: `<partition>-<record>.<entry>`.
    pub position: String,
    /// `waiting`, `failing`, `dead` or `delivered`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next; null: not by itself.
    #[schema(value_type = Option<String>)]
    pub next_at: Option<Time>,
    /// What went wrong the last time; null: nothing.
    pub last_error: Option<String>,
}

/// An endpoint as it was set, with its secret if one was made.
#[derive(Serialize, ToSchema)]
pub struct EndpointSet {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointShown,
    /// The secret that was made, shown this once; absent: none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl EndpointShown {
    fn of(of: ports::WebhookEndpoint) -> Self {
        let (last_error, failed_at) = of.failed.unzip();
        Self {
            company: of.company,
            url: of.url,
            state: of.state,
            secrets: of.secrets,
            changed_at: Time(of.changed_ms),
            positions: of.positions.into_iter().map(at).collect(),
            waiting: of.waiting,
            dead: of.dead,
            delivered_at: of.delivered_ms.map(Time),
            last_error,
            failed_at: failed_at.map(Time),
            deliveries: of.deliveries.into_iter().map(WebhookShown::of).collect(),
        }
    }
}

impl WebhookShown {
    fn of(of: Webhook) -> Self {
        Self {
            id: of.id,
            path: of.path,
            card_id: of.card.to_string(),
            position: at(of.at),
            state: of.state,
            tries: of.tries,
            next_at: of.next_ms.map(Time),
            last_error: (!of.error.is_empty()).then_some(of.error),
        }
    }
}

fn at((partition, position): (u16, florin_engine::ids::Position)) -> String {
    At { partition, position }.to_string()
}

/// Endpoints and how their webhooks fare.
#[utoipa::path(get, path = "/webhooks", tag = "queues",
    responses((status = 200, description = "The endpoints.", body = EndpointList), super::openapi::ReadErrors))]
pub(super) async fn list(call: Call) -> Answer {
    let endpoints = blocking(&call, |webhooks| webhooks.list()).await?;
    Ok(shown(&EndpointList { endpoints: endpoints.into_iter().map(EndpointShown::of).collect() }))
}

/// Sets where a company's webhooks go. What happens from then on is sent; a new endpoint without a given secret gets one, shown
/// in this answer only.
#[utoipa::path(put, path = "/webhooks/{company}", tag = "queues", params(super::openapi::OfCompany),
    request_body = super::openapi::NewEndpoint,
    responses((status = 200, description = "As it is now.", body = EndpointSet), super::openapi::WriteErrors))]
pub(super) async fn put(call: Call, Params(company): Params<String>, body: Body) -> Answer {
    if company.is_empty() || company.len() > COMPANY_BYTES_MAX || check_line(&company, 1, COMPANY_BYTES_MAX).is_err() {
        return Err(Failure::parameter("company", "1 to 64 bytes without control characters"));
    }
    let bytes = call.body(body).await?;
    let fields = Fields::parse(&bytes)?;
    let secret = fields.text_if("secret")?;
    if secret.as_ref().is_some_and(|secret| secret.len() > SECRET_MAX) {
        return Err(fields.fault("secret", Fault::TooLong(SECRET_MAX)).into());
    }
    let order = WebhookOrder {
        company: company.clone(),
        url: fields.line("url", 1, URL_MAX)?.into_owned(),
        enabled: fields.flag_if("enabled")?.unwrap_or(true),
        secret: secret.map(|secret| SecretString::from(secret.into_owned())),
        rotate: fields.flag_if("rotate_secret")?.unwrap_or(false),
    };
    let (endpoint, secret) = blocking(&call, move |webhooks| webhooks.put(order)).await?;
    tracing::info!(
        company,
        url = endpoint.url,
        state = endpoint.state,
        actor = call.actor,
        "a webhook endpoint was set"
    );
    let secret = secret.map(|secret| secret.expose_secret().to_owned());
    let mut response = shown(&EndpointSet { endpoint: EndpointShown::of(endpoint), secret });
    let no_store = axum::http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(axum::http::header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// What is done with a webhook or an endpoint.
pub(super) async fn act(call: Call, Params((of, action)): Params<(String, String)>, body: Body) -> Answer {
    match action.as_str() {
        "resend" => resend(call, of).await,
        "replay" => replay(call, of, body).await,
        _ => Err(Problem::NotFound.into()),
    }
}

/// Sends a webhook at once, whether it was delivered, waits or is a dead letter. It has the same id again.
#[utoipa::path(post, path = "/webhooks/{id}/resend", tag = "queues", params(super::openapi::OfWebhook),
    responses((status = 204, description = "It is on its way"), super::openapi::WriteErrors))]
async fn resend(call: Call, id: String) -> Answer {
    let of = id.clone();
    blocking(&call, move |webhooks| webhooks.resend(&of)).await?;
    tracing::info!(id, actor = call.actor, "a webhook is sent again");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Sends a company everything again that is still kept from a position on, in order and with the same ids.
#[utoipa::path(post, path = "/webhooks/{company}/replay", tag = "queues", params(super::openapi::OfCompany),
    request_body = super::openapi::ReplayFrom,
    responses((status = 204, description = "They are on their way"), super::openapi::WriteErrors))]
async fn replay(call: Call, company: String, body: Body) -> Answer {
    let bytes = call.body(body).await?;
    let fields = Fields::parse(&bytes)?;
    let partitions = call.desk.ports().handle.partitions();
    let from = fields.line("from", 1, FROM_MAX)?.into_owned();
    let positions = from.split(',').map(|text| At::parse(text.trim()).filter(|at| at.partition < partitions));
    let positions: Option<Vec<_>> = positions.map(|at| at.map(|at| (at.partition, at.position))).collect();
    let positions = positions.ok_or_else(|| fields.fault("from", Fault::Form("<partition>-<record>.<entry>")))?;
    let of = company.clone();
    blocking(&call, move |webhooks| webhooks.replay(&of, positions)).await?;
    tracing::info!(company, from, actor = call.actor, "webhooks are sent again");
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn blocking<T: Send + 'static>(
    call: &Call,
    ask: impl FnOnce(&dyn Webhooks) -> Result<T, WebhookFault> + Send + 'static,
) -> Result<T, Failure> {
    let webhooks = call.desk.ports().webhooks.as_ref().map(Arc::clone);
    let webhooks = webhooks.ok_or(Failure::not_here("No webhooks run in this process."))?;
    let asked = tokio::task::spawn_blocking(move || ask(&*webhooks)).await;
    let asked = asked.map_err(|error| Problem::internal("a question broke off", &error))?;
    asked.map_err(|fault| match fault {
        WebhookFault::Url(_) => {
            Problem::field("url", Fault::Form("a base URL, https and public unless configured")).into()
        }
        WebhookFault::Secret => Problem::field("secret", Fault::Form("whsec_ and the base64 of 24 to 64 bytes")).into(),
        WebhookFault::Unknown => Problem::NotFound.into(),
        WebhookFault::Disabled => Failure::conflict("endpoint_disabled", "The endpoint is disabled: enable it first."),
        WebhookFault::Full => Failure::conflict("too_many_endpoints", "There are as many endpoints as there may be."),
        WebhookFault::Failed(error) => Problem::internal("the webhooks cannot be reached", &*error).into(),
    })
}
