//! Grafana dashboard, scrape configuration and alerts: they name metrics that the code has, and well-formed ones.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{deploy, text};

/// Names of metrics, or what looks like one, in a text.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("florin_"))
        .map(|word| {
            let plain = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| word.strip_suffix(suffix));
            plain.unwrap_or(word).to_owned()
        })
        .collect()
}

/// The metrics that the code records.
fn recorded() -> BTreeSet<String> {
    fn walk(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for (at, _) in text.match_indices("\"florin_") {
                    let name: String = text[at + 1..].chars().take_while(|c| *c != '"').collect();
                    let before = text[..at].trim_end();
                    if ["counter!(", "gauge!(", "histogram!("].iter().any(|call| before.ends_with(call)) {
                        names.insert(name);
                    }
                }
            }
        }
    }
    let mut names = BTreeSet::new();
    for part in std::fs::read_dir(deploy("../crates")).unwrap() {
        walk(&part.unwrap().path().join("src"), &mut names);
    }
    assert!(names.len() > 15, "{names:?}");
    names
}

#[test]
fn the_dashboard_and_the_alerts_show_metrics_that_exist() {
    let recorded = recorded();
    let dashboard: Value = serde_json::from_str(&text("grafana/florin.json")).unwrap();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert_eq!(expression.matches('(').count(), expression.matches(')').count(), "{expression}");
            shown.extend(named(expression));
        }
    }
    shown.extend(named(&text("prometheus/alerts.yml")));
    let unknown: Vec<_> = shown.difference(&recorded).collect();
    assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
    // What is recorded and not shown is seen by nobody.
    assert!(shown.len() * 3 >= recorded.len() * 2, "not shown: {:?}", recorded.difference(&shown).collect::<Vec<_>>());
}

#[test]
fn the_alerts_are_rules_with_words_and_the_scrape_configuration_names_their_file() {
    let alerts: Value = serde_yaml_ng::from_str(&text("prometheus/alerts.yml")).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 8);
    for rule in rules {
        assert!(rule["alert"].is_string() && rule["expr"].is_string() && rule["for"].is_string(), "{rule}");
        assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(), "{rule}");
    }
    let scrape: Value = serde_yaml_ng::from_str(&text("prometheus/prometheus.yml")).unwrap();
    assert_eq!(scrape["rule_files"][0], "alerts.yml");
    assert_eq!(scrape["scrape_configs"][0]["metrics_path"], "/metrics");
}
