//! The command line: what can be asked of the binary.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::audit::{AUDIT, Audit};
use crate::failure::EXIT_CODES;
use crate::serve::roles::Role;

/// Ledger and card-lifecycle engine.
#[derive(Debug, Parser)]
#[command(
    name = "florin",
    version,
    about = "Ledger and card-lifecycle engine",
    after_help = format!("{FIRST}

{EXIT_CODES}"),
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process, on the embedded journal.
    #[command(after_help = SERVE)]
    Serve(Serve),
    /// Run some of the roles, on a ledger that NATS JetStream keeps.
    #[command(after_help = RUN)]
    Run(Run),
    /// Read a ledger's history again: check it, add it up, explain and prove what is in it.
    #[command(subcommand, after_help = AUDIT)]
    Audit(Audit),
    /// Make a ledger.
    #[command(subcommand, after_help = "Example: florin ledger create --data /var/lib/florin")]
    Ledger(Ledger),
    /// Write a ledger, or what came since an earlier export, to one file that verifies itself.
    #[command(after_help = crate::transfer::EXPORT)]
    Export(crate::transfer::Export),
    /// Make a ledger from an export: bytes and hashes stay the same.
    #[command(after_help = crate::transfer::IMPORT)]
    Import(crate::transfer::Import),
    /// Set up a demo on roles that run as processes of their own.
    #[command(subcommand, after_help = DEMO)]
    Demo(Demo),
    /// Look after the views.
    #[command(subcommand, after_help = "Example: florin views rebuild --data /var/lib/florin")]
    Views(Views),
    /// Mint an API key, or a token for development, and the lines for the configuration.
    #[command(
        subcommand,
        after_help = "Examples:
  florin token dashboard --company acme
  florin token keys --company acme --out acme.key
  florin token mobile --company acme --user carol --key acme.key"
    )]
    Token(Token),
    /// Look after the configuration.
    #[command(subcommand, after_help = "Example: florin config check florin.toml")]
    Config(Config),
    /// Measure this machine: load a ledger of its own, print figures, check that nothing is lost.
    #[command(after_help = crate::bench::args::EXAMPLES)]
    Bench(crate::bench::args::Bench),
}

const FIRST: &str = "\
Examples:
  florin serve --demo                  a server to try, with users, funds and curl lines
  florin config check florin.toml      every mistake in a configuration, with its line
  florin serve --help                  options and examples of one command";

const SERVE: &str = "\
Examples:
  florin serve --demo                          try it: demo policy, users with funds, credentials, curl lines
  florin serve --config /etc/florin/florin.toml
  florin serve --data /var/lib/florin --listen 0.0.0.0:8080 --ops-listen 127.0.0.1:8081

An empty data directory gets a new ledger; a directory that lost its journal is refused.
SIGTERM and SIGINT stop it: what was admitted is made durable and answered first.
`florin --help` lists the exit codes.";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Adopt the demo policy, seed users with funds and write demo.json; loopback listeners only.
    #[arg(long)]
    pub(crate) demo: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Address of the public APIs [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address of the ops and sandbox APIs and of the metrics [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR")]
    pub(crate) ops_listen: Option<SocketAddr>,
}

const RUN: &str = "\
Examples:
  florin ledger create --nats nats://127.0.0.1:4222 --data /var/lib/florin
  florin run processor --nats nats://127.0.0.1:4222 --data /var/lib/florin/processor
  florin run gateway --config /etc/florin/gateway.toml
  florin run settlement clock webhooks --nats nats://a:4222,nats://b:4222 --ops-listen 127.0.0.1:9101

Any number of processes may have the same role; partitions are shared out among them, and move when one joins, leaves or dies.
All of them need the keys that the ledger was made with: master.key, and for a processor signing.key ([secrets]).
Every process answers /healthz, /readyz and /metrics on --ops-listen. A processor is ready when it reaches the servers, with or
without a share; its /readyz names the partitions that run in it. A data directory is for one process: views of a gateway,
snapshots of a processor, the cards of a sandbox issuer; all but the last may be deleted.
SIGTERM and SIGINT stop it: what was admitted is made durable and answered first.
`florin --help` lists the exit codes.";

const DEMO: &str = "\
Examples, in this order:
  florin demo prepare demo.json                 credentials, and where the roles will listen
  florin run … --demo demo.json                 each role; all loopback
  florin demo seed demo.json                    once processor and ops run

`deploy/local-cluster.sh` does all of it, servers included.";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What this process does: one role or several.
    #[arg(value_name = "ROLE", required = true, value_enum)]
    pub(crate) roles: Vec<Role>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) ledger: OnNats,
    /// Address of the card APIs, of the gateway [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address of probes and metrics, and of the ops API [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR")]
    pub(crate) ops_listen: Option<SocketAddr>,
    /// Address of the sandbox issuer's contract [default: 127.0.0.1:8082].
    #[arg(long, value_name = "ADDR")]
    pub(crate) issuer_listen: Option<SocketAddr>,
    /// Let the credentials of a demo in, as `florin demo prepare` wrote them; loopback listeners only.
    #[arg(long, value_name = "FILE")]
    pub(crate) demo: Option<PathBuf>,
}

/// Where a ledger on NATS is; both have defaults in the configuration.
#[derive(Debug, Args)]
pub(crate) struct OnNats {
    /// NATS servers: one URL, or several with commas [default: the configuration's, nats://127.0.0.1:4222].
    #[arg(long, value_name = "URL")]
    pub(crate) nats: Option<String>,
    /// The ledger's name there [default: the configuration's, main].
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger: Option<String>,
}

impl OnNats {
    /// Whether a ledger on NATS is meant where an embedded one could be.
    pub(crate) fn named(&self) -> bool {
        self.nats.is_some() || self.ledger.is_some()
    }
}

