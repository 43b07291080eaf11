//! What can be asked of `florin audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::OnNats;

pub(crate) const AUDIT: &str = "\
Everything here is offline and read-only, and works on a copy or an export as well as beside a running server; but an export
has no signed heads: `head` needs a journal's directory or NATS, and `prove` on an export needs --head. From a ledger on NATS
(--nats) `head` and `prove` read a few messages; the others copy it to a temporary file first.

Exit codes of `verify` and `check-proof`:
  0  clean: everything that was asked for was checked and fits (the views only with --views)
  1  something does not fit (findings); the proof does not hold
  2  incomplete: something could not be checked; wrong usage
The other commands exit as `florin --help` says.";

/// Where the records are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// A data directory, a journal's directory, or a file of records; a copy will do [default: florin-data].
    #[arg(value_name = "PATH")]
    pub(super) path: Option<PathBuf>,
    /// The same, named as other commands do.
    #[arg(long, value_name = "DIR", conflicts_with = "path")]
    pub(super) data: Option<PathBuf>,
    #[command(flatten)]
    pub(super) on: OnNats,
    /// Configuration with the NATS user, where a ledger on NATS is read.
    #[arg(long, value_name = "FILE", env = "FLORIN_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check everything: chain, roots, every decision made again, every balance, the views.
    #[command(after_help = VERIFY)]
    Verify(Verify),
    /// Print the newest signed head of each partition, and the key that signed: keep it elsewhere.
    #[command(after_help = HEAD)]
    Head(Head),
    /// The trial balance, now or as of a moment.
    #[command(after_help = BALANCE)]
    Balance(Balance),
    /// What moved on a card or wallet between two moments, with opening and closing balance.
    #[command(after_help = STATEMENT)]
    Statement(Statement),
    /// What led to a card's state, or why a transaction came out as it did.
    #[command(after_help = WHY)]
    Why(Why),
    /// Write a proof that an entry is in the history under a signed head.
    #[command(after_help = PROVE)]
    Prove(Prove),
    /// Check a proof with the head and the public key only.
    #[command(after_help = CHECK_PROOF)]
    CheckProof(CheckProof),
}

const VERIFY: &str = "\
Examples:
  florin audit verify /var/lib/florin
  florin audit verify --data /var/lib/florin --trusted-head kept.head --public-key 3b6a…
  florin audit verify ledger.export --json
  florin audit verify --nats nats://127.0.0.1:4222 --ledger main
  florin audit verify /var/lib/florin --views

Without a trusted head the report says `unanchored`: a tail that was cut off, or a history that was written anew from some
command on, can then not be told. With one it says how many records and commands came after it: of those the same holds.
Without --views the verdict says that the views were not compared. Exit codes: 0 clean, 1 findings, 2 incomplete.";

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(super) place: Place,
    /// Signed heads that you kept, as `florin audit head` prints them.
    #[arg(long, value_name = "FILE")]
    pub(super) trusted_head: Option<PathBuf>,
    /// The key that must have signed them: 64 hex digits or a file [default: the one each head carries].
    #[arg(long, value_name = "KEY", requires = "trusted_head")]
    pub(super) public_key: Option<String>,
    /// Rebuild the views in a temporary directory and compare them row by row. Stop the server first.
    #[arg(long)]
    pub(super) views: bool,
    /// The report as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

const HEAD: &str = "\
Examples:
  florin audit head /var/lib/florin > kept-2026-07.head
  florin audit head --nats nats://127.0.0.1:4222 --ledger main > kept-2026-07.head

The heads go to standard output, one line of JSON each; the public key is told beside. Keep both where whoever runs the
server cannot write. A running server signs a head at each checkpoint of its state. An export has no signed heads.";

#[derive(Debug, Args)]
pub(crate) struct Head {
    #[command(flatten)]
    pub(super) place: Place,
}

