//! A third processor is started beside two that live, with a wire to its server that is then cut and healed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use florin_journal::{Kind, export};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, answered};
use crate::proxy::{Line, Proxy};

const PARTITIONS: u16 = 4;
/// Where the third one listens: the last of the ports, which the script does not use.
const PLACE: u16 = 31;
const CLIENTS: usize = 4;

/// The process, killed when dropped.
struct Third(Child);

impl Third {
    fn start(cluster: &Cluster, proxy: &Proxy) -> Self {
        let log = File::create(cluster.directory("logs/processor-3.log")).unwrap();
        let child = cluster
            .with_user("processor", &["run", "processor", "--nats", &proxy.url()])
            .args(["--data".as_ref(), cluster.directory("processor-3").as_os_str()])
            .args(["--ops-listen", &cluster.listens(PLACE)])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }

    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Third {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `/readyz` of a processor says that it runs.
async fn runs(cluster: &Cluster, place: u16) -> BTreeSet<u16> {
    match cluster.listener(place, "/readyz").send().await {
        Ok(answer) => {
            let told: Value = answer.json().await.unwrap();
            serde_json::from_value(told["partitions"].clone()).unwrap_or_default()
        }
        Err(_) => BTreeSet::new(),
    }
}

/// Waits until each partition is run by exactly one of these; who runs what.
async fn shared(cluster: &Cluster, places: &[u16]) -> BTreeMap<u16, BTreeSet<u16>> {
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut before = BTreeMap::new();
    loop {
        let mut now = BTreeMap::new();
        for place in places {
            now.insert(*place, runs(cluster, *place).await);
        }
        let everywhere: usize = now.values().map(BTreeSet::len).sum();
        let all: BTreeSet<u16> = now.values().flatten().copied().collect();
        let settled = everywhere == usize::from(PARTITIONS) && all.len() == everywhere;
        // Twice the same: nothing is on its way between two of them.
        if settled && now == before && now.values().all(|share| !share.is_empty()) {
            return now;
        }
        assert!(Instant::now() < deadline, "{now:?}\n{}", cluster.told());
        before = now;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// How often each partition was claimed; terms must grow, and every record be of the newest claim before it.
fn claims(cluster: &Cluster) -> BTreeMap<u16, u64> {
    let mut claimed: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
    let read = export::read::<export::Error>(&mut File::open(cluster.export()).unwrap(), |record| {
        let (times, term) = claimed.entry(record.partition().0).or_default();
        match record.kind() {
            Kind::Claim => {
                assert!(record.term() > *term, "{record:?}");
                (*times, *term) = (*times + 1, record.term());
            }
            _ => assert_eq!(record.term(), *term, "{record:?}"),
        }
        Ok(())
    });
    read.unwrap();
    claimed.into_iter().map(|(partition, (times, _))| (partition, times)).collect()
}

/// A user with money and a card in every partition, by partition.
async fn users(cluster: &Cluster) -> BTreeMap<u16, (String, String)> {
    let client = cluster.client().await;
    let mut users = BTreeMap::new();
    for n in 0.. {
        let user = format!("network-{n}");
        let body = json!({"company": "demo", "user": user, "country": "GB"}).to_string();
        let made = cluster.ops(Method::POST, "/users").body(body).send().await.unwrap();
        assert!(made.status().is_success(), "{:?}", made.text().await);
        cluster.fund(&user).await;
        let asked = json!({"company": "demo", "user": user}).to_string();
        // Another gateway than the one that funded may answer, a moment before it has heard of the user: with an error.
        let deadline = Instant::now() + Duration::from_secs(20);
        let wallet: Value = loop {
            let read = client.request("florin.main.read.v1.wallet", asked.clone().into()).await.unwrap();
            match serde_json::from_slice(&read.payload) {
                Ok(wallet) => break wallet,
                Err(_) => assert!(Instant::now() < deadline, "{:?}", read.headers),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let partition = u16::try_from(wallet["partition"].as_u64().unwrap_or_else(|| panic!("{wallet}"))).unwrap();
        if let std::collections::btree_map::Entry::Vacant(place) = users.entry(partition) {
            let card = cluster.card(&user).await;
            place.insert((user, card));
        }
        if users.len() == usize::from(PARTITIONS) {
            break;
        }
    }
    users
}

/// Tops up, each time until it is acknowledged, and counts by partition; ends when told.
async fn topups(
    cluster: &Cluster,
    number: usize,
    users: &BTreeMap<u16, (String, String)>,
    stop: &AtomicBool,
    done: &std::sync::Mutex<BTreeMap<u16, u64>>,
) {
    for next in 0.. {
        for (partition, (user, card)) in users {
            let (path, key) = (format!("/users/{user}/cards/{card}/topup"), format!("network-{number}-{next}"));
            let begun = Instant::now();
            loop {
                let request = cluster.dashboard(0, Method::POST, &path).header("idempotency-key", &key);
                if let Ok(answer) = request.body(r#"{"amount": "10.00"}"#).send().await {
                    match answer.status().as_u16() {
                        200 => break,
                        status => assert!(matches!(status, 429 | 503), "{status} {:?}", answer.text().await),
                    }
                }
                assert!(begun.elapsed() < Duration::from_mins(1), "no answer for {key}:\n{}", cluster.told());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            *done.lock().unwrap().entry(*partition).or_default() += 1;
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn a_third_processor_gets_a_share_and_loses_it_with_its_line(cluster: &Cluster) {
    // Given two processors with everything between them, and a user in every partition
    shared(cluster, &[21, 22]).await;
    let users = users(cluster).await;
    let before = claims(cluster);
    // When a third one is started, with nobody gone
    let proxy = Proxy::before(cluster.nats_port()).await;
    let third = Third::start(cluster, &proxy);
    let shares = shared(cluster, &[21, 22, PLACE]).await;
    // then only what it was handed was claimed anew, once; elsewhere it wrote nothing.
    let after = claims(cluster);
    for (partition, times) in &after {
        let handed = u64::from(shares[&PLACE].contains(partition));
        assert_eq!(*times, before[partition] + handed, "partition {partition}: {shares:?}");
    }

    // When clients top up and its line falls silent, is healed, and is cut,
    let (stop, done) = (AtomicBool::new(false), std::sync::Mutex::new(BTreeMap::new()));
    let clients = (0..CLIENTS).map(|number| topups(cluster, number, &users, &stop, &done));
    let trouble = async {
        for line in [Line::Silent, Line::Cut] {
            let lost = shared(cluster, &[21, 22, PLACE]).await[&PLACE].clone();
            more(cluster, &done, &users).await;
            proxy.set(line);
            // then the others take over what it had, and go on with it,
            let shares = shared(cluster, &[21, 22]).await;
            assert!(lost.iter().all(|partition| shares.values().any(|share| share.contains(partition))));
            more(cluster, &done, &users).await;
            // and what was on the line comes late, if at all, and counts for nothing.
            proxy.set(Line::Open);
            more(cluster, &done, &users).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(futures_util::future::join_all(clients), trouble);
    // Everything that was acknowledged is there, once.
    let done = done.lock().unwrap().clone();
    for (partition, (user, _)) in &users {
        let expected = format!("{}", 25 + 10 * done[partition]);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let path = format!("/users/{user}/cards");
            let shown = answered(cluster.dashboard(0, Method::GET, &path), 200).await;
            let balance = shown["cards"][0]["balance"].to_string();
            if balance.trim_end_matches('0').trim_end_matches('.') == expected {
                break;
            }
            assert!(Instant::now() < deadline, "{user} has {balance} and not {expected}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    claims(cluster);
    cluster.audit();
    third.stop();
    shared(cluster, &[21, 22]).await;
}

/// Waits until more was acknowledged in every partition.
async fn more(cluster: &Cluster, done: &std::sync::Mutex<BTreeMap<u16, u64>>, users: &BTreeMap<u16, (String, String)>) {
    let counts = || users.keys().map(|slot| done.lock().unwrap().get(slot).copied().unwrap_or(0)).collect::<Vec<_>>();
    let (before, deadline) = (counts(), Instant::now() + Duration::from_mins(1));
    while counts().iter().zip(&before).any(|(now, before)| *now < before + 3) {
        assert!(Instant::now() < deadline, "it does not go on:\n{}", cluster.told());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
