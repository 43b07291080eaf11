//! What can be asked of `florin bench`.

use std::path::PathBuf;

use clap::Args;
use florin_engine::ids::PARTITIONS_MAX;
use florin_processor::handle::BATCH_COMMANDS_MAX;

use super::latency::Sample;
use super::mix::Mix;
use crate::failure::{Exit, Failure};

/// What the engine keeps at least: of each command its key, of accounts and cards the bare row.
const BYTES_PER_COMMAND: u64 = 40;
const BYTES_PER_ACCOUNT: u64 = 200;
const BYTES_PER_CARD: u64 = 200;
/// The five-card rule.
const CARDS_MAX: i64 = 5;

/// Shown under `florin bench --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  florin bench                                        2,000,000 top-ups in batches of 8,189 over 10,000 accounts
  florin bench --commands 10000000 --accounts 1000000
  florin bench --mix top-up=90,authorize=8,unload=2   other commands between the top-ups
  florin bench --mix top-up=99,freeze=1               changes that the sandbox issuer settles beside the load
  florin bench --batch 1                              the latency of one command: one synchronous write
  florin bench --batch 1 --clients 64                 natural batching of single commands
  florin bench --http                                 single top-ups over HTTP by 64 connections, then reads of card lists and cards
  florin bench --authorizations 5000                  the issuer's authorizations over HTTP beside the whole load
  florin bench --nats start:1 --no-views              through JetStream on one server that syncs every message
  florin bench --nats start:3 --no-views              the same, replicated over three servers on this machine
  florin bench --cards 2 --accounts 1000000           what an account with two cards takes of memory
  florin bench --audit --no-views                     then florin audit verify, by the processor time it took
  florin bench --no-views --no-snapshots --json out.json --plot out.svg

Everything runs in a temporary directory under --dir, which is removed afterwards; on tmpfs nothing is durable, and the
figures say nothing. The load: top-ups of 10.00 to 99.99 on a card of a random account, one fee each, all accepted, and
what else --mix asks for. A freeze is of the card whose turn it is, the next one of that card thaws it; a client waits before a
batch while a card in it has a change on its way to the issuer.
At the end the journal is read from genesis: every command must be there exactly once and as it was sent, every change be
settled exactly once and the issuer have it, and what wallets, cards and fees hold must be what was deposited, what is held
what was authorized; the views must agree. If not, the exit code is 1.

The latency of an authorization runs from the moment it was due, so that a stall counts for all that it held up; so does that
of a read beside the load, unless it is the reader itself that woke late.";

/// Runs a ledger of its own in a temporary directory, loads it, prints figures, and checks that all of it is there.
#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// Accounts, each with a funded wallet and an active card.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    pub(crate) accounts: u32,
    /// Cards of each account; the load is spread over all of them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=CARDS_MAX))]
    pub(crate) cards: u8,
    /// Commands to measure [default: 2000000; 100000 with batches below 64, 200000 with --http].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) commands: Option<u64>,
    /// Commands in a client's batch [default: 8189; 1 with --http].
    #[arg(long, value_name = "N", conflicts_with = "http", value_parser = clap::value_parser!(u16).range(1..=BATCH_COMMANDS_MAX as i64))]
    pub(crate) batch: Option<u16>,
    /// Clients, each with one batch in flight [default: 2; 1 with --batch 1; 64 with --http].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) clients: Option<u16>,
    /// Drive the gateway on loopback by keep-alive connections, one request in flight on each.
    #[arg(long)]
    pub(crate) http: bool,
    /// Kinds of commands and their shares: top-up, authorize (a dollar at a merchant), unload (a cent back to the wallet),
    /// freeze (of a card; every other one thaws it). Freezes are settled by the sandbox issuer while the load goes on.
    #[arg(long, value_name = "KIND=SHARE,…", conflicts_with = "http", default_value_t = Mix::TOP_UPS)]
    pub(crate) mix: Mix,
    /// Authorizations of a dollar that the issuer sends beside the load, over HTTP and signed, at this rate whatever becomes
    /// of them. The gateway finds their cards in the views.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "no_views", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) authorizations: Option<u32>,
    /// Reads of single cards straight from the views at this rate, while they follow; 0: none [default: 1000; none without views
    /// or with --http].
    #[arg(long, value_name = "PER_SECOND", conflicts_with_all = ["no_views", "http"], value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) reads: Option<u32>,
    /// What accounts and amounts are drawn from: the same seed gives the same commands.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Partitions of the ledger.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(PARTITIONS_MAX)))]
    pub(crate) partitions: u16,
    /// Run no projector.
    #[arg(long, conflicts_with = "http")]
    pub(crate) no_views: bool,
    /// Make no snapshots beside the load, and measure no restart.
    #[arg(long)]
    pub(crate) no_snapshots: bool,
    /// At the end have florin audit verify decide everything again, and tell its processor time.
    #[arg(long, conflicts_with = "nats")]
    pub(crate) audit: bool,
    /// Keep the journal on NATS JetStream: start:1 and start:3 start one server or three that replicate, beside the run;
    /// a URL uses servers that are there, and takes the run's streams off them at the end.
    #[arg(long, value_name = "start:1|start:3|URL", value_parser = super::servers::parse)]
    pub(crate) nats: Option<super::servers::Where>,
    /// Copies of each stream on servers that are there.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "nats", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=5))]
    pub(crate) replicas: usize,
    /// Configuration with the NATS user, for servers that are there.
    #[arg(long, value_name = "FILE", env = "FLORIN_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where the temporary directory is made [default: the system's].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Write the figures here too, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the latencies here, over time and their distribution, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

