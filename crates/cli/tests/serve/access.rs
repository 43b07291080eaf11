//! Who is let in, and how often.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use reqwest::{Method, StatusCode};

use crate::server::{Server, florin, send, serve_demo};

#[tokio::test]
async fn too_many_requests_of_a_key_are_told_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = serve_demo(&data);
    command.env("FLORIN_LIMITS_REQUESTS_PER_SECOND", "1");
    command.env("FLORIN_LIMITS_BURST", "60");
    let server = Server::start_with(&mut command, &data);
    let mut refused = None;
    for _ in 0..70 {
        let answer = server.dashboard(Method::GET, "/users/alice/cards").send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("70 at once are more than a burst of 60");
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait >= 1);
    let body: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "rate_limited");
    // Another key has a limit of its own
    send(server.ops(Method::GET, "/trial-balance"), 200).await;
}

/// The demo is set up with a key that has limits as any other.
#[tokio::test]
async fn the_demo_is_set_up_under_narrow_limits() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = serve_demo(&data);
    command.env("FLORIN_LIMITS_REQUESTS_PER_SECOND", "5");
    command.env("FLORIN_LIMITS_BURST", "5");
    let server = Server::start_with(&mut command, &data);
    server.card("carol", "100").await;
}

#[tokio::test]
async fn a_key_opens_its_own_api_only() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let key = |api: &str| server.demo[api]["api_key"].as_str().unwrap().to_owned();
    let base = |api: &str| server.demo[api]["base_url"].as_str().unwrap().to_owned();
    let paths = [("dashboard", "/users/alice/cards"), ("ops", "/trial-balance"), ("sandbox", "/issuer")];
    let client = reqwest::Client::new();
    for (api, path) in paths {
        for (other, _) in paths {
            let request = client.get(format!("{}{path}", base(api))).bearer_auth(key(other));
            let expected = if api == other { 200 } else { 401 };
            assert_eq!(request.send().await.unwrap().status(), expected, "{other} on {api}");
        }
        let request = client.get(format!("{}{path}", base(api)));
        assert_eq!(request.send().await.unwrap().status(), 401, "no key on {api}");
    }
    // And the ops API is not on the public listener
    let public = base("dashboard").replace("/api/dashboard", "/ops/v1/trial-balance");
    let request = client.get(public).bearer_auth(key("ops"));
    assert_eq!(request.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn without_the_demo_its_keys_are_worth_nothing_and_configured_ones_work() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let demo_key = server.demo["dashboard"]["api_key"].as_str().unwrap().to_owned();
    assert!(server.terminate().success());

    // Given a configuration with a key made by `florin token`
    let minted = florin().args(["token", "dashboard", "--company", "demo"]).output().unwrap();
    let key = String::from_utf8(minted.stdout).unwrap().trim().to_owned();
    let said = String::from_utf8(minted.stderr).unwrap();
    let lines = &said[said.find("[[dashboard.keys]]").unwrap()..];
    let config = dir.path().join("florin.toml");
    let listen = "[serve]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"";
    std::fs::write(&config, format!("{listen}\ndata = {data:?}\n\n{lines}")).unwrap();

    // When it is served without the demo
    let mut plain = Plain::start(&config);
    let client = reqwest::Client::new();
    let url = format!("{}/api/dashboard/users/alice/cards", plain.public);
    for (key, expected) in [(&key, 200), (&demo_key, 401)] {
        let answer = client.get(&url).bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
    // And health and metrics answer
    for (url, expected) in [
        (format!("{}/healthz", plain.public), 200),
        (format!("{}/readyz", plain.public), 200),
        (format!("{}/readyz", plain.ops), 200),
        (format!("{}/metrics", plain.ops), 200),
        (format!("{}/metrics", plain.public), 404),
    ] {
        assert_eq!(client.get(&url).send().await.unwrap().status(), expected, "{url}");
    }
    plain.child.kill().unwrap();
}

/// A server without the demo.
struct Plain {
    child: Child,
    public: String,
    ops: String,
}

impl Plain {
    fn start(config: &Path) -> Self {
        let mut command = florin();
        command.arg("serve").arg("--config").arg(config).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let printed: Vec<String> = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap)
            .take_while(|line| line != "ready")
            .collect();
        let url = |of: &str| {
            let line = printed.iter().find(|line| line.starts_with(of)).expect("its address");
            line[line.find("http").unwrap()..].to_owned()
        };
        Self { public: url("public APIs"), ops: url("ops listener"), child }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // Gone already where the story went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
