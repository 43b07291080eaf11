//! The secure card page: number, expiry and CVV in an iframe of a company's app, so that they never pass through its servers.
//!
//! [`mint`] makes a link that works once and for a minute; [`router`] serves it on the public listener. The link is a sealed
//! [`ticket`] that any gateway of the ledger can open, so nothing is kept between the two. That it works once is not this
//! process's to decide: the ticket's id is the idempotency key of the reveal, which the engine knows across all gateways, and a
//! reveal that is told again was used before. The reveal stands in the journal before anything is asked of the issuer.
//!
//! README.md beside this file tells how a page is embedded, and what protects it.

mod origin;
mod page;
mod texts;
mod ticket;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    http::{Extensions, HeaderMap, StatusCode, header},
    response::Response,
    routing::get,
};
use florin_engine::{ids::CardId, reject::Reason, terms::RevealKind};
use florin_issuer::{Reveal, Revealed};
use secrecy::ExposeSecret;

use crate::{
    gateway::{Gateway, Sender},
    http::{
        plain::Plain,
        problem::{Failure, Problem},
    },
};
use page::{Page, Secrets};
use texts::Notice;
use ticket::Ticket;

pub use origin::{Error as OriginError, Origin};
pub use texts::Language;

/// Where the page is, before the ticket.
pub const PREFIX: &str = "/secure/card";
/// Scope of its idempotency keys and digests.
const NAME: &str = "secure-page";
/// How long a link is good, unless configured shorter.
pub const TOKEN_FOR: Duration = Duration::from_mins(1);
/// How long a page shows, unless configured shorter.
pub const SHOWN_FOR: Duration = Duration::from_secs(30);

/// Where the page is and who may frame it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where browsers reach the public listener: an `https` address, perhaps with a path, without a slash at its end.
    pub base_url: String,
    /// Who may frame the page; none: no links are made.
    pub allowed_origins: Vec<Origin>,
    /// How long a link is good; 1–60 s [60 s].
    pub token_for: Duration,
    /// How long a page shows; 1–30 s [30 s].
    pub shown_for: Duration,
}

/// A link to the page of a card, in the language that an `Accept-Language` asks for, else in the browser's.
///
/// The caller has checked that the card is the sender's; the engine checks again when the link is used.
/// [`Problem::Internal`] where no page is configured.
pub fn mint(gateway: &Gateway, sender: Sender, card: CardId, accept_language: &str) -> Result<String, Problem> {
    let Some(settings) = gateway.settings().secure_page.as_ref().filter(|page| !page.allowed_origins.is_empty()) else {
        tracing::error!("no link to the secure page: [secure_page] base_url and allowed_origins are not configured");
        return Err(Problem::Internal);
    };
    let token_for = u64::try_from(settings.token_for.as_millis()).unwrap_or(0);
    let language = Language::asked(accept_language);
    let ticket = Ticket::new(sender, card, now_ms().saturating_add(token_for), language)?;
    Ok(format!("{}{PREFIX}/{}", settings.base_url, ticket.seal(&gateway.ports().vault)?))
}

#[derive(Clone)]
struct Site {
    gateway: Gateway,
    page: Arc<Page>,
}

/// The page's route; none where it is not configured.
pub fn router(gateway: &Gateway) -> Router {
    let Some(settings) = &gateway.settings().secure_page else {
        return Router::new();
    };
    let site = Site { gateway: gateway.clone(), page: Arc::new(Page::new(settings)) };
    let show = get(show).fallback(async || Failure::<Plain>::from(Problem::MethodNotAllowed));
    Router::new().route(&format!("{PREFIX}/{{ticket}}"), show).with_state(site)
}

/// Why a page has no data.
enum Refused {
    Unknown,
    Elsewhere,
    Used,
    Unavailable,
    Busy(Problem),
}

