//! The adapter that speaks the REST contract (`CONTRACT.md`) to an issuer.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use florin_vault::Vault;
use reqwest::{Client, Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::request::open_profile;
use crate::signature::{Key, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::wire::{
    AbandonBody, AbandonedBody, BODY_BYTES_MAX, CodeBody, Empty, FindBody, FoundBody, IDEMPOTENCY_HEADER, IssueBody,
    LimitsBody, RefusalBody, RevealBody, RevealedBody, Secret, StateBody, StatusBody,
};
use crate::{
    Abandoned, Answer, IssueRequest, Issued, Issuer, LateAnswer, LimitsRequest, OneTimeCode, Pending, RequestState,
    Reveal, Revealed, StatusRequest,
};

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a URL of http or https.
    #[error("the issuer's base URL is not an http or https URL")]
    BaseUrl,
    /// Card numbers would pass the network in the clear.
    #[error("the issuer's base URL is http and not on this machine; use https")]
    Insecure,
    /// The HTTP client could not be made.
    #[error("http client")]
    Client(#[source] reqwest::Error),
}

/// What the adapter needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Where the contract's `/v1` begins; https, or http on loopback.
    pub base_url: String,
    /// Signs every request.
    pub key: Key,
    /// Opens sealed profiles at the last moment; without one none is sent.
    pub vault: Option<Vault>,
    /// How long to wait for an answer, connecting included.
    pub timeout: Duration,
}

/// An issuer reached over HTTP. No proxy is used and no redirect followed; there are no late answers.
pub struct Http {
    client: Client,
    base_url: Url,
    key: Key,
    vault: Option<Vault>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// Makes the adapter; connects with the first call.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let base_url = base_url(&settings.base_url)?;
        let client = Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(Error::Client)?;
        Ok(Self { client, base_url, key: settings.key, vault: settings.vault })
    }

    /// Sends a write, known by its request id.
    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        request_id: Uuid,
        body: &impl Serialize,
    ) -> Result<Answer<T>, crate::Error> {
        self.send(method, path, Some(request_id), to_json(body)?).await
    }

    /// Sends what can only succeed or fail; a refusal is an error.
    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, crate::Error> {
        match self.send(method, path, None, body).await? {
            Answer::Done(answer) => Ok(answer),
            Answer::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        request_id: Option<Uuid>,
        body: Vec<u8>,
    ) -> Result<Answer<T>, crate::Error> {
        let url = self.base_url.join(path).map_err(|_| crate::Error::Protocol("a path that is none"))?;
        let timestamp_ms = now_ms();
        let signature = self.key.sign(method.as_str(), url.path(), timestamp_ms, &body);
        let mut request = self
            .client
            .request(method, url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header(TIMESTAMP_HEADER, timestamp_ms)
            .header(SIGNATURE_HEADER, signature);
        if let Some(request_id) = request_id {
            request = request.header(IDEMPOTENCY_HEADER, request_id.to_string());
        }
        let response = request.body(body).send().await.map_err(lost)?;
        let status = response.status();
        let body = read(response).await?;
        if status.is_success() {
            // The cause could quote what was revealed, so it is left out.
            return serde_json::from_slice(&body)
                .map(Answer::Done)
                .map_err(|_| crate::Error::Protocol("the body is not the call's"));
        }
        // Only the contract's own refusal is definite: any proxy on the way can make up a 4xx.
        match serde_json::from_slice::<RefusalBody>(&body) {
            Ok(refused) if status.is_client_error() => Ok(Answer::Refused(refused.refusal)),
            _ => Err(crate::Error::Status(status.as_u16())),
        }
    }

    async fn send_issue(&self, request: IssueRequest) -> Result<Answer<Issued>, crate::Error> {
        let profile = open_profile(self.vault.as_ref(), &request)?;
        let body = IssueBody::new(&request, profile);
        let answer = self.write(Method::POST, "v1/cards", request.request_id, &body).await?;
        if let Answer::Done(issued) = &answer {
            check(issued)?;
        }
        Ok(answer)
    }

    async fn send_status(&self, request: StatusRequest) -> Result<Answer<()>, crate::Error> {
        let path = format!("v1/cards/{}/status", request.card_id);
        let body = StatusBody { request_id: request.request_id, change: request.change, status: request.status };
        let answer = self.write(Method::PUT, &path, request.request_id, &body).await?;
        Ok(nothing(&answer))
    }

    async fn send_limits(&self, request: LimitsRequest) -> Result<Answer<()>, crate::Error> {
        let path = format!("v1/cards/{}/limits", request.card_id);
        let body = LimitsBody { request_id: request.request_id, change: request.change, limits: request.limits };
        let answer = self.write(Method::PUT, &path, request.request_id, &body).await?;
        Ok(nothing(&answer))
    }

    async fn ask_state(&self, request_id: Uuid) -> Result<RequestState, crate::Error> {
        let path = format!("v1/requests/{request_id}");
        let body: StateBody = self.ask(Method::GET, &path, Vec::new()).await?;
        if let StateBody::Done { issued: Some(issued) } = &body {
            check(issued)?;
        }
        Ok(body.into())
    }

    async fn send_abandon(&self, request_id: Uuid, card_id: Uuid) -> Result<Abandoned, crate::Error> {
        let path = format!("v1/requests/{request_id}/abandonment");
        let body: AbandonedBody = self.ask(Method::POST, &path, to_json(&AbandonBody { card_id })?).await?;
        Ok(body.outcome)
    }

    async fn ask_reveal(&self, card_id: Uuid, what: Reveal) -> Result<Revealed, crate::Error> {
        let path = format!("v1/cards/{card_id}/reveals");
        let body: RevealedBody = self.ask(Method::POST, &path, to_json(&RevealBody { what })?).await?;
        let revealed = Revealed::from(body);
        match (what, &revealed) {
            (Reveal::Details, Revealed::Details { .. })
            | (Reveal::Cvv, Revealed::Cvv(_))
            | (Reveal::Pin, Revealed::Pin(_)) => Ok(revealed),
            _ => Err(crate::Error::Protocol("another secret than the one asked for")),
        }
    }

    async fn ask_code(&self, card_id: Uuid) -> Result<OneTimeCode, crate::Error> {
        let path = format!("v1/cards/{card_id}/one-time-codes");
        let body: CodeBody = self.ask(Method::POST, &path, b"{}".to_vec()).await?;
        Ok(OneTimeCode { code: body.code.into(), expires_at_ms: body.expires_at_ms })
    }

    async fn ask_number(&self, number: Zeroizing<String>) -> Result<Option<Uuid>, crate::Error> {
        let body = to_json(&FindBody { number: Secret(number) })?;
        let found: FoundBody = self.ask(Method::POST, "v1/cards/find", body).await?;
        Ok(found.card_id)
    }
}

impl Issuer for Http {
    fn issue(&self, request: IssueRequest) -> Pending<'_, Answer<Issued>> {
        Box::pin(self.send_issue(request))
    }

    fn set_status(&self, request: StatusRequest) -> Pending<'_, Answer<()>> {
        Box::pin(self.send_status(request))
    }

    fn set_limits(&self, request: LimitsRequest) -> Pending<'_, Answer<()>> {
        Box::pin(self.send_limits(request))
    }

    fn request(&self, request_id: Uuid) -> Pending<'_, RequestState> {
        Box::pin(self.ask_state(request_id))
    }

    fn abandon(&self, request_id: Uuid, card_id: Uuid) -> Pending<'_, Abandoned> {
        Box::pin(self.send_abandon(request_id, card_id))
    }

    fn reveal(&self, card_id: Uuid, what: Reveal) -> Pending<'_, Revealed> {
        Box::pin(self.ask_reveal(card_id, what))
    }

    fn one_time_code(&self, card_id: Uuid) -> Pending<'_, OneTimeCode> {
        Box::pin(self.ask_code(card_id))
    }

    fn find_by_number(&self, pan: &str) -> Pending<'_, Option<Uuid>> {
        Box::pin(self.ask_number(Zeroizing::new(pan.to_owned())))
    }

    fn late_answers(&self) -> Option<mpsc::Receiver<LateAnswer>> {
        None
    }
}

