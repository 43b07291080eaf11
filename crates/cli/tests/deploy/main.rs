//! What `deploy/` holds, as far as it can be checked without a container engine: configurations parse and really start,
//! permissions keep roles apart, manifests have what they need, dashboards show metrics that exist, scripts are well-formed.
#![allow(clippy::unwrap_used, reason = "helpers of stories; what does not unwrap fails the story")]

mod dashboards;
mod manifests;
mod nats;
mod permissions;
mod scripts;

use std::path::{Path, PathBuf};

/// A path below `deploy/`.
fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

/// The text of a file below `deploy/`.
fn text(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
