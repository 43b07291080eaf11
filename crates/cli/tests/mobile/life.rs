//! A mobile user's life: request, approval, money, freeze while frozen, limits while PROCESSING, PRE_CANCEL with a hold open.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{server::send, world::World};

const STATUS: &str = "/api/v1/cards/update-status";

#[tokio::test]
async fn a_card_is_asked_for_approved_used_and_cancelled() {
    let world = World::start();
    // Given a request that ops approve
    let asked = world.post("/api/v1/card-requests", &json!({"card_type": "VIRTUAL", "card_name": "Travel"})).await;
    assert!(asked.headers.contains_key("x-florin-position"));
    let asked = asked.expect(201).data();
    assert_eq!((&asked["status"], &asked["card_type"]), (&json!("open"), &json!("VIRTUAL")));
    for field in ["card_uuid", "card_id", "decided_at"] {
        assert_eq!(asked[field], Value::Null, "{field}");
    }
    let request = asked["request_id"].as_str().unwrap();
    let shown = world.get(&format!("/api/v1/card-requests/{request}")).await.expect(200).data();
    assert_eq!(shown, asked);
    world.ops(&format!("/card-requests/{request}/approve"), &json!({"reason": "fine"})).await;
    let decided = world.get(&format!("/api/v1/card-requests/{request}")).await.expect(200).data();
    assert_eq!(decided["status"], "approved");
    let uuid = decided["card_uuid"].as_str().unwrap();

    // then the card is made and shows all that the API says of a card
    let card = world.becomes(uuid, "ACTIVE").await;
    let id = card["id"].as_u64().unwrap();
    assert_eq!(decided["card_id"], id);
    let last_four = card["last_four"].as_str().unwrap();
    assert_eq!(last_four.len(), 4);
    assert_eq!(card["card_number"], format!("**** **** **** {last_four}"));
    assert_eq!(card["expiry_date"].as_str().unwrap().len(), 5);
    for (field, value) in [
        ("uuid", json!(uuid)),
        ("card_name", json!("Travel")),
        ("card_type", json!("VIRTUAL")),
        ("currency", json!("USD")),
        ("balance", json!(0.0)),
        ("limit_per_transaction", Value::Null),
        ("no_pin_payment_amount", Value::Null),
    ] {
        assert_eq!(card[field], value, "{field}");
    }
    assert!(card["created_at"].as_str().unwrap().ends_with('Z') && card["updated_at"].as_str().unwrap().ends_with('Z'));

    // Money goes there and back, without a fee, to the cent.
    let moved = world.post(&format!("/api/v1/cards/{uuid}/transfer"), &json!({"amount": "250.05"})).await.expect(200);
    assert!(
        moved.text.contains("\"amount\":250.05,\"fee\":0.00,\"balance\":250.05,\"currency\":\"USD\""),
        "{}",
        moved.text
    );
    let moved = world.post(&format!("/api/v1/cards/{uuid}/withdraw"), &json!({"amount": 50.05})).await.expect(200);
    assert!(
        moved.text.contains("\"amount\":50.05,\"fee\":0.00,\"balance\":200.00,\"currency\":\"USD\""),
        "{}",
        moved.text
    );
    assert_eq!(world.wallet().await, 980_000);
    for (amount, code) in [("9800.01", "insufficient_balance"), ("0", "out_of_range"), ("0.001", "invalid_amount")] {
        let got = world.post(&format!("/api/v1/cards/{uuid}/transfer"), &json!({"amount": amount})).await;
        assert_eq!(got.error().1, code, "{amount}");
    }
    let got = world.post(&format!("/api/v1/cards/{uuid}/withdraw"), &json!({"amount": 200.01})).await;
    assert_eq!(got.error(), (409, "insufficient_balance".into(), None));
    assert!(got.message().contains("200.01 is needed, 200.00 available"), "{}", got.text);

    // The same card is the dashboard's too.
    assert_eq!(world.server.listed("carol", uuid).await["status"], "active");

    // When it is cancelled with a hold open, it closes only once the hold is gone, and the rest is swept.
    let purchase = json!({"card_id": uuid, "amount": 30, "currency": "USD", "merchant": "Shop", "mcc": "5411", "country": "GB",
        "card_present": false, "pin_entered": false});
    let hold = send(world.server.sandbox(Method::POST, "/authorizations").body(purchase.to_string()), 200).await;
    assert_eq!(hold["approved"], true, "{hold}");
    let cancelled = world.post(STATUS, &json!({"card_id": id, "card_status": "CANCELLED"})).await.expect(200);
    assert_eq!(
        (cancelled.message(), &cancelled.body["data"]["status"]),
        ("Card cancellation requested", &json!("PROCESSING"))
    );
    let closing = world.becomes(uuid, "PRE_CANCEL").await;
    assert_eq!(closing["balance"], 200.0);
    for word in ["ACTIVE", "FROZEN", "CANCELLED"] {
        let got = world.post(STATUS, &json!({"card_id": id, "card_status": word})).await;
        assert_eq!(got.error().1, "invalid_status", "{word}");
        assert!(got.message().contains("PRE_CANCEL"), "{}", got.text);
    }
    let hold = hold["authorization_id"].as_str().unwrap();
    send(world.server.sandbox(Method::POST, &format!("/authorizations/{hold}/clear")).body("{}"), 200).await;
    world.becomes(uuid, "CANCELLED").await;
    assert_eq!(world.wallet().await, 997_000);
    // Closed, it is listed only when asked for.
    assert_eq!(world.get("/api/v1/cards").await.expect(200).data()["total"], 0);
    let list = world.get("/api/v1/cards?status=CANCELLED").await.expect(200).data();
    assert_eq!(list["cards"][0]["uuid"], uuid);
    for path in ["show-cvv", "update-status", "no-pin-payment", "transaction-limit"] {
        let body =
            json!({"card_id": id, "card_status": "ACTIVE", "no_pin_payment_amount": 5, "limit_per_transaction": 5});
        let got = world.post(&format!("/api/v1/cards/{path}"), &body).await;
        assert_eq!(got.error().1, "invalid_status", "{path}: {}", got.text);
    }
}

