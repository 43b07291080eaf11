//! Dead letters: what queues gave up after their last try; nothing is lost silently.

use std::sync::Arc;

use axum::{body::Body, http::StatusCode, response::IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    call::{Answer, Call, Params, shown},
    failure::Failure,
};
use crate::{
    http::{problem::Problem, time::Time},
    ports::{self, DeadLetters},
};

/// Most that are listed.
const LISTED_MAX: usize = 1_000;

/// Dead letters, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterList {
    /// At most 1,000.
    pub dead_letters: Vec<DeadLetterShown>,
}

/// An item that a queue gave up.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterShown {
    /// Its id.
    pub id: String,
    /// Which queue.
    #[schema(example = "settlement")]
    pub queue: String,
    /// The account it is about.
    pub account: String,
    /// The card it is about; null: none.
    pub card_id: Option<String>,
    /// What was to be done.
    pub task: String,
    /// How often it was tried.
    pub tries: u32,
    /// What went wrong the last time.
    pub error: String,
    /// Since when it is dead.
    #[schema(value_type = String)]
    pub since: Time,
}

/// The dead letters of all queues, oldest first.
#[utoipa::path(get, path = "/dead-letters", tag = "queues",
    responses((status = 200, description = "The list.", body = DeadLetterList), super::openapi::ReadErrors))]
pub(super) async fn list(call: Call) -> Answer {
    let letters = blocking(&call, |letters| letters.list(LISTED_MAX)).await?;
    let dead_letters = letters.into_iter().map(|of| DeadLetterShown {
        id: of.id,
        queue: of.queue,
        account: of.account.to_string(),
        card_id: (!of.card.is_nil()).then(|| of.card.to_string()),
        task: of.task,
        tries: of.tries,
        error: of.error,
        since: Time(of.since_ms),
    });
    Ok(shown(&DeadLetterList { dead_letters: dead_letters.collect() }))
}

/// Puts a dead letter back on its queue, or drops it for good.
#[utoipa::path(post, path = "/dead-letters/{id}/{action}", tag = "queues", params(super::openapi::OfDeadLetter),
    responses((status = 204, description = "Done"), (status = 409, description = "`being_tried`: wait until that has ended."), super::openapi::ReadErrors))]
pub(super) async fn decide(call: Call, Params((id, action)): Params<(String, String)>, _: Body) -> Answer {
    let letter = id.clone();
    let found = match action.as_str() {
        "retry" => blocking(&call, move |letters| letters.retry(&letter)).await?,
        "drop" => blocking(&call, move |letters| letters.drop(&letter)).await?,
        _ => return Err(Problem::NotFound.into()),
    };
    if !found {
        return Err(Problem::NotFound.into());
    }
    tracing::info!(id, action, actor = call.actor, "a dead letter was dealt with");
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn blocking<T: Send + 'static>(
    call: &Call,
    ask: impl FnOnce(&dyn DeadLetters) -> Result<T, ports::Error> + Send + 'static,
) -> Result<T, Failure> {
    let letters = call.desk.ports().dead_letters.as_ref().map(Arc::clone);
    let letters = letters.ok_or(Failure::not_here("No settlement and no webhooks run in this process."))?;
    let asked = tokio::task::spawn_blocking(move || ask(&*letters)).await;
    let asked = asked.map_err(|error| Problem::internal("a question broke off", &error))?;
    asked.map_err(|error| match error {
        ports::Error::BeingTried => Failure::conflict(
            "being_tried",
            "The dead letter is being tried right now: wait until that has ended, then look whether it is still there.",
        ),
        ports::Error::Away(_) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "dead letters cannot be had now");
            Problem::Busy { retry_after_s: 1 }.into()
        }
        error => Problem::internal("dead letters cannot be had", &error).into(),
    })
}
