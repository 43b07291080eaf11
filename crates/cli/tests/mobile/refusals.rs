//! What is out of form: hostile numbers, wrong types, bodies, methods and headers. None of it changes anything.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn hostile_numbers_and_types_name_their_field_and_change_nothing() {
    let world = World::start_with(|command| {
        command.env("FLORIN_MOBILE_APPEALS_PER_MINUTE", "0").env("FLORIN_MOBILE_STATUS_CHANGES_PER_MINUTE", "0");
    });
    let card = world.card("Travel").await;
    let path = format!("/api/v1/cards/{}", card.uuid);
    let before = world.get(&path).await.expect(200).data();
    let token = World::token("demo", Some("carol"));
    // Ids: whole JSON numbers above zero.
    for id in ["0", "-1", "1.0", "1e2", "\"1\"", "true", "[1]", "{}", "9223372036854775808", "1e400", "null"] {
        for (route, rest) in [
            ("update-status", r#""card_status": "FROZEN""#),
            ("blocked-appeal", r#""request_message": "x""#),
            ("transaction-limit", r#""limit_per_transaction": 1"#),
            ("no-pin-payment", r#""no_pin_payment_amount": 1"#),
            ("show-cvv", r#""x": 1"#),
            ("show-cvv-iframe", r#""x": 1"#),
            ("activate", r#""card_number_last4": "1234", "expiry_date": "01/30""#),
        ] {
            let body = format!(r#"{{"card_id": {id}, {rest}}}"#);
            let got = world.post_as(&token, &format!("/api/v1/cards/{route}"), &body).await;
            assert_eq!((got.error().0, got.error().2), (400, Some("card_id".to_owned())), "{route} {id}: {}", got.text);
        }
    }
    // Amounts: plain digits, no sign, no exponent, two decimals.
    for amount in [
        "-1",
        "-0",
        "1.001",
        "1e3",
        "\"1e3\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-1\"",
        "\"+1\"",
        "\"\"",
        "\" 1\"",
        "\"1,5\"",
        "\"٥\"",
        "\"0x1\"",
        "true",
        "null",
        "[]",
        "{}",
        "100000000000000000000",
        "92233720368547758.08",
    ] {
        for (path, body, field) in [
            ("/api/v1/cards/transaction-limit".to_owned(), "limit_per_transaction", "limit_per_transaction"),
            ("/api/v1/cards/no-pin-payment".to_owned(), "no_pin_payment_amount", "no_pin_payment_amount"),
            (format!("{path}/transfer"), "amount", "amount"),
            (format!("{path}/withdraw"), "amount", "amount"),
        ] {
            let body = format!(r#"{{"card_id": {}, "{body}": {amount}}}"#, card.id);
            let got = world.post_as(&token, &path, &body).await;
            assert_eq!((got.error().0, got.error().2), (400, Some(field.to_owned())), "{path} {amount}: {}", got.text);
        }
    }
    for (route, body, field) in [
        ("update-status", json!({"card_id": card.id}), "card_status"),
        ("update-status", json!({"card_id": card.id, "card_status": "frozen"}), "card_status"),
        ("update-status", json!({"card_id": card.id, "card_status": "BLOCKED"}), "card_status"),
        ("update-status", json!({"card_id": card.id, "card_status": 1}), "card_status"),
        (
            "activate",
            json!({"card_id": card.id, "card_number_last4": "12345", "expiry_date": "01/30"}),
            "card_number_last4",
        ),
        (
            "activate",
            json!({"card_id": card.id, "card_number_last4": 1234, "expiry_date": "01/30"}),
            "card_number_last4",
        ),
        ("activate", json!({"card_id": card.id, "card_number_last4": "1234", "expiry_date": "13/30"}), "expiry_date"),
        ("get-by-number", json!({}), "card_number"),
    ] {
        let got = world.post(&format!("/api/v1/cards/{route}"), &body).await;
        assert_eq!((got.error().0, got.error().2), (400, Some(field.to_owned())), "{route}: {}", got.text);
    }
    for (body, field) in [
        (json!({}), "card_type"),
        (json!({"card_type": "virtual"}), "card_type"),
        (json!({"card_type": "VIRTUAL", "card_name": ""}), "card_name"),
        (json!({"card_type": "VIRTUAL", "card_name": "x".repeat(51)}), "card_name"),
        (json!({"card_type": "VIRTUAL", "card_name": "a\u{0}b"}), "card_name"),
        (json!({"card_type": "VIRTUAL", "card_name": 5}), "card_name"),
    ] {
        let got = world.post("/api/v1/card-requests", &body).await;
        assert_eq!((got.error().0, got.error().2), (400, Some(field.to_owned())), "{body}");
    }
    for (path, field) in [
        ("/api/v1/cards/no-uuid", "uuid"),
        ("/api/v1/cards/%FF", "uuid"),
        ("/api/v1/cards/blocked-appeal/status/x", "card_id"),
        ("/api/v1/cards/blocked-appeal/status/0", "card_id"),
        ("/api/v1/card-requests/1", "id"),
    ] {
        let got = world.get(path).await;
        assert_eq!((got.error().0, got.error().2), (400, Some(field.to_owned())), "{path}");
    }
    let got = world.post("/api/v1/cards/no-uuid/transfer", &json!({"amount": 1})).await;
    assert_eq!(got.error().2, Some("uuid".to_owned()));
    // A zero limit, and one as large as there is, are limits.
    for limit in ["92233720368547758.07", "\"0\""] {
        let body = format!(r#"{{"card_id": {}, "limit_per_transaction": {limit}, "unknown": [{{}}]}}"#, card.id);
        let got = world.post_as(&token, "/api/v1/cards/transaction-limit", &body).await.expect(200);
        assert_eq!(got.body["data"]["status"], "PROCESSING");
        world.becomes(&card.uuid, "ACTIVE").await;
    }
    let after = world.get(&path).await.expect(200).data();
    for field in ["balance", "no_pin_payment_amount", "card_name", "status"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["limit_per_transaction"], 0.0);
    assert_eq!(world.wallet().await, 1_000_000);
}

#[tokio::test]
async fn bodies_methods_types_and_headers_that_do_not_fit_are_refused() {
    let world = World::start();
    let path = "/api/v1/card-requests";
    let token = format!("Bearer {}", World::token("demo", Some("carol")));
    let call = |method: Method, path: &'static str, headers: &[(&'static str, &'static str)], body: Option<Vec<u8>>| {
        let mut headers = headers.to_vec();
        headers.push(("authorization", &token));
        let world = &world;
        let headers: Vec<(String, String)> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            world.call(method, path, &headers, body.as_deref()).await
        }
    };
    let json = ("content-type", "application/json");
    let large = format!(r#"{{"card_name": "{}"}}"#, "x".repeat(70_000)).into_bytes();
    assert_eq!(call(Method::POST, path, &[json], Some(large)).await.error(), (413, "payload_too_large".into(), None));
    let deep = format!("{{\"card_type\":{}", "[".repeat(30_000)).into_bytes();
    for body in [&b""[..], b"{", b"[]", b"null", b"NaN", b"\xff\xfe", b"{\"card_type\":\"\xff\"}", &deep] {
        let got = call(Method::POST, path, &[json], Some(body.to_vec())).await;
        assert_eq!(got.error(), (400, "invalid_request".into(), None), "{}", got.text);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let got = call(Method::POST, path, &[("content-type", kind)], Some(b"{}".to_vec())).await;
        assert_eq!(got.error(), (415, "unsupported_media_type".into(), None));
    }
    for (method, path, allowed) in [
        (Method::PUT, path, "POST"),
        (Method::DELETE, "/api/v1/cards", "GET"),
        (Method::POST, "/api/v1/cards", "GET"),
        (Method::GET, "/api/v1/cards/update-status", "POST"),
        (Method::GET, "/api/v1/cards/show-cvv", "POST"),
    ] {
        let got = call(method, path, &[], None).await;
        assert_eq!(got.error(), (405, "method_not_allowed".into(), None), "{path}");
        assert_eq!(got.headers["allow"], allowed, "{path}");
    }
    assert_eq!(call(Method::HEAD, "/api/v1/cards", &[], None).await.status, 405);
    for path in ["/api/v1", "/api/v2/cards", "/api/v1/cards/", "/api/v1/nothing"] {
        assert_eq!(call(Method::GET, path, &[], None).await.error(), (404, "not_found".into(), None), "{path}");
    }
    let body = Some(br#"{"card_type": "VIRTUAL"}"#.to_vec());
    for key in ["", "a b"] {
        let got = call(Method::POST, path, &[json, ("idempotency-key", key)], body.clone()).await;
        assert_eq!(got.error(), (400, "invalid_format".into(), Some("Idempotency-Key".into())), "{key:?}");
    }
    let got = call(Method::GET, "/api/v1/cards", &[("x-florin-position", "x")], None).await;
    assert_eq!(got.error().2, Some("X-Florin-Position".to_owned()));
    let got =
        call(Method::GET, "/api/v1/cards", &[("x-request-id", "my-id.7"), ("origin", "https://evil.example")], None)
            .await;
    assert_eq!((got.status, &got.headers["x-request-id"]), (200, &"my-id.7".parse().unwrap()));
    assert!(got.headers.contains_key("x-florin-as-of") && !got.headers.contains_key("access-control-allow-origin"));
    assert_eq!(world.get("/api/v1/cards").await.data()["total"], 0);
}

#[tokio::test]
async fn a_repeated_key_has_one_effect_and_its_first_answer() {
    let world = World::start();
    let card = world.card("Travel").await;
    let transfer = format!("/api/v1/cards/{}/transfer", card.uuid);
    let first = world.post_under("t-1", &transfer, r#"{"amount": 10}"#).await.expect(200);
    let again = world.post_under("t-1", &transfer, r#"{"amount": "10.00", "x": 1}"#).await.expect(200);
    assert_eq!((&again.text, again.replayed()), (&first.text, true));
    assert_eq!(again.headers["x-florin-position"], first.headers["x-florin-position"]);
    let body = format!(r#"{{"card_id": {}, "card_status": "FROZEN"}}"#, card.id);
    let first = world.post_under("s-1", "/api/v1/cards/update-status", &body).await.expect(200);
    world.becomes(&card.uuid, "FROZEN").await;
    let again = world.post_under("s-1", "/api/v1/cards/update-status", &body).await.expect(200);
    assert_eq!((&again.text, again.replayed()), (&first.text, true));
    // A refusal is an outcome too.
    let refused = world.post_under("s-2", "/api/v1/cards/update-status", &body).await;
    world.change(&card, "ACTIVE").await;
    let again = world.post_under("s-2", "/api/v1/cards/update-status", &body).await;
    assert_eq!((refused.error().1.as_str(), &again.text), ("nothing_to_change", &refused.text));
    // The same key on another call, or for another content, is a conflict.
    for (path, body) in [(&*transfer, r#"{"amount": 11}"#), ("/api/v1/card-requests", r#"{"card_type": "VIRTUAL"}"#)] {
        let got = world.post_under("t-1", path, body).await;
        assert_eq!(got.error(), (409, "idempotency_conflict".into(), None), "{path}");
    }
    assert_eq!(world.wallet().await, 999_000);
}

#[tokio::test]
async fn an_erased_user_is_nobody() {
    let world = World::start();
    let card = world.card("Travel").await;
    let answer = world.server.ops(Method::DELETE, "/users/demo/carol/personal-data").send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    for path in ["/api/v1/cards".to_owned(), format!("/api/v1/cards/{}", card.uuid)] {
        assert_eq!(world.get(&path).await.error(), (404, "not_found".into(), None), "{path}");
    }
    let got = world.post("/api/v1/card-requests", &json!({"card_type": "VIRTUAL"})).await;
    assert_eq!((got.error().0, &got.body["data"]), (404, &Value::Null));
}