#[tokio::test]
async fn a_frozen_card_is_not_frozen_again_and_a_change_waits_for_the_one_before() {
    let world = World::start();
    let card = world.card("Travel").await;
    // The answer says what was asked, and the card PROCESSING, however soon it is done.
    for (word, said, shown) in
        [("FROZEN", "Card freeze requested", "FROZEN"), ("ACTIVE", "Card re-activation requested", "ACTIVE")]
    {
        let body = json!({"card_id": card.id, "card_status": word});
        let got = world.post(STATUS, &body).await.expect(200);
        assert_eq!((got.message(), &got.body["data"]["status"]), (said, &json!("PROCESSING")));
        assert_eq!(got.body["data"]["id"], card.id);
        world.becomes(&card.uuid, shown).await;
        // Freezing what is frozen changes nothing, and says so.
        let again = world.post(STATUS, &body).await;
        assert_eq!(again.error(), (409, "nothing_to_change".into(), None), "{word}");
    }

    // Given a limit change that the issuer has not done yet
    world.hold().await;
    let limit = json!({"card_id": card.id, "limit_per_transaction": 250});
    let got = world.post("/api/v1/cards/transaction-limit", &limit).await.expect(200);
    assert_eq!(got.body["data"]["status"], "PROCESSING");
    assert!(got.text.contains("\"limit_per_transaction\":250.00"), "{}", got.text);
    let shown = world.get(&format!("/api/v1/cards/{}", card.uuid)).await.expect(200).data();
    assert_eq!(shown["status"], "PROCESSING");
    let list = world.get("/api/v1/cards?status=PROCESSING").await.expect(200).data();
    assert_eq!(list["total"], 1);
    // then nothing else is changed through the issuer,
    for (path, body) in [
        ("transaction-limit", json!({"card_id": card.id, "limit_per_transaction": 300})),
        ("update-status", json!({"card_id": card.id, "card_status": "FROZEN"})),
        ("update-status", json!({"card_id": card.id, "card_status": "CANCELLED"})),
    ] {
        let got = world.post(&format!("/api/v1/cards/{path}"), &body).await;
        assert_eq!(got.error(), (409, "card_processing".into(), None), "{path}");
    }
    // but the no-PIN amount is, at once.
    let body = json!({"card_id": card.id, "no_pin_payment_amount": 50});
    let got = world.post("/api/v1/cards/no-pin-payment", &body).await.expect(200);
    assert_eq!(got.body["data"], json!({"message": "No-PIN payment amount updated successfully"}));
    world.release().await;
    let shown = world.becomes(&card.uuid, "ACTIVE").await;
    assert_eq!((&shown["limit_per_transaction"], &shown["no_pin_payment_amount"]), (&json!(250.0), &json!(50.0)));
    // The issuer was given cents.
    let issued = send(world.server.sandbox(Method::GET, &format!("/issuer/cards/{}", card.uuid)), 200).await;
    assert_eq!(issued["limits"]["transaction"], 25_000, "{issued}");
    let got = world.post("/api/v1/cards/transaction-limit", &limit).await;
    assert_eq!(got.error().1, "nothing_to_change");
    // A limit is for active cards.
    world.change(&card, "FROZEN").await;
    let got =
        world.post("/api/v1/cards/transaction-limit", &json!({"card_id": card.id, "limit_per_transaction": 1})).await;
    assert_eq!(got.error().1, "invalid_status");
    assert!(got.message().contains("FROZEN"), "{}", got.text);
}

