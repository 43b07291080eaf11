//! The audit of a run's own journal: `florin audit verify` of this very program, in a process of its own.
//!
//! Nothing of the audit is copied here, so that its figure is that of the command that an auditor runs: everything is
//! read, verified, decided again and compared.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::process;
use super::report::rate;
use crate::failure::{Exit, Failure};

/// What the audit came to.
#[derive(Debug, Serialize)]
pub(super) struct Audit {
    /// Commands that were decided again.
    pub(super) commands: u64,
    pub(super) per_s: f64,
    /// The same by the processor time that all its threads used.
    pub(super) per_processor_s: f64,
}

/// What of the command's report is needed.
#[derive(Deserialize)]
struct Report {
    verdict: String,
    commands: u64,
}

/// Audits the journal in `dir`; it must be clean, and have all of its `commands`.
pub(super) fn verify(dir: &Path, commands: u64) -> Result<Audit, Failure> {
    let failed = |what: &str| Failure::new(Exit::Other, what.to_owned());
    let program = std::env::current_exe().map_err(|cause| failed("cannot find this program").because(cause))?;
    let (used, begun) = (process::ended_children(), Instant::now());
    let mut command = Command::new(&program);
    command.args(["audit", "verify", "--json"]).arg(dir).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|cause| Failure::io("run", &program, cause))?;
    let (elapsed, used) = (begun.elapsed(), process::ended_children().saturating_sub(used));
    let report: Report = serde_json::from_slice(&output.stdout)
        .map_err(|cause| failed("florin audit verify gave no report").because(cause))?;
    if !output.status.success() || report.verdict != "clean" || report.commands != commands {
        let found =
            format!("florin audit verify found {} in {} of {commands} commands", report.verdict, report.commands);
        return Err(super::load::wrong(found));
    }
    Ok(Audit { commands, per_s: rate(commands, elapsed), per_processor_s: rate(commands, used) })
}
