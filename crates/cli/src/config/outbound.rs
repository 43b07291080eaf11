//! `[webhooks]` and `[mail]`: how partners and staff are told.

use std::time::Duration;

use florin_workers::mail;
use florin_workers::webhooks::Schedule;
use secrecy::SecretString;

use super::reader::Section;

/// `[webhooks]`; where they go is set by ops.
#[derive(Clone, Debug)]
pub(crate) struct Webhooks {
    /// The waits before each try.
    pub(crate) schedule: Schedule,
    /// How long an answer may take, ms.
    pub(crate) timeout_ms: u64,
    /// Requests of one company at the same time.
    pub(crate) concurrency: usize,
    /// Undelivered webhooks of a company in a partition before no more are taken in.
    pub(crate) window: usize,
    /// Whether receivers on private and loopback addresses are allowed.
    pub(crate) allow_private: bool,
    /// Whether receivers without TLS are allowed.
    pub(crate) allow_http: bool,
    /// How long a replaced secret still signs, hours.
    pub(crate) rotation_hours: u64,
    /// How long what was sent is kept for a replay, hours.
    pub(crate) replay_hours: u64,
}

/// `[mail]`, if it is configured.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// The mail server, with its password if it needs one.
    pub(crate) url: SecretString,
    /// Who messages are from.
    pub(crate) from: String,
    /// Who they are to.
    pub(crate) to: String,
    /// How long the server may take for one command, ms.
    pub(crate) timeout_ms: u64,
    /// The wait after the first failure, ms; it doubles with each.
    pub(crate) retry_ms: u64,
    /// Tries before an e-mail has failed.
    pub(crate) tries: u32,
}

impl Mail {
    /// As the worker takes it.
    pub(crate) fn options(&self) -> mail::Options {
        let mut options = mail::Options::new(self.url.clone(), self.from.clone(), self.to.clone());
        options.timeout = Duration::from_millis(self.timeout_ms);
        options.backoff.first = Duration::from_millis(self.retry_ms);
        options.tries_max = self.tries;
        options
    }
}

/// A day and an hour, ms.
const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

pub(super) fn webhooks(section: &Section<'_>) -> Webhooks {
    let count = |key, most, default| usize::try_from(section.number(key, 1..=most, default)).unwrap_or(usize::MAX);
    let webhooks = Webhooks {
        schedule: section.parsed("schedule", Schedule::default(), schedule),
        timeout_ms: section.number("timeout_ms", 10..=600_000, 15_000),
        concurrency: count("concurrency", 1_024, 8),
        window: count("window", 1_000_000, 10_000),
        allow_private: section.flag("allow_private", false),
        allow_http: section.flag("allow_http", false),
        rotation_hours: section.number("rotation_hours", 0..=8_760, 24),
        replay_hours: section.number("replay_hours", 0..=87_600, 72),
    };
    section.finish();
    webhooks
}

pub(super) fn mail(section: &Section<'_>) -> Option<Mail> {
    let file = section.parsed("url_file", None, |path| {
        std::fs::read_to_string(path).map(Some).map_err(|error| format!("cannot be read: {error}"))
    });
    let url = section.text("url").or(file).map(|url| SecretString::from(url.trim().to_owned()));
    let (from, to) = (section.text("from"), section.text("to"));
    let (timeout_ms, retry_ms, tries) = (
        section.number("timeout_ms", 10..=600_000, 30_000),
        section.number("retry_ms", 1..=HOUR_MS, 30_000),
        u32::try_from(section.number("tries", 1..=1_000, 12)).unwrap_or(u32::MAX),
    );
    section.finish();
    let url = url?;
    let (Some(from), Some(to)) = (from, to) else {
        section.contrary("with a mail server, `from` and `to` must be given too");
        return None;
    };
    let mail = Mail { url, from, to, timeout_ms, retry_ms, tries };
    if let Err((key, error)) = mail.options().check() {
        section.contrary(&format!("`{key}` {error}"));
    }
    Some(mail)
}

/// `0s 5s 5m 30m 2h`: the waits before each try.
fn schedule(text: &str) -> Result<Schedule, String> {
    const FORM: &str = "must be 1 to 32 waits of at most 30 days such as \"0s 5s 5m 30m 2h\"";
    let waits = text.split_ascii_whitespace().map(|wait| {
        let wait = humantime::parse_duration(wait).ok()?;
        (wait <= Duration::from_millis(30 * DAY_MS)).then_some(wait)
    });
    waits.collect::<Option<Vec<_>>>().and_then(Schedule::new).ok_or_else(|| format!("{FORM}, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_waits_apart_by_spaces() {
        let waits = [0, 5, 300, 1_800, 7_200].map(Duration::from_secs).to_vec();
        assert_eq!(schedule("0s 5s 5m 30m 2h").unwrap(), Schedule::new(waits).unwrap());
        for text in ["", "5", "5s,5m", "0s -5s", "31days", "0s x"] {
            assert!(schedule(text).is_err(), "{text:?}");
        }
    }
}
