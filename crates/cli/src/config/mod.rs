//! The configuration: one TOML file, overridden by `FLORIN_<SECTION>_<KEY>` variables, overridden by options.
//!
//! It says where things are, who may come in and how much; it never changes what the engine decides. Every setting has
//! a default, so an empty file, or none, is a good one for a first try.

#[cfg(test)]
mod fuzz;
pub(crate) mod nats;
pub(crate) mod outbound;
mod reader;
mod schema;
mod secure_page;
mod tokens;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use florin_gateway::http::keys::KeyHash;
use secrecy::SecretString;

pub(crate) use nats::Nats;
pub(crate) use reader::Problem;

use crate::args::Place;
use crate::data::Data;
use crate::failure::{Exit, Failure};

/// Everything that can be set.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) serve: Serve,
    pub(crate) nats: Nats,
    pub(crate) log: Log,
    pub(crate) ledger: Ledger,
    pub(crate) processor: Processor,
    pub(crate) views: Views,
    pub(crate) gateway: Gateway,
    pub(crate) limits: Limits,
    pub(crate) dashboard: Dashboard,
    pub(crate) mobile: florin_gateway::dialects::mobile::Settings,
    /// Who may sign tokens for the BaaS and the mobile API.
    pub(crate) tokens: florin_gateway::http::tokens::Settings,
    /// `None`: no secure card page.
    pub(crate) secure_page: Option<florin_gateway::secure_page::Settings>,
    pub(crate) ops: Ops,
    pub(crate) settlement: Settlement,
    pub(crate) webhooks: outbound::Webhooks,
    pub(crate) mail: Option<outbound::Mail>,
    pub(crate) issuer: Issuer,
    pub(crate) sandbox: Sandbox,
    pub(crate) secrets: Secrets,
}

/// `[serve]`: where the data is and where requests come in.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) ops_listen: SocketAddr,
    /// Card APIs that have an address of their own as well, there without their prefix.
    pub(crate) own: Vec<(CardApi, SocketAddr)>,
}

/// A card API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CardApi {
    Dashboard,
    Baas,
    Mobile,
}

impl CardApi {
    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Baas => "baas",
            Self::Mobile => "mobile",
        }
    }

    /// The setting that gives it an address.
    pub(crate) const fn option(self) -> &'static str {
        match self {
            Self::Dashboard => "serve.dashboard_listen",
            Self::Baas => "serve.baas_listen",
            Self::Mobile => "serve.mobile_listen",
        }
    }
}

/// `[log]`
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// Which events, as `tracing` filters are written.
    pub(crate) filter: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

/// `[ledger]`: read when a ledger is created, never afterwards.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// 1–64. One loop decides more than a million commands per second, so one partition is the default.
    pub(crate) partitions: u16,
}

/// `[processor]`: how much may wait.
#[derive(Debug)]
pub(crate) struct Processor {
    /// Commands waiting per partition before *busy* is answered.
    pub(crate) queue: usize,
    /// The same for the network's own lane.
    pub(crate) network_queue: usize,
    /// Entries between two snapshots.
    pub(crate) snapshot_entries: u64,
}

/// `[views]`
#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) cache_mib: u64,
}

/// `[gateway]`
#[derive(Debug)]
pub(crate) struct Gateway {
    /// How long a call waits for the issuer before it answers 202, ms.
    pub(crate) settlement_wait_ms: u64,
    /// How long a read waits for the views to reach what was just written, ms.
    pub(crate) read_wait_ms: u64,
    /// How long a reveal waits for the issuer, ms.
    pub(crate) issuer_wait_ms: u64,
    /// Trusted proxies in front, which write `X-Forwarded-For`.
    pub(crate) proxies: usize,
    /// How long a stopping server lets open requests finish, ms.
    pub(crate) drain_ms: u64,
}

/// `[limits]`: 0 switches a limit off.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Per API key.
    pub(crate) requests_per_second: u32,
    /// Of these so many at once; 0 only without a limit per second.
    pub(crate) burst: u32,
    /// Per address.
    pub(crate) failed_authentications_per_minute: u32,
    /// Per card and user: details, CVV, PIN, one-time codes.
    pub(crate) reveals_per_minute: u32,
}

