//! Another user's token, another company's, nobody's: on every route never data, and the answer of a card that is not there.

use reqwest::Method;
use serde_json::json;

use crate::world::World;

/// Every route about a card, by its numeric id and uuid.
fn routes(id: u64, uuid: &str) -> Vec<(Method, String, Option<String>)> {
    let post =
        |path: &str, body: serde_json::Value| (Method::POST, format!("/api/v1/cards/{path}"), Some(body.to_string()));
    vec![
        (Method::GET, format!("/api/v1/cards/{uuid}"), None),
        (Method::GET, format!("/api/v1/cards/blocked-appeal/status/{id}"), None),
        post("update-status", json!({"card_id": id, "card_status": "FROZEN"})),
        post("update-status", json!({"card_id": id, "card_status": "CANCELLED"})),
        post("blocked-appeal", json!({"card_id": id, "request_message": "x"})),
        post("transaction-limit", json!({"card_id": id, "limit_per_transaction": 1})),
        post("no-pin-payment", json!({"card_id": id, "no_pin_payment_amount": 1})),
        post("show-cvv", json!({"card_id": id})),
        post("show-cvv-iframe", json!({"card_id": id})),
        post("activate", json!({"card_id": id, "card_number_last4": "1234", "expiry_date": "01/30"})),
        post(&format!("{uuid}/transfer"), json!({"amount": 1})),
        post(&format!("{uuid}/withdraw"), json!({"amount": 1})),
    ]
}

#[tokio::test]
async fn somebody_elses_card_is_no_card_on_every_route() {
    let world = World::start_with(|command| {
        command.env("FLORIN_MOBILE_APPEALS_PER_MINUTE", "0").env("FLORIN_MOBILE_STATUS_CHANGES_PER_MINUTE", "0");
    });
    let card = world.card("Travel").await;
    world.post(&format!("/api/v1/cards/{}/transfer", card.uuid), &json!({"amount": 50})).await.expect(200);
    let request = world.post("/api/v1/card-requests", &json!({"card_type": "VIRTUAL"})).await.expect(201).data();
    let before = world.get(&format!("/api/v1/cards/{}", card.uuid)).await.expect(200).data();
    // The other company has a carol too.
    let carol = json!({"company": "other", "user": "carol", "country": "GB"});
    crate::server::send(world.server.ops(Method::POST, "/users").body(carol.to_string()), 201).await;
    let strangers =
        [World::token("demo", Some("bob")), World::token("other", Some("carol")), World::token("demo", Some("nobody"))];
    let nowhere = (card.id + 1_000, "0192f0c1-2b3c-8000-8123-456789abcdef");
    let call = |token: &str, (method, path, body): &(Method, String, Option<String>)| {
        let (world, token, method) = (&world, format!("Bearer {token}"), method.clone());
        let (path, body) = (path.clone(), body.clone());
        async move {
            let headers = [("authorization", &*token), ("content-type", "application/json"), ("x-request-id", "same")];
            world.call(method, &path, &headers, body.as_deref().map(str::as_bytes)).await
        }
    };
    // The owner's own answer for a card that is not there is what a stranger gets for one that is.
    let owner = World::token("demo", Some("carol"));
    for (theirs, none) in routes(card.id, &card.uuid).iter().zip(&routes(nowhere.0, nowhere.1)) {
        let expected = call(&owner, none).await;
        assert_eq!(expected.error(), (404, "not_found".into(), None), "{none:?}");
        let names = |got: &crate::world::Got| {
            let mut names: Vec<_> = got.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        // Who is refused before the body is read is told that the connection ends.
        let but_for_the_end = |mut names: Vec<String>| {
            names.retain(|name| name != "connection");
            names
        };
        for token in &strangers {
            let (one, other) = (call(token, theirs).await, call(token, none).await);
            for got in [&one, &other] {
                assert_eq!(got.text, expected.text, "{theirs:?}");
                assert_eq!(but_for_the_end(names(got)), names(&expected), "{theirs:?}");
            }
            assert_eq!(names(&one), names(&other), "{theirs:?}");
        }
    }
    let path = format!("/api/v1/card-requests/{}", request["request_id"].as_str().unwrap());
    for token in &strangers {
        assert_eq!(world.get_as(token, &path).await.error(), (404, "not_found".into(), None));
    }
    // A stranger's list has none of it; one who was never registered has no list.
    for token in &strangers[..2] {
        let list = world.get_as(token, "/api/v1/cards").await.expect(200).data();
        assert_eq!(list["total"], 0);
    }
    assert_eq!(world.get_as(&strangers[2], "/api/v1/cards").await.error().0, 404);
    // Nothing has changed by all this.
    assert_eq!(world.get(&format!("/api/v1/cards/{}", card.uuid)).await.expect(200).data(), before);
    assert_eq!(world.wallet().await, 995_000);
}

#[tokio::test]
async fn without_a_users_good_token_every_route_is_401() {
    let world = World::start();
    let company = format!("Bearer {}", World::token("demo", None));
    let good = World::token("demo", Some("carol"));
    let (head, _) = good.rsplit_once('.').unwrap();
    let (unsigned, forged) = (format!("Bearer {head}."), format!("Bearer {head}.AAAA"));
    let mut all = routes(1, "0192f0c1-2b3c-8000-8123-456789abcdef");
    all.extend([
        (Method::GET, "/api/v1/cards".to_owned(), None),
        (Method::POST, "/api/v1/cards/get-by-number".to_owned(), Some("{}".to_owned())),
        (Method::POST, "/api/v1/card-requests".to_owned(), Some("{}".to_owned())),
        (Method::GET, "/api/v1/card-requests/0192f0c1-2b3c-8000-8123-456789abcdef".to_owned(), None),
    ]);
    let mut tried = 0;
    for (method, path, body) in &all {
        for token in [None, Some(&*company), Some(&*unsigned), Some(&*forged), Some("Basic x")] {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(token.map(|token| ("authorization", token)));
            let got = world.call(method.clone(), path, &headers, body.as_deref().map(str::as_bytes)).await;
            tried += 1;
            // Guessing is slowed, and a good token is not held up by it.
            if got.status == 429 {
                assert!(tried > 30, "{tried}");
                continue;
            }
            assert_eq!(got.error(), (401, "unauthorized".into(), None), "{method} {path} {token:?}");
            assert_eq!(got.headers["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(world.get("/api/v1/cards").await.status, 200);
}
