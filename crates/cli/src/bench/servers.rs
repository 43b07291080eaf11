//! NATS servers of a run's own: one, or three that replicate, in the run's directory, ended with it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::failure::{Exit, Failure};

/// Where a run's ledger on NATS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// On so many servers that the run starts: 1 or 3.
    Start(usize),
    /// On servers that are there.
    There(Vec<String>),
}

/// Reads `start:1`, `start:3`, or URLs.
pub(crate) fn parse(text: &str) -> Result<Where, String> {
    match text {
        "start:1" => Ok(Where::Start(1)),
        "start:3" => Ok(Where::Start(3)),
        urls => crate::config::nats::urls(urls)
            .map(Where::There)
            .map_err(|what| format!("must be start:1, start:3 or URLs of servers; these {what}")),
    }
}

/// Servers that run until this is dropped.
pub(super) struct Servers {
    children: Vec<Child>,
    pub(super) urls: Vec<String>,
    /// Whether they cannot sync before they acknowledge.
    pub(super) old: bool,
}

impl Servers {
    pub(super) fn start(dir: &Path, count: usize) -> Result<Self, Failure> {
        let program = program()?;
        let old = is_old(&program)?;
        if old {
            tracing::warn!(
                "this nats-server cannot sync before it acknowledges: the figures say nothing about durable writes"
            );
        }
        let ports = ports(count * 2);
        let (clients, routes) = ports.split_at(count);
        let sync = if old { "" } else { "sync_interval: always" };
        let all: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let mut servers = Self { children: Vec::new(), urls: Vec::new(), old };
        for (n, (client, route)) in clients.iter().zip(routes).enumerate() {
            let store = dir.join(format!("nats-{n}"));
            let cluster = if count > 1 {
                let others = all.join(", ");
                format!("cluster {{ name: bench, listen: \"127.0.0.1:{route}\", routes: [{others}] }}\n")
            } else {
                String::new()
            };
            let text = format!(
                "server_name: bench-{n}\nlisten: \"127.0.0.1:{client}\"\nmax_payload: 8MB\nmax_pending: 256MB\n\
                 jetstream {{ store_dir: \"{}\"\n{sync}\n}}\n{cluster}",
                store.display()
            );
            let file = dir.join(format!("nats-{n}.conf"));
            fs::write(&file, text).map_err(|cause| Failure::io("write", &file, cause))?;
            let log = fs::File::create(dir.join(format!("nats-{n}.log")))
                .map_err(|cause| Failure::io("write", dir, cause))?;
            let mut command = Command::new(&program);
            command.arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            servers.children.push(command.spawn().map_err(|cause| Failure::io("run", &program, cause))?);
            servers.urls.push(format!("nats://127.0.0.1:{client}"));
        }
        Ok(servers)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Gone already, maybe.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn program() -> Result<PathBuf, Failure> {
    if let Some(given) = std::env::var_os("FLORIN_NATS_SERVER") {
        return Ok(given.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = places.map(|place| place.join("nats-server")).find(|program| program.is_file());
    found.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no nats-server in the PATH")
            .advise("install one (2.12 or later), or name it with FLORIN_NATS_SERVER")
    })
}

fn is_old(program: &Path) -> Result<bool, Failure> {
    let output = Command::new(program).arg("--version").output().map_err(|cause| Failure::io("run", program, cause))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers =
        text.trim().rsplit(['v', ' ']).next().unwrap_or_default().split('.').map(|n| n.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Ok(version < (2, 12))
}

/// Ports that are free now, below those that the system gives to outgoing connections.
fn ports(count: usize) -> Vec<u16> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (23_000_u16..32_000).filter(free).take(count).collect()
}
