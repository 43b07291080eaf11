//! The figures of a run, for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::audit::Audit;
use super::authorizations::Told;
use super::check::Checked;
use super::latency::Percentiles;

/// All figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) cores: usize,
    pub(super) load: Options,
    /// Making the users, commands a second.
    pub(super) set_up_per_s: f64,
    pub(super) accepted_per_s: f64,
    /// Processor time for each command meanwhile, microseconds: clients, views and kernel included.
    pub(super) processor_us: f64,
    /// Of one batch (or command, or request) from sending to its durable answer.
    pub(super) latency: Percentiles,
    pub(super) busy: u64,
    /// Seconds that clients waited, all of them together, for cards whose last change was on its way to the issuer.
    pub(super) held_s: f64,
    /// The issuer's, beside the load.
    pub(super) authorizations: Option<Authorizations>,
    pub(super) views: Option<Views>,
    pub(super) settlement: Option<Settlement>,
    /// Reads of single cards straight from the views, beside the load and until the views show all of it.
    pub(super) reads: Option<Beside>,
    /// Reads of all cards of a user by the company.
    pub(super) card_lists: Option<Reads>,
    /// Reads of one card by the user.
    pub(super) cards: Option<Reads>,
    pub(super) bytes_per_command: f64,
    pub(super) memory: Memory,
    pub(super) restart: Option<Restart>,
    /// The final check: reading, verifying, decoding and folding the whole journal on one core.
    pub(super) replay_per_s: f64,
    /// `florin audit verify` of the whole journal.
    pub(super) audit: Option<Audit>,
    pub(super) checked: Checked,
}

/// What was asked.
#[derive(Debug, Serialize)]
pub(super) struct Options {
    pub(super) accounts: u32,
    /// Of each account.
    pub(super) cards: u8,
    pub(super) commands: u64,
    pub(super) batch: u64,
    pub(super) clients: u16,
    pub(super) http: bool,
    pub(super) mix: String,
    pub(super) seed: u64,
    pub(super) partitions: u16,
    /// Where the journal is.
    pub(super) journal: String,
    pub(super) snapshots: bool,
}

/// How the views followed.
#[expect(clippy::struct_field_names, reason = "units stand last")]
#[derive(Debug, Serialize)]
pub(super) struct Views {
    /// From the last answer until all of it is seen.
    pub(super) drain_s: f64,
    /// Commands a second from the first command until all of it is seen.
    pub(super) caught_up_per_s: f64,
    /// Rows a second over the same time.
    pub(super) rows_per_s: f64,
}

/// How settlement followed.
#[derive(Debug, Serialize)]
pub(super) struct Settlement {
    /// From the last answer until every change is settled.
    pub(super) drain_s: f64,
    /// Changes that the measured commands asked for, all of them settled.
    pub(super) changes: u64,
    /// Changes a second from the first command until all are settled.
    pub(super) settled_per_s: f64,
}

/// Reads at a fixed rate.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    /// So many were due a second.
    pub(super) asked_per_s: u32,
    /// So many were answered a second.
    pub(super) per_s: f64,
    pub(super) latency: Percentiles,
}

/// Authorizations at a fixed rate.
#[derive(Debug, Serialize)]
pub(super) struct Authorizations {
    /// So many were due a second.
    pub(super) asked_per_s: u32,
    /// So many were answered a second.
    pub(super) per_s: f64,
    /// From the moment each was due.
    pub(super) latency: Percentiles,
    pub(super) approved: u64,
    pub(super) declined: u64,
    /// Declined as no decision came in time.
    pub(super) too_late: u64,
    /// Answered *busy*.
    pub(super) busy: u64,
    pub(super) over_10_ms: usize,
    pub(super) over_100_ms: usize,
}

impl Authorizations {
    pub(super) fn of(asked_per_s: u32, told: &mut Told) -> Self {
        Self {
            asked_per_s,
            per_s: rate(told.sent, told.elapsed),
            latency: told.latencies.percentiles(),
            approved: told.approved,
            declined: told.declined,
            too_late: told.too_late,
            busy: told.busy,
            over_10_ms: told.latencies.over(Duration::from_millis(10)),
            over_100_ms: told.latencies.over(Duration::from_millis(100)),
        }
    }
}

/// Reads over HTTP.
#[derive(Debug, Serialize)]
pub(super) struct Reads {
    pub(super) per_s: f64,
    /// Processor time for each, microseconds: the client and the kernel included.
    pub(super) processor_us: f64,
    pub(super) latency: Percentiles,
}

/// Memory of the process, bytes.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    /// Most that was resident before the final check.
    pub(super) peak: u64,
    /// What making the users added, a user; views and caches included.
    pub(super) per_account: f64,
}

/// Opening the ledger again.
#[derive(Debug, Serialize)]
pub(super) struct Restart {
    pub(super) commands: u64,
    /// Until the first decision is durable.
    pub(super) seconds: f64,
}

