//! `serve --demo`: a policy, users with funds, and credentials that work on loopback only.
//!
//! Seeding goes through the server's own ops API, with fixed idempotency keys and only for what is not there yet, so
//! that a second start changes nothing. The credentials are kept in `demo.json` and are good only while `--demo` is given.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use florin_gateway::http::keys::KeyHash;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::command::token;
use crate::config::{Config, Issuer, Key};
use crate::data::Data;
use crate::failure::{Exit, Failure};
use crate::secrets;
use secrecy::ExposeSecret;

use super::demo_tokens as tokens;

/// The demo's only company.
pub(super) const COMPANY: &str = "demo";
/// Users of the dashboard and mobile APIs, each with 10,000.00 USD.
const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// Those of them that the dashboard is tried with.
const DASHBOARD_USERS: [&str; 2] = ["alice", "bob"];
/// The baas user: chain and address.
pub(super) const BAAS_USER: &str = "1:0xf1021f1021f1021f1021f1021f1021f1021f1021";
const COUNTRY: &str = "GB";
/// How often a request is sent again that came too soon for the limits, which hold for the demo's key as for any.
const TRIES_MAX: u32 = 100;
/// Longest wait before it is.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// What `demo.json` holds, for scripts.
#[derive(Serialize, Deserialize)]
struct Document {
    dashboard: Dashboard,
    #[serde(default)]
    baas: tokens::Baas,
    #[serde(default)]
    mobile: tokens::Mobile,
    ops: Api,
    sandbox: Api,
    /// What the tokens are signed with; every process of the demo verifies with it.
    #[serde(default)]
    token_secret: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Dashboard {
    #[serde(flatten)]
    api: Api,
    company: String,
    users: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Api {
    base_url: String,
    api_key: String,
}

/// The demo of one data directory.
pub(crate) struct Demo {
    document: Document,
    /// What the tokens are verified with.
    key: florin_gateway::http::tokens::Key,
    file: PathBuf,
}

/// Refuses what would put demo credentials within reach of others.
pub(crate) fn loopback(config: &Config) -> Result<(), Failure> {
    let own = config.serve.own.iter().map(|(api, address)| (*address, api.option()));
    for (address, option) in
        [(config.serve.listen, "--listen"), (config.serve.ops_listen, "--ops-listen")].into_iter().chain(own)
    {
        if !address.ip().is_loopback() {
            return Err(Failure::new(Exit::Listen, format!("--demo listens on loopback only, and {address} is not"))
                .advise(format!(
                    "use {option} 127.0.0.1:PORT, or leave --demo out and make keys with `florin token`"
                )));
        }
    }
    Ok(())
}

/// Refuses what a demo in one process cannot be shown with.
pub(super) fn allowed(config: &Config) -> Result<(), Failure> {
    loopback(config)?;
    if !matches!(config.issuer, Issuer::Sandbox) {
        return Err(Failure::new(Exit::Usage, "--demo works with the sandbox issuer only")
            .advise("set issuer.kind to \"sandbox\", or leave --demo out"));
    }
    Ok(())
}

impl Demo {
    /// The credentials of an earlier start, or new ones; the base URLs of this one.
    pub(super) fn prepare(data: &Data, public: &TcpListener, ops: &TcpListener) -> Result<Self, Failure> {
        let ops = address(ops)?;
        Self::at(data.demo(), address(public)?, ops, ops)
    }

    /// The same for listeners of other processes, kept in `file`.
    pub(crate) fn at(
        file: PathBuf,
        public: SocketAddr,
        ops: SocketAddr,
        simulator: SocketAddr,
    ) -> Result<Self, Failure> {
        let earlier = match fs::read(&file) {
            Ok(text) => serde_json::from_slice::<Document>(&text).ok(),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::io("read", &file, error)),
        };
        let secret = earlier.as_ref().and_then(|document| document.token_secret.clone());
        let [dashboard, operator, sandbox] = match earlier {
            Some(document) => [document.dashboard.api, document.ops, document.sandbox].map(|api| api.api_key),
            None => [mint("dashboard")?, mint("ops")?, mint("sandbox")?],
        };
        let tokens = tokens::mint(&format!("http://{public}"), secret)?;
        let api = |address, path, api_key| Api { base_url: format!("http://{address}{path}"), api_key };
        Ok(Self {
            document: Document {
                dashboard: Dashboard {
                    api: api(public, "/api/dashboard", dashboard),
                    company: COMPANY.to_owned(),
                    users: DASHBOARD_USERS.map(str::to_owned).to_vec(),
                },
                baas: tokens.baas,
                mobile: tokens.mobile,
                ops: api(ops, "/ops/v1", operator),
                sandbox: api(simulator, "/sandbox/v1", sandbox),
                token_secret: Some(tokens.secret),
            },
            key: tokens.key,
            file,
        })
    }

    /// A demo as it was kept.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read(file).map_err(|error| Failure::io("read", file, error))?;
        let document: Document = serde_json::from_slice(&text).map_err(|cause| {
            Failure::new(Exit::Usage, format!("{} is not what `florin demo prepare` writes", file.display()))
                .advise("make it anew with `florin demo prepare`")
                .because(cause)
        })?;
        let Document { token_secret, .. } = &document;
        let key = tokens::key(token_secret.as_deref().unwrap_or_default())?;
        Ok(Self { document, key, file: file.to_owned() })
    }

