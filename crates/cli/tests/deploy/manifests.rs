//! Compose file, Kubernetes manifests, Prometheus configuration, Dockerfile, units.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{deploy, text};

/// The documents of a YAML file.
fn documents(name: &str) -> Vec<Value> {
    use serde::Deserialize;
    serde_yaml_ng::Deserializer::from_str(&text(name))
        .map(|document| {
            let mut value =
                serde_yaml_ng::Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}"));
            value.apply_merge().unwrap();
            serde_json::to_value(value).unwrap()
        })
        .collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Whether the binary knows these arguments.
fn known(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_florin")).args(args).arg("--help").output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_kubernetes_object_has_its_kind_name_and_namespace_and_deployments_have_probes_and_limits() {
    let mut kinds = BTreeSet::new();
    for file in ["namespace", "configuration", "ledger", "roles", "gateway"] {
        for object in documents(&format!("kubernetes/{file}.yaml")) {
            let kind = object["kind"].as_str().unwrap().to_owned();
            assert!(object["apiVersion"].is_string() && object["metadata"]["name"].is_string(), "{object}");
            assert!(kind == "Namespace" || object["metadata"]["namespace"] == "florin", "{object}");
            let serves = kind == "Deployment" || kind == "StatefulSet";
            if serves || kind == "Job" {
                let pod = &object["spec"]["template"];
                assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true, "{object}");
                let container = &pod["spec"]["containers"][0];
                known(&texts(&container["args"]));
                assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
                for name in container["env"].as_array().unwrap() {
                    assert!(
                        name["value"].is_string() || name["valueFrom"]["secretKeyRef"]["key"].is_string(),
                        "{name}"
                    );
                }
                if serves {
                    assert_eq!(object["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
                    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                        assert_eq!(
                            container[probe]["httpGet"]["port"], "ops",
                            "{probe} of {}",
                            object["metadata"]["name"]
                        );
                    }
                    assert!(container["resources"]["limits"]["memory"].is_string());
                }
            }
            kinds.insert(kind);
        }
    }
    for kind in [
        "Deployment",
        "StatefulSet",
        "Job",
        "Service",
        "ConfigMap",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "Namespace",
    ] {
        assert!(kinds.contains(kind), "no {kind}");
    }
    let values = &documents("kubernetes/nats-values.yaml")[0];
    assert_eq!(values["config"]["jetstream"]["merge"]["sync_interval"], "always");
    assert_eq!(values["config"]["cluster"]["replicas"], 3);
}

#[test]
fn what_the_config_map_says_is_taken_by_the_binary() {
    let map = &documents("kubernetes/configuration.yaml")[0];
    let toml = map["data"]["florin.toml"].as_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("florin.toml");
    std::fs::write(&file, toml).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_florin"))
        .args(["config", "check"])
        .arg(&file)
        .env("FLORIN_ISSUER_SECRET", "0".repeat(64))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_compose_file_runs_every_role_as_its_own_user_on_three_servers() {
    let compose = &documents("compose.yaml")[0];
    let services = compose["services"].as_object().unwrap();
    let servers = services.keys().filter(|name| name.starts_with("nats-")).count();
    assert_eq!(servers, 3);
    let permissions = text("nats/permissions.conf");
    let mut roles = BTreeSet::new();
    for (name, service) in services {
        let args = texts(&service["command"]);
        if name.starts_with("nats-") {
            assert_eq!(args[0], "-c");
            continue;
        }
        known(&args);
        roles.extend(args.iter().skip(1).map(|role| (*role).to_owned()));
        if let Some(user) = service["environment"]["FLORIN_NATS_USER"].as_str() {
            assert!(permissions.contains(&format!("user: {user}\n")), "{name}: no user {user}");
            assert_eq!(service["environment"]["FLORIN_NATS_INBOX_PREFIX"], format!("_INBOX_{user}"));
        }
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let there = compose["volumes"].as_object().unwrap().contains_key(source);
            assert!(there || source.starts_with("./compose.secrets/") || source == "./nats", "{name}: {volume}");
        }
    }
    for role in ["processor", "settlement", "webhooks", "mail", "clock", "gateway", "ops", "issuer-sandbox"] {
        assert!(roles.contains(role), "no {role}");
    }
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain_and_runs_as_nobody() {
    let file = text("Dockerfile");
    let pinned = std::fs::read_to_string(deploy("../rust-toolchain.toml")).unwrap();
    let pinned = pinned.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"')).unwrap();
    assert!(file.contains(&format!("FROM rust:{pinned}-slim")), "not {pinned}");
    let user = file.lines().rfind(|line| line.starts_with("USER ")).unwrap();
    assert_ne!(user, "USER root");
    for copied in file.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--")) {
        let names: Vec<&str> = copied.split(' ').collect();
        for name in &names[..names.len() - 1] {
            assert!(deploy("..").join(name).exists(), "{name} is not there");
        }
    }
}

#[test]
fn every_role_has_a_unit_that_starts_it_with_options_that_exist() {
    let mut roles = BTreeSet::new();
    for entry in std::fs::read_dir(deploy("systemd")).unwrap() {
        let path = entry.unwrap().path();
        let unit = std::fs::read_to_string(&path).unwrap();
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/florin ")).unwrap();
        let args: Vec<&str> = start.split(' ').collect();
        known(&args);
        if args[0] == "run" {
            roles.extend(args[1..].iter().take_while(|arg| !arg.starts_with("--")).map(|role| (*role).to_owned()));
        }
        for line in ["NoNewPrivileges=yes", "ProtectSystem=strict", "Restart=on-failure", "KillSignal=SIGTERM"] {
            assert!(unit.contains(line), "{}: no {line}", path.display());
        }
    }
    for role in ["processor", "settlement", "webhooks", "mail", "clock", "gateway", "ops", "issuer-sandbox"] {
        assert!(roles.contains(role), "no {role}");
    }
}
