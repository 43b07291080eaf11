//! Cards: what operators do to them, and why one is in the state it is in.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    command::{Activate, ChangeStatus, Class, Command},
    limits::Limits,
    money::Minor,
    policy::{CardKind, Funding, ProgrammeCode},
    terms::{Cause, Change, Status, expiry_parts},
};
use florin_projector::{CardRow, PendingCard, PendingKind, PendingRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    call::{Answer, Call, Params, shown, written},
    desk::{accepted, now_ms},
    failure::Failure,
};
use crate::http::{amount::Money, idempotency::Content, json::Fields, time::Time};

/// A card as operators see it: canonical words (lifecycle.md), nothing sensitive.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardShown {
    /// Its id.
    pub card_id: String,
    /// Its numeric id.
    pub number: u64,
    /// Whose.
    pub account: String,
    /// `dashboard`, `baas` or `mobile`.
    #[schema(value_type = String, example = "dashboard")]
    pub programme: &'static str,
    /// `virtual` or `physical`.
    #[schema(value_type = String, example = "virtual")]
    pub kind: &'static str,
    /// `prepaid` or `wallet`.
    #[schema(value_type = String, example = "prepaid")]
    pub funding: &'static str,
    /// Canonical state: requested, not_activated, active, frozen, blocked, pre_cancel, cancelled, expired.
    #[schema(value_type = String, example = "active")]
    pub status: &'static str,
    /// The state before; null in the first.
    #[schema(value_type = Option<String>)]
    pub previous_status: Option<&'static str>,
    /// Whose doing: user, ops, issuer, wrong_tries, system, clock, appeal.
    #[schema(value_type = String, example = "system")]
    pub cause: &'static str,
    /// Blocked for fraud.
    pub fraud: bool,
    /// What waits for the issuer; null: nothing.
    pub pending: Option<PendingShown>,
    /// Whether its state is being asserted at the issuer again.
    pub reconciling: bool,
    /// Posted balance of its own, in `currency`.
    #[schema(value_type = f64, example = 100.00)]
    pub balance: Money,
    /// Held of it.
    #[schema(value_type = f64, example = 0.00)]
    pub held: Money,
    /// Billing currency.
    #[schema(example = "USD")]
    pub currency: String,
    /// Last four digits; null before the issuer made it.
    pub last4: Option<String>,
    /// Expiry, `MM/YY`.
    pub expiry: Option<String>,
    /// The issuer's id of it.
    pub issuer_card_id: Option<String>,
    /// Limits that bind now; absent: no limit.
    pub limits: LimitsShown,
    /// Wrong activation tries so far.
    pub activation_tries: u8,
    /// When it was asked for.
    #[schema(value_type = String)]
    pub created_at: Time,
    /// When it last changed.
    #[schema(value_type = String)]
    pub updated_at: Time,
}

/// Limits of a card; absent: no limit.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitsShown {
    /// Per transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub transaction: Option<Money>,
    /// Per UTC day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub daily: Option<Money>,
    /// Per UTC month.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub monthly: Option<Money>,
    /// In all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub lifetime: Option<Money>,
    /// Card present without a PIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub no_pin: Option<Money>,
}

/// A change that waits for the issuer.
#[derive(Debug, Serialize, ToSchema)]
pub struct PendingShown {
    /// issue, freeze, thaw, block, block_for_fraud, unblock, cancel or limits.
    #[schema(value_type = String, example = "freeze")]
    pub kind: &'static str,
    /// The state it leads to; null for limits.
    #[schema(value_type = Option<String>)]
    pub target: Option<&'static str>,
    /// Its id at the issuer.
    pub request_id: String,
    /// Its change number.
    pub change: u32,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Time,
    /// For how long by now.
    pub age_seconds: u64,
    /// Until when it should be settled.
    #[schema(value_type = String)]
    pub deadline: Time,
    /// Past its deadline, holding and alarming.
    pub overdue: bool,
    /// An issuance that the issuer is asked to give up.
    pub abandoned: bool,
}

/// A pending change with its card.
#[derive(Debug, Serialize, ToSchema)]
pub struct PendingOfCard {
    /// The card.
    pub card_id: String,
    /// Whose.
    pub account: String,
    /// The tenant.
    pub company: String,
    /// The change.
    #[serde(flatten)]
    pub pending: PendingShown,
}

/// All pending changes, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct PendingList {
    /// At most 1,000.
    pub pending: Vec<PendingOfCard>,
}

