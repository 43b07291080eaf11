//! Stories of webhooks, with what is due in memory and receivers on loopback.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

#[path = "../support/receiver.rs"]
mod receiver;
mod shared;
mod stories;
mod world;

/// In a file of one process.
mod embedded {
    crate::stories::stories!(tempfile::TempDir);
}

/// In a bucket on a current server.
mod on_nats {
    crate::stories::stories!(florin_journal::testing::NatsServer);
}
