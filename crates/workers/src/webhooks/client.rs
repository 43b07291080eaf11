//! One request to a receiver: signed, in time, without redirects, its answer's body bounded and ignored.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{StatusCode, Url, header, redirect};

use super::guard::{Resolver, check_url, host_may_be_asked};
use super::signature::{Secret, sign};
use super::{Error, Options};

/// Most bytes of an answer that are read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long is read.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What a receiver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// 2xx.
    Delivered,
    /// 410: it wants no more.
    Gone,
    /// Anything else, or nothing.
    Failed(String),
}

/// What is sent.
pub(super) struct Letter<'a> {
    pub(super) url: &'a str,
    pub(super) path: &'static str,
    pub(super) id: &'a str,
    pub(super) secrets: Vec<&'a Secret>,
    pub(super) body: Vec<u8>,
    pub(super) now_ms: u64,
}

/// The client of all companies.
pub(super) struct Client {
    http: reqwest::Client,
    allow_private: bool,
    allow_http: bool,
}

impl Client {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let (allow_private, allow_http) = (options.allow_private, options.allow_http);
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver { allow_private }))
            .https_only(!allow_http)
            .timeout(options.timeout)
            .pool_max_idle_per_host(options.concurrency)
            .user_agent(concat!("florin-webhooks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Client(error.into()))?;
        Ok(Self { http, allow_private, allow_http })
    }

    pub(super) fn check(&self, url: &str) -> Result<Url, Error> {
        Ok(check_url(url, self.allow_http, self.allow_private)?)
    }

    pub(super) async fn send(&self, letter: Letter<'_>) -> Answer {
        let url = format!("{}{}", letter.url.trim_end_matches('/'), letter.path);
        // Addresses are not resolved, so the resolver never sees them.
        let url = match Url::parse(&url) {
            Ok(url) if self.allow_private || host_may_be_asked(&url) => url,
            Ok(_) => return Answer::Failed("the address is not allowed".into()),
            Err(_) => return Answer::Failed("the URL cannot be read".into()),
        };
        let timestamp_s = letter.now_ms / 1_000;
        let signature = sign(letter.secrets, letter.id, timestamp_s, &letter.body);
        let request = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature)
            .body(letter.body);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer::Failed(chain(&error.without_url())),
        };
        let status = response.status();
        let rest = async {
            let mut left = ANSWER_BYTES_MAX;
            while let Ok(Some(part)) = response.chunk().await {
                let Some(less) = left.checked_sub(part.len()) else { break };
                left = less;
            }
        };
        // Whatever it says beside the status says nothing.
        let _ = tokio::time::timeout(ANSWER_WITHIN, rest).await;
        match status {
            status if status.is_success() => Answer::Delivered,
            StatusCode::GONE => Answer::Gone,
            status => Answer::Failed(format!("it answered {}", status.as_u16())),
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
