//! The gateway: HTTP in front of the engine, the only crate with API types.
//!
//! Requests become commands, views become answers; nothing here decides anything about money or cards.

pub mod http;
pub mod policy_document;