/// So many a second.
pub(super) fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(f64::EPSILON)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = &self.load;
        let what = if load.http {
            "commands over HTTP"
        } else if load.batch == 1 {
            "commands, one by one"
        } else {
            "commands in batches"
        };
        writeln!(
            f,
            "{} {what} ({}) by {} clients, batch {}, {} accounts of {} card(s), {} partition(s), {} cores",
            thousands(load.commands as f64),
            load.mix,
            load.clients,
            load.batch,
            thousands(f64::from(load.accounts)),
            load.cards,
            load.partitions,
            self.cores,
        )?;
        writeln!(f, "journal on          {}", load.journal)?;
        let rate = thousands(self.accepted_per_s);
        writeln!(f, "accepted            {rate} /s, {:.1} µs of processor time each", self.processor_us)?;
        writeln!(f, "latency             {}", self.latency)?;
        if self.busy > 0 {
            writeln!(f, "busy answers        {}", self.busy)?;
        }
        if self.held_s > 0.0 {
            writeln!(
                f,
                "clients waited      {:.2} s in all, for cards whose last change was not settled",
                self.held_s
            )?;
        }
        if let Some(told) = &self.authorizations {
            writeln!(
                f,
                "authorizations      {} /s of {} due: {} approved, {} declined, {} too late, {} busy",
                thousands(told.per_s),
                thousands(f64::from(told.asked_per_s)),
                thousands(told.approved as f64),
                thousands(told.declined as f64),
                thousands(told.too_late as f64),
                thousands(told.busy as f64)
            )?;
            let (over_10_ms, over_100_ms) = (told.over_10_ms, told.over_100_ms);
            writeln!(f, "latency from due    {}; {over_10_ms} over 10 ms, {over_100_ms} over 100 ms", told.latency)?;
        }
        if let Some(views) = &self.views {
            writeln!(f, "views drained in    {:.2} s", views.drain_s)?;
            writeln!(
                f,
                "with views          {} commands/s, {} rows/s",
                thousands(views.caught_up_per_s),
                thousands(views.rows_per_s)
            )?;
        }
        if let Some(settlement) = &self.settlement {
            writeln!(
                f,
                "settlement drained  in {:.2} s after the last answer: {} changes settled, {} /s from the first on",
                settlement.drain_s,
                thousands(settlement.changes as f64),
                thousands(settlement.settled_per_s)
            )?;
        }
        if let Some(reads) = &self.reads {
            let (rate, asked) = (thousands(reads.per_s), thousands(f64::from(reads.asked_per_s)));
            writeln!(f, "cards read beside   {rate} /s of {asked} due, straight from the views")?;
            writeln!(f, "latency             {}", reads.latency)?;
        }
        for (what, reads) in [("card lists read", &self.card_lists), ("single cards read", &self.cards)] {
            if let Some(reads) = reads {
                let rate = thousands(reads.per_s);
                writeln!(f, "{what:<20}{rate} /s, {:.1} µs of processor time each", reads.processor_us)?;
                writeln!(f, "latency             {}", reads.latency)?;
            }
        }
        writeln!(f, "journal             {:.1} bytes per command", self.bytes_per_command)?;
        writeln!(
            f,
            "memory              {} MiB at the peak, {:.0} bytes per account with its wallet and {} card(s) after set-up",
            thousands(self.memory.peak as f64 / f64::from(1 << 20)),
            self.memory.per_account,
            load.cards
        )?;
        writeln!(f, "set-up              {} commands/s", thousands(self.set_up_per_s))?;
        if let Some(restart) = &self.restart {
            writeln!(
                f,
                "restart             {:.2} s to the first durable decision, {} commands in the journal",
                restart.seconds,
                thousands(restart.commands as f64)
            )?;
        }
        writeln!(f, "replay              {} commands/s", thousands(self.replay_per_s))?;
        if let Some(audit) = &self.audit {
            writeln!(
                f,
                "audit               clean: {} commands/s of processor time, {} /s by the clock, the process from start to end",
                thousands(audit.per_processor_s),
                thousands(audit.per_s)
            )?;
        }
        writeln!(f, "commands            fingerprint {}", self.checked.fingerprint())?;
        write!(f, "checked             {}", self.checked)
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: f64| us / 1e3;
        write!(
            f,
            "p1 {:.3} ms, p50 {:.3} ms, p99 {:.3} ms, p100 {:.3} ms ({} samples)",
            ms(self.p1_us),
            ms(self.p50_us),
            ms(self.p99_us),
            ms(self.p100_us),
            self.samples
        )
    }
}

/// A whole number with its thousands apart.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn thousands_stand_apart() {
        let told = [0.0, 999.0, 1_000.4, 1_234_567.0].map(thousands);
        assert_eq!(told, ["0", "999", "1,000", "1,234,567"]);
    }
}