async fn show(
    State(site): State<Site>,
    ticket: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let gateway = &site.gateway;
    let address = gateway.address(&headers, &extensions);
    let ticket = ticket.ok().and_then(|Path(text)| Ticket::open(&gateway.ports().vault, &text));
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let language = ticket.as_ref().and_then(|ticket| ticket.language).or_else(|| Language::asked(asked?));
    let language = language.unwrap_or(Language::English);
    match reveal(&site, ticket, &headers, address).await {
        Ok([number, expiry, cvv]) => {
            let secrets =
                Secrets { number: number.expose_secret(), expiry: expiry.expose_secret(), cvv: cvv.expose_secret() };
            site.page.secrets(language, &secrets)
        }
        Err(refused) => {
            let (status, notice) = told(&refused, language);
            let mut response = site.page.notice(status, language, notice);
            if let Refused::Busy(problem) = refused {
                let seconds = problem.retry_after_s().unwrap_or(1).max(1);
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
    }
}

fn told(refused: &Refused, language: Language) -> (StatusCode, &'static Notice) {
    let texts = language.texts();
    match refused {
        Refused::Unknown => (StatusCode::NOT_FOUND, &texts.unknown),
        Refused::Elsewhere => (StatusCode::FORBIDDEN, &texts.elsewhere),
        Refused::Used => (StatusCode::GONE, &texts.used),
        Refused::Unavailable => (StatusCode::CONFLICT, &texts.unavailable),
        Refused::Busy(Problem::RateLimited { .. }) => (StatusCode::TOO_MANY_REQUESTS, &texts.busy),
        Refused::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, &texts.busy),
    }
}

/// Number, expiry and CVV. Whatever can be refused without using the link up is refused first.
async fn reveal(
    site: &Site,
    ticket: Option<Ticket>,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<[secrecy::SecretString; 3], Refused> {
    let gateway = &site.gateway;
    gateway.admit(address).map_err(Refused::Busy)?;
    let Some(ticket) = ticket else {
        // Nobody guesses tickets; whoever tries is slowed as with any credential.
        gateway.refused(address).map_err(Refused::Busy)?;
        return Err(Refused::Unknown);
    };
    if !framed(gateway, headers) {
        return Err(Refused::Elsewhere);
    }
    if now_ms() >= ticket.expires_ms {
        return Err(Refused::Used);
    }
    let recorded =
        gateway.record_reveal_once(NAME, ticket.sender(), ticket.card, RevealKind::Page, address, ticket.id).await;
    match recorded {
        Ok(reply) if reply.replayed => return Err(Refused::Used),
        Ok(_) => {}
        Err(Problem::Rejected { reject, .. }) if reject.reason == Reason::IdempotencyConflict => {
            return Err(Refused::Used);
        }
        Err(Problem::Rejected { .. }) => return Err(Refused::Unavailable),
        Err(Problem::NotFound) => return Err(Refused::Unknown),
        Err(problem) => return Err(Refused::Busy(problem)),
    }
    let issuer = &gateway.ports().issuer;
    let card = ticket.card.uuid();
    let asked = tokio::try_join!(
        gateway.ask_issuer(issuer.reveal(card, Reveal::Details)),
        gateway.ask_issuer(issuer.reveal(card, Reveal::Cvv)),
    );
    match asked.map_err(Refused::Busy)? {
        (Some(Revealed::Details { number, expiry }), Some(Revealed::Cvv(cvv))) => {
            let expiry = format!("{:02}/{:02}", expiry.month, expiry.year % 100);
            Ok([number, expiry.into(), cvv])
        }
        _ => Err(Refused::Unavailable),
    }
}

/// Whether a browser loads it into a frame, of an allowed origin as far as it says so. One that says neither is held by the
/// policy's `frame-ancestors`, and by the script, which shows nothing in a window of its own.
fn framed(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let ahead = text("sec-purpose").is_some_and(|purpose| purpose.contains("prefetch"));
    let destination = text("sec-fetch-dest").is_none_or(|destination| destination == "iframe");
    let origins = gateway.settings().secure_page.as_ref().map_or(&[][..], |page| &page.allowed_origins);
    let from = text("referer").is_none_or(|referrer| origins.iter().any(|origin| origin.has(referrer)));
    destination && from && !ahead
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
