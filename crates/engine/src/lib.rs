//! The engine of Florin: a pure state machine of cards, wallets and ledger postings.
//!
//! [`decide`](decide::decide) answers a command with events or a reject; [`evolve`](evolve::evolve) folds an entry into the
//! state, and is what replays. There is no I/O, no clock, no randomness and no float here: time comes with the command,
//! and the same history decides to the same bytes on every machine.
//!
//! One concept per file; the `match` in `decide.rs` and `evolve.rs` is the table of contents.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod codes;

mod account;
mod appeals;
mod apply;
mod authorizations;
mod clearings;
mod funding;
mod issue;
mod lifecycle;
mod outcomes;
mod settlement;

pub mod agenda;
pub mod codec;
pub mod command;
pub mod decide;
pub mod event;
pub mod evolve;
pub mod fees;
pub mod holds;
pub mod human;
pub mod ids;
pub mod limits;
pub mod money;
pub mod people;
pub mod policy;
pub mod postings;
pub mod reject;
pub mod snapshot;
pub mod state;
pub mod terms;

pub use outcomes::{MEMORY_MS, Recall};
