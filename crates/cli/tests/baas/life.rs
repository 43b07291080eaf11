//! A plastic card's whole life, paid for in a token and spending the unified balance.

use reqwest::Method;
use serde_json::json;

use crate::desk::{Desk, invalid_status};
use crate::server::{minor, send};

#[tokio::test]
async fn a_plastic_card_from_invoice_to_close() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));

    // Invoice in a token, issue: taken once
    let card = desk.plastic_card().await;
    assert_eq!(desk.wallet("USDC").await, "974.86");
    let path = |call: &str| format!("/api/v1/cards/{card}/{call}");
    assert_eq!(desk.buy(&card, "1").await["reason"], "card_not_active");

    // Delivered, and typed in wrongly five times, right number with wrong expiry too: it is never said which
    let (last4, expiry) = desk.printed(&card).await;
    let wrong = if last4 == "0000" { "0001" } else { "0000" };
    let mismatch = json!({
        "error_reason": "ErrorInvalidField",
        "error_description": "Card number last4 or expiry date does not match",
        "error_category": {"category": "CategoryValidationFailure", "http_status_code": 400},
        "error_details": [{"key": "issue", "details": "mismatch"}],
    });
    for (last4, expiry) in
        [(wrong, &*expiry), (&last4, "01/2020"), (wrong, "01/2020"), (&last4, "12/9999"), (wrong, &expiry)]
    {
        desk.activate(&card, last4, expiry).await.is(&mismatch);
    }
    desk.activate(&card, &last4, &expiry).await.is(&invalid_status("Blocked"));

    // Ops lift the block, and the right ones activate it
    desk.ops(&card, "unblock", r#"{"reason": "called in"}"#, "NotActivated").await;
    desk.activate(&card, &last4, &expiry).await.empty();
    assert_eq!(desk.card(&card).await["status"], "Active");

    // It spends the unified balance: WUSD first
    let bought = desk.buy(&card, "40.00").await;
    assert_eq!(bought["approved"], true, "{bought}");
    let clear = format!("/authorizations/{}/clear", bought["authorization_id"].as_str().unwrap());
    send(desk.server.sandbox(Method::POST, &clear).body("{}"), 200).await;
    assert_eq!(desk.wallet("WUSD").await, "9960.0");
    assert_eq!(minor(&desk.card(&card).await["limit"]["daily_usage"]), 40_00);

    // Limits: a number sets, an absent one stays, null clears
    desk.put_json(&path("limit"), r#"{"transaction_limit": 50, "daily_limit": "60.00"}"#).await.empty();
    assert_eq!(desk.buy(&card, "50.01").await["reason"], "transaction_limit");
    assert_eq!(desk.buy(&card, "20.01").await["reason"], "daily_limit");
    desk.put_json(&path("limit"), r#"{"transaction_limit": null}"#).await.empty();
    assert_eq!(minor(&desk.card(&card).await["limit"]["daily_limit"]), 60_00);
    assert_eq!(desk.buy(&card, "55").await["reason"], "daily_limit");
    // As they are already: nothing to do
    desk.put_json(&path("limit"), r#"{"daily_limit": 60.00}"#).await.empty();
    desk.put_json(&path("limit"), "{}").await.empty();
    desk.put_json(&path("limit"), r#"{"daily_limit": 0}"#).await.empty();
    assert_eq!(desk.buy(&card, "1").await["reason"], "daily_limit");
    desk.put_json(&path("limit"), r#"{"daily_limit": null}"#).await.empty();
    assert!(desk.card(&card).await["limit"]["daily_limit"].is_null());

    // Block, unblock, close
    desk.put(&path("block")).await.empty();
    assert_eq!(desk.buy(&card, "1").await["reason"], "card_not_active");
    desk.put(&path("unblock")).await.empty();
    assert_eq!(desk.buy(&card, "1").await["approved"], true);
    desk.put(&path("close")).await.empty();
    assert_eq!(desk.card(&card).await["status_reason"], "Closing", "a hold is open");
    assert_eq!(desk.buy(&card, "1").await["approved"], false);
    assert_eq!(send(desk.server.ops(Method::GET, "/trial-balance"), 200).await["balanced"], true);
}

#[tokio::test]
async fn a_change_through_one_api_shows_in_every_other() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let card = desk.virtual_card().await;
    let user = format!("{}:{}", desk.chain, desk.address.to_ascii_lowercase());
    assert_eq!(desk.server.listed(&user, &card).await["status"], "active");
    desk.put(&format!("/api/v1/cards/{card}/block")).await.empty();
    assert_eq!(desk.server.listed(&user, &card).await["status"], "frozen");
    desk.ops(&card, "thaw", r#"{"reason": "asked to"}"#, "Active").await;
}
