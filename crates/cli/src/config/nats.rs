//! `[nats]`: which servers, as whom, and which ledger on them.

use std::path::PathBuf;

use secrecy::SecretString;

use super::reader::{Reader, Section};

/// `[nats]`
#[derive(Clone, Debug)]
pub(crate) struct Nats {
    /// Servers of one cluster, any of which will do.
    pub(crate) urls: Vec<String>,
    /// The operator's short name of the ledger: it is in the names of its streams and subjects.
    pub(crate) ledger: String,
    /// As whom.
    pub(crate) login: Login,
    /// What the subjects begin with at which answers come in.
    pub(crate) inbox_prefix: String,
    /// Authorities that may have signed the server's certificate; none: those of the system.
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// The client's own certificate and its key, where the servers ask for one.
    pub(crate) tls_identity: Option<(PathBuf, PathBuf)>,
    /// Whether to refuse a connection that is not encrypted, whatever the URL says.
    pub(crate) tls_required: bool,
    /// Replicas of every stream and bucket, read when they are made.
    pub(crate) replicas: usize,
    /// Whether a server that cannot sync before it acknowledges will do.
    pub(crate) allow_old_server: bool,
}

/// As whom a process connects.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    /// As nobody in particular, or as the URL says.
    Nobody,
    /// By a credentials file, as `nsc` writes them.
    Credentials(PathBuf),
    /// By the seed of an nkey.
    Nkey(SecretString),
    /// By name and password.
    Password { user: String, password: SecretString },
}

/// What a ledger's name may be.
pub(crate) fn ledger_name(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    fits.then(|| text.to_owned()).ok_or_else(|| format!("must be 1 to 32 of a-z, 0-9 and -, not {text:?}"))
}

/// One URL, or several with commas between them.
pub(crate) fn urls(text: &str) -> Result<Vec<String>, String> {
    let urls: Vec<String> = text.split(',').map(|url| url.trim().to_owned()).collect();
    for url in &urls {
        let known = ["nats://", "tls://"].iter().any(|scheme| url.starts_with(scheme));
        if !known || url.parse::<async_nats::ServerAddr>().is_err() {
            return Err(format!("must be nats://HOST:PORT or tls://HOST:PORT, several with commas, not {url:?}"));
        }
    }
    Ok(urls)
}

fn inbox_prefix(text: &str) -> Result<String, String> {
    let token = |token: &str| {
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let fits = text.len() <= 64 && text.split('.').all(token);
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("must be words of a subject such as \"_INBOX_gateway\", not {text:?}"))
}

pub(super) fn read(reader: &Reader<'_>, section: &Section<'_>) -> Nats {
    let nats = Nats {
        urls: section.parsed("url", vec!["nats://127.0.0.1:4222".to_owned()], urls),
        ledger: section.parsed("ledger", "main".to_owned(), ledger_name),
        login: login(reader, section),
        inbox_prefix: section.parsed("inbox_prefix", "_INBOX".to_owned(), inbox_prefix),
        tls_ca_file: section.text("tls_ca_file").map(PathBuf::from),
        tls_identity: identity(section),
        tls_required: section.flag("tls_required", false),
        replicas: usize::try_from(section.number("replicas", 1..=5, 1)).unwrap_or(1),
        allow_old_server: section.flag("allow_old_server", false),
    };
    section.finish();
    nats
}

fn identity(section: &Section<'_>) -> Option<(PathBuf, PathBuf)> {
    match (section.text("tls_cert_file"), section.text("tls_key_file")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        (Some(_), None) => {
            section.missing("tls_key_file");
            None
        }
        (None, Some(_)) => {
            section.missing("tls_cert_file");
            None
        }
    }
}

fn login(reader: &Reader<'_>, section: &Section<'_>) -> Login {
    let credentials = section.text("credentials_file").map(PathBuf::from);
    let nkey = secret(reader, section, "FLORIN_NATS_NKEY", "nkey_file");
    let user = section.text("user");
    let password = secret(reader, section, "FLORIN_NATS_PASSWORD", "password_file");
    let mut ways = Vec::new();
    if let Some(file) = credentials {
        ways.push(Login::Credentials(file));
    }
    if let Some(seed) = nkey {
        ways.push(Login::Nkey(seed));
    }
    match (user, password) {
        (Some(user), Some(password)) => ways.push(Login::Password { user, password }),
        (Some(_), None) => section.missing("password_file"),
        (None, Some(_)) => section.missing("user"),
        (None, None) => {}
    }
    if ways.len() > 1 {
        section.contrary("credentials_file, nkey_file and user exclude each other: a process connects in one way");
    }
    ways.pop().unwrap_or(Login::Nobody)
}

/// A secret from the environment or from a file.
fn secret(reader: &Reader<'_>, section: &Section<'_>, variable: &str, key: &'static str) -> Option<SecretString> {
    let file = section.text(key);
    match (reader.variable(variable), file) {
        (Some(secret), _) => Some(SecretString::from(secret)),
        (None, Some(_)) => section.parsed(key, None, |path| {
            std::fs::read_to_string(path)
                .map(|text| Some(SecretString::from(text.trim().to_owned())))
                .map_err(|error| format!("cannot be read: {error}"))
        }),
        (None, None) => None,
    }
}
