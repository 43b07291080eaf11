//! Stories of the BaaS API: its document's samples and tables, a plastic card's life, strangers, against `serve --demo`.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod desk;
mod life;
mod refusals;
mod samples;
#[expect(dead_code, reason = "shared with the stories of `serve`, which need all of it")]
#[path = "../serve/server.rs"]
mod server;
mod states;
mod strangers;
