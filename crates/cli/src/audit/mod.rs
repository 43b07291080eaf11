//! `florin audit`: a ledger's history read again by somebody who trusts nobody.
//!
//! One command per file. What `verify` does, and what a finding means, is told in `README.md` beside this file.
//! Absent on purpose: any way to write to what is audited, and any use of the server's own readers to verify it.

mod alone;
mod anchors;
mod args;
mod balance;
mod books;
mod chain;
mod check_proof;
mod decimals;
#[cfg(test)]
mod every_byte;
mod exported;
mod finding;
#[cfg(test)]
mod fixture;
mod hasher;
mod head;
mod layout;
mod moment;
mod progress;
mod proof_file;
mod prove;
mod purchases;
mod redecide;
mod replay;
mod report;
mod scout;
mod segments;
mod sheet;
mod source;
mod statement;
mod stream;
mod told;
mod verify;
mod views;
mod walk;
mod wallet;
mod why;
mod window;
mod words;

use std::process::ExitCode;

pub(crate) use args::{AUDIT, Audit};

use crate::failure::{Exit, Failure};

/// Runs the command; its exit code is its own.
pub(crate) fn run(audit: &Audit) -> ExitCode {
    let done = match audit {
        Audit::Verify(verify) => return verify::run(verify),
        Audit::CheckProof(check) => return check_proof::run(check),
        Audit::Head(head) => head::run(head),
        Audit::Balance(balance) => balance::run(balance),
        Audit::Statement(statement) => statement::run(statement),
        Audit::Why(why) => why::run(why),
        Audit::Prove(prove) => prove::run(prove),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure);
            failure.code()
        }
    }
}

fn tell(failure: &Failure) {
    eprintln!("florin: {failure}");
}

impl args::Place {
    /// Finds the records, for commands that read them and do not look for what is wrong: an export that was changed is
    /// refused.
    fn source(&self) -> Result<source::Source, Failure> {
        let source = self.records()?;
        let flaw = source.file().and_then(|records| records.flaws().first());
        match flaw {
            Some(flaw) => Err(Failure::new(
                Exit::Ledger,
                format!("the export is not as it was written: expected {}, found {}", flaw.expected, flaw.found),
            )
            .advise("run `florin audit verify` on it, which names everything that does not fit, or take another copy")),
            None => Ok(source),
        }
    }

    /// Finds the records, whatever state they are in.
    fn records(&self) -> Result<source::Source, Failure> {
        if self.on.named() {
            return stream::copy(&self.on, self.config.as_deref());
        }
        let default = std::path::Path::new("florin-data");
        source::Source::find(self.path.as_deref().or(self.data.as_deref()).unwrap_or(default))
    }
}