impl Bench {
    pub(super) fn batch(&self) -> u64 {
        if self.http { 1 } else { u64::from(self.batch.unwrap_or(8_189)) }
    }

    pub(super) fn commands(&self) -> u64 {
        self.commands.unwrap_or(match self.batch() {
            _ if self.http => 200_000,
            0..64 => 100_000,
            _ => 2_000_000,
        })
    }

    /// Commands before the clock starts: caches, files and branch predictors are then as in the long run.
    pub(super) fn warm_up(&self) -> u64 {
        (self.commands() / 10).clamp(1, 200_000).next_multiple_of(self.batch())
    }

    /// The number of the first command that is neither of the warm-up nor measured.
    pub(super) fn end(&self) -> u64 {
        self.warm_up() + self.commands()
    }

    /// Refuses a run that this much memory cannot hold.
    pub(super) fn fits(&self, memory: u64) -> Result<(), Failure> {
        let latencies = self.end() / self.batch();
        let least = self.end() * BYTES_PER_COMMAND
            + latencies * size_of::<Sample>() as u64
            + u64::from(self.accounts) * (BYTES_PER_ACCOUNT + u64::from(self.cards) * BYTES_PER_CARD);
        if least <= memory {
            return Ok(());
        }
        let (least, memory, commands) = (least >> 20, memory >> 20, self.end());
        let what = format!(
            "{commands} commands and {} accounts need at least {least} MiB of memory, and this machine has {memory} MiB",
            self.accounts
        );
        Err(Failure::new(Exit::Usage, what).advise("give fewer --commands or --accounts"))
    }

    /// Reads a second beside the load; 0: none.
    pub(super) fn reads(&self) -> u32 {
        if self.no_views || self.http { 0 } else { self.reads.unwrap_or(1_000) }
    }

    pub(super) fn clients(&self) -> u16 {
        self.clients.unwrap_or(match self.batch() {
            _ if self.http => 64,
            1 => 1,
            _ => 2,
        })
    }
}

/// The options as a command line gives them.
#[cfg(test)]
pub(super) fn parsed(options: &[&str]) -> Bench {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }
    let line = std::iter::once(&"bench").chain(options);
    <Line as clap::Parser>::try_parse_from(line).expect("options").bench
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_memory_cannot_hold_is_refused_with_both_bounds() {
        let large = parsed(&["--commands", "1000000000", "--accounts", "1"]);
        let refused = large.fits(8 << 30).expect_err("too little memory").to_string();
        let told =
            "1000204725 commands and 1 accounts need at least 38156 MiB of memory, and this machine has 8192 MiB";
        assert!(refused.contains(told), "{refused}");
        assert!(large.fits(64 << 30).is_ok() && parsed(&[]).fits(1 << 30).is_ok());
    }
}
