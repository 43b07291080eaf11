//! Stories about the running server: the real binary, real HTTP, real kills.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]
#![expect(clippy::inconsistent_digit_grouping, reason = "amounts are in cents, which stand apart: 108_00")]

mod access;
mod demo;
mod idempotency;
mod kill;
mod refusals;
mod restart;
mod server;
mod settlement;
