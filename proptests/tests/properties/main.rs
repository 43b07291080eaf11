//! Properties of the whole engine: generated stories beside an independent model, duplicated and reordered messages, wallets
//! of several assets, extreme amounts, and bytes that nobody wrote.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test's own modules; one that cannot go on fails")]

mod agreement;
mod bytes;
mod extremes;
mod model;
mod network;
mod policy;
mod steps;
mod table;
mod wallets;
mod world;