/// Why a card is in its state.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryShown {
    /// The card as it is.
    pub card: CardShown,
    /// What led there, oldest first.
    pub history: Vec<StepShown>,
}

/// One step of a card's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepShown {
    /// Where the entry stands: `<record>.<entry>` of the account's partition.
    #[schema(example = "120.7")]
    pub position: String,
    /// When.
    #[schema(value_type = String)]
    pub at: Time,
    /// By which class of sender: user, ops, network, settlement, clock or system.
    #[schema(value_type = String, example = "user")]
    pub class: &'static str,
    /// Tag of the credential in hex; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The event's name.
    #[schema(example = "StatusChangeRequested")]
    pub event: String,
    /// What happened, in words.
    pub words: String,
}

impl CardShown {
    /// A card in a currency of `decimals` decimals.
    pub fn of(row: &CardRow, decimals: u8) -> Self {
        Self {
            card_id: row.card.to_string(),
            number: row.number,
            account: row.account.to_string(),
            programme: match row.programme {
                ProgrammeCode::Dashboard => "dashboard",
                ProgrammeCode::Baas => "baas",
                ProgrammeCode::Mobile => "mobile",
            },
            kind: kind_word(row.kind),
            funding: match row.funding {
                Funding::Prepaid => "prepaid",
                Funding::Wallet => "wallet",
            },
            status: status_word(row.status),
            previous_status: row.previous_status.map(status_word),
            cause: cause_word(row.cause),
            fraud: row.fraud,
            pending: row.pending.as_ref().map(PendingShown::of),
            reconciling: row.reconcile.is_some(),
            balance: Money::new(row.balance, decimals),
            held: Money::new(row.held, decimals),
            currency: row.currency.to_string(),
            last4: row.last4.map(|digits| format!("{digits:04}")),
            expiry: row.expiry.map(|expiry| {
                let (year, month) = expiry_parts(expiry);
                format!("{month:02}/{:02}", year % 100)
            }),
            issuer_card_id: row.issuer_card.clone(),
            limits: LimitsShown::of(&row.limits, row.no_pin, decimals),
            activation_tries: row.tries,
            created_at: Time(row.created_ms),
            updated_at: Time(row.updated_ms),
        }
    }
}

impl LimitsShown {
    fn of(limits: &Limits, no_pin: Option<Minor>, decimals: u8) -> Self {
        let money = |limit: Option<Minor>| limit.map(|limit| Money::new(limit, decimals));
        Self {
            transaction: money(limits.transaction),
            daily: money(limits.daily),
            monthly: money(limits.monthly),
            lifetime: money(limits.lifetime),
            no_pin: money(no_pin),
        }
    }
}

impl PendingShown {
    fn of(row: &PendingRow) -> Self {
        let (kind, target) = match row.kind {
            PendingKind::Issue => ("issue", None),
            PendingKind::Status { what, target, .. } => (change_word(what), Some(target)),
            PendingKind::Limits { .. } => ("limits", None),
        };
        Self {
            kind,
            target: target.map(status_word),
            request_id: row.request.to_string(),
            change: row.change,
            since: Time(row.since_ms),
            age_seconds: now_ms().saturating_sub(row.since_ms) / 1_000,
            deadline: Time(row.deadline_ms),
            overdue: row.overdue,
            abandoned: row.abandoned,
        }
    }
}

/// The stable word of a state.
pub const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Requested => "requested",
        Status::NotActivated => "not_activated",
        Status::Active => "active",
        Status::Frozen => "frozen",
        Status::Blocked => "blocked",
        Status::PreCancel => "pre_cancel",
        Status::Cancelled => "cancelled",
        Status::Expired => "expired",
    }
}

/// The stable word of a kind of card.
pub const fn kind_word(kind: CardKind) -> &'static str {
    match kind {
        CardKind::Virtual => "virtual",
        CardKind::Physical => "physical",
    }
}

const fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::User => "user",
        Cause::Ops => "ops",
        Cause::Issuer => "issuer",
        Cause::WrongTries => "wrong_tries",
        Cause::System => "system",
        Cause::Clock => "clock",
        Cause::Appeal => "appeal",
    }
}

const fn change_word(change: Change) -> &'static str {
    match change {
        Change::Freeze => "freeze",
        Change::Thaw => "thaw",
        Change::Block => "block",
        Change::BlockForFraud => "block_for_fraud",
        Change::Unblock => "unblock",
        Change::Cancel => "cancel",
    }
}

const fn class_word(class: Class) -> &'static str {
    match class {
        Class::User => "user",
        Class::Ops => "ops",
        Class::Network => "network",
        Class::Settlement => "settlement",
        Class::Clock => "clock",
        Class::System => "system",
    }
}

