//! `florin config check` and `florin token`, as a person at a terminal sees them.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn florin(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLORIN_")) {
        command.env_remove(name);
    }
    command.args(args).envs(environment.iter().copied()).output().expect("florin runs")
}

/// Exit code and standard error of a check of `text`.
fn check(text: &str, environment: &[(&str, &str)]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("florin.toml");
    std::fs::write(&file, text).unwrap();
    let output = florin(&["config", "check", file.to_str().unwrap()], environment);
    let code = output.status.code().unwrap();
    (code, String::from_utf8(output.stderr).unwrap())
}

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

#[test]
fn the_example_configuration_has_no_mistakes() {
    let output = florin(&["config", "check", deploy("florin.toml").to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn the_service_unit_starts_the_binary_with_options_that_exist() {
    let unit = std::fs::read_to_string(deploy("systemd/florin.service")).unwrap();
    let starts: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("ExecStart=")).collect();
    assert_eq!(starts.len(), 1);
    let mut args: Vec<&str> = starts[0].split(' ').skip(1).collect();
    // clap knows every option before it comes to --help
    args.push("--help");
    assert_eq!(florin(&args, &[]).status.code(), Some(0));
    args[1] = "--no-such-option";
    assert_eq!(florin(&args, &[]).status.code(), Some(2));
}

#[test]
fn every_mistake_is_told_with_its_line_in_one_go() {
    let table = [
        ("[serve]\nlisten = \"localhost\"", "line 2, column 10: `serve.listen` must be ADDRESS:PORT"),
        ("[limits]\nburst = 0", "line 2, column 9: `limits.burst` must be 1 to 10000000, not 0"),
        ("[limits]\nburst = -1", "`limits.burst` must be 1 to 10000000, not -1"),
        ("[limits]\nburst = \"many\"", "`limits.burst` must be a whole number"),
        ("[limits]\nburts = 5", "line 2, column 1: there is no setting `limits.burts`: did you mean `burst`?"),
        ("[limit]\nburst = 5", "line 1, column 2: there is no section `limit`: did you mean `limits`?"),
        ("limits = 5", "line 1, column 10: `limits` must be a section: write [limits]"),
        ("[log]\nformat = \"xml\"", "`log.format` must be \"human\" or \"json\", not \"xml\""),
        ("[log]\nfilter = \"a=b=c\"", "`log.filter` is no filter"),
        ("[ledger]\npartitions = 65", "`ledger.partitions` must be 1 to 64, not 65"),
        ("[ledger]\npartitions = 99999999999999999999", "`ledger.partitions` must be 1 to 64"),
        ("[dashboard]\nkeys = 1", "`dashboard.keys` must be a list: write [[dashboard.keys]]"),
        ("[[dashboard.keys]]\ncompany = \"acme\"", "line 2, column 1: `dashboard.keys.hash` is missing"),
        ("[[ops.keys]]\nname = \"ada\"\nhash = \"12\"", "line 3, column 8: `ops.keys.hash` must be the 64 hex digits"),
        ("[issuer]\nkind = \"http\"\nsecret_file = \"/dev/null\"", "`issuer.url` is missing"),
        (
            "[issuer]\nkind = \"http\"\nurl = \"http://x\"\nsecret_file = \"/no/such\"",
            "`issuer.secret_file` cannot be read",
        ),
        ("[sandbox]\nfailure_rate = 1.5", "`sandbox.failure_rate` must be a number from 0 to 1"),
        ("[nats]\nurl = \"localhost\"", "`nats.url` must be nats://HOST:PORT or tls://HOST:PORT"),
        ("[nats]\nledger = \"My Ledger\"", "`nats.ledger` must be 1 to 32 of a-z, 0-9 and -"),
        ("[nats]\nuser = \"ada\"", "`nats.password_file` is missing"),
        ("[nats]\npassword_file = \"/dev/null\"", "`nats.user` is missing"),
        ("[nats]\ntls_cert_file = \"c.pem\"", "`nats.tls_key_file` is missing"),
        ("[nats]\nallow_old_server = 1", "`nats.allow_old_server` must be true or false"),
        ("[nats]\nreplicas = 6", "`nats.replicas` must be 1 to 5, not 6"),
        ("[nats]\ncredentials_file = \"c\"\nnkey_file = \"/dev/null\"", "[nats]: credentials_file, nkey_file and user"),
        ("[nats]\ninbox_prefix = \"a b\"", "`nats.inbox_prefix` must be words of a subject"),
        ("[serve\n", "line 1, column"),
        ("[log]\nfilter = \"info\"\nfilter = \"warn\"", "line 3, column 1"),
    ];
    for (text, expected) in table {
        let (code, said) = check(text, &[]);
        assert_eq!(code, 3, "{text:?}: {said}");
        assert!(said.contains(expected), "{text:?}: {said}");
        assert!(said.contains("1 mistake "), "{text:?}: {said}");
        assert!(said.contains("what to do: "), "{text:?}: {said}");
    }

    // When all the well-formed ones stand in one file, then each is told, in the order of the lines
    let (code, said) = check("[log]\nformat = 1\n\n[limits]\nburst = 0\nnothing = 1\n", &[]);
    assert_eq!(code, 3);
    let lines: Vec<usize> =
        said.lines().filter_map(|line| line.trim().strip_prefix("line ")?.split(',').next()?.parse().ok()).collect();
    assert_eq!(lines, [2, 5, 6], "{said}");
}

#[test]
fn the_environment_overrides_the_file_and_is_checked_too() {
    let text = "[limits]\nburst = 0";
    let (code, said) = check(text, &[("FLORIN_LIMITS_BURST", "7")]);
    assert_eq!(code, 0, "{said}");

    let (code, said) = check("", &[("FLORIN_LIMITS_BURST", "seven")]);
    assert_eq!(code, 3);
    assert!(said.contains("variable FLORIN_LIMITS_BURST: `limits.burst` must be"), "{said}");

    // A variable that some platform sets by itself is told, but does not stop the server
    let (code, said) = check("", &[("FLORIN_SERVICE_HOST", "10.0.0.1")]);
    assert_eq!(code, 0);
    assert!(said.contains("warning: the variable FLORIN_SERVICE_HOST"), "{said}");
}

#[test]
fn no_burst_goes_with_no_rate_and_only_with_that() {
    let (code, said) = check("[limits]\nrequests_per_second = 0\nburst = 0", &[]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = check("[limits]\nrequests_per_second = 5\nburst = 0", &[]);
    assert_eq!(code, 3);
    assert!(said.contains("`limits.burst` must be 1 to 10000000, not 0"), "{said}");
}

#[test]
fn a_minted_key_and_its_lines_are_taken_by_the_configuration() {
    for (args, section) in [
        (["token", "dashboard", "--company", "acme \"x\""], "[[dashboard.keys]]"),
        (["token", "ops", "--name", "ada"], "[[ops.keys]]"),
    ] {
        let output = florin(&args, &[]);
        assert!(output.status.success());
        let key = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        // The key stands alone on standard output, and is not among the lines
        assert_eq!(key.lines().count(), 1);
        assert!(!said.contains(key.trim()));
        let lines = &said[said.find(section).expect("the lines")..];
        let (code, said) = check(lines, &[]);
        assert_eq!(code, 0, "{lines}: {said}");
        // Two keys are never the same
        assert_ne!(String::from_utf8(florin(&args, &[]).stdout).unwrap(), key);
    }
}

#[test]
fn a_file_that_is_not_there_is_a_configuration_mistake() {
    let output = florin(&["config", "check", "no-such-file.toml"], &[]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot read the configuration no-such-file.toml"));
    assert!(said.contains("what to do: "));
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &[][..],
        &["serve"],
        &["ledger"],
        &["ledger", "create"],
        &["run"],
        &["export"],
        &["import"],
        &["demo"],
        &["demo", "prepare"],
        &["demo", "seed"],
        &["views"],
        &["views", "rebuild"],
        &["token"],
        &["token", "dashboard"],
        &["token", "ops"],
        &["token", "baas"],
        &["token", "mobile"],
        &["token", "keys"],
        &["config"],
        &["config", "check"],
    ] {
        let output = florin(&[command, &["--help"]].concat(), &[]);
        assert!(output.status.success());
        let help = String::from_utf8(output.stdout).unwrap();
        let example = help.find("Example").unwrap_or_else(|| panic!("no example: {help}"));
        assert!(help[example..].contains("florin "), "{help}");
    }
}
