//! Properties of the whole engine: generated stories beside an independent model, duplicated and reordered messages, wallets
//! of several assets, extreme amounts, and bytes that nobody wrote.

mod agreement;
mod bytes;
mod extremes;
mod model;
mod network;
mod policy;
mod steps;
mod wallets;
mod world;
