//! `deploy/local-cluster.sh` as a story sees it: started, talked to, hurt piece by piece, stopped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

/// How long everything together may take to be there.
const READY_WITHIN: Duration = Duration::from_mins(3);

/// The cluster. Dropped, it is stopped, and what does not stop is killed.
pub(crate) struct Cluster {
    dir: TempDir,
    script: Child,
    port: u16,
    demo: Value,
    http: reqwest::Client,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = ports();
        let log = File::create(dir.path().join("script.log")).unwrap();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local-cluster.sh");
        let script = Command::new(script)
            .args(["--dir".as_ref(), dir.path().as_os_str(), "--port".as_ref(), port.to_string().as_ref()])
            .args(["--florin", env!("CARGO_BIN_EXE_florin")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let mut cluster = Self { dir, script, port, demo: Value::Null, http };
        let deadline = Instant::now() + READY_WITHIN;
        while !cluster.said().lines().any(|line| line == "ready") {
            assert!(cluster.script.try_wait().unwrap().is_none(), "the script ended:\n{}", cluster.told());
            assert!(Instant::now() < deadline, "not ready:\n{}", cluster.told());
            std::thread::sleep(Duration::from_millis(200));
        }
        cluster.demo =
            serde_json::from_str(&fs::read_to_string(cluster.dir.path().join("demo.json")).unwrap()).unwrap();
        cluster
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("script.log")).unwrap()
    }

