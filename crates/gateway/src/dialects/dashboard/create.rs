//! `POST /users/{userId}/cards`: a new virtual card with money on it.
//!
//! Whatever the card has become since, a repeated call answers as the first one did: the body is made of the decision and
//! of what the issuer made, not of the card as it is now. Only *not settled yet* turns into the answer that was still to come.

use axum::{
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use florin_engine::{
    command::IssueCard,
    event::{CardRequested, Event},
    fees::FeeKind,
    ids::{CardId, Kind, mint},
    money::{Country, Minor},
    policy::{CardKind, Policy, ProgrammeCode},
    terms::{RefusalCode, Status},
};
use florin_processor::Reply;
use florin_projector::CardRow;

use super::{
    Answer, Dashboard,
    call::{CENTS, Call, at},
    wire::{Card, Created, expiry, masked},
};
use crate::{
    http::{
        amount::Money,
        idempotency::{Content, REPLAYED, REPLAYED_YES},
        json::Fields,
        plain::{Detail, Details, Told, json},
        position::POSITION,
        problem::{Dialect, Problem},
    },
    people,
};

/// Most characters of a card's name.
const NAME_MAX: usize = 50;

pub(super) async fn create(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let asked = Fields::parse(&body).and_then(|fields| {
        let name = fields.line("cardName", 1, NAME_MAX)?;
        Ok((name, fields.amount("initialBalance", CENTS)?))
    });
    let (name, initial) = asked.map_err(|problem| call.of_known_user(problem))?;
    let key = call.key()?;
    let card = CardId(mint(call.account(), key, Kind::Card));
    let profile =
        florin_issuer::Profile { card_name: Some(name.clone().into_owned()), ..florin_issuer::Profile::default() };
    let profile =
        serde_json::to_vec(&profile).map_err(|error| Problem::internal("a profile cannot be written", &error))?;
    let vault = &call.gateway.ports().vault;
    let profile = people::seal(vault, call.account(), florin_issuer::PROFILE_CONTEXT, &profile)?;
    let content =
        Content::of(Dashboard::NAME, "create").with("cardName", name.as_bytes()).amount("initialBalance", initial);
    let command = IssueCard {
        card,
        programme: ProgrammeCode::Dashboard,
        kind: CardKind::Virtual,
        initial,
        invoice: 0,
        provider: String::new(),
        country: Country::NONE,
        profile,
    };
    let bounds = |policy: &Policy| policy.programme(ProgrammeCode::Dashboard)?.initial;
    let (reply, events) = call.send(key, &content, command.into(), "initialBalance", bounds).await?;
    let requested = events.iter().find_map(|event| match event {
        Event::CardRequested(requested) => Some(requested),
        _ => None,
    });
    let Some(requested) = requested else {
        tracing::error!("an accepted issue asked for no card");
        return Err(Problem::Internal.into());
    };
    let settled = |row: &CardRow| row.status != Status::Requested;
    let row = call.gateway.watch(call.account(), requested.card, reply.position, settled).await?;
    Ok(answer(&reply, requested, name.into_owned(), row.as_ref()))
}

fn answer(reply: &Reply, requested: &CardRequested, card_name: String, row: Option<&CardRow>) -> Response {
    let issued = row.and_then(|row| row.last4.zip(row.expiry));
    let (mut response, seen) = match (row, issued) {
        (Some(row), None) if row.status == Status::Cancelled => (refused(requested, row.refusal), row.position),
        (Some(row), Some(issued)) => {
            (json(StatusCode::CREATED, &created(requested, card_name, Some(issued))), row.position)
        }
        _ => (json(StatusCode::ACCEPTED, &created(requested, card_name, None)), reply.position),
    };
    let headers = response.headers_mut();
    headers.insert(POSITION, at(reply, seen).header());
    if reply.replayed {
        headers.insert(REPLAYED, REPLAYED_YES);
    }
    response
}

/// The sum of the fees of a kind that were taken.
fn fee(requested: &CardRequested, kind: FeeKind) -> Minor {
    let fees = requested.fees.iter().filter(|fee| fee.kind == kind);
    fees.fold(Minor::ZERO, |sum, fee| sum.fold_plus(fee.paid))
}

fn total(requested: &CardRequested) -> Minor {
    let fees = requested.fees.iter();
    fees.fold(requested.initial, |sum, fee| sum.fold_plus(fee.paid))
}

fn created(requested: &CardRequested, card_name: String, issued: Option<(u16, u16)>) -> Created {
    Created {
        card: Card {
            card_id: requested.card.to_string(),
            card_name,
            card_number: issued.map(|(last4, _)| masked(last4)),
            expiry_date: issued.map(|(_, month)| expiry(month)),
            cvv: Some("***".to_owned()),
            balance: Money::cents(requested.initial),
            status: if issued.is_some() { "active" } else { "frozen" },
        },
        issue_fee: Money::cents(fee(requested, FeeKind::Issue)),
        service_fee: Money::cents(fee(requested, FeeKind::Service)),
        total_deducted: Money::cents(total(requested)),
    }
}

fn refused(requested: &CardRequested, refusal: Option<RefusalCode>) -> Response {
    let reason = match refusal {
        Some(RefusalCode::Abandoned) => "abandoned",
        Some(RefusalCode::Invalid) => "invalid",
        _ => "declined",
    };
    let details = Details::default()
        .text("cardId", requested.card.to_string())
        .text("reason", reason)
        .with("refunded", Detail::Money(Money::cents(total(requested))));
    Told::new(
        StatusCode::CONFLICT,
        "issuance_refused",
        "The issuer does not make this card; everything that was taken is back in the wallet.",
    )
    .details(details)
    .into_response()
}
