//! What goes wrong between Florin and an issuer.

use crate::Refusal;

/// Why there is no definite answer, or (where [`Error::is_unknown`] is false) why nothing was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No answer in time.
    #[error("the issuer did not answer in time")]
    TimedOut,
    /// The connection could not be made, or broke.
    #[error("the issuer cannot be reached")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The issuer says that it failed, is busy, or knows neither us nor the call.
    #[error("the issuer answered with HTTP status {0}")]
    Status(u16),
    /// The answer is not in the contract.
    #[error("the issuer's answer breaks the contract: {0}")]
    Protocol(&'static str),
    /// The sandbox could not write or read its state.
    #[error("the sandbox's state")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A reveal, code or abandonment that the issuer refuses; definite.
    #[error("refused by the issuer")]
    Refused(#[from] Refusal),
    /// The sealed profile does not open; nothing was sent.
    #[error("the card profile does not open")]
    Profile(#[source] florin_vault::Error),
}

impl Error {
    /// Whether the issuer may have carried the request out all the same. Such a request is never taken for refused: it is
    /// sent again, or asked for by its id. Even a rejected signature counts, as an earlier try may have passed.
    pub const fn is_unknown(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Profile(_))
    }
}