/// The whole body, up to the contract's bound.
async fn read(mut response: Response) -> Result<Zeroizing<Vec<u8>>, crate::Error> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(crate::Error::Protocol("the body is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn check(issued: &Issued) -> Result<(), crate::Error> {
    let sound = issued.first4 <= 9_999
        && issued.last4 <= 9_999
        && (1..=12).contains(&issued.expiry.month)
        && !issued.issuer_card_id.is_empty();
    if sound { Ok(()) } else { Err(crate::Error::Protocol("an issued card that cannot be")) }
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, crate::Error> {
    serde_json::to_vec(body).map_err(|_| crate::Error::Protocol("a request that is not JSON"))
}

fn nothing(answer: &Answer<Empty>) -> Answer<()> {
    match answer {
        Answer::Done(Empty {}) => Answer::Done(()),
        Answer::Refused(refusal) => Answer::Refused(*refusal),
    }
}

fn lost(error: reqwest::Error) -> crate::Error {
    if error.is_timeout() { crate::Error::TimedOut } else { crate::Error::Connection(error.without_url().into()) }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The base that paths are joined to; nothing that would pass the network in the clear.
pub(crate) fn base_url(text: &str) -> Result<Url, Error> {
    let mut base_url = Url::parse(text).map_err(|_| Error::BaseUrl)?;
    match base_url.scheme() {
        "https" => {}
        "http" if is_loopback(&base_url) => {}
        "http" => return Err(Error::Insecure),
        _ => return Err(Error::BaseUrl),
    }
    // Without the slash, joining a path would replace the last part of a prefix.
    if !base_url.path().ends_with('/') {
        let path = format!("{}/", base_url.path());
        base_url.set_path(&path);
    }
    Ok(base_url)
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(base_url: &str) -> Result<Http, Error> {
        Http::new(Settings {
            base_url: base_url.to_owned(),
            key: Key::new(&[7; 32]).expect("long enough"),
            vault: None,
            timeout: Duration::from_secs(1),
        })
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for good in ["https://issuer.example/florin", "http://127.0.0.1:9", "http://[::1]:9/x", "http://localhost"] {
            assert!(new(good).is_ok(), "{good}");
        }
        for bad in ["http://issuer.example", "http://10.0.0.1", "http://127.0.0.1.example"] {
            assert!(matches!(new(bad), Err(Error::Insecure)), "{bad}");
        }
        for bad in ["issuer.example", "ftp://127.0.0.1", ""] {
            assert!(matches!(new(bad), Err(Error::BaseUrl)), "{bad}");
        }
    }
}
