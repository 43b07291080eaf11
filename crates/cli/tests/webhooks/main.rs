//! Stories of webhooks and mail out of the running server: the real binary, real receivers, real kills.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]
#![allow(dead_code, reason = "the server's helpers are shared with other stories")]

mod appeal;
#[path = "../baas/desk.rs"]
mod desk;
mod life;
mod plastic;
#[path = "../../../workers/tests/support/receiver.rs"]
mod receiver;
#[path = "../serve/server.rs"]
mod server;
#[path = "../../../workers/tests/support/smtp.rs"]
mod smtp;
