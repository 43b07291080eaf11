//! Stories of mixed loads, single commands and what cannot be run.

use serde_json::Value;

use super::{bench, figures};

/// Given every kind of command on accounts with two cards in two partitions, then all of them are there, every change is
/// settled, the issuer has them, and how long settlement took is told.
#[test]
fn a_mix_of_all_kinds_is_accepted_settled_and_balances() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--mix", "top-up=6,authorize=2,unload=1,freeze=1", "--commands", "2000", "--batch", "40"];
    let more = ["--accounts", "30", "--cards", "2", "--partitions", "2"];
    let (figures, told) = figures(dir.path(), &[&arguments[..], &more].concat());
    // A warm-up of 200 and the run of 2,000: a tenth of them, and cards are changed more than once.
    assert_eq!(figures["settlement"]["changes"], 200);
    assert_eq!(figures["checked"]["settled"], 220);
    assert_eq!(figures["checked"]["at_issuer"], 60);
    assert_eq!(figures["checked"]["commands"], 2_201, "and the one after the restart");
    assert_eq!(figures["checked"]["views"], true);
    assert!(figures["settlement"]["drain_s"].is_f64() && figures["settlement"]["settled_per_s"].is_f64());
    assert!(figures["checked"]["held"].as_str().unwrap().parse::<u64>().unwrap() > 0, "authorizations hold money");
    assert_eq!(figures["load"]["mix"], "top-up=6,authorize=2,unload=1,freeze=1");
    assert!(told.contains("settlement drained  in") && told.contains("200 changes settled"), "{told}");
    assert!(told.contains("220 changes settled once each and 60 cards as the issuer has them"), "{told}");
}

/// Given nothing but changes of one card, then each waits for the one before, and all are settled.
#[test]
fn a_card_takes_one_change_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--mix", "freeze=1", "--commands", "12", "--batch", "1", "--clients", "3", "--accounts", "1"];
    let (figures, told) = figures(dir.path(), &[&arguments[..], &["--no-views"]].concat());
    assert_eq!(figures["checked"]["settled"], 13);
    assert!(figures["held_s"].as_f64().unwrap() > 0.0 && told.contains("clients waited"), "{told}");
    assert!(told.contains("no views to compare"), "{told}");
}

/// Given commands one by one, then each has a latency of its own.
#[test]
fn single_commands_are_timed_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--batch", "1", "--commands", "40", "--accounts", "5"];
    let (figures, told) = figures(dir.path(), &arguments);
    assert_eq!(figures["latency"]["samples"], 40);
    assert_eq!(figures["load"]["clients"], 1);
    assert!(figures["settlement"].is_null(), "nothing is to be settled");
    assert!(told.contains("40 commands, one by one"), "{told}");
}

/// Given a seed, then two runs have the same commands, whatever order clients and partitions bring them in.
#[test]
fn the_same_seed_gives_the_same_commands() {
    let of = |seed: &str, clients: &str| {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["--mix", "top-up=8,authorize=1,freeze=1", "--commands", "300", "--batch", "10"];
        let more = ["--accounts", "20", "--partitions", "2", "--no-views", "--no-snapshots"];
        let arguments = [&arguments[..], &more, &["--seed", seed, "--clients", clients]].concat();
        figures(dir.path(), &arguments).0["checked"]["fingerprint"].as_str().unwrap().to_owned()
    };
    let first = of("7", "3");
    assert_eq!(first, of("7", "1"));
    assert_ne!(first, of("8", "3"));
}

/// Given mixes that take more from cards than they are issued with, then cards are given more, and nothing is refused.
#[test]
fn cards_are_funded_for_their_mix() {
    for (mix, accounts) in [("unload=1", "10"), ("authorize=99,unload=1", "3")] {
        let dir = tempfile::tempdir().unwrap();
        // More than 100.00 for a card, which is what cards have otherwise.
        let commands = if mix == "unload=1" { "120000" } else { "3000" };
        let arguments = ["--mix", mix, "--accounts", accounts, "--commands", commands, "--batch", "1000"];
        let (figures, _) = figures(dir.path(), &[&arguments[..], &["--no-views", "--no-snapshots"]].concat());
        assert_eq!(figures["load"]["mix"], mix);
    }
}

/// Given views that follow a load, then single cards are read beside it, as often as was asked.
#[test]
fn cards_are_read_beside_the_projector() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--commands", "20000", "--batch", "200", "--accounts", "100", "--cards", "3", "--reads", "500"];
    let (figures, told) = figures(dir.path(), &arguments);
    let reads = &figures["reads"];
    assert_eq!(reads["asked_per_s"], 500);
    assert!(reads["latency"]["samples"].as_u64().unwrap() > 0, "{reads}");
    let [p50, p99, p100] = ["p50_us", "p99_us", "p100_us"].map(|at| reads["latency"][at].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p99 && p99 <= p100, "{reads}");
    assert!(told.contains("cards read beside"), "{told}");
    assert!(told.contains("bytes per account with its wallet and 3 card(s)"), "{told}");
}

/// Given an audit at the end, then it has decided everything again, and its processor time is told.
#[test]
fn the_journal_of_a_run_is_audited() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--audit", "--commands", "2000", "--batch", "100", "--accounts", "20", "--no-views"];
    let (figures, told) = figures(dir.path(), &[&arguments[..], &["--no-snapshots"]].concat());
    // A policy, four commands for each user, the warm-up of 200 and the run.
    assert_eq!(figures["audit"]["commands"], 1 + 4 * 20 + 200 + 2_000);
    assert!(figures["audit"]["per_processor_s"].as_f64().unwrap() > 0.0);
    assert!(told.contains("of processor time, "), "{told}");
}

#[test]
fn what_cannot_be_run_is_refused_before_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, names) in [
        (
            &["--mix", "top-up=1,freeze=1", "--accounts", "10", "--batch", "100"][..],
            ["up to 50 freezes", "has 10 cards"],
        ),
        (&["--accounts", "1", "--partitions", "3"], ["--partitions 3", "--accounts 1"]),
        (&["--commands", "1000000000", "--accounts", "20000000", "--cards", "6"], ["--cards", "1..=5"]),
        (&["--reads", "10", "--no-views"], ["--reads", "--no-views"]),
        (&["--audit", "--nats", "start:1"], ["--audit", "--nats"]),
        (&["--mix", "freeze=1", "--http"], ["--mix", "--http"]),
    ] {
        let output = bench(dir.path(), arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(names.iter().all(|name| told.contains(name)), "{told}");
    }
}

/// Given JSON, then what is checked is in it as a value, and not only said.
#[test]
fn what_was_checked_is_in_the_figures() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--commands", "50", "--batch", "10", "--accounts", "5", "--no-views", "--no-snapshots"];
    let (figures, _) = figures(dir.path(), &arguments);
    let checked = &figures["checked"];
    assert_eq!(checked["commands"], 60, "with the warm-up");
    assert_eq!(checked["views"], Value::Bool(false));
    assert_eq!(checked["deposited"], (5 * 400_000_000_000_u64).to_string());
}
