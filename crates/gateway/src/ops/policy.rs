//! Policies: adopting one in every partition, and which partition has which.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    codec::Outcome,
    command::{AdoptPolicy, Class},
    ids::{AccountId, Key},
    policy::Policy,
    reject::Reason,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use utoipa::ToSchema;

use super::{
    call::{Answer, Asked, Call, shown},
    desk::{Desk, Sending, now_ms, public_digest},
    failure::Failure,
};
use crate::{
    http::{
        idempotency::Content,
        plain::{Detail, Details, Told},
        problem::Problem,
        time::Time,
    },
    policy_document::{self, Document},
};

/// Under which version, and from when.
#[derive(Debug, Deserialize)]
pub(super) struct How {
    version: Option<u32>,
    effective_at: Option<String>,
}

/// What became of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Adopted {
    /// Its version.
    pub version: u32,
    /// From when it is in force.
    #[schema(value_type = String)]
    pub effective_at: Time,
    /// Whether it is new; false: it had been adopted before, and nothing changed.
    pub adopted: bool,
    /// Partition by partition.
    pub partitions: Vec<PartitionPolicy>,
}

/// The policy of a partition.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartitionPolicy {
    /// Which.
    pub partition: u16,
    /// The version in force, or adopted last where it is not yet in force; 0: none.
    pub version: u32,
    /// Where the entry stands; absent in reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

/// The policy in force.
#[derive(Serialize, ToSchema)]
pub struct PolicyShown {
    /// Its version.
    pub version: u32,
    /// The document; see `policy_document/README.md`.
    #[schema(value_type = Object)]
    pub policy: Document,
    /// Which partition has which.
    pub partitions: Vec<PartitionPolicy>,
}

/// Adopts a policy in every partition.
///
/// Without a version it becomes the latest and one; the very document that is the latest already is sent to those
/// partitions that lack it, so that a call that broke off is simply repeated. A refused document says line, path and reason;
/// one that takes away or measures anew what money and cards were made under says which asset or programme.
#[utoipa::path(put, path = "/policy", tag = "policy", params(super::openapi::OfPolicy),
    request_body(content = Object, description = "The policy document; see policy_document/README.md"),
    responses((status = 200, description = "Every partition has it.", body = Adopted), super::openapi::WriteErrors))]
pub(super) async fn put(call: Call, Asked(how): Asked<How>, body: Body) -> Answer {
    let body = call.body(body).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::Malformed("the body is not UTF-8".into()))?;
    let policy = policy_document::read(text).map_err(|error| refused(&error))?;
    let effective_at_ms = match &how.effective_at {
        None => None,
        Some(text) => {
            let time = humantime::parse_rfc3339(text).ok();
            let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            let ms = since.and_then(|since| u64::try_from(since.as_millis()).ok());
            let form = || Failure::parameter("effective_at", "an RFC 3339 time in UTC");
            Some(ms.ok_or_else(form)?)
        }
    };
    let adopted = adopt(&call.desk, call.actor, policy, how.version, effective_at_ms).await?;
    Ok(shown(&adopted))
}

fn refused(error: &policy_document::Error) -> Failure {
    let number = |n: usize| Detail::Number(i64::try_from(n).unwrap_or(i64::MAX));
    let details = Details::default()
        .with("line", number(error.line))
        .with("column", number(error.column))
        .text("path", error.path.clone())
        .text("reason", error.reason.clone());
    let message = format!("The policy is refused: {error}.");
    Failure::Told(Told::new(StatusCode::BAD_REQUEST, "policy_refused", message).details(details))
}

/// A policy that is in form, but must not take the place of the one before it.
fn unfit(reason: &str) -> Failure {
    let message = format!("The policy is refused: {reason}.");
    let details = Details::default().text("reason", reason.to_owned());
    Failure::Told(Told::new(StatusCode::BAD_REQUEST, "policy_refused", message).details(details))
}

