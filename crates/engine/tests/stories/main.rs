//! The engine's stories, one file a concept: given a history, when a command comes, then these events or this reject.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::type_complexity, reason = "a test's own modules and tables")]

mod appeals;
mod authorizations;
mod clearings;
mod fees;
mod funding;
mod golden;
mod issue;
mod lifecycle;
mod limits;
mod outcomes;
mod policies;
mod rejects;
mod settlement;
mod world;
