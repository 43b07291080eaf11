//! The contract of a work queue, as one suite of stories over both queues, and what each has beside it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod contract;
mod crowd;
mod embedded;
mod jetstream;
