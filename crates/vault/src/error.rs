//! What can go wrong in the vault; no message holds a key, a plaintext or a person's id.

/// Why the vault did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The account was never registered here.
    #[error("no such account in the vault")]
    Unknown,
    /// The account's key was destroyed: what was sealed under it cannot be opened by anybody.
    #[error("the account's personal data was erased")]
    Erased,
    /// The account is registered for another company or user.
    #[error("the account belongs to another user")]
    Taken,
    /// Sealed bytes, or a record of the vault, do not authenticate: changed, cut, or of another account or context.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// Written by a newer version of the vault.
    #[error("format version {0} is not known to this binary")]
    Version(u8),
    /// The vault was made with another master key.
    #[error("the master key is not the one this vault was made with")]
    WrongMasterKey,
    /// One of the vault's two files is there and the other is not: restore it, there is no fresh start.
    #[error("the vault is incomplete, its file {0} is missing; restore it from a backup")]
    Incomplete(std::path::PathBuf),
    /// There is no vault of this name on the NATS servers: restore it, or make the ledger first. There is no fresh start.
    #[error("there is no vault {0} on these NATS servers; make the ledger first, or restore the stream from a backup")]
    Missing(String),
    /// The bucket is there and is not as a vault's has to be.
    #[error("the bucket {bucket} cannot hold a vault: {reason}")]
    Bucket {
        /// Its name.
        bucket: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The NATS servers did not answer in time. What was asked may have been done or not, and may be asked again.
    #[error(
        "the vault's NATS servers cannot be reached: are they up, with JetStream, and may this user use the vault?"
    )]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A plaintext or an id is longer than the vault takes.
    #[error("{what} is longer than {bound} bytes")]
    TooLong {
        /// What was too long.
        what: &'static str,
        /// The most it may be, in bytes.
        bound: usize,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    Random,
    /// The database under the vault failed.
    #[error("vault database")]
    Database(#[source] Box<redb::Error>),
    /// A file of the vault could not be read or written.
    #[error("vault file")]
    File(#[from] std::io::Error),
}

impl Error {
    /// Wraps any of redb's errors.
    pub(crate) fn database(error: impl Into<redb::Error>) -> Self {
        Self::Database(Box::new(error.into()))
    }
}
