//! Secrets on their way to the cardholder: in memory only, wiped when dropped, invisible to `Debug`.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::Expiry;

/// What to reveal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reveal {
    /// Number and expiry.
    Details,
    /// The three digits on the back.
    Cvv,
    /// The PIN; physical cards only.
    Pin,
}

/// What was revealed; the case is the one asked for.
#[derive(Debug)]
pub enum Revealed {
    /// Number and expiry.
    Details {
        /// 16 digits.
        number: SecretString,
        /// End of the card.
        expiry: Expiry,
    },
    /// Three digits.
    Cvv(SecretString),
    /// Four digits.
    Pin(SecretString),
}

/// A code for one payment.
#[derive(Debug)]
pub struct OneTimeCode {
    /// Six digits.
    pub code: SecretString,
    /// When it ends to be good, in milliseconds since 1970.
    pub expires_at_ms: u64,
}