/// Sends a policy to every partition; see [`put`]. Also what `serve --demo` adopts its policy with.
pub async fn adopt(
    desk: &Desk,
    actor: u64,
    policy: Policy,
    version: Option<u32>,
    effective_at_ms: Option<u64>,
) -> Result<Adopted, Failure> {
    // The latest of all partitions, in force or not.
    let latest = desk.ports().views.policy_at(u64::MAX);
    let (latest_version, same) = match &latest {
        Some((version, known)) => (*version, **known == policy),
        None => (0, false),
    };
    let version = version.unwrap_or(if same { latest_version } else { latest_version + 1 });
    let repeated = same && version == latest_version;
    let known_effective = || {
        let partitions = 0..desk.ports().handle.partitions();
        partitions
            .flat_map(|partition| desk.ports().views.policy_versions(partition))
            .find(|(known, _)| *known == version)
            .map(|(_, effective_at_ms)| effective_at_ms)
    };
    if let Some((latest_version, known)) = &latest
        && version > *latest_version
    {
        policy.follows(known).map_err(|error| unfit(&error.to_string()))?;
    }
    let effective_at_ms = effective_at_ms.or_else(|| repeated.then(known_effective).flatten()).unwrap_or_else(now_ms);

    let document = serde_json::to_vec(&policy_document::write(&policy))
        .map_err(|error| Problem::internal("a policy cannot be written", &error))?;
    let content = Content::of("ops", "policy").with("version", version.to_le_bytes()).with("document", document);
    let mut sent = JoinSet::new();
    for partition in 0..desk.ports().handle.partitions() {
        let desk = Desk { class: Class::Ops, ..desk.clone() };
        let account = AccountId::of_partition(partition);
        let sending = Sending {
            account,
            actor,
            key: Key::of(account, format!("ops|policy|{version}").as_bytes()),
            digest: public_digest(&content),
            dated_ms: 0,
            command: AdoptPolicy { version, effective_at_ms, policy: Box::new(policy.clone()) }.into(),
        };
        sent.spawn(async move {
            let reply = desk.send(sending).await?;
            desk.seen(&reply).await;
            Ok::<_, Failure>((partition, reply))
        });
    }
    let mut partitions = Vec::new();
    let mut changed = false;
    while let Some(done) = sent.join_next().await {
        let (partition, reply) = done.map_err(|error| Problem::internal("a policy was not sent", &error))??;
        match &reply.outcome {
            Outcome::Accepted(_) => changed |= !reply.replayed,
            // Adopted so long ago that its key is forgotten.
            Outcome::Rejected(reject) if repeated && reject.reason == Reason::PolicyRefused => {}
            // Adopted meanwhile is one that this cannot follow, or its version.
            Outcome::Rejected(reject) if reject.reason == Reason::PolicyRefused => {
                return Err(unfit("it does not follow the policy adopted last, or has a version that is not higher"));
            }
            Outcome::Rejected(reject) => {
                return Err(Problem::rejected(reject.clone(), None, 2).into());
            }
        }
        partitions.push(PartitionPolicy { partition, version, position: Some(reply.position.to_string()) });
    }
    partitions.sort_by_key(|of| of.partition);
    Ok(Adopted { version, effective_at: Time(effective_at_ms), adopted: changed, partitions })
}

/// The policy in force, and which partition has which version.
#[utoipa::path(get, path = "/policy", tag = "policy",
    responses((status = 200, description = "The policy.", body = PolicyShown), super::openapi::ReadErrors))]
pub(super) async fn get(call: Call) -> Answer {
    let views = &call.desk.ports().views;
    let (version, policy) = views.policy_at(now_ms()).or_else(|| views.policy_at(u64::MAX)).ok_or(Problem::NotFound)?;
    let partitions = (0..call.desk.ports().handle.partitions()).map(|partition| PartitionPolicy {
        partition,
        version: views.policy_versions(partition).last().map_or(0, |(version, _)| *version),
        position: None,
    });
    Ok(shown(&PolicyShown { version, policy: policy_document::write(&policy), partitions: partitions.collect() }))
}
