//! Appeals: for blocked cards only, one open at a time, decided by ops.

use serde_json::{Value, json};

use crate::world::World;

const APPEAL: &str = "/api/v1/cards/blocked-appeal";

#[tokio::test]
async fn an_appeal_is_for_a_blocked_card_one_open_at_a_time() {
    let world = World::start();
    let card = world.card("Travel").await;
    let status = format!("{APPEAL}/status/{}", card.id);
    let appeal = json!({"card_id": card.id, "request_message": "Please review and unblock this card."});
    // Not for a card that is not blocked.
    let got = world.post(APPEAL, &appeal).await;
    assert_eq!(got.error(), (409, "invalid_status".into(), None));
    assert!(got.message().contains("ACTIVE"), "{}", got.text);
    let standing = world.get(&status).await.expect(200).data();
    let nothing = json!({"has_appeal_request": false, "card_status": "ACTIVE", "request_id": null, "request_uuid": null,
        "status": null, "email_status": null});
    assert_eq!(standing, nothing);

    // Blocked, the user cannot lift it, and sees nothing secret of it;
    world.block(&card, false).await;
    for word in ["ACTIVE", "FROZEN"] {
        let body = json!({"card_id": card.id, "card_status": word});
        let got = world.post("/api/v1/cards/update-status", &body).await;
        assert_eq!(got.error(), (409, "invalid_status".into(), None), "{word}");
        assert!(got.message().contains("BLOCKED"), "{}", got.text);
    }
    let got = world.post("/api/v1/cards/show-cvv", &json!({"card_id": card.id})).await;
    assert_eq!(got.error().1, "invalid_status");
    // but appeals, once.
    let first = world.post(APPEAL, &appeal).await.expect(200).data();
    assert_eq!((&first["status"], &first["card_id"]), (&json!("open"), &json!(card.id)));
    let again = world.post(APPEAL, &appeal).await;
    assert_eq!(again.error(), (409, "appeal_open".into(), None));
    let standing = world.get(&status).await.expect(200).data();
    assert_eq!((&standing["has_appeal_request"], &standing["card_status"]), (&json!(true), &json!("BLOCKED")));
    for field in ["request_id", "request_uuid", "status"] {
        assert_eq!(standing[field], first[field], "{field}");
    }
    assert!(standing["email_status"].is_string());

    // Rejected, there may be another, and the latest counts;
    let id = |appeal: &Value| appeal["request_uuid"].as_str().unwrap().to_owned();
    world.ops(&format!("/appeals/{}/reject", id(&first)), &json!({"reason": "no"})).await;
    assert_eq!(world.get(&status).await.expect(200).data()["status"], "rejected");
    let second = world.post(APPEAL, &appeal).await.expect(200).data();
    assert_ne!(id(&second), id(&first));
    assert_eq!(world.get(&status).await.expect(200).data()["request_uuid"], second["request_uuid"]);
    // granted, the card is what it was before, and there is nothing to appeal against.
    world.ops(&format!("/appeals/{}/approve", id(&second)), &json!({"reason": "well"})).await;
    world.becomes(&card.uuid, "ACTIVE").await;
    // Decided is decided, either way.
    for (appeal, word) in [(&first, "approve"), (&second, "reject"), (&second, "approve")] {
        let path = format!("/appeals/{}/{word}", id(appeal));
        assert_eq!(world.ops_refused(&path, &json!({"reason": "once more"})).await, (409, "already_decided".into()));
    }
    let standing = world.get(&status).await.expect(200).data();
    assert_eq!((&standing["status"], &standing["card_status"]), (&json!("approved"), &json!("ACTIVE")));
    assert_eq!(world.post(APPEAL, &appeal).await.error().1, "invalid_status");
    // What was said is nowhere in clear.
    assert!(!world.server.logged().contains("Please review"));
}

#[tokio::test]
async fn a_message_is_of_any_script_but_bounded_and_a_key_makes_one_appeal() {
    let world = World::start_with(|command| {
        command.env("FLORIN_MOBILE_APPEALS_PER_MINUTE", "0");
    });
    let card = world.card("Travel").await;
    world.block(&card, true).await;
    for (message, code) in [
        (json!(""), "too_short"),
        (json!("x".repeat(2_001)), "too_long"),
        (json!("𝒳".repeat(2_001)), "too_long"),
        (json!("a\u{0}b"), "invalid_characters"),
        (json!("\u{1b}[31m"), "invalid_characters"),
        (json!(5), "invalid_type"),
        (Value::Null, "required"),
    ] {
        let got = world.post(APPEAL, &json!({"card_id": card.id, "request_message": message})).await;
        assert_eq!(got.error(), (400, code.to_owned(), Some("request_message".to_owned())), "{}", got.text);
    }
    // A fraud block may be appealed against as any other.
    let body = json!({"card_id": card.id, "request_message": format!("נא לבדוק\n{}", "𝒳".repeat(1_900))}).to_string();
    let first = world.post_under("appeal-1", APPEAL, &body).await.expect(200);
    let again = world.post_under("appeal-1", APPEAL, &body).await.expect(200);
    assert_eq!((&again.text, again.replayed()), (&first.text, true));
    let other = json!({"card_id": card.id, "request_message": "other"}).to_string();
    assert_eq!(world.post_under("appeal-1", APPEAL, &other).await.error().1, "idempotency_conflict");
}

#[tokio::test]
async fn the_eleventh_appeal_of_a_minute_waits_and_no_other_route_does() {
    let world = World::start();
    let body = json!({"card_id": 1, "request_message": "x"});
    for _ in 0..10 {
        assert_eq!(world.post(APPEAL, &body).await.error().0, 404);
    }
    let got = world.post(APPEAL, &body).await;
    assert_eq!(got.error(), (429, "rate_limited".into(), None));
    let wait: u64 = got.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(world.get(&format!("{APPEAL}/status/1")).await.error().0, 404);
    assert_eq!(world.get("/api/v1/cards").await.status, 200);
    // Nor is the other route with a limit of its own, until its sixty are used up.
    let body = json!({"card_id": 1, "card_status": "FROZEN"});
    for _ in 0..60 {
        assert_eq!(world.post("/api/v1/cards/update-status", &body).await.error().0, 404);
    }
    assert_eq!(world.post("/api/v1/cards/update-status", &body).await.error().0, 429);
    assert_eq!(
        world
            .post("/api/v1/cards/transaction-limit", &json!({"card_id": 1, "limit_per_transaction": 1}))
            .await
            .error()
            .0,
        404
    );
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_address_has_its_own_limit() {
    let world = World::start_with(|command| {
        command.env("FLORIN_GATEWAY_PROXIES", "1");
        command.env("FLORIN_MOBILE_APPEALS_PER_MINUTE", "1");
    });
    let token = format!("Bearer {}", World::token("demo", Some("carol")));
    // What a caller writes itself, to the left of the proxy's entry, makes no difference.
    for (forwarded, status) in [("192.0.2.1", 404), ("6.6.6.6, 192.0.2.1", 429), ("192.0.2.2", 404)] {
        let headers =
            [("authorization", &*token), ("content-type", "application/json"), ("x-forwarded-for", forwarded)];
        let body = br#"{"card_id": 1, "request_message": "x"}"#;
        let got = world.call(reqwest::Method::POST, APPEAL, &headers, Some(body)).await;
        assert_eq!(got.status, status, "{forwarded}: {}", got.text);
    }
}
