//! Fuzz targets of the APIs: hostile bodies, paths, queries and headers against `serve --demo` over HTTP, and hostile messages in
//! the issuer's name. How long they run and where kept inputs are: `florin_proptests::fuzz`.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod answers;
mod apis;
mod calls;
mod issuer;
mod request;
#[expect(dead_code, reason = "shared with the stories of `serve`, which need all of it")]
#[path = "../serve/server.rs"]
mod server;
#[expect(dead_code, reason = "shared with the stories of the operations, which need all of it")]
#[path = "../operations/stack.rs"]
mod stack;
mod world;

/// Where kept inputs are.
const INPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/inputs");