const BALANCE: &str = "\
Examples:
  florin audit balance /var/lib/florin
  florin audit balance /var/lib/florin --as-of 2026-07-01T00:00:00Z
  florin audit balance /var/lib/florin --as-of 0.5120.3 --json

A position is partition.record.entry, the entry included; other partitions are taken up to its time.";

#[derive(Debug, Args)]
pub(crate) struct Balance {
    #[command(flatten)]
    pub(super) place: Place,
    /// A time (RFC 3339, a date, or 13 digits of ms since 1970; what happened then is included) or a position [default:
    /// the end].
    #[arg(long, value_name = "TIME|POSITION")]
    pub(super) as_of: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

const STATEMENT: &str = "\
Examples:
  florin audit statement /var/lib/florin --card 7d3f… --from 2026-06-01 --to 2026-07-01 --csv
  florin audit statement --data /var/lib/florin --wallet acme/user-17/USD --json
  florin audit statement export.journal --wallet 0b1e…/USD

COMPANY/USER/ASSET needs the vault and the master key of the data directory; ACCOUNT/ASSET needs neither. A CSV has the columns
time, position, transaction, event, account, asset, card, against, amount, balance, merchant; opening and closing balance are
rows of their own.";

#[derive(Debug, Args)]
pub(crate) struct Statement {
    #[command(flatten)]
    pub(super) place: Place,
    /// A card's id.
    #[arg(long, value_name = "ID", required_unless_present = "wallet", conflicts_with = "wallet")]
    pub(super) card: Option<uuid::Uuid>,
    /// A wallet: COMPANY/USER/ASSET, or ACCOUNT/ASSET.
    #[arg(long, value_name = "WALLET")]
    pub(super) wallet: Option<String>,
    /// From this time on (RFC 3339, a date, or 13 digits of ms since 1970) [default: the beginning].
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Before this time; for one day name the day after it [default: the end].
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
    /// As CSV.
    #[arg(long, conflicts_with = "json")]
    pub(super) csv: bool,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

const WHY: &str = "\
Examples:
  florin audit why /var/lib/florin --card 7d3f…
  florin audit why /var/lib/florin --transaction 91ab…      a transaction's or an authorization's id
  florin audit why /var/lib/florin --position 0.5120.3      any entry, rejects too";

#[derive(Debug, Args)]
pub(crate) struct Why {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) what: What,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// A card's id.
    #[arg(long, value_name = "ID")]
    pub(super) card: Option<uuid::Uuid>,
    /// The id of a transaction or an authorization.
    #[arg(long, value_name = "ID")]
    pub(super) transaction: Option<uuid::Uuid>,
    /// partition.record.entry
    #[arg(long, value_name = "POSITION")]
    pub(super) position: Option<String>,
}

const PROVE: &str = "\
Examples:
  florin audit prove /var/lib/florin --position 0.5120.3 --head kept.head -o topup.proof

The head must be at that record or later; a file of records has none, and needs --head. The proof has the entry, its path to
the head, and nothing else: a few KiB however long the history is.";

#[derive(Debug, Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(super) place: Place,
    /// partition.record.entry, as `X-Florin-Position` says it behind the partition.
    #[arg(long, value_name = "P.I.E")]
    pub(super) position: String,
    /// The signed head to prove towards [default: the newest published one].
    #[arg(long, value_name = "FILE")]
    pub(super) head: Option<PathBuf>,
    /// Where to write the proof.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
}

const CHECK_PROOF: &str = "\
Examples:
  florin audit check-proof topup.proof --head kept.head --public-key 3b6a…

Nothing else is read. Exit codes: 0 the entry is in the history that was signed, 1 it is not, 2 wrong usage.";

#[derive(Debug, Args)]
pub(crate) struct CheckProof {
    /// The proof.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The signed head.
    #[arg(long, value_name = "FILE")]
    pub(super) head: PathBuf,
    /// The key that must have signed it: 64 hex digits or a file.
    #[arg(long, value_name = "KEY")]
    pub(super) public_key: String,
}