    /// Lets the demo credentials in.
    pub(crate) fn admit(&self, config: &mut Config) {
        let key = |owner: &str, api: &Api| Key { owner: owner.to_owned(), hash: KeyHash::of(&api.api_key) };
        let document = &self.document;
        config.dashboard.keys.push(key(COMPANY, &document.dashboard.api));
        config.ops.keys.push(key(COMPANY, &document.ops));
        config.sandbox.keys.push(key(COMPANY, &document.sandbox));
        config.tokens.keys.push(self.key.clone());
        if config.secure_page.is_none() {
            config.secure_page = Some(secure_page(&document.mobile.base_url));
        }
    }

    /// Policy, users and funds, as far as they are not there.
    pub(crate) async fn seed(&self) -> Result<(), Failure> {
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(|cause| failed("make a client").because(cause))?;
        let ops = Ops { client, api: &self.document.ops };
        if !ops.has_policy().await? {
            let document = florin_gateway::policy_document::DEMO.to_owned();
            ops.write(Method::PUT, "/policy", "policy", document).await?;
        }
        for user in USERS {
            ops.user(user, &[("USD", "10000.00")]).await?;
        }
        ops.user(BAAS_USER, &[("WUSD", "10000"), ("USDC", "1000")]).await?;
        let verified = json!({
            "status": "Approved",
            "levels": [{"type": "SDD", "status": "Approved", "name": "Simplified due diligence"}],
        });
        let path = format!("/users/{COMPANY}/{BAAS_USER}");
        let shown = ops.read(&path).await?;
        if shown.is_none_or(|user| user["verification"].is_null()) {
            ops.write(Method::PUT, &format!("{path}/verification"), "verify-baas", verified.to_string()).await?;
        }
        Ok(())
    }

    /// Keeps the demo in its file.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(&self.document).map_err(|cause| failed("write").because(cause))?;
        if fs::read(&self.file).ok().as_deref() != Some(&text) {
            secrets::write_private(&self.file, &text)?;
        }
        Ok(())
    }

    /// What people are told to try.
    pub(crate) fn announce(&self) -> String {
        let Document { dashboard, baas, mobile, ops, sandbox, .. } = &self.document;
        let Api { base_url, api_key } = &dashboard.api;
        format!(
            "\
Florin demo: company {COMPANY}, users alice, bob and carol with 10,000.00 USD each

dashboard  {base_url}  key {api_key}
baas       {}  token, user and chain in the file below
mobile     {}  token in the file below
ops        {}  key {}
sandbox    {}  key {}
The same is in {}.

Try:
  curl -s {base_url}/users/alice/cards -H 'Authorization: Bearer {api_key}' -H 'Content-Type: application/json' -d '{{\"cardName\": \"Travel\", \"initialBalance\": 100.00}}'
  curl -s {}/api/v2/user -H 'Authorization: Bearer {}' -H 'X-User-Address: {}' -H 'X-Chain-Id: {}'
  curl -s {}/api/v1/cards -H 'Authorization: Bearer {}'
",
            baas.base_url,
            mobile.base_url,
            ops.base_url,
            ops.api_key,
            sandbox.base_url,
            sandbox.api_key,
            self.file.display(),
            baas.base_url,
            baas.access_token,
            baas.user_address,
            baas.chain_id,
            mobile.base_url,
            mobile.access_token,
        )
    }
}

/// The server's own ops API.
struct Ops<'a> {
    client: reqwest::Client,
    api: &'a Api,
}