/// `[dashboard]`
#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) keys: Vec<Key>,
}

/// `[ops]`
#[derive(Debug)]
pub(crate) struct Ops {
    pub(crate) keys: Vec<Key>,
}

/// One API key, known by its hash only.
#[derive(Debug)]
pub(crate) struct Key {
    /// The company it acts for; of an ops key, whose it is.
    pub(crate) owner: String,
    pub(crate) hash: KeyHash,
}

/// `[sandbox]`
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// Where the role `issuer-sandbox` serves its contract.
    pub(crate) listen: SocketAddr,
    /// How long every call takes.
    pub(crate) latency_ms: u64,
    /// Which share of the calls fails.
    pub(crate) failure_rate: f64,
    /// Keys of the sandbox API.
    pub(crate) keys: Vec<Key>,
}

/// `[settlement]`
#[derive(Debug)]
pub(crate) struct Settlement {
    /// Work items at the issuer at the same time.
    pub(crate) concurrency: usize,
    /// Tries before an item is a dead letter.
    pub(crate) tries: u32,
    /// Time-out of one call, ms.
    pub(crate) timeout_ms: u64,
}

/// `[issuer]`: who really makes the cards.
#[derive(Debug)]
pub(crate) enum Issuer {
    /// The simulator in this process, which behaves as [`Sandbox`] says.
    Sandbox,
    /// A REST issuer; see the issuer crate's CONTRACT.md.
    Http { url: String, secret: SecretString },
}

/// `[secrets]`: where key files are; made on first run, mode 0600, unless the environment carries the key.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// Default `master.key` in the data directory; `FLORIN_MASTER_KEY` (64 hex digits) comes before it.
    pub(crate) master_key_file: Option<PathBuf>,
    /// Default `signing.key` in the data directory.
    pub(crate) signing_key_file: Option<PathBuf>,
}

/// Most partitions that can be configured; one machine gains nothing from more.
pub(crate) const PARTITIONS_MAX: u16 = 64;

impl Config {
    /// Options come before file and environment.
    pub(crate) fn apply(&mut self, place: &Place) {
        if let Some(data) = &place.data {
            self.serve.data.clone_from(data);
        }
    }

    /// Where the master key is.
    pub(crate) fn master_key_file(&self, data: &Data) -> PathBuf {
        let given = self.secrets.master_key_file.clone();
        given.unwrap_or_else(|| data.master_key())
    }

    /// Where the signing key is.
    pub(crate) fn signing_key_file(&self, data: &Data) -> PathBuf {
        let given = self.secrets.signing_key_file.clone();
        given.unwrap_or_else(|| data.signing_key())
    }
}

/// What a check found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Settings as they would be used; `None` if there are problems.
    pub(crate) config: Option<Config>,
    pub(crate) problems: Vec<Problem>,
    /// Not wrong, but maybe not meant.
    pub(crate) warnings: Vec<String>,
}

/// Reads and checks `file` (none: defaults) and the environment.
pub(crate) fn check(file: Option<&Path>) -> Result<Checked, Failure> {
    let text = match file {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|cause| {
            Failure::new(Exit::Config, format!("cannot read the configuration {}", path.display()))
                .advise("check the path, or leave --config out to use the defaults")
                .because(cause)
        })?,
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("FLORIN_"))
        .collect();
    Ok(schema::read(&text, environment))
}

/// The settings to run with; every mistake, if there are any.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, Failure> {
    let checked = check(file)?;
    match checked.config {
        Some(config) => {
            crate::logging::start(&config.log);
            for warning in &checked.warnings {
                tracing::warn!("{warning}");
            }
            Ok(config)
        }
        None => Err(mistakes(file, &checked.problems)),
    }
}

/// All mistakes as one failure.
pub(crate) fn mistakes(file: Option<&Path>, problems: &[Problem]) -> Failure {
    use std::fmt::Write;

    let name = file.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let mut what = match problems.len() {
        1 => format!("1 mistake in the configuration ({name})"),
        count => format!("{count} mistakes in the configuration ({name})"),
    };
    for problem in problems {
        // Writing to a string cannot fail.
        let _ = write!(what, "\n  {problem}");
    }
    Failure::new(Exit::Config, what).advise("mend the lines above and look again with `florin config check FILE`")
}
