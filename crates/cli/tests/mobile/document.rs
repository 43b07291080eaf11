//! The document that the API is built from: its sample bodies as they are printed there, and the one we serve.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

/// Every sample body of the document, with another card's id in the place of 508.
#[tokio::test]
async fn every_sample_body_of_the_document_is_answered_in_its_shape() {
    let world = World::start();
    let card = world.card("Travel").await;
    let token = World::token("demo", Some("carol"));
    let post = |path: &'static str, sample: &str| {
        let body = sample.replace("508", &card.id.to_string());
        let (world, token) = (&world, token.clone());
        async move { world.post_as(&token, &format!("/api/v1/cards/{path}"), &body).await }
    };
    let got = post("get-by-number", "{\n  \"card_number\": \"4111111111111111\"\n}").await;
    assert_eq!(got.error().0, 404);
    let got = post("transaction-limit", "{\n  \"card_id\": 508,\n  \"limit_per_transaction\": 250\n}").await;
    assert_eq!(got.expect(200).data()["status"], "PROCESSING");
    world.becomes(&card.uuid, "ACTIVE").await;
    let got = post("no-pin-payment", "{\n  \"card_id\": 508,\n  \"no_pin_payment_amount\": 50\n}").await;
    let data = got.expect(200).data();
    assert!(data["message"].is_string() && data.as_object().unwrap().len() == 1, "{data}");
    let got = post("show-cvv", "{\n  \"card_id\": 508\n}").await;
    assert!(got.expect(200).data()["cvv"].is_string());
    let got = post("update-status", "{\n  \"card_id\": 508,\n  \"card_status\": \"FROZEN\"\n}").await;
    assert_eq!(got.expect(200).data()["status"], "PROCESSING");
    world.becomes(&card.uuid, "FROZEN").await;
    world.block(&card, false).await;
    let sample = "{\n  \"card_id\": 508,\n  \"request_message\": \"Please review and unblock this card.\"\n}";
    assert_eq!(post("blocked-appeal", sample).await.expect(200).data()["status"], "open");
    let got = world.get(&format!("/api/v1/cards/blocked-appeal/status/{}", card.id)).await.expect(200).data();
    for field in ["has_appeal_request", "card_status", "request_id", "request_uuid", "status", "email_status"] {
        assert!(!got[field].is_null(), "{field}: {got}");
    }
    let got = world.get("/api/v1/cards?page=1&limit=10&card_type=VIRTUAL&status=BLOCKED&search=tra").await;
    assert_eq!(got.expect(200).data()["total"], 1);
}

#[tokio::test]
async fn the_document_we_serve_has_every_route_status_and_error_body() {
    let world = World::start();
    let got = world.call(Method::GET, "/openapi.json", &[], None).await;
    assert_eq!(got.status, 200);
    let document = got.body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["servers"][0]["url"], "/mobile");
    let cards = |path: &str| format!("/api/v1/cards{path}");
    let read = ["200", "400", "401", "404", "405", "429", "500", "503"];
    let write = ["408", "409", "413", "415"];
    for (method, path, success) in [
        ("get", cards(""), "200"),
        ("get", cards("/{uuid}"), "200"),
        ("post", cards("/get-by-number"), "200"),
        ("post", cards("/update-status"), "200"),
        ("post", cards("/blocked-appeal"), "200"),
        ("get", cards("/blocked-appeal/status/{card_id}"), "200"),
        ("post", cards("/transaction-limit"), "200"),
        ("post", cards("/no-pin-payment"), "200"),
        ("post", cards("/show-cvv"), "200"),
        ("post", cards("/activate"), "200"),
        ("post", cards("/{uuid}/transfer"), "200"),
        ("post", cards("/{uuid}/withdraw"), "200"),
        ("post", "/api/v1/card-requests".to_owned(), "201"),
        ("get", "/api/v1/card-requests/{id}".to_owned(), "200"),
    ] {
        let call = &document["paths"][&path][method];
        let more = if method == "post" { &write[..] } else { &[] };
        for status in read[1..].iter().chain(more).chain([&success]) {
            let schema = &call["responses"][*status]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{method} {path} {status}");
            if *status != success {
                assert_eq!(schema, &json!({"$ref": "#/components/schemas/Error"}), "{method} {path} {status}");
            }
        }
    }
    let error = &document["components"]["schemas"]["Error"]["properties"];
    for field in ["status_code", "message", "errors"] {
        assert_ne!(error[field], Value::Null, "{field}");
    }
}
