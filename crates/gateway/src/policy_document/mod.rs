//! The policy document: the JSON form of [`Policy`] that operators write and read.
//!
//! Shape: `wire.rs`, field by field in `README.md`, by example in `demo-policy.json`. Amounts are decimals in major units
//! of their currency (`5.00`), percentages percent (`3`), spans seconds; each may be a JSON number or a string of the
//! same digits, and is read exactly, never through a float. Unknown fields are refused, as a misspelt fee must not be
//! silently zero. A refusal names line, column, path and reason. What [`read`] takes has passed [`Policy::check`].

mod digits;
mod place;
mod reading;
#[cfg(test)]
mod tests;
mod wire;
mod writing;

use florin_engine::policy::Policy;
use thiserror::Error;

pub use wire::Document;

/// The policy that `serve --demo` adopts: the figures of the demo (apis.md, lifecycle.md).
pub const DEMO: &str = include_str!("demo-policy.json");

/// Most bytes of a document. A policy is adopted in one entry, and an entry fits one record.
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024;

/// Most characters of a reason, which may quote what was sent.
const REASON_CHARS_MAX: usize = 200;

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {path}: {reason}")]
pub struct Error {
    /// Line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
    /// The part that is wrong, such as `programmes[0].issue_fee`; `document` for the whole.
    pub path: String,
    /// What is wrong, as a lower-case fragment.
    pub reason: String,
}

/// Reads a document into a policy that can be decided under.
pub fn read(document: &str) -> Result<Policy, Error> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(Error {
            line: 1,
            column: 1,
            path: "document".to_owned(),
            reason: format!("longer than {DOCUMENT_BYTES_MAX} bytes"),
        });
    }
    let wire = parse(document)?;
    reading::policy(&wire).map_err(|wrong| {
        let (line, column) = place::find(document, &wrong.path);
        Error { line, column, path: wrong.path, reason: wrong.reason }
    })
}

/// Writes a policy as a document that [`read`] reads back to the same policy.
pub fn write(policy: &Policy) -> Document {
    writing::document(policy)
}

/// The demo policy.
pub fn demo_policy() -> Result<Policy, Error> {
    read(DEMO)
}

fn parse(document: &str) -> Result<Document, Error> {
    let mut input = serde_json::Deserializer::from_str(document);
    let wire = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        // A syntax error between two fields has no name: `?`.
        let path = error.path().to_string();
        let path = path.trim_end_matches(['.', '?']);
        let path = if path.is_empty() { "document" } else { path };
        refused(path.to_owned(), error.inner())
    })?;
    input.end().map_err(|error| refused("document".to_owned(), &error))?;
    Ok(wire)
}

fn refused(path: String, error: &serde_json::Error) -> Error {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    Error {
        line: error.line().max(1),
        column: error.column().max(1),
        path,
        reason: text.strip_suffix(&place).unwrap_or(&text).chars().take(REASON_CHARS_MAX).collect(),
    }
}
