//! A `nats-server` process, its configuration and its directory.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Ports outside the range of outgoing connections.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

pub(super) struct Process {
    program: PathBuf,
    name: String,
    /// Configuration beyond port, store and name.
    more: String,
    port: u16,
    directory: Arc<TempDir>,
    store: PathBuf,
    child: Option<Child>,
}

/// The program that is current.
pub(super) fn current() -> PathBuf {
    std::env::var_os("FLORIN_NATS_SERVER").map_or_else(installed, PathBuf::from)
}

/// The program that is old.
pub(super) fn old() -> PathBuf {
    std::env::var_os("FLORIN_OLD_NATS_SERVER").map_or_else(installed, PathBuf::from)
}

fn installed() -> PathBuf {
    let sbin = PathBuf::from("/usr/sbin/nats-server");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("nats-server")).find(|file| file.is_file());
    found.unwrap_or(sbin)
}

pub(super) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("florin-nats-").tempdir().expect("a temporary directory")
}

/// A loopback port that nobody listens on at this moment.
pub(super) fn free_port() -> u16 {
    loop {
        let mut random = [0; 2];
        getrandom::fill(&mut random).expect("randomness");
        let port = PORTS.start + u16::from_le_bytes(random) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn version(program: &Path) -> (u32, u32) {
    let output = Command::new(program).arg("--version").output();
    let output = output.unwrap_or_else(|error| panic!("{} does not run: {error}", program.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digits = text.rsplit('v').next().unwrap_or_default();
    let mut numbers = digits.split('.').map(|number| number.trim().parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl Process {
    pub(super) fn start(program: &Path, more: &str) -> Self {
        let directory = Arc::new(directory());
        for _ in 0..20 {
            if let Some(process) = Self::try_start(program.to_owned(), more, &directory, "n0") {
                return process;
            }
        }
        panic!("{} does not start", program.display());
    }

    /// `None` if the server ended at once, for instance because somebody took its port.
    pub(super) fn try_start(program: PathBuf, more: &str, directory: &Arc<TempDir>, name: &str) -> Option<Self> {
        let store = directory.path().join(name);
        fs::create_dir_all(&store).expect("a store");
        let directory = directory.clone();
        let (name, more) = (name.to_owned(), more.to_owned());
        let mut process = Self { program, name, more, port: free_port(), directory, store, child: None };
        process.spawn().then_some(process)
    }

    fn spawn(&mut self) -> bool {
        // Servers before 2.10 do not know the setting.
        let sync = if self.version() < (2, 10) { "" } else { ", sync_interval: always" };
        let configuration = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{store}\"{sync} }}\n{more}\n",
            name = self.name,
            port = self.port,
            store = self.store.display(),
            more = self.more,
        );
        let file = self.directory.path().join(format!("{}.conf", self.name));
        fs::write(&file, configuration).expect("a configuration");
        let log = fs::File::options().create(true).append(true).open(self.log_file()).expect("a log");
        let child = Command::new(&self.program)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not run: {error}", self.program.display()));
        self.child = Some(child);
        self.listens()
    }

    /// Waits for the port, or for the process to end.
    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + super::READY_WITHIN;
        loop {
            if self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
                self.child = None;
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            assert!(Instant::now() < deadline, "nats-server does not listen:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn restart(&mut self) {
        self.kill();
        let deadline = Instant::now() + super::READY_WITHIN;
        while !self.spawn() {
            assert!(Instant::now() < deadline, "nats-server does not start again:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Another process over a copy of the store.
    pub(super) fn copy(&self) -> Self {
        let target = Arc::new(directory());
        copy_dir(&self.store, &target.path().join("n0"));
        for _ in 0..20 {
            if let Some(process) = Self::try_start(self.program.clone(), &self.more, &target, "n0") {
                return process;
            }
        }
        panic!("{} does not start over a copy", self.program.display());
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; either way it is waited for, so that port and store are free.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a running server");
        kill_process(pid, signal).expect("a signal to our own child");
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    pub(super) fn version(&self) -> (u32, u32) {
        version(&self.program)
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join(format!("{}.log", self.name))
    }

    /// What the server said so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Copies a store that a server may be writing to: a file that vanishes meanwhile is not part of the moment.
fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a store") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else if let Err(error) = fs::copy(entry.path(), target) {
            assert!(error.kind() == std::io::ErrorKind::NotFound, "copying a store: {error}");
        }
    }
}
