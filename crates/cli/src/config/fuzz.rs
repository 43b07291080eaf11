//! Fuzz targets of the files that configure a server: the configuration itself, key files, and the demo's credentials. How long
//! they run and where kept inputs are: `florin_proptests::fuzz`.

use std::collections::BTreeMap;

use florin_gateway::http::tokens::{Algorithm, Key as TokenKey, SigningKey};
use florin_proptests::fuzz::{Target, bytes, json};
use serde_json::json;

use super::schema::read;
use crate::serve::demo::Demo;

const INPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/inputs");
const EXAMPLE: &str = include_str!("../../../../deploy/florin.toml");
const RSA: &[u8] = include_bytes!("../../tests/tokens/rsa-for-tests-only.pub.pem");
const RSA_PRIVATE: &[u8] = include_bytes!("../../tests/tokens/rsa-for-tests-only.pem");

/// The example with what is commented out in it taken in, too: every setting there is.
fn every_setting() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[[") || rest.contains(" = ") && !rest.starts_with(char::is_uppercase) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n").replace("…64 hex digits…", &"ab".repeat(32))
}

#[test]
fn configurations_are_refused_with_their_place_or_taken() {
    let sections: Vec<Vec<u8>> =
        every_setting().split("\n\n").map(|section| format!("{section}\n").into_bytes()).collect();
    let mut samples = vec![EXAMPLE.as_bytes().to_vec(), every_setting().into_bytes()];
    samples.extend(sections);
    let (mut taken, mut refused) = (0, 0);
    Target { name: "configurations", inputs: INPUTS, rounds: 2_500 }.run(
        |rng| {
            let mut input = bytes::mutate(rng, &samples);
            // A value that is something else.
            if rng.once_in(2) {
                let text = String::from_utf8_lossy(&input).into_owned();
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                let at = rng.below(lines.len());
                if let Some((name, _)) = lines.get(at).and_then(|line| line.split_once(" = ")) {
                    lines[at] = format!("{name} = {}", json::mutate(rng, &json!([1, "text"])));
                }
                input = lines.join("\n").into_bytes();
            }
            input
        },
        |input| {
            let Ok(text) = std::str::from_utf8(input) else { return };
            let checked = read(text, BTreeMap::new());
            assert_eq!(checked.config.is_none(), !checked.problems.is_empty(), "refused with a reason, or taken");
            for problem in &checked.problems {
                let said = problem.to_string();
                let line = said.strip_prefix("line ").and_then(|rest| rest.split_once(',')).map(|(line, _)| line);
                let line = line.map(|line| line.parse::<usize>().unwrap());
                assert!(
                    line.is_none_or(|line| (1..=text.lines().count() + 1).contains(&line)),
                    "{said} is in the file"
                );
                assert!(line.is_some() || said.contains('`') || said.contains('['), "a place or a name: {said}");
            }
            if let Some(config) = checked.config {
                taken += 1;
                assert!((1..=super::PARTITIONS_MAX).contains(&config.ledger.partitions));
                assert!((0.0..=1.0).contains(&config.sandbox.failure_rate));
                assert!(config.processor.queue > 0 && config.settlement.concurrency > 0 && config.settlement.tries > 0);
            } else {
                refused += 1;
            }
        },
    );
    assert!(taken > 100 && refused > 500, "{taken} taken, {refused} refused");
}

#[test]
fn the_environment_is_refused_by_the_variables_name_or_taken() {
    let names: Vec<String> = EXAMPLE
        .split("\n[")
        .skip(1)
        .flat_map(|section| {
            let (name, rest) = section.split_once(']').unwrap();
            let keys = rest.lines().filter_map(|line| line.trim_start_matches("# ").split_once(" = "));
            keys.map(|(key, _)| format!("FLORIN_{}_{}", name.to_uppercase(), key.to_uppercase())).collect::<Vec<_>>()
        })
        .collect();
    assert!(names.len() > 40, "{names:?}");
    Target { name: "environments", inputs: INPUTS, rounds: 2_000 }.rounds(|_, rng| {
        let environment: BTreeMap<String, String> =
            (0..=rng.below(4)).map(|_| (rng.pick(&names).clone(), json::word(rng))).collect();
        let checked = read("", environment);
        assert_eq!(checked.config.is_none(), !checked.problems.is_empty());
        for problem in &checked.problems {
            let said = problem.to_string();
            assert!(said.contains("FLORIN_") || said.contains('`') || said.contains('['), "{said}");
        }
    });
}

#[test]
fn key_files_are_keys_or_refused() {
    let samples = [RSA.to_vec(), RSA_PRIVATE.to_vec(), b"a secret of the stories, thirty-two bytes and more".to_vec()];
    let (mut taken, mut refused) = (0, 0);
    Target { name: "keys", inputs: INPUTS, rounds: 3_000 }.run(
        |rng| bytes::mutate(rng, &samples),
        |input| {
            for algorithm in [Algorithm::EdDSA, Algorithm::RS256, Algorithm::HS256] {
                match TokenKey::new("demo", "issuer", algorithm, None, input) {
                    Ok(key) => {
                        taken += 1;
                        assert!(key.algorithm() == algorithm && key.company() == "demo");
                    }
                    Err(error) => {
                        refused += 1;
                        assert!(!error.to_string().is_empty());
                    }
                }
            }
            let _ = SigningKey::new(input);
        },
    );
    assert!(taken > 100 && refused > 1_000, "{taken} taken, {refused} refused");
}

#[test]
fn credentials_of_a_demo_are_read_or_refused() {
    let api =
        |path: &str| json!({"base_url": format!("http://127.0.0.1:1/{path}"), "api_key": format!("florin_{path}_1")});
    let sound = json!({
        "dashboard": {"base_url": "http://127.0.0.1:1/api/dashboard", "api_key": "k", "company": "demo", "users": ["alice"]},
        "baas": {"base_url": "http://127.0.0.1:1/baas", "access_token": "t", "user_address": "0x1", "chain_id": "1"},
        "mobile": {"base_url": "http://127.0.0.1:1/mobile", "access_token": "t"},
        "ops": api("ops"), "sandbox": api("sandbox"), "token_secret": "ab".repeat(32),
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("demo.json");
    let texts = [sound.to_string().into_bytes()];
    let (mut taken, mut refused) = (0, 0);
    Target { name: "demos", inputs: INPUTS, rounds: 1_500 }.run(
        |rng| if rng.once_in(3) { bytes::mutate(rng, &texts) } else { json::mutate(rng, &sound).into_bytes() },
        |input| {
            std::fs::write(&file, input).unwrap();
            match Demo::read(&file) {
                Ok(demo) => {
                    taken += 1;
                    let mut config = read("", BTreeMap::new()).config.unwrap();
                    demo.admit(&mut config);
                    // What is read is written so that it is read again.
                    demo.write().unwrap();
                    let again = std::fs::read(&file).unwrap();
                    Demo::read(&file).unwrap().write().unwrap();
                    assert_eq!(std::fs::read(&file).unwrap(), again);
                }
                Err(failure) => {
                    refused += 1;
                    assert!(!failure.to_string().is_empty());
                }
            }
        },
    );
    assert!(taken > 100 && refused > 300, "{taken} taken, {refused} refused");
}
