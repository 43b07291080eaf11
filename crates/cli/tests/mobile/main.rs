//! Stories of the mobile API: the real binary, real HTTP, tokens of real users.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod appeals;
mod cards;
mod document;
mod five_cards;
mod life;
mod refusals;
#[path = "../serve/server.rs"]
#[allow(dead_code, reason = "the kit of the server's own stories, which use more of it")]
mod server;
mod strangers;
mod world;
