//! What tests of several crates share: hostile inputs, made from sound ones.
#![allow(clippy::unwrap_used, reason = "test support; what does not unwrap fails the test")]

pub mod fuzz;
