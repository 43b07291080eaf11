//! An issuer that misbehaves: cards end active, or cancelled with everything refunded; never made and refunded.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::server::{Server, minor, send, serve_demo};

/// Asks for a card with 100.00; status and body, whatever they are.
async fn issue(server: &Server, name: &str) -> (u16, Value) {
    let answer = server
        .dashboard(Method::POST, "/users/alice/cards")
        .header("content-type", "application/json")
        .body(format!(r#"{{"cardName": "{name}", "initialBalance": 100}}"#))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The card once it is active.
async fn active(server: &Server, card: &str) -> Value {
    for _ in 0..600 {
        let listed = server.listed("alice", card).await;
        if listed["status"] == "active" {
            return listed;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never active: {}", server.logged());
}

/// How often the sandbox made the card, and how it stands there.
async fn at_issuer(server: &Server, card: &str) -> Value {
    send(server.sandbox(Method::GET, &format!("/issuer/cards/{card}")), 200).await
}

#[tokio::test]
async fn a_refused_card_leaves_nothing_taken() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let (status, body) = issue(&server, "SANDBOX REFUSE").await;
    assert_eq!(status, 409);
    assert_eq!(body["error"]["code"], "issuance_refused");
    assert_eq!(server.wallet("alice", "USD").await, 10_000_00);
    let balance = send(server.ops(Method::GET, "/trial-balance"), 200).await;
    assert_eq!(balance["balanced"], true);
}

#[tokio::test]
async fn an_answer_that_is_lost_or_comes_twice_makes_one_card() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    for name in ["SANDBOX LOSE ANSWER", "SANDBOX TWICE"] {
        let (status, body) = issue(&server, name).await;
        assert!([201, 202].contains(&status), "{body}");
        let card = body["cardId"].as_str().unwrap();
        assert_eq!(minor(&active(&server, card).await["balance"]), 100_00);
        assert_eq!(at_issuer(&server, card).await["times_issued"], 1);
    }
    assert_eq!(server.wallet("alice", "USD").await, 10_000_00 - 2 * 108_00);
}

#[tokio::test]
async fn a_card_that_is_asked_for_while_the_issuer_is_away_comes_after_a_kill_too() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = serve_demo(&data);
    command.env("FLORIN_GATEWAY_SETTLEMENT_WAIT_MS", "100");
    let server = Server::start_with(&mut command, &data);
    // Given an issuer that fails every time
    let behave = |server: &Server, body: &'static str| send(server.sandbox(Method::PUT, "/issuer").body(body), 200);
    behave(&server, r#"{"failure_rate": 1.0}"#).await;
    let (status, body) = issue(&server, "Later").await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["status"], "frozen");
    assert_eq!(body["cardNumber"], Value::Null);
    let card = body["cardId"].as_str().unwrap();

    // When the server is killed, and the issuer is well again (its behaviour is not kept), then the card is made, once
    server.kill();
    let server = Server::start(&data);
    active(&server, card).await;
    assert_eq!(at_issuer(&server, card).await["times_issued"], 1);
    assert_eq!(server.wallet("alice", "USD").await, 9_892_00);
}

#[tokio::test]
async fn what_the_issuer_never_answers_is_a_dead_letter_that_ops_can_retry() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = serve_demo(&data);
    command.env("FLORIN_GATEWAY_SETTLEMENT_WAIT_MS", "100");
    command.env("FLORIN_SETTLEMENT_TRIES", "1");
    let server = Server::start_with(&mut command, &data);
    send(server.sandbox(Method::PUT, "/issuer").body(r#"{"failure_rate": 1.0}"#), 200).await;
    let (status, body) = issue(&server, "Dead").await;
    assert_eq!(status, 202, "{body}");
    let card = body["cardId"].as_str().unwrap();

    // Given a dead letter after the only try
    let mut letters = Value::Null;
    for _ in 0..200 {
        letters = send(server.ops(Method::GET, "/dead-letters"), 200).await["dead_letters"].take();
        if !letters.as_array().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(letters[0]["card_id"], card, "{letters}");

    // When the issuer is well again and ops retry it, then the card is made
    send(server.sandbox(Method::PUT, "/issuer").body(r#"{"failure_rate": 0.0}"#), 200).await;
    let id = letters[0]["id"].as_str().unwrap();
    let retry = server.ops(Method::POST, &format!("/dead-letters/{id}/retry")).send().await.unwrap();
    assert_eq!(retry.status(), 204);
    active(&server, card).await;
    let letters = send(server.ops(Method::GET, "/dead-letters"), 200).await;
    assert_eq!(letters["dead_letters"], serde_json::json!([]));
}
