//! A ledger that outgrows one machine: exported from its data directory, imported to NATS, gone on with, exported again.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use florin_journal::testing::NatsServer;
use florin_journal::{Kind, export};
use reqwest::Method;
use serde_json::Value;

use crate::cluster::answered;

/// A florin that runs until dropped, on its own directory.
struct Process {
    child: Child,
    demo: Value,
    http: reqwest::Client,
}

impl Process {
    /// Starts it; ready once it says so.
    fn start(args: &[&str], environment: &[(&str, &str)], log: &Path, demo: &Path) -> Self {
        let said = File::create(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_florin"))
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut process =
            Self { child, demo: Value::Null, http: reqwest::Client::builder().no_proxy().build().unwrap() };
        let deadline = Instant::now() + Duration::from_mins(2);
        while !fs::read_to_string(log).unwrap().lines().any(|line| line.ends_with("ready")) {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {}", fs::read_to_string(log).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
        process.demo = serde_json::from_str(&fs::read_to_string(demo).unwrap()).unwrap();
        process
    }

    fn dashboard(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let (base, key) = (&self.demo["dashboard"]["base_url"], &self.demo["dashboard"]["api_key"]);
        let url = format!("{}{path}", base.as_str().unwrap());
        self.http.request(method, url).bearer_auth(key.as_str().unwrap()).header("content-type", "application/json")
    }

    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn florin(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_florin")).args(args).output().unwrap()
}

fn done(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where each partition of an export ends.
fn ends(file: &Path) -> Vec<(u64, florin_journal::Hash)> {
    let contents = export::contents(&mut File::open(file).unwrap()).unwrap();
    contents.partitions.iter().map(|span| (span.head.index, span.head.hash)).collect()
}

async fn topup(process: &Process, card: &str) -> Value {
    let path = format!("/users/alice/cards/{card}/topup");
    answered(process.dashboard(Method::POST, &path).body(r#"{"amount": "10.00"}"#), 200).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_moves_from_one_machine_to_nats_and_its_chain_goes_on_unbroken() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, first, second, more) = (path("data"), path("first.export"), path("second.export"), path("more.export"));
    // Given a ledger on one machine, with a card
    let serving = ["serve", "--demo", "--data", &data, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
    let one = Process::start(&serving, &[], &dir.path().join("one.log"), &dir.path().join("data/demo.json"));
    let made = one.dashboard(Method::POST, "/users/alice/cards").body(r#"{"cardName": "Old", "initialBalance": 50}"#);
    let card = answered(made, 201).await["cardId"].as_str().unwrap().to_owned();
    topup(&one, &card).await;
    one.stop();

    // When it is exported and imported to NATS with its vault
    done(&florin(&["export", "--data", &data, "-o", &first]));
    done(&florin(&["audit", "verify", &first]));
    let server = NatsServer::start().await;
    let (url, node) = (server.url(), path("node"));
    let old = if server.is_old() { "true" } else { "false" };
    let on = ["--nats", &url, "--data", &node];
    let import = Command::new(env!("CARGO_BIN_EXE_florin"))
        .args(["import", &first, "--vault", &data])
        .args(on)
        .env("FLORIN_NATS_ALLOW_OLD_SERVER", old)
        .output()
        .unwrap();
    done(&import);
    // a second time is refused,
    let again = Command::new(env!("CARGO_BIN_EXE_florin"))
        .args(["import", &first, "--vault", &data])
        .args(on)
        .env("FLORIN_NATS_ALLOW_OLD_SERVER", old)
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(5));
    // and all roles run on it in one process, with the sandbox issuer's cards,
    fs::copy(dir.path().join("data/issuer.redb"), dir.path().join("node/issuer.redb")).unwrap();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (listen, ops, issuer) = (free(), free(), free());
    let demo = path("node/demo.json");
    fs::copy(dir.path().join("data/demo.json"), &demo).unwrap();
    done(&florin(&["demo", "prepare", &demo, "--listen", &listen, "--ops-listen", &ops]));
    let issuer_url = format!("http://{issuer}");
    let secret = "5".repeat(64);
    let environment = [
        ("FLORIN_NATS_ALLOW_OLD_SERVER", old),
        ("FLORIN_ISSUER_KIND", "http"),
        ("FLORIN_ISSUER_URL", &issuer_url),
        ("FLORIN_ISSUER_SECRET", &secret),
    ];
    let roles = ["run", "processor", "settlement", "clock", "gateway", "ops", "issuer-sandbox"];
    let places = ["--listen", &listen, "--ops-listen", &ops, "--issuer-listen", &issuer, "--demo", &demo];
    let run = [&roles[..], &on, &places].concat();
    let two = Process::start(&run, &environment, &dir.path().join("two.log"), Path::new(&demo));

    // then alice has her card, tops it up and makes another,
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let listed = two.dashboard(Method::GET, "/users/alice/cards").send().await.unwrap();
        if listed.status() == 200 {
            let listed: Value = listed.json().await.unwrap();
            assert_eq!(listed["cards"][0]["cardId"], *card, "{listed}");
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", listed.text().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    topup(&two, &card).await;
    let details = answered(two.dashboard(Method::GET, &format!("/users/alice/cards/{card}")), 200).await;
    assert_eq!(details["cardNumber"].as_str().map(str::len), Some(16), "{details}");
    let made = two.dashboard(Method::POST, "/users/alice/cards").body(r#"{"cardName": "New", "initialBalance": 50}"#);
    answered(made, 201).await;
    two.stop();

    // and a second export continues the first: the same bytes up to where that ended, and an audit of all of it is clean.
    let nats = |args: &[&str]| {
        let on = ["--nats", &url];
        Command::new(env!("CARGO_BIN_EXE_florin"))
            .args([args, &on].concat())
            .env("FLORIN_NATS_ALLOW_OLD_SERVER", old)
            .output()
            .unwrap()
    };
    done(&nats(&["export", "-o", &second]));
    done(&florin(&["audit", "verify", &second]));
    done(&nats(&["audit", "verify"]));
    let (mut records, mut entries) = (Vec::new(), Vec::new());
    let read = export::read::<export::Error>(&mut File::open(&second).unwrap(), |record| {
        records.push((record.index(), record.hash()));
        if record.kind() == Kind::Entries {
            entries.push(format!("{}.{}.0", record.partition(), record.index()));
        }
        Ok(())
    });
    read.unwrap();
    for end in ends(Path::new(&first)) {
        assert!(records.contains(&end), "{end:?} is not in the second");
    }
    // The streams have the signed heads that an auditor keeps: an audit is anchored in them,
    let (kept, proofs) = (path("kept.head"), [path("proof"), path("proof from the file")]);
    let heads = nats(&["audit", "head"]);
    done(&heads);
    fs::write(&kept, &heads.stdout).unwrap();
    let said = String::from_utf8(heads.stderr).unwrap();
    let key = said.lines().find_map(|line| line.strip_prefix("public key: ")).unwrap();
    let anchored = nats(&["audit", "verify", "--trusted-head", &kept, "--public-key", key, "--json"]);
    done(&anchored);
    let report: Value = serde_json::from_slice(&anchored.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["anchored"]), (&"clean".into(), &true.into()), "{report}");
    // and without them the published ones are compared.
    let published = nats(&["audit", "verify", "--json"]);
    let report: Value = serde_json::from_slice(&published.stdout).unwrap();
    assert_eq!(report["partitions"][0]["anchor"], "published-head", "{report}");
    // A proof comes from the streams without a copy of them, and is the one that the export gives.
    done(&nats(&["audit", "prove", "--position", &entries[0], "-o", &proofs[0]]));
    done(&florin(&["audit", "prove", &second, "--position", &entries[0], "--head", &kept, "-o", &proofs[1]]));
    assert_eq!(fs::read(&proofs[0]).unwrap(), fs::read(&proofs[1]).unwrap());
    done(&florin(&["audit", "check-proof", &proofs[0], "--head", &kept, "--public-key", key]));

    // What came since is a file of its own, which verifies as far as it goes; cut short, it is none.
    done(&nats(&["export", "--after", &first, "-o", &more]));
    let part = florin(&["audit", "verify", &more, "--json"]);
    assert_eq!(part.status.code(), Some(2), "{part:?}");
    let report: Value = serde_json::from_slice(&part.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["findings_total"]), (&"incomplete".into(), &0.into()), "{report}");
    let mut bytes = Vec::new();
    File::open(&more).unwrap().read_to_end(&mut bytes).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(&more, &bytes).unwrap();
    assert_eq!(florin(&["audit", "verify", &more]).status.code(), Some(1));
    assert!(!florin(&["import", &more, "--data", &path("nowhere"), "--without-vault"]).status.success());
}
