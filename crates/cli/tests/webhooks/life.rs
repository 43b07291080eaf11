//! A card's whole life as its company is told of it: by a receiver that verifies, fails, hangs and is away, over kills of the
//! server and a rebuild of its views.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use florin_workers::webhooks::{Secret, sign};
use reqwest::Method;
use serde_json::{Value, json};

use crate::receiver::{Got, Receiver};
use crate::server::{Server, fails, florin, send, serve_demo};

pub(crate) fn serve(data: &Path) -> Command {
    let mut command = serve_demo(data);
    command.env("FLORIN_WEBHOOKS_ALLOW_PRIVATE", "true").env("FLORIN_WEBHOOKS_ALLOW_HTTP", "true");
    command.env("FLORIN_WEBHOOKS_TIMEOUT_MS", "500");
    let waits = ["0s", "50ms"].into_iter().chain(["200ms"; 30]).collect::<Vec<_>>().join(" ");
    command.env("FLORIN_WEBHOOKS_SCHEDULE", waits);
    command
}

async fn act(server: &Server, card: &str, action: &str) {
    let call = server.ops(Method::POST, &format!("/cards/{card}/{action}")).body(r#"{"reason": "story"}"#);
    send(call, 200).await;
}

/// Waits until ops see no change of the card waiting for the issuer.
async fn settled(server: &Server, card: &str) -> Value {
    let until = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let shown = send(server.ops(Method::GET, &format!("/cards/{card}")), 200).await;
        if shown["pending"].is_null() {
            return shown;
        }
        assert!(std::time::Instant::now() < until, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What was told of the card: status and whether anything is allowed, or how much of the limits is used.
fn told(got: &[Got], card: &str) -> Vec<String> {
    let body = |got: &Got| serde_json::from_str::<Value>(&got.body).unwrap();
    got.iter()
        .map(body)
        .filter_map(|body| match (body["id"].as_str(), body["card_id"].as_str()) {
            (Some(id), _) if id == card => {
                let none = body["allowed_actions"].as_array().unwrap().is_empty();
                Some(format!("{}{}", body["status"].as_str().unwrap(), if none { "" } else { "+" }))
            }
            (_, Some(id)) if id == card => Some(format!("used {}", body["lifetime_usage"])),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_sees_every_change_of_a_cards_life_in_order_whatever_happens() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut receiver = Receiver::start().await;
    let server = Server::start_with(&mut serve(&data), &data);
    // Given an endpoint whose secret is shown once, and a receiver that fails, hangs and refuses at times
    let body = json!({"url": receiver.url()}).to_string();
    let set = send(server.ops(Method::PUT, "/webhooks/demo").body(body.clone()), 200).await;
    let secret = set["secret"].as_str().unwrap().to_owned();
    let again = send(server.ops(Method::PUT, "/webhooks/demo").body(body), 200).await;
    assert!(again.get("secret").is_none(), "{again}");
    receiver.answers(|_, before| match before % 7 {
        1 => 500,
        4 => 0,
        _ => 200,
    });
    // When a card is made, paid with and frozen
    let card = server.card("alice", "100.00").await;
    let purchase = json!({"card_id": card, "amount": 12.50, "currency": "USD", "merchant": "cafe", "mcc": 5812,
        "country": "GB", "card_present": false, "pin_entered": false});
    send(server.sandbox(Method::POST, "/authorizations").body(purchase.to_string()), 200).await;
    act(&server, &card, "freeze").await;
    settled(&server, &card).await;
    // and the receiver goes away, the server is killed, and its views are rebuilt
    receiver.goes_down().await;
    act(&server, &card, "thaw").await;
    settled(&server, &card).await;
    server.kill();
    let mut rebuild = florin();
    rebuild.args(["views", "rebuild", "--data"]).arg(&data);
    assert!(rebuild.output().unwrap().status.success());
    let server = Server::start_with(&mut serve(&data), &data);
    act(&server, &card, "block").await;
    settled(&server, &card).await;
    receiver.comes_up().await;
    act(&server, &card, "unblock").await;
    settled(&server, &card).await;
    server.kill();
    let server = Server::start_with(&mut serve(&data), &data);
    act(&server, &card, "cancel").await;
    settled(&server, &card).await;
    // Then it has seen every change, in order, each under one id, signed
    let expected = [
        "Requested",
        "NotActivated",
        "Active+",
        "used 12.5",
        "Active",
        "Blocked+",
        "Blocked",
        "Active+",
        "Active",
        "Blocked+",
        "Blocked",
        "Active+",
        "Active",
        "Closed",
    ];
    let until = std::time::Instant::now() + Duration::from_secs(90);
    loop {
        let told = told(&receiver.accepted(), &card);
        if told == expected {
            break;
        }
        assert!(std::time::Instant::now() < until, "told {told:?}\nnot  {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let secret = Secret::parse(&secret).unwrap();
    for got in receiver.got() {
        let timestamp = got.headers["webhook-timestamp"].parse().unwrap();
        assert_eq!(got.headers["webhook-signature"], sign([&secret], got.id(), timestamp, got.body.as_bytes()));
    }
    // And ops see it
    let list = send(server.ops(Method::GET, "/webhooks"), 200).await;
    assert_eq!(
        (&list["endpoints"][0]["company"], &list["endpoints"][0]["dead"]),
        (&json!("demo"), &json!(0)),
        "{list}"
    );
    let followers = send(server.ops(Method::GET, "/followers"), 200).await;
    assert!(followers["followers"].as_array().unwrap().iter().any(|of| of["name"] == "webhooks"), "{followers}");
    // And one that was delivered can be sent again, and all from a position
    let first = receiver.accepted()[0].clone();
    let count = |id: String| receiver.got().iter().filter(|got| got.id() == id && got.answered == 200).count();
    let before = count(first.id().to_owned());
    let resend = server.ops(Method::POST, &format!("/webhooks/{}/resend", first.id())).send().await.unwrap();
    assert_eq!(resend.status(), 204);
    let until = std::time::Instant::now() + Duration::from_mins(1);
    while count(first.id().to_owned()) == before {
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let second = receiver.accepted()[1].clone();
    let before = count(second.id().to_owned());
    let replay = server.ops(Method::POST, "/webhooks/demo/replay").header("content-type", "application/json");
    assert_eq!(replay.body(r#"{"from": "0-1.0"}"#).send().await.unwrap().status(), 204);
    while count(second.id().to_owned()) == before {
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let logged = server.logged();
    assert!(!logged.contains("whsec_"), "no secret is logged");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_networks_and_bad_settings_are_refused_unless_configured() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    for (body, field) in [
        (r#"{"url": "https://127.0.0.1:1"}"#, "url"),
        (r#"{"url": "http://hooks.example.com"}"#, "url"),
        (r#"{"url": "https://169.254.169.254/latest"}"#, "url"),
        (r#"{"url": "https://hooks.example.com", "secret": "whsec_short"}"#, "secret"),
        (r#"{"enabled": true}"#, "url"),
    ] {
        let refused = send(server.ops(Method::PUT, "/webhooks/demo").body(body), 400).await;
        assert_eq!(refused["error"]["details"]["field"], field, "{body}: {refused}");
    }
    let list = send(server.ops(Method::GET, "/webhooks"), 200).await;
    assert_eq!(list["endpoints"], json!([]));
    for path in ["/webhooks/msg_00000000_0000000000000000000000000000/resend", "/webhooks/demo/nothing"] {
        assert_eq!(server.ops(Method::POST, path).send().await.unwrap().status(), 404, "{path}");
    }
    server.kill();
    for (name, value) in
        [("FLORIN_WEBHOOKS_SCHEDULE", "soon"), ("FLORIN_MAIL_URL", "http://mail"), ("FLORIN_WEBHOOKS_WINDOW", "0")]
    {
        let (code, said) = fails(serve_demo(&data).env(name, value));
        assert_eq!(code, 3, "{name}: {said}");
    }
}