impl Ops<'_> {
    /// Whether every partition has a policy.
    async fn has_policy(&self) -> Result<bool, Failure> {
        let Some(policy) = self.read("/policy").await? else {
            return Ok(false);
        };
        let partitions = policy["partitions"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(partitions.iter().all(|partition| partition["version"] != 0))
    }

    /// A user with money in wallets that were never used before.
    async fn user(&self, user: &str, funds: &[(&str, &str)]) -> Result<(), Failure> {
        let path = format!("/users/{COMPANY}/{user}");
        let shown = self.read(&path).await?;
        if shown.is_none() {
            let body = json!({"company": COMPANY, "user": user, "country": COUNTRY});
            let key = format!("register-{user}");
            self.write(Method::POST, "/users", &key, body.to_string()).await?;
        }
        let wallets = shown.map_or(Value::Null, |mut user| user["wallets"].take());
        for (asset, amount) in funds {
            let has = |wallets: &Vec<Value>| wallets.iter().any(|wallet| wallet["asset"] == *asset);
            if wallets.as_array().is_some_and(has) {
                continue;
            }
            let body = json!({"asset": asset, "amount": amount, "reference": "demo funds"});
            let key = format!("fund-{user}-{asset}");
            self.write(Method::POST, &format!("{path}/deposits"), &key, body.to_string()).await?;
        }
        Ok(())
    }

    async fn read(&self, path: &str) -> Result<Option<Value>, Failure> {
        let (status, body) = self.send(Method::GET, path, None).await?;
        match status {
            StatusCode::OK => Ok(serde_json::from_str(&body).ok()),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(path, status, &body)),
        }
    }

    async fn write(&self, method: Method, path: &str, key: &str, body: String) -> Result<(), Failure> {
        let (status, body) = self.send(method, path, Some((key, body))).await?;
        if status.is_success() { Ok(()) } else { Err(refused(path, status, &body)) }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        write: Option<(&str, String)>,
    ) -> Result<(StatusCode, String), Failure> {
        let broken = |cause| failed("reach its own ops API").because(cause);
        for _ in 1..TRIES_MAX {
            let answer = self.request(&method, path, write.as_ref()).await.map_err(broken)?;
            let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&answer.status());
            if !later {
                return told(answer).await.map_err(broken);
            }
            tokio::time::sleep(retry_after(&answer)).await;
        }
        told(self.request(&method, path, write.as_ref()).await.map_err(broken)?).await.map_err(broken)
    }

    async fn request(
        &self,
        method: &Method,
        path: &str,
        write: Option<&(&str, String)>,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}{path}", self.api.base_url);
        let mut request = self.client.request(method.clone(), url).bearer_auth(&self.api.api_key);
        if let Some((key, body)) = write {
            request = request
                .header("idempotency-key", format!("demo-{key}"))
                .header("content-type", "application/json")
                .body(body.clone());
        }
        request.send().await
    }
}

async fn told(answer: Response) -> Result<(StatusCode, String), reqwest::Error> {
    Ok((answer.status(), answer.text().await?))
}

/// When a request that came too soon may come again.
fn retry_after(answer: &Response) -> Duration {
    let told = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    told.map_or(Duration::from_secs(1), Duration::from_secs).min(WAIT_MAX)
}

/// The secure page beside the mobile API, in a frame of any page of this machine.
fn secure_page(mobile: &str) -> florin_gateway::secure_page::Settings {
    use florin_gateway::secure_page::{SHOWN_FOR, Settings, TOKEN_FOR};

    let origins = ["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"];
    Settings {
        base_url: mobile.strip_suffix("/mobile").unwrap_or(mobile).to_owned(),
        allowed_origins: origins.iter().filter_map(|origin| origin.parse().ok()).collect(),
        token_for: TOKEN_FOR,
        shown_for: SHOWN_FOR,
    }
}

fn mint(api: &str) -> Result<String, Failure> {
    Ok(token::mint(api)?.key.expose_secret().to_owned())
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|cause| failed("tell its address").because(cause))
}

fn failed(doing: &str) -> Failure {
    Failure::new(Exit::Other, format!("the demo could not {doing}"))
}

fn refused(path: &str, status: StatusCode, body: &str) -> Failure {
    let advice = match status {
        StatusCode::TOO_MANY_REQUESTS => {
            "raise `limits.requests_per_second`, then start again: it goes on where it was"
        }
        status if status.is_server_error() => "read the log, then start again: it goes on where it was",
        _ => "this ledger may have been used otherwise: try a fresh directory with --data",
    };
    failed("be set up").because(format!("{path} answered {status}: {body}")).advise(advice)
}
