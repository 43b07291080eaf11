//! The servers' configurations, run as they are: a temporary directory has copies, certificates and passwords.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use async_nats::{ConnectOptions, Event};
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedSender;

use super::deploy;

pub(super) const ROLES: [&str; 10] =
    ["admin", "processor", "gateway", "ops", "settlement", "clock", "webhooks", "mail", "client", "sys"];

/// Servers from `deploy/nats`, killed with their owner.
pub(super) struct Servers {
    dir: TempDir,
    children: Vec<Child>,
    ports: Vec<u16>,
}

/// The current server if there is one, else the distribution's.
fn program() -> String {
    std::env::var("FLORIN_NATS_SERVER").unwrap_or_else(|_| "/usr/sbin/nats-server".to_owned())
}

/// Whether the program can sync before it acknowledges.
fn current() -> bool {
    let output = Command::new(program()).arg("--version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let version = version.trim().rsplit('v').next().unwrap();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap(), parts.next().unwrap()) >= (2, 12)
}

/// Ports that were free a moment ago, below those that the system gives to outgoing connections.
fn ports(count: usize) -> Vec<u16> {
    // Each asked for once in this process: its stories run side by side.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut free = Vec::new();
    while free.len() < count {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            free.push(port);
        }
    }
    free
}

/// A directory with the configurations, certificates for `names`, and the environment that every server shares.
fn prepare(names: &[&str]) -> (TempDir, BTreeMap<String, String>) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one-node.conf", "node.conf", "permissions.conf"] {
        let mut text = std::fs::read_to_string(deploy("nats").join(name)).unwrap();
        if !current() {
            text = text.replace("  sync_interval: always\n", "");
        }
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let made = Command::new(deploy("nats/make-certificates.sh")).arg(dir.path()).args(names).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut environment: BTreeMap<String, String> =
        ROLES.map(|role| (format!("FLORIN_NATS_{}_PASSWORD", role.to_uppercase()), password(role))).into();
    environment.insert("FLORIN_NATS_CA".into(), dir.path().join("ca.pem").display().to_string());
    (dir, environment)
}

fn password(role: &str) -> String {
    format!("secret-of-{role}")
}

fn own(dir: &Path, environment: &BTreeMap<String, String>, name: &str) -> BTreeMap<String, String> {
    let mut own = environment.clone();
    let file = |suffix: &str| dir.join(format!("{name}.{suffix}")).display().to_string();
    own.insert("FLORIN_NATS_CERTIFICATE".into(), file("pem"));
    own.insert("FLORIN_NATS_CERTIFICATE_KEY".into(), file("key"));
    own.insert("FLORIN_NATS_STORE".into(), dir.join(format!("store-{name}")).display().to_string());
    own
}

fn start(dir: &Path, configuration: &str, environment: &BTreeMap<String, String>) -> Child {
    let file = dir.join(configuration);
    let checked = Command::new(program()).args(["-t", "-c"]).arg(&file).envs(environment).output().unwrap();
    assert!(checked.status.success(), "{configuration}: {}", String::from_utf8_lossy(&checked.stderr));
    Command::new(program())
        .arg("-c")
        .arg(&file)
        .envs(environment)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Servers {
    /// `one-node.conf`, but for its port.
    pub(super) async fn one() -> Self {
        let (dir, environment) = prepare(&["florin-1"]);
        let ports = ports(2);
        let file = dir.path().join("one-node.conf");
        let text = std::fs::read_to_string(&file).unwrap();
        let moved = text
            .replace("\"0.0.0.0:4222\"", &format!("\"127.0.0.1:{}\"", ports[0]))
            .replace("\"127.0.0.1:8222\"", &format!("\"127.0.0.1:{}\"", ports[1]));
        assert_ne!(text, moved);
        std::fs::write(&file, moved).unwrap();
        let child = start(dir.path(), "one-node.conf", &own(dir.path(), &environment, "florin-1"));
        let servers = Self { dir, children: vec![child], ports: vec![ports[0]] };
        servers.ready().await;
        servers
    }

    /// Three of `node.conf`, as it is.
    async fn three() -> Self {
        let names = ["florin-1", "florin-2", "florin-3"];
        let (dir, mut environment) = prepare(&names);
        let ports = ports(9);
        for (n, port) in (1..).zip(&ports[3..6]) {
            environment.insert(format!("FLORIN_NATS_ROUTE_{n}"), format!("tls://127.0.0.1:{port}"));
        }
        let mut children = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let mut own = own(dir.path(), &environment, name);
            own.insert("FLORIN_NATS_NAME".into(), (*name).to_owned());
            for (n, key) in [(n, "LISTEN"), (n + 3, "CLUSTER_LISTEN"), (n + 6, "HTTP")] {
                own.insert(format!("FLORIN_NATS_{key}"), format!("127.0.0.1:{}", ports[n]));
            }
            children.push(start(dir.path(), "node.conf", &own));
        }
        let servers = Self { dir, children, ports: ports[..3].to_vec() };
        servers.ready().await;
        servers
    }

    /// Connects as a role, by name and password, over TLS.
    pub(super) async fn connect(&self, role: &str) -> async_nats::Client {
        self.options(role).connect(self.urls()).await.unwrap()
    }

    /// The same; `tell` hears what the server refuses.
    pub(super) async fn connect_telling(&self, role: &str, tell: UnboundedSender<Event>) -> async_nats::Client {
        let options = self.options(role).event_callback(move |event| {
            if matches!(event, Event::ServerError(_)) {
                let _ = tell.send(event);
            }
            async {}
        });
        options.connect(self.urls()).await.unwrap()
    }

    fn urls(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("tls://127.0.0.1:{port}")).collect()
    }

    fn options(&self, role: &str) -> ConnectOptions {
        ConnectOptions::with_user_and_password(role.to_owned(), password(role))
            .custom_inbox_prefix(format!("_INBOX_{role}"))
            .add_root_certificates(self.dir.path().join("ca.pem"))
            .request_timeout(Some(Duration::from_secs(5)))
            .retry_on_initial_connect()
    }

    async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let client = self.connect("admin").await;
        loop {
            let asked = tokio::time::timeout(Duration::from_secs(2), client.request("$JS.API.INFO", "".into())).await;
            if matches!(&asked, Ok(Ok(answer)) if !String::from_utf8_lossy(&answer.payload).contains("\"error\"")) {
                return;
            }
            assert!(Instant::now() < deadline, "the servers are not ready: {asked:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn one_node_starts_and_refuses_who_does_not_encrypt_or_is_nobody() {
    let servers = Servers::one().await;
    let plain = format!("nats://127.0.0.1:{}", servers.ports[0]);
    let nobody = ConnectOptions::new().add_root_certificates(servers.dir.path().join("ca.pem")).connect(&plain).await;
    assert!(nobody.is_err(), "nobody was let in");
    let known = ConnectOptions::with_user_and_password("gateway".into(), password("gateway")).connect(&plain).await;
    assert!(known.is_err(), "a certificate of an unknown authority was taken");
}

#[tokio::test]
async fn three_nodes_form_a_cluster_that_keeps_a_stream_on_all_of_them() {
    let servers = Servers::three().await;
    let jetstream = async_nats::jetstream::new(servers.connect("admin").await);
    let stream = async_nats::jetstream::stream::Config {
        name: "TRIAL".into(),
        subjects: vec!["trial".into()],
        num_replicas: 3,
        ..Default::default()
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    while let Err(error) = jetstream.create_stream(stream.clone()).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let acknowledged = jetstream.publish("trial", "x".into()).await.unwrap().await.unwrap();
    assert_eq!(acknowledged.sequence, 1);
}
