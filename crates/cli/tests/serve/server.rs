//! The server under test and a client for it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// The binary with a clean environment, so that a developer's own settings do not reach the tests.
pub(crate) fn florin() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLORIN_")) {
        command.env_remove(name);
    }
    command.env("FLORIN_LIMITS_REQUESTS_PER_SECOND", "0");
    command
}

/// Runs to its end what is expected to fail; exit code and standard error.
pub(crate) fn fails(command: &mut Command) -> (i32, String) {
    let Output { status, stderr, .. } = command.output().expect("florin runs");
    let said = String::from_utf8(stderr).expect("text");
    (status.code().unwrap_or_else(|| panic!("killed: {said}")), said)
}

/// `serve --demo` on loopback ports that the system picks.
pub(crate) fn serve_demo(data: &Path) -> Command {
    let mut command = florin();
    command.args(["serve", "--demo", "--listen", "127.0.0.1:0"]);
    command.args(["--ops-listen", "127.0.0.1:0", "--data"]);
    command.arg(data);
    command
}

/// A running demo server; killed when dropped.
pub(crate) struct Server {
    child: Mutex<Child>,
    log: PathBuf,
    pub(crate) printed: String,
    pub(crate) demo: Value,
    http: reqwest::Client,
}

impl Server {
    /// Starts on `data` and waits until it says that it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(&mut serve_demo(data), data)
    }

    pub(crate) fn start_with(command: &mut Command, data: &Path) -> Self {
        let log = data.with_extension("log");
        let stderr = File::options().create(true).append(true).open(&log).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("florin starts");
        let mut printed = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        while !printed.ends_with("ready\n") {
            if lines.read_line(&mut printed).expect("text") == 0 {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("the server ended with {:?}: {printed}{said}", child.wait());
            }
        }
        let demo = std::fs::read(data.join("demo.json")).expect("demo.json");
        Self {
            child: Mutex::new(child),
            log,
            printed,
            demo: serde_json::from_slice(&demo).expect("JSON"),
            http: reqwest::Client::new(),
        }
    }

    /// SIGKILL, at once. The lock of a process that is gone is gone too, so the next may start.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// SIGTERM, then what the server makes of it.
    pub(crate) fn terminate(&self) -> ExitStatus {
        let mut child = self.child();
        let pid = child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &pid]).status();
        assert!(sent.expect("a shell").success());
        child.wait().expect("gone")
    }

    /// What the system says of the process.
    pub(crate) fn status(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/status", self.child().id())).expect("a running process")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("one user at a time")
    }

    /// All that the servers on this data directory have logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// A request of the dashboard API, with its key.
    pub(crate) fn dashboard(&self, method: Method, path: &str) -> RequestBuilder {
        self.request("dashboard", method, path)
    }

    /// A request of the ops API, with its key.
    pub(crate) fn ops(&self, method: Method, path: &str) -> RequestBuilder {
        self.request("ops", method, path)
    }

    /// A request of the sandbox API, with its key.
    pub(crate) fn sandbox(&self, method: Method, path: &str) -> RequestBuilder {
        self.request("sandbox", method, path)
    }

    fn request(&self, api: &str, method: Method, path: &str) -> RequestBuilder {
        let base = self.demo[api]["base_url"].as_str().expect("a base URL");
        let key = self.demo[api]["api_key"].as_str().expect("a key");
        self.http.request(method, format!("{base}{path}")).bearer_auth(key)
    }

    /// A card of `user` with `balance` on it, settled.
    pub(crate) async fn card(&self, user: &str, balance: &str) -> String {
        let card = send(
            self.dashboard(Method::POST, &format!("/users/{user}/cards"))
                .body(format!(r#"{{"cardName": "Test", "initialBalance": {balance}}}"#)),
            201,
        )
        .await;
        card["cardId"].as_str().expect("an id").to_owned()
    }

    /// The wallet balance of `user` in minor units.
    pub(crate) async fn wallet(&self, user: &str, asset: &str) -> i64 {
        let user = send(self.ops(Method::GET, &format!("/users/demo/{user}")), 200).await;
        let wallet = user["wallets"]
            .as_array()
            .expect("wallets")
            .iter()
            .find(|wallet| wallet["asset"] == asset)
            .unwrap_or_else(|| panic!("no {asset} in {user}"));
        minor(&wallet["balance"])
    }

    /// The card as the dashboard lists it.
    pub(crate) async fn listed(&self, user: &str, card: &str) -> Value {
        let list = send(self.dashboard(Method::GET, &format!("/users/{user}/cards")), 200).await;
        list["cards"]
            .as_array()
            .expect("cards")
            .iter()
            .find(|listed| listed["cardId"] == card)
            .unwrap_or_else(|| panic!("{card} not in {list}"))
            .clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already after `kill` and `terminate`.
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends JSON and expects `status`; the body.
pub(crate) async fn send(request: RequestBuilder, status: u16) -> Value {
    let answer = request.header("content-type", "application/json").send().await.expect("an answer");
    let (got, url) = (answer.status().as_u16(), answer.url().clone());
    let text = answer.text().await.expect("a body");
    assert_eq!(got, status, "{url}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{url}: no JSON: {text}"))
}

/// Minor units of an answered amount with two decimals, from its digits.
pub(crate) fn minor(amount: &Value) -> i64 {
    let text = amount.to_string();
    let (whole, cents) = text.trim_matches('"').split_once('.').unwrap_or_else(|| panic!("{text} has no decimals"));
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    // JSON numbers lose trailing zeros when parsed: 108.00 comes as 108.0
    let cents: i64 = format!("{cents:0<2}").parse().expect("cents");
    whole.parse::<i64>().expect("units") * 100 + sign * cents
}
