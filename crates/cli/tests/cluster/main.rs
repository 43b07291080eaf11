//! The local cluster: what works on it, and what becomes of it when its pieces are killed, stopped and cut off in turn.
//!
//! The rounds of chaos are few here; `FLORIN_CLUSTER_ROUNDS=10` runs more, and then says, too, that no user was without an
//! answer for more than 15 seconds.
#![allow(clippy::unwrap_used, reason = "helpers of stories; what does not unwrap fails the story")]

mod chaos;
mod cluster;
mod dashboard;
mod moving;
mod network;
mod proxy;

use std::time::Duration;

use cluster::{Cluster, answered};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_cluster_serves_survives_and_adds_up() {
    let mut cluster = Cluster::start();
    two_gateways_tell_the_same(&cluster).await;
    dashboard::the_figures_and_refusals_are_those_of_one_machine(&cluster).await;
    any_nats_client_tops_up_and_reads(&cluster).await;
    views_that_are_deleted_come_back_the_same(&cluster).await;
    // Three replicas on servers before 2.12 may stay without a leader for minutes: losses are shown on current ones.
    if !florin_journal::testing::NatsServer::start().await.is_old() {
        network::a_third_processor_gets_a_share_and_loses_it_with_its_line(&cluster).await;
        chaos::nothing_is_lost_or_doubled(&cluster).await;
    }
    servers_that_stand_still_cost_time_and_nothing_else(&cluster).await;
    cluster.audit();
    assert_eq!(cluster.stop(), Some(130), "{}", cluster.told());
}

/// A card made at one gateway is topped up at the other, frozen, thawed, and shown alike by both.
async fn two_gateways_tell_the_same(cluster: &Cluster) {
    let made = cluster
        .dashboard(0, Method::POST, "/users/alice/cards")
        .body(r#"{"cardName": "Travel", "initialBalance": 100.00}"#)
        .send()
        .await
        .unwrap();
    let position = made.headers()["x-florin-position"].to_str().unwrap().to_owned();
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    let card = made["cardId"].as_str().unwrap();
    // A read at the other gateway that names the position sees it.
    let shown = cluster.dashboard(1, Method::GET, "/users/alice/cards").header("x-florin-position", position);
    let shown = answered(shown, 200).await;
    assert_eq!(shown["cards"][0]["cardId"], card, "{shown}");
    let topup = || {
        cluster
            .dashboard(1, Method::POST, &format!("/users/alice/cards/{card}/topup"))
            .header("idempotency-key", "one")
            .body(r#"{"amount": "10.00"}"#)
    };
    let first = answered(topup(), 200).await;
    assert_eq!(answered(topup(), 200).await["transactionId"], first["transactionId"]);
    for action in ["freeze", "thaw"] {
        let path = format!("/cards/{card}/{action}");
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let body = json!({"reason": "a story"}).to_string();
            let answer = cluster.ops(Method::POST, &path).body(body).send().await.unwrap();
            if answer.status().is_success() {
                break;
            }
            // The change before it may still be on its way to the issuer.
            assert!(std::time::Instant::now() < deadline, "{action}: {:?}", answer.text().await);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// What README.md says a plain client can do.
async fn any_nats_client_tops_up_and_reads(cluster: &Cluster) {
    let card = cluster.card("bob").await;
    let client = cluster.client().await;
    let ask = async |subject: String, body: Value| -> Value {
        let answer = client.request(subject, body.to_string().into()).await.unwrap();
        let text = String::from_utf8_lossy(&answer.payload).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} {:?}", answer.headers))
    };
    let wallet = ask("florin.main.read.v1.wallet".into(), json!({"company": "demo", "user": "bob"})).await;
    let (account, partition) = (wallet["account"].clone(), wallet["partition"].clone());
    let topup = json!({
        "account": account,
        "key": "my-own-key-1",
        "command": {"top_up": {"card": card, "amount": 1_000}},
    });
    let reply = ask(format!("florin.main.cmd.v1.user.{partition}"), topup.clone()).await;
    assert!(reply["outcome"]["accepted"].is_array(), "{reply}");
    // Sent again it is the same.
    let again = ask(format!("florin.main.cmd.v1.user.{partition}"), topup).await;
    assert_eq!((&again["replayed"], &again["position"]), (&json!(true), &reply["position"]));
    let asked = json!({"card_id": card, "partition": reply["partition"], "position": reply["position"]});
    let shown = ask("florin.main.read.v1.card".into(), asked).await;
    assert_eq!(shown["balance"].to_string(), "35.0", "{shown}");
    // It may not deposit.
    let deposit = client.request(format!("florin.main.cmd.v1.ops.{partition}"), "{}".into());
    assert!(!matches!(tokio::time::timeout(Duration::from_millis(500), deposit).await, Ok(Ok(_))));
}

/// A gateway that is killed and whose views are gone reads the journal again, and tells the same.
async fn views_that_are_deleted_come_back_the_same(cluster: &Cluster) {
    let before = answered(cluster.dashboard(0, Method::GET, "/users/alice/cards"), 200).await;
    std::fs::rename(cluster.directory("gateway-1/views"), cluster.directory("old-views")).unwrap();
    cluster.signal("gateway-1", "KILL");
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.ready(25).await;
    assert_eq!(answered(cluster.dashboard(0, Method::GET, "/users/alice/cards"), 200).await, before);
}

/// While no server answers, calls are told to come again; then everything goes on by itself.
async fn servers_that_stand_still_cost_time_and_nothing_else(cluster: &Cluster) {
    let card = cluster.card("carol").await;
    let topup = || {
        cluster
            .dashboard(0, Method::POST, &format!("/users/carol/cards/{card}/topup"))
            .header("idempotency-key", "while-they-stand-still")
            .body(r#"{"amount": "10.00"}"#)
            .send()
    };
    for n in 1..=3 {
        cluster.signal(&format!("nats-{n}"), "STOP");
    }
    let refused = topup().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    for n in 1..=3 {
        cluster.signal(&format!("nats-{n}"), "CONT");
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(90);
    while topup().await.map_or(0, |answer| answer.status().as_u16()) != 200 {
        assert!(std::time::Instant::now() < deadline, "it does not go on:\n{}", cluster.told());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // Sent again and again with one key, it was done once.
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let listed = cluster.dashboard(0, Method::GET, "/users/carol/cards").send().await;
        let listed: Value = match listed {
            Ok(answer) if answer.status() == 200 => answer.json().await.unwrap(),
            _ => Value::Null,
        };
        if let Some(shown) =
            listed["cards"].as_array().and_then(|cards| cards.iter().find(|shown| shown["cardId"] == *card))
        {
            assert_eq!(shown["balance"].to_string(), "35.0");
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{listed}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
