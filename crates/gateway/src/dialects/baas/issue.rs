//! Issuing: `POST /api/v2/cards/virtual` and `POST /api/v2/cards/plastic`.
//!
//! The answer has the card's id as soon as the issuer has made it, or is still at it when the time to wait is over. What it refuses
//! within that time is a 500, as the document has it, and everything is given back.

use axum::body::Body;
use florin_engine::{
    command::IssueCard,
    ids::{CardId, Kind, mint},
    money::{Country, Minor},
    policy::{CardKind, ProgrammeCode},
    reject::Reason,
    terms::Status,
};
use florin_issuer::{Address, Profile};
use florin_projector::CardRow;

use super::{
    Answer, Baas,
    call::{Call, programme, provider},
    error::{Failure, Told},
    fees::{delivers, methods_of},
    item::kind as kind_name,
    pattern::{self, CARD_NAME, CITY, COUNTRY, LINE, NAME_ON_CARD, STATE, ZIP_CODE, optional, required},
    wire::Issued,
};
use crate::{
    http::{
        idempotency::Content,
        json::Fields,
        problem::{Dialect, Problem},
    },
    people,
};

pub(super) async fn virtual_card(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let order = Order::read(&fields, CardKind::Virtual)?;
    issue(call, order).await
}

pub(super) async fn plastic_card(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let mut order = Order::read(&fields, CardKind::Physical)?;
    order.provider = match fields.text_if("delivery_provider")? {
        Some(text) => provider(text)?.into_owned(),
        None => String::new(),
    };
    let address = address(&fields.object("delivery_address")?)?;
    order.country = Country::parse(&address.country).unwrap_or(Country::NONE);
    order.profile.delivery_address = Some(address);
    issue(call, order).await
}

/// What is asked for.
struct Order {
    kind: CardKind,
    /// 0: none, or nothing that could be the number of an invoice.
    invoice: u64,
    /// Empty: that of the invoice.
    provider: String,
    country: Country,
    profile: Profile,
}

impl Order {
    fn read(fields: &Fields<'_>, kind: CardKind) -> Result<Self, Problem> {
        // What is missing, no integer or not above zero is told as what is no invoice, and only where fees are enforced.
        let invoice = fields.given("delivery_id").ok().flatten();
        let invoice = invoice.filter(|raw| raw.bytes().all(|byte| byte.is_ascii_digit()));
        let name = |name: Option<std::borrow::Cow<'_, str>>| name.map(std::borrow::Cow::into_owned);
        Ok(Self {
            kind,
            invoice: invoice.and_then(|raw| raw.parse().ok()).unwrap_or(0),
            provider: String::new(),
            country: Country::NONE,
            profile: Profile {
                card_name: name(optional(fields, "card_name", &CARD_NAME)?),
                name_on_card: name(optional(fields, "name_on_card", &NAME_ON_CARD)?),
                delivery_address: None,
            },
        })
    }

    /// What a repeated key must come with.
    fn content(&self) -> Content {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let content = Content::of(Baas::NAME, "issue")
            .with("type", kind_name(self.kind))
            .with("delivery_id", self.invoice.to_le_bytes())
            .with("delivery_provider", &self.provider)
            .with("card_name", text(&self.profile.card_name))
            .with("name_on_card", text(&self.profile.name_on_card));
        let Some(address) = &self.profile.delivery_address else {
            return content;
        };
        content
            .with("line1", &address.line1)
            .with("line2", text(&address.line2))
            .with("city", &address.city)
            .with("state", text(&address.state))
            .with("zip_code", &address.zip_code)
            .with("country", &address.country)
    }
}

/// A delivery address; an empty `line2` or `state` is none.
fn address(fields: &Fields<'_>) -> Result<Address, Problem> {
    let may_be_empty = |field, pattern: &pattern::Pattern| -> Result<Option<String>, Problem> {
        if fields.text_if(field)?.is_none_or(|text| text.is_empty()) {
            return Ok(None);
        }
        Ok(optional(fields, field, pattern)?.map(std::borrow::Cow::into_owned))
    };
    Ok(Address {
        line1: required(fields, "line1", &LINE)?.into_owned(),
        line2: may_be_empty("line2", &LINE)?,
        city: required(fields, "city", &CITY)?.into_owned(),
        state: may_be_empty("state", &STATE)?,
        zip_code: required(fields, "zip_code", &ZIP_CODE)?.into_owned(),
        country: required(fields, "country", &COUNTRY)?.into_owned(),
    })
}

async fn issue(call: Call, order: Order) -> Answer {
    let key = call.key()?;
    if order.kind == CardKind::Physical {
        deliverable(&call, &order)?;
    }
    let card = CardId(mint(call.account(), key, Kind::Card));
    let content = order.content();
    let profile =
        serde_json::to_vec(&order.profile).map_err(|error| Problem::internal("a profile cannot be written", &error))?;
    let vault = &call.gateway.ports().vault;
    let profile = people::seal(vault, call.account(), florin_issuer::PROFILE_CONTEXT, &profile)?;
    let command = IssueCard {
        card,
        programme: ProgrammeCode::Baas,
        kind: order.kind,
        initial: Minor::ZERO,
        invoice: order.invoice,
        provider: order.provider,
        country: order.country,
        profile,
    };
    let sent = call.send(key, &content, command.into()).await.map_err(|failure| {
        failure.or_told(|reason| (reason == Reason::CapabilityInactive).then(|| Told::capability(order.kind)))
    })?;
    let row = call.watch(card, &sent, |row| row.status != Status::Requested).await?;
    if row.as_ref().is_some_and(refused) {
        return Err(Failure::from(Told::failed(match order.kind {
            CardKind::Virtual => "Failed to issue virtual card",
            CardKind::Physical => "Failed to issue plastic card",
        }))
        .replayed(sent.reply.replayed));
    }
    Ok(sent.json(&Issued { id: card.to_string() }))
}

/// Where fees are enforced the invoice says who delivers, and where to; without one the policy does.
fn deliverable(call: &Call, order: &Order) -> Result<(), Failure> {
    let policy = call.policy()?;
    if programme(&policy)?.needs_invoice {
        return Ok(());
    }
    if methods_of(&policy, order.country).next().is_none() {
        return Err(Told::no_methods(order.country.as_str()).into());
    }
    if !order.provider.is_empty() && !delivers(&policy, &order.provider, order.country) {
        return Err(Told::unknown("delivery_provider").into());
    }
    Ok(())
}

/// Whether the issuer never made it.
fn refused(row: &CardRow) -> bool {
    row.status == Status::Cancelled && row.last4.is_none()
}
