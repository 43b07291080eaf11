//! Properties of the whole engine: generated stories beside an independent model, duplicated and reordered messages, wallets
//! of several assets, orders by invoice, extreme amounts, and bytes that nobody wrote.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test's own modules; one that cannot go on fails")]

mod agreement;
mod bytes;
mod deliveries;
mod extremes;
mod golden;
mod kit;
mod matter;
mod model;
mod network;
mod orders;
mod policy;
mod steps;
mod stories;
mod table;
mod wallets;
mod world;
