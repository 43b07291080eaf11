//! A plastic card's whole life, paid for in a token and spending the unified balance, as its company is told of it: by a receiver
//! that verifies, fails, hangs and is away for a while.

use std::time::Duration;

use florin_workers::webhooks::{Secret, sign};
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, invalid_status};
use crate::life::serve;
use crate::receiver::{Got, Receiver};
use crate::server::send;

/// What one webhook told. Of a card: status, reason, `+` where anything is allowed, and which of its digits are seen; of limits: what of
/// the lifetime is used, and the two limits that the story sets.
fn told(got: &Got) -> String {
    let body: Value = serde_json::from_str(&got.body).unwrap();
    if got.path == "/v2/webhooks/card-limits" {
        return format!("used {} of {}, {}", body["lifetime_usage"], body["daily_limit"], body["transaction_limit"]);
    }
    assert_eq!(got.path, "/v2/webhooks/cards");
    let text = |key: &str| body[key].as_str().unwrap();
    let seen = ["card_number_first_4", "card_number_last_4", "expiry_date"]
        .map(|key| body["card_data"][key].as_str().unwrap_or("-"))
        .join(" ");
    let more = if body["allowed_actions"].as_array().unwrap().is_empty() { "" } else { "+" };
    format!("{}{more} ({}) {seen}", text("status"), text("status_reason"))
}

fn of_card(got: &Got, card: &str) -> bool {
    let body: Value = serde_json::from_str(&got.body).unwrap();
    body["id"] == card || body["card_id"] == card
}

/// Waits until ops see what happened waiting behind one that was tried in vain, more than once.
async fn tried_in_vain(desk: &Desk) {
    let until = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let list = send(desk.server.ops(Method::GET, "/webhooks"), 200).await;
        let endpoint = &list["endpoints"][0];
        let in_vain = |of: &Value| of["state"] == "failing" && of["tries"].as_u64() >= Some(2);
        if endpoint["waiting"].as_u64() >= Some(6) && endpoint["deliveries"].as_array().unwrap().iter().any(in_vain) {
            assert_eq!(endpoint["dead"], 0, "{list}");
            return;
        }
        assert!(std::time::Instant::now() < until, "{list}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_told_all_of_a_plastic_cards_life_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // Given a receiver that answers 500 once and hangs once
    let mut receiver = Receiver::start().await;
    receiver.answers(|_, before| match before {
        1 => 500,
        4 => 0,
        _ => 200,
    });
    let desk = Desk::start_with(&mut serve(&data), &data);
    let body = json!({"url": receiver.url()}).to_string();
    let set = send(desk.server.ops(Method::PUT, "/webhooks/demo").body(body), 200).await;
    let secret = Secret::parse(set["secret"].as_str().unwrap()).unwrap();

    // When a plastic card is paid for in a token, issued and delivered, and typed in wrongly five times
    let card = desk.plastic_card().await;
    let put = |call: &str| format!("/api/v1/cards/{card}/{call}");
    let (last4, expiry) = desk.printed(&card).await;
    let wrong = if last4 == "0000" { "0001" } else { "0000" };
    for _ in 0..5 {
        let refused = desk.activate(&card, wrong, &expiry).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error_details"][0]["details"]),
            (400, &json!("mismatch"))
        );
    }
    desk.activate(&card, &last4, &expiry).await.is(&invalid_status("Blocked"));
    // and, while nobody listens, ops unblock it, it is activated and spends, and has its limits changed
    receiver.accepts(3).await;
    receiver.goes_down().await;
    desk.ops(&card, "unblock", r#"{"reason": "called in"}"#, "NotActivated").await;
    desk.activate(&card, &last4, &expiry).await.empty();
    let bought = desk.buy(&card, "40.00").await;
    assert_eq!(bought["approved"], true, "{bought}");
    let clear = format!("/authorizations/{}/clear", bought["authorization_id"].as_str().unwrap());
    send(desk.server.sandbox(Method::POST, &clear).body("{}"), 200).await;
    assert_eq!(desk.wallet("WUSD").await, "9960.0", "of the unified balance, WUSD first");
    desk.put_json(&put("limit"), r#"{"transaction_limit": 50, "daily_limit": "60.00"}"#).await.empty();
    assert_eq!(desk.buy(&card, "20.01").await["reason"], "daily_limit");
    tried_in_vain(&desk).await;
    receiver.comes_up().await;
    desk.put_json(&put("limit"), r#"{"transaction_limit": null, "daily_limit": null}"#).await.empty();
    // and is blocked, unblocked and closed
    for call in ["block", "unblock", "close"] {
        desk.put(&put(call)).await.empty();
    }

    // Then the company has seen every change in order, digits and expiry only where they do not activate the card
    let hidden = |shown: &str| format!("{shown} 4000 - -");
    let seen = |shown: &str| format!("{shown} - {last4} {expiry}");
    let limits = str::to_owned;
    let expected = [
        hidden("Requested ()"),
        hidden("NotActivated+ ()"),
        hidden("Blocked+ (Blocked by issuer)"),
        // Ops lift it: a change waits for the issuer, and nothing is allowed
        hidden("Blocked (Blocked by issuer)"),
        hidden("NotActivated+ ()"),
        seen("Active+ ()"),
        limits("used 40.0 of 10000.0, null"),
        // Lower limits bind while the issuer is told, lifted ones once it was
        seen("Active ()"),
        limits("used 40.0 of 60.0, 50.0"),
        seen("Active+ ()"),
        seen("Active ()"),
        seen("Active+ ()"),
        limits("used 40.0 of null, null"),
        seen("Active ()"),
        seen("Blocked+ (Blocked by user)"),
        seen("Blocked (Blocked by user)"),
        seen("Active+ ()"),
        seen("Active ()"),
        seen("Closed (Closing)"),
        seen("Closed ()"),
    ];
    let until = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let told: Vec<_> = receiver.accepted().iter().filter(|got| of_card(got, &card)).map(told).collect();
        if told == expected {
            break;
        }
        assert!(std::time::Instant::now() < until, "told {told:#?}\nnot  {expected:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // and every try was signed, those that failed and hung too
    let got = receiver.got();
    assert!([500, 0].iter().all(|failure| got.iter().any(|got| got.answered == *failure)), "{got:?}");
    for got in got {
        let timestamp = got.headers["webhook-timestamp"].parse().unwrap();
        assert_eq!(got.headers["webhook-signature"], sign([&secret], got.id(), timestamp, got.body.as_bytes()));
    }
    assert!(desk.server.terminate().success());
}
