//! What can be set about the gateway. None of it changes what the engine decides.

use std::time::Duration;

use crate::{
    dialects::mobile,
    http::{keys::ApiKey, rates::Rates, tokens},
    secure_page,
};

/// Settings of a gateway.
#[derive(Clone, Debug)]
pub struct Settings {
    /// API keys of the dashboard API.
    pub dashboard_keys: Vec<ApiKey>,
    /// Who may sign tokens for the BaaS and the mobile API.
    pub tokens: tokens::Settings,
    /// The mobile API.
    pub mobile: mobile::Settings,
    /// Where the secure card page is and who may frame it; `None`: there is none.
    pub secure_page: Option<secure_page::Settings>,
    /// Rate limits.
    pub rates: Rates,
    /// How long a call whose effect settles at the issuer waits for it [2 s].
    pub settlement_wait: Duration,
    /// How long a read waits for the views to reach what it must show [2 s].
    pub read_wait: Duration,
    /// How long a reveal waits for the issuer [5 s].
    pub issuer_wait: Duration,
    /// How long an authorization may take before it is declined (apis.md, Issuer) [100 ms].
    pub authorization_wait: Duration,
    /// Trusted proxies in front, which write `X-Forwarded-For` [0].
    pub proxies: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dashboard_keys: Vec::new(),
            tokens: tokens::Settings::default(),
            mobile: mobile::Settings::default(),
            secure_page: None,
            rates: Rates::default(),
            settlement_wait: Duration::from_secs(2),
            read_wait: Duration::from_secs(2),
            issuer_wait: Duration::from_secs(5),
            authorization_wait: Duration::from_millis(100),
            proxies: 0,
        }
    }
}
