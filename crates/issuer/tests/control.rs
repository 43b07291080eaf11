//! The sandbox in a process of its own: its control API, and the network it plays towards a gateway.

mod common;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, Method};
use axum::routing::any;
use common::{SECRET, World, card_id, made};
use florin_issuer::sandbox::control::{self, Gateway};
use florin_issuer::signature::{Key, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use serde_json::{Value, json};

/// What a gateway heard: path and body of messages whose signature is good.
type Heard = Arc<Mutex<Vec<(String, Value)>>>;

async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// A gateway that checks signatures as `/issuer/v1` does, and approves everything.
async fn gateway() -> (String, Heard) {
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    let hear = move |method: Method, OriginalUri(uri): OriginalUri, headers: HeaderMap, body: Bytes| async move {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let now = header(TIMESTAMP_HEADER).parse().expect("a time");
        let (timestamp, signature) = (header(TIMESTAMP_HEADER), header(SIGNATURE_HEADER));
        let key = Key::new(SECRET).expect("long enough");
        key.verify(method.as_str(), uri.path(), timestamp, signature, &body, now).expect("signed");
        told.lock().expect("no panic").push((uri.path().to_owned(), serde_json::from_slice(&body).expect("JSON")));
        r#"{"approved":true}"#
    };
    (serve(Router::new().fallback(any(hear))).await, heard)
}

struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    async fn of(world: &World, gateway: Option<String>) -> Self {
        let gateway = gateway
            .map(|url| Gateway { base_url: format!("{url}/issuer/v1"), key: Key::new(SECRET).expect("long enough") });
        let routes = control::router(world.sandbox.clone(), gateway, vec!["the key".into()]).expect("settings");
        let base = serve(Router::new().nest("/sandbox/v1", routes)).await + "/sandbox/v1";
        Self { base, client: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    async fn call(&self, method: &str, path: &str, body: Value, key: &str) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let request = self.client.request(method, format!("{}{path}", self.base)).header("X-API-Key", key);
        let answer = request.json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = self.call(method, path, body, "the key").await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

#[tokio::test]
async fn the_network_is_played_by_signed_messages_to_the_gateway() {
    let world = World::new();
    let (url, heard) = gateway().await;
    let api = Api::of(&world, Some(url)).await;
    let purchase = json!({"card_id": card_id(1), "amount": 12.5, "merchant": "Cafe", "network_id": "net-1"});
    assert_eq!(api.ok("POST", "/authorizations", purchase).await, json!({"approved": true}));
    api.ok("POST", "/authorizations/net-1/increment", json!({"amount": 1})).await;
    api.ok("POST", "/authorizations/net-1/clear", json!({"amount": 5})).await;
    api.ok("POST", "/authorizations/net-1/clear", json!({})).await;
    api.ok("POST", "/authorizations/net-1/reverse", json!({})).await;
    api.ok("POST", "/authorizations/net-1/refund", json!({"amount": 2})).await;
    api.ok("POST", "/refunds", json!({"card_id": card_id(1), "amount": 3})).await;
    api.ok("POST", "/force-posts", json!({"card_id": card_id(1), "amount": 4})).await;
    api.ok("POST", "/cards/SBX-1/block", json!({"reason": "fraud", "fraud": true})).await;

    let heard = heard.lock().expect("no panic");
    let paths: Vec<&str> = heard.iter().map(|(path, _)| path.strip_prefix("/issuer/v1/").expect("nested")).collect();
    let expected = [
        "authorizations",
        "authorizations/net-1/increments",
        "clearings",
        "clearings",
        "reversals",
        "refunds",
        "refunds",
        "clearings",
        "cards/SBX-1/blocks",
    ];
    assert_eq!(paths, expected);
    let first = &heard[0].1;
    assert_eq!((&first["authorization_id"], &first["message_id"]), (&json!("net-1"), &json!("net-1")));
    assert_eq!((&first["amount"], &first["network_id"]), (&json!(12.5), &Value::Null));
    assert!(first["occurred_at"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert_eq!((&heard[2].1["final"], &heard[3].1["final"]), (&Value::Null, &json!(true)));
    assert!(heard.iter().all(|(_, body)| body["message_id"].is_string()));
    assert!(heard[6].1["authorization_id"].is_null() && heard[7].1["authorization_id"].is_string());
}

#[tokio::test]
async fn the_issuer_is_told_how_to_behave_and_shows_its_cards() {
    let world = World::new();
    made(&world.sandbox, &world, 1).await;
    let api = Api::of(&world, None).await;
    let behaviour = api.ok("PUT", "/issuer", json!({"refuse": true})).await;
    assert_eq!((&behaviour["refuse"], &api.ok("GET", "/issuer", json!({})).await), (&json!("declined"), &behaviour));
    assert_eq!(api.call("PUT", "/issuer", json!({"failure_rate": 2}), "the key").await.0, 400);
    let cards = api.ok("GET", "/issuer/cards", json!({})).await;
    assert_eq!(cards["cards"][0]["card_id"], json!(card_id(1)));
    let card = api.ok("GET", &format!("/issuer/cards/{}", card_id(1)), json!({})).await;
    assert_eq!((&card["times_issued"], &card["status"]), (&json!(1), &json!("active")));
    let used = api.ok("POST", &format!("/issuer/cards/{}/use-code", card_id(1)), json!({"code": "000000"})).await;
    assert_eq!(used, json!({"good": false}));
    // What it cannot do, or may not be asked for, is said.
    assert_eq!(api.call("GET", &format!("/issuer/cards/{}", card_id(2)), json!({}), "the key").await.0, 404);
    assert_eq!(api.call("POST", "/authorizations", json!({}), "the key").await.1["error"]["code"], "not_served");
    assert_eq!(api.call("GET", "/issuer", json!({}), "another key").await.0, 401);
}

#[tokio::test]
async fn a_gateway_that_is_gone_and_an_address_in_clear_are_told() {
    let world = World::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("http://{}", gone.local_addr().expect("bound"));
    drop(gone);
    let api = Api::of(&world, Some(url)).await;
    let (status, body) = api.call("POST", "/refunds", json!({"card_id": card_id(1), "amount": 1}), "the key").await;
    assert_eq!((status, &body["error"]["code"]), (502, &json!("gateway_unreachable")));
    let far = Gateway { base_url: "http://192.0.2.1/issuer/v1".into(), key: Key::new(SECRET).expect("long enough") };
    assert!(control::router(world.sandbox.clone(), Some(far), Vec::new()).is_err());
}
