//! Stories about the running server: the real binary, real HTTP, real kills.

mod access;
mod demo;
mod idempotency;
mod kill;
mod refusals;
mod restart;
mod server;
mod settlement;
