//! The NATS provider: the contract, and stories of servers and writers that die.

mod conformance;
mod stories;
mod support;
mod transfer;
