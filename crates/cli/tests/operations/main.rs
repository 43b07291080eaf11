//! The ops, sandbox and issuer APIs over a whole ledger in one process. Here, because only this crate may use them all.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod documents;
mod ledger;
mod network;
mod stack;
