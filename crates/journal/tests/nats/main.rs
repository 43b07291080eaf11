//! The NATS provider: the contract, and stories of servers and writers that die and messages that are forged.

mod conformance;
mod forgery;
mod stories;
mod support;
mod transfer;
