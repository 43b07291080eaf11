//! Every setting: its section, its name, its bounds and its default.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use florin_gateway::dialects::mobile;
use florin_gateway::http::keys::KeyHash;
use secrecy::SecretString;

use super::nats;
use super::outbound;
use super::reader::{Reader, Section};
use super::{
    CardApi, Checked, Config, Dashboard, Gateway, Issuer, Key, Ledger, Limits, Log, LogFormat, Ops, PARTITIONS_MAX,
    Processor, Sandbox, Secrets, Serve, Settlement, Views,
};
use super::{secure_page, tokens};

const SECTIONS: &[&str] = &[
    "serve",
    "nats",
    "log",
    "ledger",
    "processor",
    "views",
    "gateway",
    "limits",
    "dashboard",
    "mobile",
    "tokens",
    "secure_page",
    "ops",
    "settlement",
    "webhooks",
    "mail",
    "issuer",
    "sandbox",
    "secrets",
];

/// A day; nothing that is configured in milliseconds is longer.
const DAY_MS: u64 = 86_400_000;

/// Reads every setting, so that every mistake is found in one pass.
pub(super) fn read(text: &str, environment: BTreeMap<String, String>) -> Checked {
    let reader = Reader::new(text, environment);
    let (config, warnings) = {
        let root = reader.parse();
        reader.only_sections(&root, SECTIONS);
        let section = |name| reader.section(&root, name);
        let sandbox = section("sandbox");
        let config = Config {
            serve: serve(&section("serve")),
            nats: nats::read(&reader, &section("nats")),
            log: log(&section("log")),
            ledger: ledger(&section("ledger")),
            processor: processor(&section("processor")),
            views: views(&section("views")),
            gateway: gateway(&section("gateway")),
            limits: limits(&section("limits")),
            dashboard: Dashboard { keys: keys(&section("dashboard"), "company") },
            mobile: mobile(&section("mobile")),
            tokens: tokens::read(&section("tokens")),
            secure_page: secure_page::read(&section("secure_page")),
            ops: Ops { keys: keys(&section("ops"), "name") },
            settlement: settlement(&section("settlement")),
            webhooks: outbound::webhooks(&section("webhooks")),
            mail: outbound::mail(&section("mail")),
            issuer: issuer(&reader, &section("issuer")),
            sandbox: Sandbox {
                listen: sandbox.parsed("listen", loopback(8082), address),
                latency_ms: sandbox.number("latency_ms", 0..=600_000, 0),
                failure_rate: sandbox.share("failure_rate", 0.0),
                keys: keys(&sandbox, "name"),
            },
            secrets: secrets(&reader, &section("secrets")),
        };
        // Read by clap and by the vault, not here.
        reader.variable("FLORIN_CONFIG");
        (config, reader.unasked())
    };
    Checked { config: (!reader.failed()).then_some(config), problems: reader.into_problems(), warnings }
}

fn serve(section: &Section<'_>) -> Serve {
    let serve = Serve {
        data: section.text("data").map_or_else(|| PathBuf::from("florin-data"), PathBuf::from),
        listen: section.parsed("listen", loopback(8080), address),
        ops_listen: section.parsed("ops_listen", loopback(8081), address),
        own: [
            (CardApi::Dashboard, "dashboard_listen"),
            (CardApi::Baas, "baas_listen"),
            (CardApi::Mobile, "mobile_listen"),
        ]
        .into_iter()
        .filter_map(|(api, key)| Some((api, section.parsed(key, None, |text| address(text).map(Some))?)))
        .collect(),
    };
    section.finish();
    serve
}

fn log(section: &Section<'_>) -> Log {
    let log = Log {
        format: section.parsed("format", LogFormat::Human, |text| match text {
            "human" => Ok(LogFormat::Human),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("must be \"human\" or \"json\", not {text:?}")),
        }),
        filter: section.parsed("filter", "info".to_owned(), |text| {
            crate::logging::filter(text)
                .map(|_| text.to_owned())
                .map_err(|error| format!("is no filter such as \"info,florin_gateway=debug\": {error}"))
        }),
    };
    section.finish();
    log
}

fn ledger(section: &Section<'_>) -> Ledger {
    let ledger = Ledger {
        partitions: u16::try_from(section.number("partitions", 1..=u64::from(PARTITIONS_MAX), 1))
            .unwrap_or(PARTITIONS_MAX),
    };
    section.finish();
    ledger
}

fn processor(section: &Section<'_>) -> Processor {
    let processor = Processor {
        queue: size(section.number("queue", 16..=1_000_000, 65_536)),
        network_queue: size(section.number("network_queue", 16..=1_000_000, 4_096)),
        snapshot_entries: section.number("snapshot_entries", 1_000..=1_000_000_000, 1_000_000),
    };
    section.finish();
    processor
}

