//! Operators: users and their money, policies, cards, and the sums that must balance.

use serde_json::json;

use crate::stack::{PARTITIONS, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_a_key_is_let_in() {
    let stack = Stack::empty().await;
    for headers in [&[][..], &[("x-api-key", "wrong")], &[("authorization", "Basic b3Bz")]] {
        let answered = stack.call("GET", "/ops/v1/trial-balance", headers, "").await.expect(401);
        assert_eq!(answered.code(), "unauthorized");
        assert_eq!(answered.headers["www-authenticate"], "Bearer");
    }
    let bearer = [("authorization", "Bearer ops-key")];
    stack.call("GET", "/ops/v1/trial-balance", &bearer, "").await.expect(200);
    assert_eq!(stack.ops("GET", "/nothing", "").await.expect(404).code(), "not_found");
    assert_eq!(stack.ops("DELETE", "/policy", "").await.expect(405).code(), "method_not_allowed");
    let document = stack.call("GET", "/ops/v1/openapi.json", &[], "").await.expect(200);
    assert!(document.body["paths"]["/users"].is_object());
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_registered_once_and_gets_money_exactly() {
    // Given alice with 1,000.00
    let stack = Stack::furnished().await;
    // When she is registered again, it is the same; with another country, it is a conflict
    let alice = r#"{"company":"demo","user":"alice","country":"GB"}"#;
    stack.ops("POST", "/users", alice).await.expect(200);
    let moved = r#"{"company":"demo","user":"alice","country":"DE"}"#;
    assert_eq!(stack.ops("POST", "/users", moved).await.expect(409).code(), "user_exists");

    // When the same deposit comes twice under one key, it counts once and is answered alike
    let path = "/users/demo/alice/deposits";
    let deposit = r#"{"asset":"USD","amount":"10.05","reference":"wire 1"}"#;
    let first = stack.ops_once("d-1", path, deposit).await.expect(200);
    assert!(first.text.contains(r#""balance":1010.05"#), "{}", first.text);
    let same = r#"{"reference":"wire 1","amount":10.05,"asset":"USD","more":true}"#;
    let second = stack.ops_once("d-1", path, same).await.expect(200);
    assert_eq!(first.text, second.text);
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(first.headers["x-florin-position"], second.headers["x-florin-position"]);
    let other = r#"{"asset":"USD","amount":11,"reference":"wire 1"}"#;
    let conflict = stack.ops_once("d-1", path, other).await.expect(409);
    assert_eq!(conflict.code(), "idempotency_conflict");

    // Then a withdrawal says what is missing, and what is left
    let much = r#"{"asset":"USD","amount":2000,"reference":"out"}"#;
    let refused = stack.ops("POST", "/users/demo/alice/withdrawals", much).await.expect(409);
    assert_eq!(refused.code(), "insufficient_balance");
    assert_eq!(refused.body["error"]["details"], json!({"needed": 2000.00, "available": 1010.05}));
    let some = r#"{"asset":"USD","amount":0.05,"reference":"out"}"#;
    let left = stack.ops("POST", "/users/demo/alice/withdrawals", some).await.expect(200);
    assert!(left.text.contains(r#""balance":1010.00"#), "{}", left.text);

    for (body, field) in [
        (r#"{"asset":"USD","amount":10.005,"reference":"r"}"#, "amount"),
        (r#"{"asset":"USD","amount":-5,"reference":"r"}"#, "amount"),
        (r#"{"asset":"DOGE","amount":5,"reference":"r"}"#, "asset"),
        (r#"{"asset":"USD","amount":5}"#, "reference"),
    ] {
        let refused = stack.ops("POST", path, body).await.expect(400);
        assert_eq!(refused.body["error"]["details"]["field"], field);
    }
    assert_eq!(stack.ops("POST", "/users/demo/nobody/deposits", some).await.expect(404).code(), "not_found");
    stack.ops("GET", "/users/demo/nobody", "").await.expect(404);

    // And the user shows it all
    let verified = r#"{"status":"Approved","levels":[{"type":"SDD","status":"Approved","name":"Simplified"}]}"#;
    stack.ops("PUT", "/users/demo/alice/verification", verified).await.expect(200);
    let user = stack.ops("GET", "/users/demo/alice", "").await.expect(200).body;
    assert_eq!(user["wallets"][0], json!({"asset":"USD","balance":1010.0,"held":0.0,"available":1010.0}));
    assert_eq!(user["verification"]["levels"][0]["type"], "SDD");
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_goes_to_every_partition_and_is_repeated_safely() {
    let stack = Stack::furnished().await;
    let demo = florin_gateway::policy_document::DEMO;
    // The very same again changes nothing
    let again = stack.ops("PUT", "/policy", demo).await.expect(200);
    assert_eq!((&again.body["version"], &again.body["adopted"]), (&json!(1), &json!(false)));
    // Another one is the next version, in every partition
    let dearer = demo.replace(r#""issue_fee": 5.00"#, r#""issue_fee": 6.00"#);
    let next = stack.ops("PUT", "/policy", &dearer).await.expect(200);
    assert_eq!((&next.body["version"], &next.body["adopted"]), (&json!(2), &json!(true)));
    let shown = stack.ops("GET", "/policy", "").await.expect(200);
    assert_eq!(shown.body["version"], 2);
    assert!(shown.text.contains(r#""issue_fee":6.00"#), "{}", shown.text);
    let partitions = shown.body["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), usize::from(PARTITIONS));
    assert!(partitions.iter().all(|partition| partition["version"] == 2));
    // A version that stands for something else is a conflict; a document that is wrong says where
    let other = stack.ops("PUT", "/policy?version=2", demo).await.expect(409);
    assert_eq!(other.code(), "idempotency_conflict");
    let wrong = demo.replace(r#""issue_fee": 5.00"#, r#""issue_fee": 5.005"#);
    let refused = stack.ops("PUT", "/policy", &wrong).await.expect(400);
    assert_eq!(refused.code(), "policy_refused");
    let details = json!({"line": 25, "column": 20, "path": "programmes[0].issue_fee",
        "reason": "must have at most 2 decimals"});
    assert_eq!(refused.body["error"]["details"], details);
    stack.ops("PUT", "/policy?version=x", demo).await.expect(400);
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_would_leave_money_without_its_measure_is_refused_with_the_reason() {
    let stack = Stack::furnished().await;
    let before = stack.ops("GET", "/policy", "").await.expect(200);
    let demo: serde_json::Value = serde_json::from_str(florin_gateway::policy_document::DEMO).unwrap();
    let mut finer = demo.clone();
    finer["assets"][0]["decimals"] = json!(3);
    let mut fewer = demo.clone();
    fewer["assets"].as_array_mut().unwrap().retain(|asset| asset["code"] != "USDC");
    for programme in fewer["programmes"].as_array_mut().unwrap() {
        if let Some(assets) = programme.get_mut("wallet_assets") {
            assets.as_array_mut().unwrap().retain(|asset| asset != "USDC");
        }
    }
    for (document, asset) in [(finer, "USD"), (fewer, "USDC")] {
        let refused = stack.ops("PUT", "/policy", &document.to_string()).await.expect(400);
        assert_eq!(refused.code(), "policy_refused");
        let reason = refused.body["error"]["details"]["reason"].as_str().unwrap();
        assert!(reason.starts_with(&format!("asset {asset}: taken away, or with other decimals")), "{reason}");
    }
    // Nothing has changed
    let after = stack.ops("GET", "/policy", "").await.expect(200);
    assert_eq!(before.text, after.text);
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_freeze_block_and_cancel_and_see_why() {
    // Given an active card
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let path = |action: &str| format!("/cards/{card}/{action}");
    let reason = r#"{"reason":"asked by phone"}"#;
    // When it is frozen, it waits for the issuer, then it is
    let frozen = stack.ops("POST", &path("freeze"), reason).await.expect(200);
    assert_eq!(frozen.body["pending"]["kind"], "freeze");
    let pending = stack.ops("GET", "/pending", "").await.expect(200);
    assert_eq!(pending.body["pending"][0]["card_id"], json!(card));
    stack.settle().await;
    let shown = stack.ops("GET", &format!("/cards/{card}"), "").await.expect(200);
    assert_eq!((&shown.body["status"], &shown.body["pending"]), (&json!("frozen"), &json!(null)));
    assert_eq!(stack.ops("POST", &path("activate"), reason).await.expect(409).code(), "invalid_status");
    // When it is thawed and blocked for fraud, then lifted and cancelled
    for (action, body, status) in [
        ("thaw", reason, "active"),
        ("block", r#"{"reason":"stolen","fraud":true}"#, "blocked"),
        ("unblock", reason, "active"),
        ("cancel", reason, "cancelled"),
    ] {
        stack.ops("POST", &path(action), body).await.expect(200);
        stack.settle().await;
        let shown = stack.ops("GET", &format!("/cards/{card}"), "").await.expect(200);
        assert_eq!(shown.body["status"], status, "{action}");
    }
    // Then the history tells it with positions, and what was on it is in the wallet again
    let history = stack.ops("GET", &path("history"), "").await.expect(200);
    let steps = history.body["history"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["event"] == "StatusChanged" && step["class"] == "settlement"));
    assert!(steps.iter().all(|step| step["position"].is_string() && step["words"].is_string()));
    let user = stack.ops("GET", "/users/demo/alice", "").await.expect(200).body;
    // 1,000.00 less the issue fee of 5.00 and 3% of 100.00
    assert_eq!(user["wallets"][0]["balance"], 992.0);
    for id in ["nonsense", "00000000-0000-8000-8000-000000000000"] {
        stack.ops("GET", &format!("/cards/{id}/history"), "").await.expect(404);
        stack.ops("POST", &format!("/cards/{id}/freeze"), reason).await.expect(404);
    }
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_balance_and_followers_and_processors_are_shown() {
    let stack = Stack::furnished().await;
    stack.card("c-1").await;
    let trial = stack.ops("GET", "/trial-balance", "").await.expect(200);
    assert_eq!(trial.body["balanced"], true);
    let usd = &trial.body["currencies"]["USD"];
    assert_eq!(usd["debits"], usd["credits"]);
    let accounts = json!({"wallets": 892.0, "cards": 100.0, "funding": -1000.0, "revenue.issue": 5.0,
        "revenue.service": 3.0, "receivable": 0.0});
    assert_eq!(usd["accounts"], accounts);
    let followers = stack.ops("GET", "/followers", "").await.expect(200);
    assert_eq!(followers.body["followers"].as_array().unwrap().len(), usize::from(PARTITIONS));
    let processors = stack.ops("GET", "/processors", "").await.expect(200);
    assert_eq!(processors.body["processors"][0]["policy_version"], 1);
    stack.ops("POST", "/processors/0/confirm-clock", "").await.expect(204);
    stack.ops("POST", "/processors/9/confirm-clock", "").await.expect(404);
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_seen_and_retried() {
    let stack = Stack::empty().await;
    let letters = stack.ops("GET", "/dead-letters", "").await.expect(200);
    assert_eq!(letters.body["dead_letters"][0]["queue"], "settlement");
    stack.ops("POST", "/dead-letters/8/retry", "").await.expect(404);
    // One that is being tried is a conflict, not a failure.
    for action in ["retry", "drop"] {
        let refused = stack.ops("POST", &format!("/dead-letters/6/{action}"), "").await.expect(409);
        assert_eq!(refused.body["error"]["code"], "being_tried", "{}", refused.text);
    }
    stack.ops("POST", "/dead-letters/7/burn", "").await.expect(404);
    stack.ops("POST", "/dead-letters/7/retry", "").await.expect(204);
    stack.ops("POST", "/dead-letters/7/drop", "").await.expect(404);
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_gone_and_the_money_can_still_be_dealt_with() {
    // Given alice with a card
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    // When her personal data is destroyed
    let path = "/users/demo/alice/personal-data";
    assert_eq!(stack.ops("DELETE", path, "").await.expect(200).body, json!({"erased": true, "before": false}));
    assert_eq!(stack.ops("DELETE", path, "").await.expect(200).body, json!({"erased": true, "before": true}));
    stack.ops("DELETE", "/users/demo/nobody/personal-data", "").await.expect(404);
    // Then she cannot be registered again
    let alice = r#"{"company":"demo","user":"alice","country":"GB"}"#;
    assert_eq!(stack.ops("POST", "/users", alice).await.expect(409).code(), "user_erased");
    // And her card can be closed and her money paid out, once under one key
    stack.ops("POST", &format!("/cards/{card}/cancel"), r#"{"reason":"gone"}"#).await.expect(200);
    stack.settle().await;
    let all = r#"{"asset":"USD","amount":992,"reference":"out"}"#;
    for _ in 0..2 {
        let paid = stack.ops_once("w-1", "/users/demo/alice/withdrawals", all).await.expect(200);
        assert_eq!(paid.body["balance"], 0.0);
    }
    stack.close().await;
}
