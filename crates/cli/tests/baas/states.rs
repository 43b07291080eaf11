//! The document's tables: actions × states, visibility × states, and what each state allows.

use reqwest::Method;
use serde_json::Value;

use crate::desk::{Desk, actions, invalid_status};
use crate::server::serve_demo;

/// The calls that change a card or reveal something of it.
const CALLS: [&str; 8] = ["activate", "block", "unblock", "close", "limit", "details", "cvv", "pin"];

/// Asks for everything that the card's state does not allow: each is refused with the shown state, and nothing changes.
async fn refuses_all_but(desk: &Desk, card: &str, allowed: &[&str]) {
    let before = desk.card_but_for_time(card).await;
    let status = before["status"].as_str().unwrap();
    for call in CALLS.into_iter().filter(|call| !allowed.contains(call)) {
        let path = format!("/api/v1/cards/{card}/{call}");
        let got = match call {
            "details" | "cvv" | "pin" => desk.get(&path).await,
            "activate" => desk.activate(card, "0000", "12/2040").await,
            "limit" => desk.put_json(&path, r#"{"daily_limit": 5}"#).await,
            _ => desk.put(&path).await,
        };
        assert_eq!(got.json(), invalid_status(status), "{call} of {status}");
        assert_eq!(got.status, 400, "{call} of {status}");
    }
    assert_eq!(desk.card_but_for_time(card).await, before);
}

/// Which digits are shown.
fn digits(card: &Value) -> [bool; 3] {
    ["card_number_first_4", "card_number_last_4", "expiry_date"].map(|key| card["card_data"].get(key).is_some())
}

const FIRST_FOUR: [bool; 3] = [true, false, false];
const LAST_FOUR: [bool; 3] = [false, true, true];

fn reasons(card: &Value) -> (&str, &str, &str) {
    let text = |key: &str| card[key].as_str().unwrap();
    (text("status"), text("status_reason"), text("previous_status"))
}

#[tokio::test]
async fn a_virtual_card_in_every_state() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = serve_demo(&data);
    command.env("FLORIN_GATEWAY_SETTLEMENT_WAIT_MS", "300");
    let desk = Desk::start_with(&mut command, &data);

    // Requested: the issuer does not answer
    desk.issuer_fails(true).await;
    let card = desk.virtual_card().await;
    let shown = desk.card(&card).await;
    assert_eq!(reasons(&shown), ("Requested", "", ""));
    assert_eq!((digits(&shown), actions(&shown)), (FIRST_FOUR, vec![]));
    assert_eq!(shown["card_data"]["card_number_first_4"], "4000");
    refuses_all_but(&desk, &card, &[]).await;

    // Active, once it does; a pending change refuses everything, and nothing is listed
    desk.issuer_fails(false).await;
    let shown = desk.until(&card, |card| card["status"] == "Active").await;
    assert_eq!(reasons(&shown), ("Active", "", "NotActivated"));
    assert_eq!(
        (digits(&shown), actions(&shown)),
        (LAST_FOUR, vec!["Block", "Close", "SetLimit", "GetDetails", "GetCvv"])
    );
    refuses_all_but(&desk, &card, &["block", "close", "limit", "details", "cvv"]).await;
    desk.issuer_fails(true).await;
    desk.put(&format!("/api/v1/cards/{card}/block")).await.empty();
    let shown = desk.card(&card).await;
    assert_eq!((shown["status"].as_str(), actions(&shown)), (Some("Active"), vec![]));
    refuses_all_but(&desk, &card, &[]).await;
    desk.issuer_fails(false).await;

    // Blocked by user
    let shown = desk.until(&card, |card| card["status"] == "Blocked").await;
    assert_eq!(reasons(&shown), ("Blocked", "Blocked by user", "Active"));
    assert_eq!((digits(&shown), actions(&shown)), (LAST_FOUR, vec!["Unblock", "Close", "GetDetails"]));
    refuses_all_but(&desk, &card, &["unblock", "close", "details"]).await;

    // Blocked by issuer: Close only; for fraud: nothing
    let shown = desk.ops(&card, "block", r#"{"reason": "programme"}"#, "Blocked").await;
    assert_eq!(reasons(&shown), ("Blocked", "Blocked by issuer", "Blocked"));
    assert_eq!((digits(&shown), actions(&shown)), (LAST_FOUR, vec!["Close"]));
    refuses_all_but(&desk, &card, &["close"]).await;
    let shown = desk.ops(&card, "block", r#"{"reason": "fraud", "fraud": true}"#, "Blocked").await;
    assert_eq!((reasons(&shown).1, actions(&shown)), ("Blocked by issuer", vec![]));
    refuses_all_but(&desk, &card, &[]).await;

    // Closing while a hold is open, then closed
    let card = desk.virtual_card().await;
    let hold = desk.buy(&card, "10.00").await;
    desk.put(&format!("/api/v1/cards/{card}/close")).await.empty();
    let shown = desk.until(&card, |card| card["status"] == "Closed").await;
    assert_eq!(reasons(&shown), ("Closed", "Closing", "Active"));
    assert_eq!((digits(&shown), actions(&shown)), (LAST_FOUR, vec![]));
    refuses_all_but(&desk, &card, &[]).await;
    let clear = format!("/authorizations/{}/clear", hold["authorization_id"].as_str().unwrap());
    crate::server::send(desk.server.sandbox(Method::POST, &clear).body("{}"), 200).await;
    let shown = desk.until(&card, |card| card["status_reason"] == "").await;
    assert_eq!(reasons(&shown), ("Closed", "", "Active"));
    assert_eq!(digits(&shown), LAST_FOUR);
    refuses_all_but(&desk, &card, &[]).await;
}

#[tokio::test]
async fn a_plastic_card_in_the_states_that_only_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));

    let card = desk.plastic_card().await;
    let shown = desk.card(&card).await;
    assert_eq!(reasons(&shown), ("NotActivated", "", "Requested"));
    assert_eq!((digits(&shown), actions(&shown)), (FIRST_FOUR, vec!["Activate"]));
    refuses_all_but(&desk, &card, &["activate"]).await;

    // Blocked before it was activated: what activates it stays unseen
    for _ in 0..5 {
        assert_eq!(desk.activate(&card, "0000", "12/2040").await.status, 400);
    }
    let shown = desk.card(&card).await;
    assert_eq!(reasons(&shown), ("Blocked", "Blocked by issuer", "NotActivated"));
    assert_eq!((digits(&shown), actions(&shown)), (FIRST_FOUR, vec!["Close"]));
    refuses_all_but(&desk, &card, &["close"]).await;

    // Active: with a PIN
    let card = desk.activated().await;
    let shown = desk.card(&card).await;
    assert_eq!(actions(&shown), ["Block", "Close", "SetLimit", "GetDetails", "GetCvv", "GetPin"]);
    for action in shown["allowed_actions"].as_array().unwrap() {
        let path = action["relative_path"].as_str().unwrap();
        assert!(path.starts_with("/api/v1/cards/:cardId/"), "{path}");
    }
    refuses_all_but(&desk, &card, &["block", "close", "limit", "details", "cvv", "pin"]).await;
}
