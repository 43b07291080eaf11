//! How a command fails: what happened, what to do next, and the exit code that says the kind.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Exit codes of the binary, stable, for scripts and service managers. 0 is success; 2 is clap's for wrong usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Something that none of the others says.
    Other = 1,
    /// Options that do not go together.
    Usage = 2,
    /// The configuration has mistakes, or a secret it names is not there.
    Config = 3,
    /// Another process has the data directory.
    Locked = 4,
    /// The ledger is missing, short, corrupt, or of another history. Nothing was written.
    Ledger = 5,
    /// The data directory cannot be used: permissions, space, input or output errors.
    Disk = 6,
    /// A listener's address is taken or not allowed.
    Listen = 7,
    /// The running server had to stop itself.
    Stopped = 8,
    /// The NATS servers cannot be reached, or do not let us do what we must.
    Nats = 9,
}

/// The codes as `--help` tells them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something else failed
  2  wrong usage
  3  the configuration has mistakes, or a secret is not there
  4  another process uses the data directory
  5  the ledger is missing, short, corrupt or another one; nothing was written
  6  the data directory cannot be used (permissions, space, I/O errors)
  7  a listener's address is taken or not allowed
  8  the running server stopped itself
  9  the NATS servers cannot be reached, or do not let this user in";

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    advice: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// `what` happened: a lower-case fragment.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), advice: None, cause: None }
    }

    /// What to do next.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The error behind it.
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same, as what a running server ended of.
    pub(crate) fn stopped(mut self) -> Self {
        self.exit = Exit::Stopped;
        self
    }

    /// Reading or writing `path` failed; says which and what can be done.
    pub(crate) fn io(doing: impl fmt::Display, path: &std::path::Path, cause: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let advice = match cause.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "give the user that runs florin read and write access, or name another directory with --data"
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "the disk is full: make room and start again; nothing acknowledged is lost"
            }
            ErrorKind::NotFound => "check that the path is right and that the file system is mounted",
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                "a file stands where a directory is needed: name another directory with --data"
            }
            _ => "check the disk and the system log, then start again",
        };
        Self::new(Exit::Disk, format!("cannot {doing} {}", path.display())).advise(advice).because(cause)
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        let mut cause: Option<&dyn Error> = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = cause {
            write!(f, "\n  because: {error}")?;
            cause = error.source();
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n  what to do: {advice}")?;
        }
        Ok(())
    }
}
