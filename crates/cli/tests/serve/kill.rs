//! `kill -9` under load: what was acknowledged is there once, the rest is there once or not at all, and every cent adds up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::Value;

use crate::server::{Server, minor, send};

const CLIENTS: usize = 64;
const KILLS: usize = 20;
const CARDS: usize = 5;
/// What the demo seeds: alice, bob and carol.
const SEEDED: i64 = 3 * 10_000_00;
const DEPOSIT: i64 = 5_000_000_00;

/// One top-up as its client knows it: its key, and the transaction once it was acknowledged.
#[derive(Clone)]
struct TopUp {
    card: usize,
    key: String,
    transaction: Option<String>,
}

/// A client tops up until the server is gone; a top-up without an answer is tried again with its key after the restart.
async fn client(
    server: Arc<Server>,
    cards: Arc<Vec<String>>,
    number: usize,
    round: usize,
    mut open: Option<TopUp>,
    acknowledged: Arc<AtomicUsize>,
) -> (Vec<TopUp>, Option<TopUp>) {
    let mut done = Vec::new();
    for next in 0.. {
        let mut topup = open.take().unwrap_or_else(|| TopUp {
            card: (number + next) % CARDS,
            key: format!("{round}-{number}-{next}"),
            transaction: None,
        });
        let answer = server
            .dashboard(Method::POST, &format!("/users/alice/cards/{}/topup", cards[topup.card]))
            .header("idempotency-key", &topup.key)
            .header("content-type", "application/json")
            .body(r#"{"amount": 10.00}"#)
            .send()
            .await;
        let body = match answer {
            Ok(answer) if answer.status() == 503 => None,
            Ok(answer) => {
                let status = answer.status();
                let body = answer.json::<Value>().await.ok();
                assert!(status == 200 || body.is_none(), "{status}: {body:?}");
                body
            }
            Err(_) => None,
        };
        let Some(body) = body else {
            return (done, Some(topup));
        };
        topup.transaction = body["transactionId"].as_str().map(str::to_owned);
        assert!(topup.transaction.is_some(), "{body}");
        done.push(topup);
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!("a client ends when its server does")
}

/// The statement of one card: transaction id → how often it is there, of top-ups only.
async fn topups(server: &Server, card: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = send(
            server.dashboard(Method::GET, &format!("/users/alice/cards/{card}/transactions?limit=100{cursor}")),
            200,
        )
        .await;
        for transaction in page["transactions"].as_array().expect("transactions") {
            if transaction["type"] == "top_up" {
                assert_eq!(minor(&transaction["amount"]), 10_00);
                let id = transaction["transactionId"].as_str().expect("an id");
                *found.entry(id.to_owned()).or_insert(0) += 1;
            }
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Everything that must hold after a restart.
async fn audit(server: &Server, cards: &[String], done: &[TopUp], open: usize) {
    let mut present = 0;
    let mut on_cards = 0;
    for (number, card) in cards.iter().enumerate() {
        let found = topups(server, card).await;
        assert!(found.values().all(|count| *count == 1), "twice on {card}");
        for topup in done.iter().filter(|topup| topup.card == number) {
            let id = topup.transaction.as_ref().expect("acknowledged");
            assert!(found.contains_key(id), "lost {} ({id})", topup.key);
        }
        // None in part: each that is there moved its 10.00
        let count = i64::try_from(found.len()).expect("few");
        let balance = minor(&server.listed("alice", card).await["balance"]);
        assert_eq!(balance, 25_00 + count * 10_00);
        on_cards += balance;
        present += found.len();
    }
    assert!(present >= done.len(), "{present} present, {} acknowledged", done.len());
    assert!(present <= done.len() + open, "{present} present, {} sent", done.len() + open);

    // Each took 30 cents of fee, each card 5.00 and 0.75 at issue
    let issued = i64::try_from(cards.len()).expect("few");
    let moved = i64::try_from(present).expect("few");
    let fees = moved * 30 + issued * (5_00 + 75);
    let mut wallets = 0;
    for user in ["alice", "bob", "carol"] {
        wallets += server.wallet(user, "USD").await;
    }
    assert_eq!(wallets + on_cards + fees, SEEDED + DEPOSIT);
    let balance = send(server.ops(Method::GET, "/trial-balance"), 200).await;
    let usd = &balance["currencies"]["USD"];
    assert!(minor(&usd["debits"]) > 0);
    assert_eq!(usd["debits"], usd["credits"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_64_clients_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Arc::new(Server::start(&data));
    send(
        server
            .ops(Method::POST, "/users/demo/alice/deposits")
            .body(r#"{"asset": "USD", "amount": "5000000.00", "reference": "kill test"}"#),
        200,
    )
    .await;
    let mut cards = Vec::new();
    for _ in 0..CARDS {
        cards.push(server.card("alice", "25.00").await);
    }
    let cards = Arc::new(cards);
    let mut done: Vec<TopUp> = Vec::new();
    let mut open: Vec<Option<TopUp>> = vec![None; CLIENTS];

    for round in 0..KILLS {
        // Given 64 clients topping up
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = open
            .drain(..)
            .enumerate()
            .map(|(number, open)| {
                tokio::spawn(client(
                    Arc::clone(&server),
                    Arc::clone(&cards),
                    number,
                    round,
                    open,
                    Arc::clone(&acknowledged),
                ))
            })
            .collect();
        // When the server is killed in the middle, each time at another moment
        let enough = 40 + round * 53 % 200;
        while acknowledged.load(Ordering::Relaxed) < enough {
            assert!(!clients.iter().all(tokio::task::JoinHandle::is_finished), "{}", server.logged());
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        server.kill();
        for client in clients {
            let (acknowledged, unanswered) = client.await.expect("a client");
            done.extend(acknowledged);
            open.push(unanswered);
        }
        // Then after the restart everything adds up
        server = Arc::new(Server::start(&data));
        audit(&server, &cards, &done, open.iter().flatten().count()).await;
    }

    // When every unanswered top-up is tried once more with its key, then each is there exactly once
    for topup in open.iter().flatten() {
        let answer = send(
            server
                .dashboard(Method::POST, &format!("/users/alice/cards/{}/topup", cards[topup.card]))
                .header("idempotency-key", &topup.key)
                .body(r#"{"amount": 10.00}"#),
            200,
        )
        .await;
        let mut topup = topup.clone();
        topup.transaction = answer["transactionId"].as_str().map(str::to_owned);
        done.push(topup);
    }
    audit(&server, &cards, &done, 0).await;
}
