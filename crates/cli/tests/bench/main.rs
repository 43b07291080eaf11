//! Stories about `florin bench`: the real binary, short runs. None of them is about how fast anything is.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod mixes;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
    command.arg("bench").arg("--dir").arg(dir).args(arguments);
    command.output().unwrap()
}

/// Runs one that must end well; what it wrote as JSON, and for people.
fn figures(dir: &Path, arguments: &[&str]) -> (Value, String) {
    let json = dir.join("figures.json");
    let output = bench(dir, &[arguments, &["--json", json.to_str().unwrap()]].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("every command is there once, and everything balances"), "{told}");
    (serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap(), told)
}

/// Given a load of batches, when the issuer authorizes beside it, then each authorization has an answer and a latency, and
/// the check at the end finds what was answered.
#[test]
fn authorizations_come_beside_the_load_and_are_all_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let plot = dir.path().join("plot.svg");
    let arguments = ["--commands", "20000", "--batch", "100", "--accounts", "300", "--authorizations", "400"];
    let arguments = [&arguments[..], &["--plot", plot.to_str().unwrap()]].concat();
    let (figures, told) = figures(dir.path(), &arguments);
    let told_of = &figures["authorizations"];
    let count = |field: &str| told_of[field].as_u64().unwrap_or_else(|| panic!("{field}: {told_of}"));
    let answered = ["approved", "declined", "too_late", "busy"].map(count);
    assert_eq!(told_of["latency"]["samples"].as_u64().unwrap(), answered.iter().sum::<u64>());
    assert!(answered.iter().sum::<u64>() > 0, "{told_of}");
    assert!(count("over_100_ms") <= count("over_10_ms"));
    assert_eq!(told_of["asked_per_s"], 400);
    assert!(told.contains("latency from due"), "{told}");
    let plot = std::fs::read_to_string(plot).unwrap();
    assert!(plot.contains("authorizations: latency over time"), "a series of their own");
}

/// Given a load over HTTP, then card lists and single cards are read, the cards with the users' own tokens.
#[test]
fn over_http_cards_are_written_and_read_with_authorizations_beside() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--http", "--commands", "600", "--accounts", "50", "--clients", "8", "--authorizations", "100"];
    let (figures, told) = figures(dir.path(), &arguments);
    for reads in ["card_lists", "cards"] {
        assert_eq!(figures[reads]["latency"]["samples"], 600, "{reads}");
    }
    assert!(figures["authorizations"]["asked_per_s"] == 100 && told.contains("single cards read"), "{told}");
}

#[test]
fn what_does_not_go_together_is_refused_with_both_names() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, names) in [
        (&["--authorizations", "10", "--no-views"][..], ["--authorizations", "--no-views"]),
        (&["--authorizations", "0"], ["--authorizations", "1..=100000"]),
        (&["--http", "--batch", "5"], ["--http", "--batch"]),
    ] {
        let output = bench(dir.path(), arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(names.iter().all(|name| told.contains(name)), "{told}");
    }
}