/// A card.
#[utoipa::path(get, path = "/cards/{cardId}", tag = "cards", params(super::openapi::OfCard),
    responses((status = 200, description = "The card as it is now.", body = CardShown), super::openapi::ReadErrors))]
pub(super) async fn card(call: Call, Params(id): Params<String>) -> Answer {
    let row = call.desk.card(&id).await?;
    Ok(shown(&CardShown::of(&row, call.desk.decimals(row.currency))))
}

/// Why a card is in this state: the events that led there, in words, with positions.
#[utoipa::path(get, path = "/cards/{cardId}/history", tag = "cards", params(super::openapi::OfCard),
    responses((status = 200, description = "The card and its history.", body = HistoryShown), super::openapi::ReadErrors))]
pub(super) async fn history(call: Call, Params(id): Params<String>) -> Answer {
    let row = call.desk.card(&id).await?;
    let steps = call.desk.ports().views.history(row.card);
    let steps = steps.map_err(|error| Failure::views(&error))?;
    let history = steps.into_iter().map(|step| StepShown {
        position: step.position.to_string(),
        at: Time(step.time_ms),
        class: class_word(step.class),
        actor: (step.actor != 0).then(|| format!("{:016x}", step.actor)),
        event: step.event,
        words: step.words,
    });
    Ok(shown(&HistoryShown { card: CardShown::of(&row, call.desk.decimals(row.currency)), history: history.collect() }))
}

/// Pending changes with age and deadline, the oldest first.
#[utoipa::path(get, path = "/pending", tag = "cards",
    responses((status = 200, description = "The list.", body = PendingList), super::openapi::ReadErrors))]
pub(super) async fn pending(call: Call) -> Answer {
    let pending = call.desk.ports().views.pending();
    let pending = pending.map_err(|error| Failure::views(&error))?;
    let pending = pending.iter().map(|of: &PendingCard| PendingOfCard {
        card_id: of.card.to_string(),
        account: of.account.to_string(),
        company: of.company.clone(),
        pending: PendingShown::of(&of.pending),
    });
    Ok(shown(&PendingList { pending: pending.collect() }))
}

/// What operators do to a card. All but activate settle through the issuer: the answer shows the card as it is now, with
/// what is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Freeze,
    Thaw,
    Block,
    Unblock,
    Activate,
    Cancel,
}

impl Action {
    /// By the last part of the path.
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "freeze" => Self::Freeze,
            "thaw" => Self::Thaw,
            "block" => Self::Block,
            "unblock" => Self::Unblock,
            "activate" => Self::Activate,
            "cancel" => Self::Cancel,
            _ => return None,
        })
    }
}

/// Freeze, thaw, block, unblock, activate or cancel a card.
///
/// A freeze, block or cancel overtakes a pending change. The answer shows the card with what is now pending at the issuer.
#[utoipa::path(post, path = "/cards/{cardId}/{action}", tag = "cards", params(super::openapi::OfAction),
    request_body = super::openapi::CardReason, responses((status = 200, description = "The card as it is now.", body = CardShown), super::openapi::WriteErrors))]
pub(super) async fn act(call: Call, Params((id, action)): Params<(String, String)>, body: Body) -> Answer {
    let action = Action::of(&action).ok_or(crate::http::problem::Problem::NotFound)?;
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let row = call.desk.card(&id).await?;
    let fraud = body.flag_if("fraud")?.unwrap_or(false);
    let (sealed, reason) = call.reason(row.account, &body)?;
    let card = row.card;
    let change = |change| -> Command { ChangeStatus { card, change, reason: sealed }.into() };
    let command = match action {
        Action::Freeze => change(Change::Freeze),
        Action::Thaw => change(Change::Thaw),
        Action::Block if fraud => change(Change::BlockForFraud),
        Action::Block => change(Change::Block),
        Action::Unblock => change(Change::Unblock),
        Action::Cancel => change(Change::Cancel),
        Action::Activate => Activate { card, tried: None }.into(),
    };
    let content = Content::of(call.desk.api, command.name())
        .with("card", card.0)
        .with("action", [action as u8])
        .with("fraud", [u8::from(fraud)])
        .with("reason", reason);
    let reply = call.send(row.account, &content, command).await?;
    accepted(&reply.outcome, None, 2)?;
    let row = call.desk.card(&id).await?;
    let card = CardShown::of(&row, call.desk.decimals(row.currency));
    Ok(written(StatusCode::OK, &reply, &card))
}
