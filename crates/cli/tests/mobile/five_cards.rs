//! The five-card rule: open requests count, at the request and at the approval, however many come at once.

use serde_json::{Value, json};

use crate::{server::send, world::World};

#[tokio::test]
async fn of_twenty_requests_at_once_five_become_cards() {
    let world = std::sync::Arc::new(World::start());
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let body = json!({"card_type": "VIRTUAL", "card_name": format!("Card {n}")});
                world.post("/api/v1/card-requests", &body).await
            })
        })
        .collect();
    let (mut open, mut refused) = (Vec::new(), 0);
    for call in calls {
        let got = call.await.unwrap();
        if got.status == 201 {
            open.push(got.data()["request_id"].as_str().unwrap().to_owned());
        } else {
            assert_eq!(got.error(), (409, "card_limit_reached".into(), None));
            assert!(got.message().contains("5 of 5"), "{}", got.text);
            refused += 1;
        }
    }
    assert_eq!((open.len(), refused), (5, 15));
    // No room through another API either, while they are open;
    let body = r#"{"cardName": "x", "initialBalance": 100}"#;
    let path = "/users/carol/cards";
    let got = send(world.server.dashboard(reqwest::Method::POST, path).body(body), 409).await;
    assert_eq!(got["error"]["code"], "card_limit_reached");
    // and approved all at once, each is one card.
    let approvals: Vec<_> = open
        .iter()
        .flat_map(|request| [request.clone(), request.clone()])
        .map(|request| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let path = format!("/card-requests/{request}/approve");
                let body = r#"{"reason": "fine"}"#;
                let answer = world.server.ops(reqwest::Method::POST, &path).header("content-type", "application/json");
                answer.body(body).send().await.unwrap().status().as_u16()
            })
        })
        .collect();
    let mut approved = 0;
    for approval in approvals {
        approved += usize::from(approval.await.unwrap() == 200);
    }
    assert_eq!(approved, 5);
    let list = world.get("/api/v1/cards").await.expect(200).data();
    assert_eq!((&list["total"], &list["total_pages"]), (&json!(5), &json!(1)));
    assert_eq!(world.post("/api/v1/card-requests", &json!({"card_type": "VIRTUAL"})).await.error().0, 409);
    // A cancelled card makes room.
    let uuid = list["cards"][0]["uuid"].as_str().unwrap().to_owned();
    let id = world.becomes(&uuid, "ACTIVE").await["id"].as_u64().unwrap();
    let body = json!({"card_id": id, "card_status": "CANCELLED"});
    world.post("/api/v1/cards/update-status", &body).await.expect(200);
    world.becomes(&uuid, "CANCELLED").await;
    world.post("/api/v1/card-requests", &json!({"card_type": "PHYSICAL"})).await.expect(201);
}

#[tokio::test]
async fn a_rejected_request_makes_room_and_a_key_makes_one_request() {
    let world = World::start();
    let body = r#"{"card_type": "VIRTUAL", "card_name": "Travel"}"#;
    let first = world.post_under("request-1", "/api/v1/card-requests", body).await.expect(201);
    let again = world.post_under("request-1", "/api/v1/card-requests", body).await.expect(201);
    assert_eq!((&again.text, again.replayed()), (&first.text, true));
    let other = r#"{"card_type": "PHYSICAL", "card_name": "Travel"}"#;
    let got = world.post_under("request-1", "/api/v1/card-requests", other).await;
    assert_eq!(got.error(), (409, "idempotency_conflict".into(), None));
    let request = first.data()["request_id"].as_str().unwrap().to_owned();
    world.ops(&format!("/card-requests/{request}/reject"), &json!({"reason": "no"})).await;
    let shown = world.get(&format!("/api/v1/card-requests/{request}")).await.expect(200).data();
    assert_eq!((&shown["status"], &shown["card_uuid"]), (&json!("rejected"), &Value::Null));
    assert!(shown["decided_at"].is_string());
    for _ in 0..5 {
        world.post("/api/v1/card-requests", &json!({"card_type": "VIRTUAL"})).await.expect(201);
    }
    assert_eq!(world.post("/api/v1/card-requests", &json!({"card_type": "VIRTUAL"})).await.error().0, 409);
}

#[tokio::test]
async fn where_the_policy_says_so_a_request_is_approved_at_once() {
    let world = World::start();
    let shown = send(world.server.ops(reqwest::Method::GET, "/policy"), 200).await;
    let mut policy = shown["policy"].clone();
    for programme in policy["programmes"].as_array_mut().unwrap() {
        if programme["programme"] == "mobile" {
            programme["requests_approved"] = json!(true);
        }
    }
    send(world.server.ops(reqwest::Method::PUT, "/policy").body(policy.to_string()), 200).await;
    let body = json!({"card_type": "VIRTUAL", "card_name": "Travel"});
    let asked = world.post("/api/v1/card-requests", &body).await.expect(201);
    assert_eq!(asked.message(), "Card request approved");
    let asked = asked.data();
    assert_eq!(asked["status"], "approved");
    let card = world.becomes(asked["card_uuid"].as_str().unwrap(), "ACTIVE").await;
    assert_eq!(card["id"], asked["card_id"]);
}