    /// What the script said, and the ends of all logs.
    pub(crate) fn told(&self) -> String {
        let mut told = self.said();
        for entry in fs::read_dir(self.dir.path().join("logs")).into_iter().flatten() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            told.push_str("\n== ");
            told.push_str(&path.display().to_string());
            told.push('\n');
            told.push_str(&lines[lines.len().saturating_sub(25)..].join("\n"));
        }
        told
    }

    /// Sends a signal to one of the processes, by name; waits until there is one.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        let pid = self.pid(name);
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).output().unwrap();
        assert!(sent.status.success(), "{name}: {sent:?}");
    }

    fn pid(&self, name: &str) -> String {
        let file = self.dir.path().join("pids").join(format!("{name}.pid"));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match fs::read_to_string(&file) {
                Ok(pid) => return pid.trim().to_owned(),
                Err(_) => assert!(Instant::now() < deadline, "{name} does not run:\n{}", self.told()),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The directory of one of the processes.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// One of the two gateways.
    pub(crate) fn dashboard(&self, gateway: u16, method: Method, path: &str) -> RequestBuilder {
        let key = self.demo["dashboard"]["api_key"].as_str().unwrap();
        let url = format!("http://127.0.0.1:{}/api/dashboard{path}", self.port + 10 + gateway);
        self.http.request(method, url).bearer_auth(key).header("content-type", "application/json")
    }

    pub(crate) fn ops(&self, method: Method, path: &str) -> RequestBuilder {
        let key = self.demo["ops"]["api_key"].as_str().unwrap();
        let url = format!("{}{path}", self.demo["ops"]["base_url"].as_str().unwrap());
        self.http.request(method, url).bearer_auth(key).header("content-type", "application/json")
    }

    /// A path of the ops-style listener of the process at this place of the script's list.
    pub(crate) fn listener(&self, place: u16, path: &str) -> RequestBuilder {
        self.http.get(format!("http://127.0.0.1:{}{path}", self.port + place))
    }

    /// Waits for an answer 200 of a listener.
    pub(crate) async fn ready(&self, place: u16) {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            if let Ok(answer) = self.listener(place, "/readyz").send().await
                && answer.status() == 200
            {
                return;
            }
            assert!(Instant::now() < deadline, "{place} is not ready:\n{}", self.told());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A card of 25.00 of a user's.
    pub(crate) async fn card(&self, user: &str) -> String {
        let body = r#"{"cardName": "Chaos", "initialBalance": 25.00}"#;
        let made = answered(self.dashboard(0, Method::POST, &format!("/users/{user}/cards")).body(body), 201).await;
        made["cardId"].as_str().unwrap().to_owned()
    }

    /// Gives a user much money.
    pub(crate) async fn fund(&self, user: &str) {
        let body = r#"{"asset": "USD", "amount": "1000000.00", "reference": "chaos"}"#;
        answered(self.ops(Method::POST, &format!("/users/demo/{user}/deposits")).body(body), 200).await;
    }

    /// The binary, as the admin of the NATS servers.
    pub(crate) fn florin(&self, args: &[&str]) -> Output {
        self.with_user("admin", args).output().unwrap()
    }

    /// The binary, as one of the users of the NATS servers.
    pub(crate) fn with_user(&self, user: &str, args: &[&str]) -> Command {
        let password = fs::read_to_string(self.dir.path().join("passwords").join(user)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
        command
            .args(args)
            .env("FLORIN_CONFIG", self.dir.path().join("florin.toml"))
            .env("FLORIN_NATS_USER", user)
            .env("FLORIN_NATS_PASSWORD", password.trim())
            .env("FLORIN_NATS_INBOX_PREFIX", format!("_INBOX_{user}"));
        command
    }

    /// The address of a listener at this place of the script's list.
    pub(crate) fn listens(&self, place: u16) -> String {
        format!("127.0.0.1:{}", self.port + place)
    }

    /// The port of the first server.
    pub(crate) fn nats_port(&self) -> u16 {
        self.port
    }

    /// The servers, as `--nats` takes them.
    pub(crate) fn url(&self) -> String {
        (0..3).map(|n| format!("nats://127.0.0.1:{}", self.port + n)).collect::<Vec<_>>().join(",")
    }

    /// A NATS client of the company's own.
    pub(crate) async fn client(&self) -> async_nats::Client {
        let password = fs::read_to_string(self.dir.path().join("passwords/client")).unwrap();
        let options = async_nats::ConnectOptions::with_user_and_password("client".into(), password.trim().into());
        options.custom_inbox_prefix("_INBOX_client").connect(format!("nats://127.0.0.1:{}", self.port)).await.unwrap()
    }

    /// Exports the ledger; the file.
    pub(crate) fn export(&self) -> PathBuf {
        let file = self.dir.path().join(format!("{:?}.export", Instant::now()).replace(['{', '}', ' ', ':'], ""));
        let exported = self.florin(&["export", "--nats", &self.url(), "-o", file.to_str().unwrap()]);
        assert!(exported.status.success(), "{exported:?}\n{}", self.told());
        file
    }

    /// Exports the ledger and has the export audited: it must be clean.
    pub(crate) fn audit(&self) {
        let audited = self.florin(&["audit", "verify", self.export().to_str().unwrap()]);
        let report = String::from_utf8_lossy(&audited.stdout).into_owned();
        assert_eq!(audited.status.code(), Some(0), "{report}\n{}", String::from_utf8_lossy(&audited.stderr));
    }

    /// Ends it as Ctrl-C does; how the script ended.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let _ = Command::new("kill").args(["-INT", &self.script.id().to_string()]).output();
        let deadline = Instant::now() + Duration::from_secs(90);
        while Instant::now() < deadline {
            if let Some(ended) = self.script.try_wait().unwrap() {
                return ended.code();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.script.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = fs::write(self.dir.path().join("stopping"), b"");
            for entry in fs::read_dir(self.dir.path().join("pids")).into_iter().flatten().flatten() {
                if let Ok(pid) = fs::read_to_string(entry.path()) {
                    let _ = Command::new("kill").args(["-KILL", pid.trim()]).output();
                }
            }
            let _ = self.script.kill();
            let _ = self.script.wait();
        }
    }
}

/// Sends a request and expects this status; the body.
pub(crate) async fn answered(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.expect("an answer");
    let (got, url) = (answer.status().as_u16(), answer.url().clone());
    let text = answer.text().await.unwrap();
    assert_eq!(got, status, "{url}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// The first of 32 ports that are free now, below those that the system gives to outgoing connections.
fn ports() -> u16 {
    let mut first = 12_000 + u16::try_from(std::process::id() % 200).unwrap() * 40;
    loop {
        let taken: Vec<_> = (0..32).map(|n| TcpListener::bind(("127.0.0.1", first + n))).collect();
        if taken.iter().all(Result::is_ok) {
            return first;
        }
        first += 40;
    }
}