fn views(section: &Section<'_>) -> Views {
    let views = Views { cache_mib: section.number("cache_mib", 8..=1_048_576, 256) };
    section.finish();
    views
}

fn gateway(section: &Section<'_>) -> Gateway {
    let gateway = Gateway {
        settlement_wait_ms: section.number("settlement_wait_ms", 0..=60_000, 2_000),
        read_wait_ms: section.number("read_wait_ms", 0..=60_000, 2_000),
        issuer_wait_ms: section.number("issuer_wait_ms", 1..=60_000, 5_000),
        proxies: size(section.number("proxies", 0..=16, 0)),
        drain_ms: section.number("drain_ms", 0..=600_000, 10_000),
    };
    section.finish();
    gateway
}

fn limits(section: &Section<'_>) -> Limits {
    let limit = |key, default| small(section.number(key, 0..=10_000_000, default));
    let requests_per_second = limit("requests_per_second", 1_000);
    // No request at all would pass a burst of 0; without a rate there is no burst either.
    let burst_min = u64::from(requests_per_second > 0);
    let limits = Limits {
        requests_per_second,
        burst: small(section.number("burst", burst_min..=10_000_000, 1_000)),
        failed_authentications_per_minute: limit("failed_authentications_per_minute", 30),
        reveals_per_minute: limit("reveals_per_minute", 10),
    };
    section.finish();
    limits
}

fn mobile(section: &Section<'_>) -> mobile::Settings {
    let default = mobile::Settings::default();
    let limit = |key, default: u32| small(section.number(key, 0..=10_000, u64::from(default)));
    let settings = mobile::Settings {
        legacy_messages: section.flag("legacy_messages", default.legacy_messages),
        status_changes_per_minute: limit("status_changes_per_minute", default.status_changes_per_minute),
        appeals_per_minute: limit("appeals_per_minute", default.appeals_per_minute),
    };
    section.finish();
    settings
}

fn keys(section: &Section<'_>, owner: &'static str) -> Vec<Key> {
    let keys = section
        .list("keys")
        .into_iter()
        .filter_map(|entry| {
            let name = entry.required(owner, |text| {
                let fits = (1..=64).contains(&text.len()) && !text.contains(char::is_control);
                fits.then(|| text.to_owned())
                    .ok_or_else(|| "must be 1 to 64 bytes without control characters".to_owned())
            });
            let hash = entry.required("hash", hash);
            entry.finish();
            Some(Key { owner: name?, hash: hash? })
        })
        .collect();
    section.finish();
    keys
}

fn settlement(section: &Section<'_>) -> Settlement {
    let settlement = Settlement {
        concurrency: size(section.number("concurrency", 1..=1_024, 16)),
        tries: small(section.number("tries", 1..=1_000, 20)),
        timeout_ms: section.number("timeout_ms", 10..=DAY_MS, 5_000),
    };
    section.finish();
    settlement
}

fn issuer(reader: &Reader<'_>, section: &Section<'_>) -> Issuer {
    let http = section.parsed("kind", false, |text| match text {
        "sandbox" => Ok(false),
        "http" => Ok(true),
        _ => Err(format!("must be \"sandbox\" or \"http\", not {text:?}")),
    });
    let url = section.parsed("url", None, |text| {
        if text.starts_with("https://") || text.starts_with("http://") {
            Ok(Some(text.to_owned()))
        } else {
            Err("must begin with https:// or http://".to_owned())
        }
    });
    let file = section.text("secret_file");
    let issuer = if http {
        let secret = match (reader.variable("FLORIN_ISSUER_SECRET"), &file) {
            (Some(secret), _) => Some(SecretString::from(secret)),
            (None, Some(_)) => section.parsed("secret_file", None, |path| {
                std::fs::read_to_string(path)
                    .map(|text| Some(SecretString::from(text.trim().to_owned())))
                    .map_err(|error| format!("cannot be read: {error}"))
            }),
            (None, None) => {
                section.missing("secret_file");
                None
            }
        };
        if url.is_none() {
            section.missing("url");
        }
        Issuer::Http { url: url.unwrap_or_default(), secret: secret.unwrap_or_default() }
    } else {
        Issuer::Sandbox
    };
    section.finish();
    issuer
}

fn secrets(reader: &Reader<'_>, section: &Section<'_>) -> Secrets {
    reader.variable(crate::secrets::MASTER_KEY);
    reader.variable(crate::secrets::SIGNING_KEY);
    let secrets = Secrets {
        master_key_file: section.text("master_key_file").map(PathBuf::from),
        signing_key_file: section.text("signing_key_file").map(PathBuf::from),
    };
    section.finish();
    secrets
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("must be ADDRESS:PORT such as \"127.0.0.1:8080\", not {text:?}"))
}

fn hash(text: &str) -> Result<KeyHash, String> {
    text.parse().map_err(|_| "must be the 64 hex digits that `florin token` prints".to_owned())
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
