//! Queue consumers: they bring what the engine has decided to the outside, and bring back what came of it.
//!
//! Shape: [`settlement`] follows the journal, keeps a [`queue`] of work for the card issuer, calls the issuer and settles;
//! [`clock`] sends what has fallen due; [`webhooks`] tell companies of their cards, [`mail`] sends appeals on. They act only by
//! commands: they write no journal and keep no truth.
//!
//! Bounds: the queue has a capacity, a call a time-out, an item a number of tries and then a dead letter ([`letters`]).
//!
//! Order: items of one card are worked on one at a time, the lowest change first. Between cards there is no order.

pub mod backoff;
pub mod bucket;
pub mod clock;
mod derive;
pub mod engine;
mod held;
pub mod letters;
pub mod mail;
pub mod queue;
pub mod settlement;
mod translate;
pub mod webhooks;

pub use backoff::Backoff;
pub use clock::Clock;
pub use engine::Engine;
pub use letters::DeadLetters;
pub use mail::Mail;
pub use settlement::Settlement;
pub use webhooks::Webhooks;
