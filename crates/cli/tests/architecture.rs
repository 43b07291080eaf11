//! The direction of dependencies between the crates, held against the table of the architecture.
//!
//! A crate may use what its row says and nothing else of the workspace, not even in its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crate → what it may use. `cli`, `benches` and `proptests` may use all.
const TABLE: [(&str, &[&str]); 8] = [
    ("engine", &[]),
    ("journal", &[]),
    ("processor", &["engine", "journal"]),
    ("projector", &["engine", "journal"]),
    ("vault", &[]),
    ("issuer", &["vault"]),
    ("workers", &["engine", "journal", "processor", "issuer"]),
    ("gateway", &["engine", "processor", "projector", "issuer", "vault"]),
];

const MAY_USE_ALL: [&str; 3] = ["cli", "benches", "proptests"];

/// Package → its dependencies of any kind, as `cargo metadata` tells them.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let names = package["dependencies"].as_array().expect("dependencies").iter().map(name);
            (name(package), names.collect())
        })
        .collect()
}

fn name(value: &serde_json::Value) -> String {
    value["name"].as_str().expect("a name").to_owned()
}

/// `florin-engine` → `engine`; a name of another project → `None`.
fn ours(package: &str) -> Option<&str> {
    package.strip_prefix("florin-")
}

#[test]
fn the_workspace_has_the_crates_of_the_table_and_no_others() {
    let expected: BTreeSet<String> =
        TABLE.iter().map(|(name, _)| *name).chain(MAY_USE_ALL).map(|name| format!("florin-{name}")).collect();
    assert_eq!(packages().into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_crate_uses_only_what_its_row_allows() {
    let packages = packages();
    for (crate_name, allowed) in TABLE {
        let used = packages[&format!("florin-{crate_name}")]
            .iter()
            .filter_map(|dependency| ours(dependency))
            // A crate may switch on a feature of its own for its tests.
            .filter(|dependency| *dependency != crate_name);
        for dependency in used {
            assert!(allowed.contains(&dependency), "{crate_name} must not use {dependency}: it may use {allowed:?}");
        }
    }
}

#[test]
fn the_engine_cannot_reach_the_world() {
    // No runtime, no clock, no randomness, no store: what the engine may use is listed by name.
    let allowed = ["blake3", "hashbrown", "postcard", "proptest", "rust_decimal", "serde", "thiserror", "uuid"];
    for dependency in &packages()["florin-engine"] {
        assert!(allowed.contains(&dependency.as_str()), "the engine uses {dependency}");
    }
}
