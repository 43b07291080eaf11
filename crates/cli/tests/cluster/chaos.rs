//! 64 clients top up while every process and every server is killed in turn, and a processor stands still beyond its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::cluster::{Cluster, answered};

const CLIENTS: usize = 64;
const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// What is killed, in this order.
const PIECES: [&str; 11] = [
    "processor-1",
    "nats-1",
    "gateway-1",
    "settlement-1",
    "nats-2",
    "processor-2",
    "clock",
    "nats-3",
    "gateway-2",
    "settlement-2",
    "ops",
];

/// What the clients were told.
struct Told {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    /// By user: transactions that were acknowledged.
    transactions: Mutex<BTreeMap<&'static str, Vec<String>>>,
    /// By user: when something was last acknowledged, and the longest time between two of these.
    gaps: Mutex<BTreeMap<&'static str, (Instant, Duration)>>,
}

impl Told {
    fn note(&self, user: &'static str, transaction: String) {
        self.transactions.lock().unwrap().entry(user).or_default().push(transaction);
        let mut gaps = self.gaps.lock().unwrap();
        let (last, longest) = gaps.entry(user).or_insert((Instant::now(), Duration::ZERO));
        *longest = (*longest).max(last.elapsed());
        *last = Instant::now();
        drop(gaps);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tops up, each time until it is acknowledged, wherever somebody answers, until told to stop.
async fn client(cluster: &Cluster, number: usize, cards: &BTreeMap<&'static str, String>, told: &Told) {
    let user = USERS[number % USERS.len()];
    let mut gateway = number % 2;
    for next in 0.. {
        if told.stop.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("chaos-{number}-{next}");
        let begun = Instant::now();
        loop {
            let path = format!("/users/{user}/cards/{}/topup", cards[user]);
            let request = cluster
                .dashboard(u16::try_from(gateway).unwrap(), Method::POST, &path)
                .header("idempotency-key", &key)
                .body(r#"{"amount": "10.00"}"#);
            let answer = request.send().await;
            if let Ok(answer) = answer {
                let status = answer.status().as_u16();
                let body = answer.json::<Value>().await.unwrap_or_default();
                if let (200, Some(transaction)) = (status, body["transactionId"].as_str()) {
                    told.note(user, transaction.to_owned());
                    break;
                }
                assert!(matches!(status, 200 | 429 | 503), "{status}: {body}");
            }
            assert!(begun.elapsed() < Duration::from_mins(2), "no answer for {key}:\n{}", cluster.told());
            gateway = 1 - gateway;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // So that the machine's two cores are left to the others now and then.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn nothing_is_lost_or_doubled(cluster: &Cluster) {
    let rounds: usize = std::env::var("FLORIN_CLUSTER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(0);
    // Given cards of three users, in different partitions
    let mut cards = BTreeMap::new();
    for user in USERS {
        cluster.fund(user).await;
        cards.insert(user, cluster.card(user).await);
    }
    let told = Told {
        stop: AtomicBool::new(false),
        acknowledged: AtomicUsize::new(0),
        transactions: Mutex::default(),
        gaps: Mutex::default(),
    };
    // When 64 clients top up while one piece after another is killed
    let clients = futures_util::future::join_all((0..CLIENTS).map(|number| client(cluster, number, &cards, &told)));
    let trouble = async {
        for round in 0..rounds.max(1) {
            for piece in PIECES {
                cluster.signal(piece, "KILL");
                let begun = Instant::now();
                wait_for_everybody(&told, cluster).await;
                eprintln!("{piece} killed: every user topped up again within {:?}", begun.elapsed());
                if piece.starts_with("nats") {
                    // Two of three at once would be a lost majority, which is another story.
                    tokio::time::sleep(Duration::from_secs(3)).await;
                }
            }
            // and a processor stands still for longer than its lease, and then goes on.
            wait_for_more(&told, 20, cluster).await;
            let paused = ["processor-1", "processor-2"][round % 2];
            cluster.signal(paused, "STOP");
            tokio::time::sleep(Duration::from_secs(8)).await;
            cluster.signal(paused, "CONT");
            wait_for_more(&told, 50, cluster).await;
        }
        told.stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(clients, trouble);

    // Then everything that was acknowledged is there once, and nothing else is: each client went on until it was told.
    for place in [20, 25, 26] {
        cluster.ready(place).await;
    }
    let transactions = told.transactions.lock().unwrap().clone();
    for (gateway, user) in (0..2).flat_map(|gateway| USERS.map(|user| (gateway, user))) {
        let acknowledged = transactions.get(user).map_or(&[][..], Vec::as_slice);
        let found = statement(cluster, gateway, user, &cards[user], acknowledged.len()).await;
        let expected: BTreeSet<&String> = acknowledged.iter().collect();
        assert_eq!(expected.len(), acknowledged.len(), "one transaction was acknowledged twice");
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected, "{user} at gateway {gateway}");
        assert_eq!(found.len(), expected.len(), "something is there twice");
    }
    let balance = answered(cluster.ops(Method::GET, "/trial-balance"), 200).await;
    assert_eq!(balance["currencies"]["USD"]["debits"], balance["currencies"]["USD"]["credits"]);
    let longest = told.gaps.lock().unwrap().values().map(|(_, longest)| *longest).max().unwrap();
    eprintln!(
        "{} top-ups; the longest time without one of a user: {longest:?}",
        told.acknowledged.load(Ordering::Relaxed)
    );
    if rounds > 0 {
        assert!(longest < Duration::from_secs(15), "a partition was without an owner for {longest:?}");
    }
}

/// Waits until more top-ups of every user are acknowledged.
async fn wait_for_everybody(told: &Told, cluster: &Cluster) {
    let counts = || USERS.map(|user| told.transactions.lock().unwrap().get(user).map_or(0, Vec::len));
    let (before, deadline) = (counts(), Instant::now() + Duration::from_secs(90));
    while counts().iter().zip(before).any(|(now, before)| *now < before + 5) {
        assert!(Instant::now() < deadline, "it does not go on:\n{}", cluster.told());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until so many more top-ups are acknowledged.
async fn wait_for_more(told: &Told, more: usize, cluster: &Cluster) {
    let enough = told.acknowledged.load(Ordering::Relaxed) + more;
    let deadline = Instant::now() + Duration::from_secs(90);
    while told.acknowledged.load(Ordering::Relaxed) < enough {
        assert!(Instant::now() < deadline, "it does not go on:\n{}", cluster.told());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The top-ups on a card's statement, read until there are as many as were acknowledged.
async fn statement(cluster: &Cluster, gateway: u16, user: &str, card: &str, expected: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/users/{user}/cards/{card}/transactions?limit=100{cursor}");
            let page = answered(cluster.dashboard(gateway, Method::GET, &path), 200).await;
            for transaction in page["transactions"].as_array().unwrap() {
                if transaction["type"] == "top_up" {
                    found.push(transaction["transactionId"].as_str().unwrap().to_owned());
                }
            }
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        // A gateway that wrote none of them need not wait for them.
        if found.len() >= expected || Instant::now() > deadline {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