#[tokio::test]
async fn a_change_that_the_issuer_refuses_leaves_the_card_as_it_was() {
    let world = World::start();
    let card = world.card("Travel").await;
    world.issuer(r#"{"refuse": true}"#).await;
    let body = json!({"card_id": card.id, "limit_per_transaction": 10});
    world.post("/api/v1/cards/transaction-limit", &body).await.expect(200);
    let shown = world.becomes(&card.uuid, "ACTIVE").await;
    assert_eq!(shown["limit_per_transaction"], Value::Null);
}

#[tokio::test]
async fn the_documents_message_comes_back_when_it_is_asked_for() {
    let world = World::start_with(|command| {
        command.env("FLORIN_MOBILE_LEGACY_MESSAGES", "true");
    });
    let card = world.card("Travel").await;
    for word in ["FROZEN", "ACTIVE", "CANCELLED"] {
        let body = json!({"card_id": card.id, "card_status": word});
        let got = world.post(STATUS, &body).await.expect(200);
        assert_eq!((got.message(), &got.body["data"]["status"]), ("Card successfully frozen", &json!("PROCESSING")));
        world.becomes(&card.uuid, word).await;
    }
}

#[tokio::test]
async fn a_physical_card_is_activated_by_what_is_on_it_and_five_wrong_tries_block_it() {
    let world = World::start();
    let asked = world.post("/api/v1/card-requests", &json!({"card_type": "PHYSICAL"})).await.expect(201).data();
    let request = asked["request_id"].as_str().unwrap();
    world.ops(&format!("/card-requests/{request}/approve"), &json!({"reason": "fine"})).await;
    let decided = world.get(&format!("/api/v1/card-requests/{request}")).await.expect(200).data();
    let (uuid, id) = (decided["card_uuid"].as_str().unwrap(), decided["card_id"].as_u64().unwrap());
    let at_issuer = loop {
        let card = send(world.server.ops(Method::GET, &format!("/cards/{uuid}")), 200).await;
        if card["status"] == "not_activated" {
            break card;
        }
    };
    // Until it is activated, last four and expiry are its secret, in searches too.
    let (last4, expiry) = (at_issuer["last4"].as_str().unwrap(), at_issuer["expiry"].as_str().unwrap());
    let shown = world.get(&format!("/api/v1/cards/{uuid}")).await.expect(200).data();
    for field in ["card_number", "last_four", "expiry_date"] {
        assert_eq!(shown[field], Value::Null, "{field}");
    }
    assert_eq!(shown["status"], "PROCESSING");
    let found = world.get(&format!("/api/v1/cards?search={last4}")).await.expect(200).data();
    assert_eq!(found["total"], 0);
    for (path, body) in
        [("show-cvv", json!({"card_id": id})), ("update-status", json!({"card_id": id, "card_status": "FROZEN"}))]
    {
        let got = world.post(&format!("/api/v1/cards/{path}"), &body).await;
        assert_eq!(got.error(), (409, "card_processing".into(), None), "{path}");
    }
    // Four wrong tries say nothing of which is wrong; the right one after them activates.
    let wrong = if last4 == "0000" { "0001" } else { "0000" };
    let activate = |last4: &str, expiry: &str| {
        let body = json!({"card_id": id, "card_number_last4": last4, "expiry_date": expiry});
        let world = &world;
        async move { world.post("/api/v1/cards/activate", &body).await }
    };
    let mut told = Vec::new();
    for (last4, expiry) in [(wrong, expiry), (last4, "01/99"), (wrong, "01/2099"), (wrong, expiry)] {
        let got = activate(last4, expiry).await;
        assert_eq!(got.error(), (400, "invalid_request".into(), None));
        told.push(got.text);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    let got = activate(last4, expiry).await.expect(200);
    assert_eq!((&got.body["data"]["status"], &got.body["data"]["last_four"]), (&json!("ACTIVE"), &json!(last4)));
    let again = activate(last4, expiry).await;
    assert_eq!(again.error().1, "invalid_status");

    // Another one: five wrong tries, and it is blocked.
    let asked = world.post("/api/v1/card-requests", &json!({"card_type": "PHYSICAL"})).await.expect(201).data();
    let request = asked["request_id"].as_str().unwrap();
    world.ops(&format!("/card-requests/{request}/approve"), &json!({"reason": "fine"})).await;
    let decided = world.get(&format!("/api/v1/card-requests/{request}")).await.expect(200).data();
    let (uuid, id) = (decided["card_uuid"].as_str().unwrap(), decided["card_id"].as_u64().unwrap());
    loop {
        let card = send(world.server.ops(Method::GET, &format!("/cards/{uuid}")), 200).await;
        if card["status"] == "not_activated" {
            break;
        }
    }
    for _ in 0..5 {
        let body = json!({"card_id": id, "card_number_last4": "1234", "expiry_date": "01/99"});
        let got = world.post("/api/v1/cards/activate", &body).await;
        assert_eq!(got.error().0, 400, "{}", got.text);
    }
    let shown = world.becomes(uuid, "BLOCKED").await;
    assert_eq!(shown["last_four"], Value::Null);
}
