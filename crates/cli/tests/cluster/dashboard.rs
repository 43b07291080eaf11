//! What the dashboard stories say of figures and refusals, told by the cluster just so.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, answered};

async fn get(cluster: &Cluster, path: &str, status: u16) -> Value {
    answered(cluster.dashboard(1, Method::GET, path), status).await
}

async fn post(cluster: &Cluster, path: &str, body: &str, status: u16) -> Value {
    answered(cluster.dashboard(0, Method::POST, path).body(body.to_owned()), status).await
}

/// Compares as written, number for number.
fn told(value: &Value, fields: &[(&str, &str)]) {
    for (field, raw) in fields {
        assert_eq!(value[field].to_string(), *raw, "{field} of {value}");
    }
}

/// A user of the demo company with this much.
async fn user(cluster: &Cluster, name: &str, amount: &str) {
    let body = json!({"company": "demo", "user": name, "country": "GB"}).to_string();
    let made = cluster.ops(Method::POST, "/users").body(body).send().await.unwrap();
    assert!(made.status().is_success(), "{:?}", made.text().await);
    let body = json!({"asset": "USD", "amount": amount, "reference": "a story"}).to_string();
    answered(cluster.ops(Method::POST, &format!("/users/demo/{name}/deposits")).body(body), 200).await;
}

pub(crate) async fn the_figures_and_refusals_are_those_of_one_machine(cluster: &Cluster) {
    user(cluster, "dora", "1000.00").await;
    // A card of 100.00 takes 108.00, a top-up of 10.00 takes 10.30.
    let path = "/users/dora/cards";
    let made = post(cluster, path, r#"{"cardName":"Travel","initialBalance":100.00}"#, 201).await;
    told(&made, &[("balance", "100.0"), ("issueFee", "5.0"), ("serviceFee", "3.0"), ("totalDeducted", "108.0")]);
    told(&made, &[("status", "\"active\""), ("cvv", "\"***\"")]);
    let card = made["cardId"].as_str().unwrap();
    let topup = format!("{path}/{card}/topup");
    let topped_up = post(cluster, &topup, r#"{"amount":"10.00"}"#, 200).await;
    told(&topped_up, &[("amount", "10.0"), ("serviceFee", "0.3"), ("totalDeducted", "10.3"), ("balance", "110.0")]);

    // Bounds and what is no amount name their field.
    for (path, field, before, amounts) in [
        (
            path,
            "initialBalance",
            r#""cardName":"x","#,
            &["24.99", "100000.01", "0", "10.005", "-5", "\"ten\"", "null"][..],
        ),
        (&topup, "amount", "", &["9.99", "10000.01", "0", "10.005", "-5", "\"1e3\"", "true", "[]"]),
    ] {
        for amount in amounts {
            let refused = post(cluster, path, &format!(r#"{{{before}"{field}":{amount}}}"#), 400).await;
            assert_eq!(refused["error"]["code"], "invalid_request", "{refused}");
            assert_eq!(refused["error"]["details"]["field"], field, "{amount}: {refused}");
        }
    }
    // Without a good key there is no answer; another's card, no card and nobody are alike.
    let stranger = cluster
        .dashboard(0, Method::GET, path)
        .headers([(reqwest::header::AUTHORIZATION, "Bearer wrong".parse().unwrap())].into_iter().collect());
    answered(stranger, 401).await;
    let mut alike = Vec::new();
    for user in ["alice", "nobody"] {
        for card in [card, "0192f0c1-2b3c-8000-8123-456789abcdef", "no-uuid"] {
            alike.push(get(cluster, &format!("/users/{user}/cards/{card}"), 404).await["error"]["code"].clone());
        }
    }
    assert!(alike.iter().all(|code| code == "not_found"), "{alike:?}");

    // The other gateway shows the statement, the same as one list and page by page.
    let statement = format!("{path}/{card}/transactions");
    let deadline = Instant::now() + Duration::from_secs(30);
    let list = loop {
        let list = get(cluster, &statement, 200).await;
        if list.to_string().contains(topped_up["transactionId"].as_str().unwrap()) {
            break list;
        }
        assert!(Instant::now() < deadline, "{list}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(cluster, &format!("{statement}?limit=1{cursor}"), 200).await;
        pages.extend(page["transactions"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::Array(pages), list["transactions"]);
    let details = get(cluster, &format!("{path}/{card}"), 200).await;
    assert_eq!(details["cardNumber"].as_str().map(str::len), Some(16));
    assert_eq!(get(cluster, &format!("{path}/{card}/otp"), 200).await["code"].as_str().map(str::len), Some(6));

    // Too little money says what is needed and there; five cards are all.
    user(cluster, "poor", "107.99").await;
    let refused = post(cluster, "/users/poor/cards", r#"{"cardName":"x","initialBalance":100}"#, 409).await;
    assert_eq!(refused["error"]["code"], "insufficient_balance");
    told(&refused["error"]["details"], &[("needed", "108.0"), ("available", "107.99")]);
    for _ in 1..5 {
        post(cluster, path, r#"{"cardName":"x","initialBalance":100}"#, 201).await;
    }
    let sixth = post(cluster, path, r#"{"cardName":"x","initialBalance":100}"#, 409).await;
    assert_eq!(sixth["error"]["code"], "card_limit_reached", "{sixth}");
    told(&sixth["error"]["details"], &[("limit", "5"), ("used", "5")]);
    let wallet = answered(cluster.ops(Method::GET, "/users/demo/dora"), 200).await;
    assert!(wallet.to_string().contains("449.7"), "{wallet}");
}
