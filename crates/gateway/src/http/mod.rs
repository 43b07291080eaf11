//! What all dialects share: everything about HTTP that no document words its own way.
//!
//! A request passes [`edge`] (request id, span, metrics, headers), its dialect's authentication ([`keys`], [`tokens`]) and limits
//! ([`rates`]), and is read by [`body`] and [`json`] into exact amounts ([`amount`]) under an [`idempotency`] key. Whatever goes
//! wrong is a [`problem::Problem`], which the dialect words.

pub mod amount;
pub mod body;
pub mod edge;
pub mod idempotency;
pub mod json;
pub mod keys;
pub mod metrics;
pub mod openapi;
pub(crate) mod paths;
pub mod peer;
pub mod plain;
pub mod position;
pub mod problem;
pub mod rates;
pub mod request_id;
pub mod serve;
pub mod time;
pub mod timings;
pub mod tokens;
mod unread;
pub mod window;
