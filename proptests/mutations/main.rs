//! Mutations: the engine with one mistake in it, and the property that finds it. What each is, and what found it, stands in
//! `README.md` beside this crate's manifest.
//!
//! Whether every mutation still applies is an ordinary test. Making them is not, as each builds the engine anew:
//!
//! ```sh
//! cargo test -p florin-proptests --test mutations -- --ignored --nocapture
//! MUTATIONS=fee,hold-released-twice cargo test …      # only those whose name begins so
//! ```
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test's own modules; one that cannot go on fails")]

use crate::{run::Bench, table::all};

mod run;
mod table;

/// Every mutation is of text that stands in the tree, exactly once: whoever changes a line that is mutated here changes the
/// mutation with it.
#[test]
fn every_mutation_applies() {
    for mutation in all() {
        let text = std::fs::read_to_string(run::workspace().join(mutation.file)).unwrap_or_default();
        let found = text.matches(mutation.old).count();
        assert_eq!(found, 1, "{}: its old text stands {found} times in {}", mutation.name, mutation.file);
        assert_ne!(mutation.old, mutation.new, "{} changes nothing", mutation.name);
    }
    let mut names: Vec<&str> = all().map(|mutation| mutation.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().count(), "every mutation has a name of its own");
}

/// A copy of the workspace is mutated, one mistake at a time, and its properties run until the first fails.
#[test]
#[ignore = "builds the engine once for each mutation"]
fn every_mutation_is_caught() {
    let wanted = std::env::var("MUTATIONS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|name| !name.is_empty()).collect();
    let chosen =
        all().filter(|mutation| wanted.is_empty() || wanted.iter().any(|name| mutation.name.starts_with(name)));
    let bench = Bench::new();
    for test in ["properties", "journal"] {
        assert_eq!(bench.first_failure(test), None, "the properties hold while nothing is mutated");
    }
    let mut survivors = vec![];
    for mutation in chosen {
        let started = std::time::Instant::now();
        let failed = bench.with(mutation, |bench| bench.first_failure(mutation.test()));
        let seconds = started.elapsed().as_secs();
        println!(
            "| `{}` | {} | {} | {seconds} |",
            mutation.name,
            mutation.says,
            failed.as_deref().map_or("**none**".into(), |name| format!("`{name}`"))
        );
        if failed.is_none() {
            survivors.push(mutation.name);
        }
    }
    assert!(survivors.is_empty(), "no property finds these: {survivors:?}");
}
