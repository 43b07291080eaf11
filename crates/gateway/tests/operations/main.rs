//! The ops, sandbox and issuer APIs over a whole ledger in one process.

mod ledger;
mod network;
mod stack;
