//! How far a kept head reaches, and what the verdict says of it.

use std::fs;

use crate::forge::pieces;
use crate::world::World;

/// The first head that each partition published.
fn early(world: &World) -> String {
    let published = fs::read_to_string(world.journal().join("heads.jsonl")).unwrap();
    let first = |partition: &str| published.lines().find(|line| line.contains(partition)).unwrap().to_owned();
    [first("\"partition\":0"), first("\"partition\":1")].join("\n")
}

#[test]
fn an_old_head_answers_for_nothing_behind_it() {
    // Given heads that were kept early on
    let world = World::new();
    let heads = early(&world);
    fs::write(&world.head, &heads).unwrap();
    let said = world.verify();
    // Then it is clean, but not anchored, and the report says what is not
    assert_eq!((said.code, &said.report["anchored"]), (0, &false.into()), "{:#}", said.report);
    let mut behind = (0, 0);
    for (partition, line) in [0, 1].into_iter().zip(heads.lines()) {
        let head: serde_json::Value = serde_json::from_str(line).unwrap();
        let told = &said.report["partitions"][usize::from(partition)];
        let later = pieces(&world, partition).into_iter().map(|piece| piece.header);
        let later: Vec<_> = later.filter(|header| header.index > head["index"].as_u64().unwrap()).collect();
        let commands: u64 = later.iter().map(|header| u64::from(header.count)).sum();
        assert!(!later.is_empty() && commands > 0, "an early head");
        assert_eq!((&told["anchored_index"], &told["anchored_time_ms"]), (&head["index"], &head["time_ms"]));
        assert_eq!(told["unanchored_records"], later.len(), "{told:#}");
        assert_eq!(told["unanchored_commands"], commands, "{told:#}");
        behind = (behind.0 + later.len(), behind.1 + commands);
    }
    let head = world.head.to_str().unwrap();
    let text = String::from_utf8(world.audit("verify", &["--trusted-head", head]).stdout).unwrap();
    let expected = format!("but for the last {} records with {} commands", behind.0, behind.1);
    assert!(text.lines().last().unwrap().contains(&expected), "{text}");
}

#[test]
fn without_a_head_nothing_is_anchored_and_all_of_it_is_counted() {
    let world = World::new();
    let said = world.verify_with(&[]);
    assert_eq!(said.report["unanchored_commands"], said.report["commands"], "{:#}", said.report);
    assert_eq!(said.report["partitions"][0]["anchored_index"], serde_json::Value::Null);
}

#[test]
fn the_verdict_says_whether_the_views_were_compared() {
    let world = World::new();
    let head = world.head.to_str().unwrap();
    let last = |options: &[&str]| {
        let options = [&["--trusted-head", head], options].concat();
        let text = String::from_utf8(world.audit("verify", &options).stdout).unwrap();
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(last(&[]), "clean (anchored in the trusted head; views not compared)");
    assert_eq!(last(&["--views"]), "clean (anchored in the trusted head; views compared)");
    assert_eq!(world.verify_with(&[]).report["views_compared"], false);
    assert_eq!(world.verify_with(&["--views"]).report["views_compared"], true);
}