/// Where the data and the configuration are; both have defaults.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Directory of the journal, the views and the vault [default: florin-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file (TOML); FLORIN_<SECTION>_<KEY> in the environment overrides it.
    #[arg(long, value_name = "FILE", env = "FLORIN_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Write the genesis of a new ledger to an empty data directory, or to NATS.
    #[command(after_help = "\
Examples:
  florin ledger create --data /var/lib/florin
  florin ledger create --nats nats://127.0.0.1:4222 --ledger main --data /var/lib/florin      keys are made in --data
  florin ledger create --data /var/lib/florin --partitions 4

The number of partitions never changes afterwards.")]
    Create {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        on: OnNats,
        /// How many partitions, 1 to 64 [default: 1, or the configuration's].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(crate::config::PARTITIONS_MAX)))]
        partitions: Option<u16>,
        /// Leave a ledger that is there as it is, and succeed.
        #[arg(long)]
        if_missing: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Demo {
    /// Write a demo's credentials to a file, for `florin run … --demo`; keeps those that are there.
    #[command(after_help = "\
Examples:
  florin demo prepare demo.json --listen 127.0.0.1:8080 --ops-listen 127.0.0.1:8081")]
    Prepare {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where a gateway listens.
        #[arg(long, value_name = "ADDR")]
        listen: SocketAddr,
        /// Where the ops API listens.
        #[arg(long, value_name = "ADDR")]
        ops_listen: SocketAddr,
        /// Where the sandbox API listens [default: as the ops API].
        #[arg(long, value_name = "ADDR")]
        sandbox_listen: Option<SocketAddr>,
    },
    /// Adopt the demo policy and make the demo's users, as far as they are not there; print what to try.
    #[command(after_help = "\
Examples:
  florin demo seed demo.json")]
    Seed {
        /// The file that `prepare` wrote.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Views {
    /// Delete the views and build them again from the journal.
    #[command(after_help = "\
Examples:
  florin views rebuild --data /var/lib/florin
  florin views rebuild --nats nats://127.0.0.1:4222 --data /var/lib/florin/gateway

Stop the server first: views are rebuilt by the process that owns the data directory.")]
    Rebuild {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        on: OnNats,
    },
}

const BAAS: &str = "\
Examples:
  florin token baas --company acme --key acme.key
  florin token baas --company acme --user 1:0xf1021f1021f1021f1021f1021f1021f1021f1021 --key acme.key --expires 10m

For development: in production the company's own issuer signs its tokens.";

const MOBILE: &str = "\
Examples:
  florin token mobile --company acme --user carol --key acme.key
  curl -H \"Authorization: Bearer $(florin token mobile --company acme --user carol --key acme.key)\" …

For development: in production the company's own issuer signs its tokens.";

/// What a token says, beside whom it is for.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// The company, as in the ops API.
    #[arg(long, value_name = "NAME")]
    pub(crate) company: String,
    /// The key to sign with: PEM of an Ed25519 or RSA private key, or a secret of 32 bytes or more (HS256).
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// How long it is good, such as 10m, 1h, 7d; at most 366d.
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) expires: std::time::Duration,
    /// Who issues it, its `iss` [default: the company].
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: Option<String>,
    /// For whom it is, its `aud`; tokens.audience of the server.
    #[arg(long, value_name = "NAME", default_value = "florin")]
    pub(crate) audience: String,
    /// Id of the key, its `kid`.
    #[arg(long, value_name = "ID")]
    pub(crate) kid: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// A key for the dashboard API, for one company.
    #[command(after_help = "\
Examples:
  florin token dashboard --company acme
  florin token dashboard --company acme >> key.txt      the key alone; the lines for the configuration go to stderr

A company may have several keys, so that one can be replaced without a gap.")]
    Dashboard {
        /// The company that the key acts for, as in the ops API.
        #[arg(long, value_name = "NAME")]
        company: String,
    },
    /// A token for the BaaS API: for any user of the company, or for one.
    #[command(after_help = BAAS)]
    Baas {
        #[command(flatten)]
        grant: Grant,
        /// The only user it is for, as CHAIN:ADDRESS in lower case; left out: any user of the company.
        #[arg(long, value_name = "CHAIN:ADDRESS")]
        user: Option<String>,
    },
    /// A token for the mobile API, for one user.
    #[command(after_help = MOBILE)]
    Mobile {
        #[command(flatten)]
        grant: Grant,
        /// The company's id of its user.
        #[arg(long, value_name = "USER")]
        user: String,
    },
    /// An Ed25519 key pair for signing tokens: two new files, and the lines for the configuration.
    #[command(after_help = "\
Examples:
  florin token keys --company acme --out acme.key      writes acme.key (0600) and acme.key.pub

The server needs acme.key.pub alone; acme.key stays with who issues tokens. Files that exist are never replaced.")]
    Keys {
        /// The company that its tokens are for.
        #[arg(long, value_name = "NAME")]
        company: String,
        /// Who issues them, their `iss` [default: the company].
        #[arg(long, value_name = "NAME")]
        issuer: Option<String>,
        /// File for the private key; the public key is beside it, with .pub behind its name.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// A key for the ops API.
    #[command(after_help = "\
Examples:
  florin token ops --name ada")]
    Ops {
        /// Whose key it is; shown in nothing but the configuration.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Explain every mistake in the configuration, with its line.
    #[command(after_help = "\
Examples:
  florin config check florin.toml
  FLORIN_LIMITS_REQUESTS_PER_SECOND=0 florin config check florin.toml

Environment overrides are checked too. Exit code 0: serve would take it; 3: it would not.")]
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
