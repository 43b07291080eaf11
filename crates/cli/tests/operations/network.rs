//! The network: every story of an authorization, through the sandbox and as the issuer sends it.

use serde_json::{Value, json};

use crate::stack::Stack;

/// Authorizes an amount; the answer.
async fn authorize(stack: &Stack, card: &str, amount: &str) -> Value {
    let body = format!(r#"{{"card_id":"{card}","amount":{amount},"currency":"USD","merchant":"Cafe","mcc":5814}}"#);
    stack.sandbox("POST", "/authorizations", &body).await.expect(200).body
}

async fn shown(stack: &Stack, id: &str) -> Value {
    stack.sandbox("GET", &format!("/authorizations/{id}"), "").await.expect(200).body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_held_cleared_in_parts_and_refunded() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    // Given an approved authorization of 50.00 raised by 10.00
    let approved = authorize(&stack, &card, "50.00").await;
    assert_eq!((&approved["approved"], &approved["reason"]), (&json!(true), &json!(null)));
    let id = approved["authorization_id"].as_str().unwrap();
    let path = |action: &str| format!("/authorizations/{id}/{action}");
    let raised = stack.sandbox("POST", &path("increment"), r#"{"amount":10}"#).await.expect(200);
    assert_eq!(raised.body["result"], "incremented");
    // When 20.00 and then finally 25.00 are cleared
    let part = stack.sandbox("POST", &path("clear"), r#"{"amount":20}"#).await.expect(200);
    assert_eq!(part.body["result"], "cleared");
    let now = shown(&stack, id).await;
    assert_eq!((&now["held"], &now["cleared"], &now["open"]), (&json!(40.0), &json!(20.0), &json!(true)));
    stack.sandbox("POST", &path("clear"), r#"{"amount":25,"final":true}"#).await.expect(200);
    // Then the rest is released
    let now = shown(&stack, id).await;
    assert_eq!((&now["held"], &now["cleared"], &now["status"]), (&json!(0.0), &json!(45.0), &json!("completed")));
    // When 5.00 and then the rest are refunded
    stack.sandbox("POST", &path("refund"), r#"{"amount":5}"#).await.expect(200);
    let rest = stack.sandbox("POST", &path("refund"), "").await.expect(200);
    assert_eq!(rest.body["amount"], 40.0);
    // Of what is all refunded nothing is left, which is no fault of the request's form
    let nothing = stack.sandbox("POST", &path("refund"), "").await.expect(409);
    assert_eq!(nothing.code(), "nothing_left");
    stack.sandbox("POST", &path("refund"), r#"{"amount":0}"#).await.expect(400);
    // Then the card has its 100.00 again
    let card = stack.ops("GET", &format!("/cards/{card}"), "").await.expect(200);
    assert_eq!((&card.body["balance"], &card.body["held"]), (&json!(100.0), &json!(0.0)));
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hold_that_is_used_up_nothing_is_left_to_clear_until_it_is_closed() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let id = authorize(&stack, &card, "30").await["authorization_id"].clone();
    let path = format!("/authorizations/{}/clear", id.as_str().unwrap());
    stack.sandbox("POST", &path, r#"{"amount":30}"#).await.expect(200);
    let nothing = stack.sandbox("POST", &path, r#"{"final":false}"#).await.expect(409);
    assert_eq!(nothing.code(), "nothing_left");
    stack.sandbox("POST", &path, "").await.expect(200);
    assert_eq!(shown(&stack, id.as_str().unwrap()).await["open"], false);
    assert_eq!(stack.sandbox("POST", &path, "").await.expect(409).code(), "hold_closed");
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_reversed_and_expire() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    for (action, body, result) in
        [("reverse", "", "reversed"), ("reverse", r#"{"amount":30}"#, "reversed"), ("expire", "", "expired")]
    {
        let id = authorize(&stack, &card, "30").await["authorization_id"].clone();
        let path = format!("/authorizations/{}/{action}", id.as_str().unwrap());
        let answered = stack.sandbox("POST", &path, body).await.expect(200);
        assert_eq!((&answered.body["result"], &answered.body["amount"]), (&json!(result), &json!(30.0)));
        assert_eq!(shown(&stack, id.as_str().unwrap()).await["status"], "failed");
    }
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_says_why_with_figures() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let declined = authorize(&stack, &card, "100.01").await;
    assert_eq!((&declined["approved"], &declined["reason"]), (&json!(false), &json!("insufficient_balance")));
    assert_eq!(declined["details"]["available"], 100.0);
    let checked = authorize(&stack, &card, "0").await;
    assert_eq!((&checked["approved"], &checked["result"]), (&json!(true), &json!("checked")));
    let freeze = format!("/cards/{card}/freeze");
    stack.ops("POST", &freeze, r#"{"reason":"lost"}"#).await.expect(200);
    // Binding from the moment it is accepted
    assert_eq!(authorize(&stack, &card, "1").await["reason"], "change_pending");
    stack.settle().await;
    assert_eq!(authorize(&stack, &card, "1").await["reason"], "card_not_active");
    for (body, status) in [
        (r#"{"amount":1}"#.to_owned(), 400),
        (r#"{"card_id":"x","amount":1}"#.to_owned(), 404),
        (format!(r#"{{"card_id":"{card}","amount":"1e3"}}"#), 400),
        (format!(r#"{{"card_id":"{card}","amount":1,"currency":"EUR"}}"#), 400),
    ] {
        stack.sandbox("POST", "/authorizations", &body).await.expect(status);
    }
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_counts_once() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let body = format!(r#"{{"card_id":"{card}","amount":40,"merchant":"Cafe"}}"#);
    let first = stack.sandbox_once("k-1", "/authorizations", &body).await.expect(200);
    let second = stack.sandbox_once("k-1", "/authorizations", &body).await.expect(200);
    assert_eq!(first.text, second.text);
    assert_eq!(second.headers["idempotency-replayed"], "true");
    let other = format!(r#"{{"card_id":"{card}","amount":41,"merchant":"Cafe"}}"#);
    let conflict = stack.sandbox_once("k-1", "/authorizations", &other).await.expect(409);
    assert_eq!(conflict.code(), "idempotency_conflict");
    let shown = stack.ops("GET", &format!("/cards/{card}"), "").await.expect(200);
    assert_eq!(shown.body["held"], 40.0);
    // Once it is reversed, nothing is held, and so nothing is approved any more
    let id = first.body["authorization_id"].as_str().unwrap();
    stack.sandbox("POST", &format!("/authorizations/{id}/reverse"), "").await.expect(200);
    let third = stack.sandbox_once("k-1", "/authorizations", &body).await.expect(200);
    assert_eq!((&third.body["approved"], &third.body["reason"]), (&json!(false), &json!("reversed")));
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_that_comes_first_kills_its_authorization() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let of = format!(r#"{{"card_id":"{card}"}}"#);
    let remembered = stack.sandbox("POST", "/authorizations/net-1/reverse", &of).await.expect(200);
    assert_eq!(remembered.body["result"], "remembered");
    let body = format!(r#"{{"card_id":"{card}","amount":40,"network_id":"net-1"}}"#);
    let declined = stack.sandbox("POST", "/authorizations", &body).await.expect(200);
    assert_eq!((&declined.body["approved"], &declined.body["reason"]), (&json!(false), &json!("reversed")));
    assert_eq!(declined.body["authorization_id"], remembered.body["authorization_id"]);
    // Without the card nobody knows whose it is
    stack.sandbox("POST", "/authorizations/net-2/reverse", "").await.expect(404);
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_post_may_overdraw_and_ops_write_it_off() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let body = format!(r#"{{"card_id":"{card}","amount":120,"merchant":"Airline"}}"#);
    let posted = stack.sandbox("POST", "/force-posts", &body).await.expect(200);
    assert_eq!((&posted.body["result"], &posted.body["amount"]), (&json!("force_posted"), &json!(120.0)));
    assert!(posted.text.contains(r#""overdrawn":{"asset":"USD","balance":-20.00}"#), "{}", posted.text);
    let trial = stack.ops("GET", "/trial-balance", "").await.expect(200);
    assert_eq!(trial.body["currencies"]["USD"]["accounts"]["receivable"], -20.0);
    let off = format!(r#"{{"card_id":"{card}","asset":"USD","amount":20,"reason":"small"}}"#);
    let off = stack.ops("POST", "/users/demo/alice/write-offs", &off).await.expect(200);
    assert_eq!(off.body["balance"], 0.0);
    let trial = stack.ops("GET", "/trial-balance", "").await.expect(200);
    assert_eq!(
        (&trial.body["balanced"], &trial.body["currencies"]["USD"]["accounts"]["receivable"]),
        (&json!(true), &json!(0.0))
    );
    // A credit without a purchase
    let credit = format!(r#"{{"card_id":"{card}","amount":7.50}}"#);
    let credit = stack.sandbox("POST", "/refunds", &credit).await.expect(200);
    assert_eq!((&credit.body["result"], &credit.body["authorization_id"]), (&json!("refunded"), &json!(null)));
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_behaves_as_told_and_shows_its_cards() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let told = stack.sandbox("PUT", "/issuer", r#"{"latency_ms":5,"answer_twice":true}"#).await.expect(200);
    assert_eq!((&told.body["latency_ms"], &told.body["answer_twice"]), (&json!(5), &json!(true)));
    assert_eq!(stack.sandbox("GET", "/issuer", "").await.expect(200).body, told.body);
    for (body, field) in [
        (r#"{"failure_rate":2}"#, "failure_rate"),
        (r#"{"latency_ms":60001}"#, "latency_ms"),
        (r#"{"latency_ms":"slow"}"#, "latency_ms"),
    ] {
        let refused = stack.sandbox("PUT", "/issuer", body).await.expect(400);
        assert_eq!(refused.body["error"]["details"]["field"], field);
    }
    let at_issuer = stack.sandbox("GET", &format!("/issuer/cards/{card}"), "").await.expect(200);
    assert_eq!((&at_issuer.body["status"], &at_issuer.body["times_issued"]), (&json!("active"), &json!(1)));
    let all = stack.sandbox("GET", "/issuer/cards", "").await.expect(200);
    assert_eq!(all.body["cards"].as_array().unwrap().len(), 1);
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_signs_and_its_messages_are_the_same_stories() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let now = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
    // Unsigned, nobody is let in
    let unsigned = stack.call("POST", "/issuer/v1/clearings", &[], "{}").await.expect(401);
    assert_eq!(unsigned.code(), "unauthorized");
    let issuer_card = stack.ops("GET", &format!("/cards/{card}"), "").await.body["issuer_card_id"].clone();
    let issuer_card = issuer_card.as_str().unwrap();
    // An authorization by the issuer's own ids, twice: one hold
    let body = format!(
        r#"{{"occurred_at":"{now}","message_id":"m-1","authorization_id":"a-1","issuer_card_id":"{issuer_card}","amount":30,"merchant":"Cafe"}}"#
    );
    let first = stack.issuer("/authorizations", &body).await.expect(200);
    assert_eq!(first.body["approved"], true);
    let second = stack.issuer("/authorizations", &body).await.expect(200);
    assert_eq!(first.text, second.text);
    let more = format!(r#"{{"occurred_at":"{now}","message_id":"m-2","issuer_card_id":"{issuer_card}","amount":5}}"#);
    stack.issuer("/authorizations/a-1/increments", &more).await.expect(200);
    let clear = format!(
        r#"{{"occurred_at":"{now}","message_id":"m-3","authorization_id":"a-1","issuer_card_id":"{issuer_card}","amount":35,"final":true}}"#
    );
    let cleared = stack.issuer("/clearings", &clear).await.expect(200);
    assert_eq!((&cleared.body["result"], &cleared.body["amount"]), (&json!("cleared"), &json!(35.0)));
    // A clearing of an authorization that never was has happened all the same
    let stray = format!(
        r#"{{"occurred_at":"{now}","message_id":"m-4","authorization_id":"a-9","card_id":"{card}","amount":10}}"#
    );
    let posted = stack.issuer("/clearings", &stray).await.expect(200);
    assert_eq!(posted.body["result"], "force_posted");
    let refund = format!(r#"{{"occurred_at":"{now}","message_id":"m-5","authorization_id":"a-1","card_id":"{card}"}}"#);
    assert_eq!(stack.issuer("/refunds", &refund).await.expect(200).body["amount"], 35.0);
    let early = format!(r#"{{"occurred_at":"{now}","message_id":"m-6","authorization_id":"a-2","card_id":"{card}"}}"#);
    assert_eq!(stack.issuer("/reversals", &early).await.expect(200).body["result"], "remembered");
    // The issuer blocks the card for fraud
    let block = format!(r#"{{"occurred_at":"{now}","message_id":"m-7","reason":"pattern","fraud":true}}"#);
    let blocked = stack.issuer(&format!("/cards/{issuer_card}/blocks"), &block).await.expect(200);
    assert_eq!(blocked.body["card_id"], json!(card));
    let unnamed = format!(r#"{{"occurred_at":"{now}","authorization_id":"a-3","card_id":"{card}","amount":1}}"#);
    let refused = stack.issuer("/authorizations", &unnamed).await.expect(400);
    assert_eq!(refused.body["error"]["details"]["field"], "message_id");
    // A message without its own date would count again once its key is forgotten
    let undated = format!(r#"{{"message_id":"m-8","authorization_id":"a-1","card_id":"{card}","amount":1}}"#);
    for path in ["/authorizations", "/authorizations/a-1/increments", "/clearings", "/reversals", "/refunds"] {
        let refused = stack.issuer(path, &undated).await.expect(400);
        assert_eq!(refused.body["error"]["details"]["field"], "occurred_at", "{path}");
    }
    let undated = r#"{"message_id":"m-9","reason":"pattern"}"#;
    let refused = stack.issuer(&format!("/cards/{issuer_card}/blocks"), undated).await.expect(400);
    assert_eq!(refused.body["error"]["details"]["field"], "occurred_at");
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clearing_that_belongs_to_nothing_is_posted_and_counts_once() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let body = format!(r#"{{"card_id":"{card}","amount":12.50,"network_id":"clearing-1"}}"#);
    for _ in 0..2 {
        let posted = stack.sandbox("POST", "/authorizations/net-9/clear", &body).await.expect(200);
        assert_eq!((&posted.body["result"], &posted.body["amount"]), (&json!("force_posted"), &json!(12.5)));
        assert_eq!(shown(&stack, posted.body["authorization_id"].as_str().unwrap()).await["cleared"], 12.5);
    }
    let shown = stack.ops("GET", &format!("/cards/{card}"), "").await.expect(200);
    assert_eq!(shown.body["balance"], 87.5);
    // Without an amount nothing says how much it is; it may be early, and is not kept as an outcome
    let unknown = format!(r#"{{"card_id":"{card}","network_id":"clearing-2"}}"#);
    stack.sandbox("POST", "/authorizations/net-10/clear", &unknown).await.expect(404);
    stack.close().await;
}
