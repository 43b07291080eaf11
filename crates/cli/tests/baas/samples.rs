//! Every request sample of the document, URL, headers and body as printed there, with its answer field for field.

use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, actions};
use crate::server::{minor, serve_demo};

/// Fails unless `got` has the keys of the document's `sample` and no others, with values of the same types.
fn same_shape(sample: &Value, got: &Value, path: &str) {
    match (sample, got) {
        (Value::Object(sample), Value::Object(got)) => {
            let keys = |of: &serde_json::Map<String, Value>| of.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(sample), keys(got), "{path}");
            for (key, value) in sample {
                same_shape(value, &got[key], &format!("{path}.{key}"));
            }
        }
        (Value::Array(sample), Value::Array(got)) => {
            assert!(!got.is_empty(), "{path}");
            for (n, value) in got.iter().enumerate() {
                same_shape(&sample[0], value, &format!("{path}[{n}]"));
            }
        }
        (sample, got) => {
            assert_eq!(std::mem::discriminant(sample), std::mem::discriminant(got), "{path}: {sample} and {got}");
        }
    }
}

fn parse(sample: &str) -> Value {
    serde_json::from_str(sample).unwrap()
}

const USER: &str = r#"{
"id": "550e8400-e29b-41d4-a716-446655440000",
"owner": "0x1234567890abcdef1234567890abcdef12345678",
"verification": {
"status": "Approved",
"levels": [
{
"status": "Approved",
"type": "SDD",
"name": "Wirex SDD Level"
}
]
},
"capabilities": [
{
"type": "VisaVirtualCard",
"verification_requirements": [
{ "type": "BDD", "order": 1 }
],
"prerequisites": null,
"status": "Active"
},
{
"type": "VisaPlasticCard",
"verification_requirements": [
{ "type": "SDD", "order": 1 }
],
"prerequisites": null,
"status": "Active"
}
]
}"#;

const FEES: &str = r#"{
"currency": "USD",
"order_fee": 9.99,
"estimated_payment_amounts": [
{
"amount": 10.05,
"precise_amount": "10050000",
"token_address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
"token_symbol": "USDC",
"rate": 0.9940
}
]
}"#;

const METHODS: &str = r#"[
{
"fee": 15.00,
"currency": "USD",
"provider": "DHL",
"estimated_payment_amounts": [
{
"amount": 15.10,
"precise_amount": "15100000",
"token_address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
"token_symbol": "USDC",
"rate": 0.9934
}
]
}
]"#;

const INVOICE: &str = r#"{
"delivery_id": 12345,
"recipient_address": "0x...",
"payment_amount": {
"amount": 10.05,
"precise_amount": "10050000",
"token_address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
"token_symbol": "USDC",
"rate": 0.9940
}
}"#;

const CARDS: &str = r#"{
"data": [
{
"id": "64120850-73a1-4df5-a074-d463258c9deb",
"card_wallet_address": "0xAAFF0821A09A1Aac28B72dD3Ff410A7ea5FEb874",
"status": "Active",
"status_reason": "",
"previous_status": "NotActivated",
"generation": "Gen2",
"provider": "Wirex",
"limit": {
"daily_limit": 10000.00,
"daily_usage": 250.00,
"currency": "USD"
},
"allowed_actions": [
{ "type": "Block", "relative_path": "/api/v1/cards/:cardId/block" },
{ "type": "Close", "relative_path": "/api/v1/cards/:cardId/close" },
{ "type": "SetLimit", "relative_path": "/api/v1/cards/:cardId/limit" },
{ "type": "GetDetails", "relative_path": "/api/v1/cards/:cardId/details" },
{ "type": "GetCvv", "relative_path": "/api/v1/cards/:cardId/cvv" }
],
"card_data": {
"card_name": "My Card",
"name_on_card": "Alex Grey",
"card_number_last_4": "0333",
"expiry_date": "12/2027",
"payment_system": "Visa",
"format": "Virtual"
},
"created_at": "2024-01-01T10:00:00Z",
"updated_at": "2024-01-01T10:05:00Z"
}
]
}"#;

/// The estimate in the document's token.
fn usdc(estimates: &Value) -> Value {
    let estimates = estimates["estimated_payment_amounts"].as_array().unwrap();
    estimates.iter().find(|estimate| estimate["token_symbol"] == "USDC").unwrap().clone()
}

/// The calls of the three languages are the same: the three headers on each, a body of JSON on writes.
#[tokio::test]
async fn a_virtual_card_as_the_document_tells() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));

    // Prerequisites
    let user = desk.get("/api/v2/user").await.ok();
    let sample = parse(USER);
    same_shape(&sample, &user, "user");
    assert_eq!(user["owner"], desk.address.to_ascii_lowercase());
    assert_eq!(user["capabilities"], sample["capabilities"]);
    assert_eq!(user["verification"]["status"], "Approved");
    assert_eq!(user["verification"]["levels"][0]["type"], "SDD");

    // Step 1: order fees
    let fees = desk.get("/api/v1/cards/Virtual/fees/GB").await;
    same_shape(&parse(FEES), &fees.ok(), "fees");
    assert_eq!(usdc(&fees.ok()), parse(FEES)["estimated_payment_amounts"][0]);
    assert!(fees.text.starts_with(r#"{"currency":"USD","order_fee":9.99,"#), "{}", fees.text);
    assert!(fees.text.contains(r#""amount":10.05,"precise_amount":"10050000""#));
    assert!(fees.text.contains(r#""token_symbol":"USDC","rate":0.9940}"#));

    // Step 2: the invoice
    let body = r#"{
"token_address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
}"#;
    let invoice = desk.post("/api/v2/cards/Virtual/fees/GB/payment", body).await;
    same_shape(&parse(INVOICE), &invoice.ok(), "invoice");
    assert_eq!(invoice.ok()["payment_amount"], parse(INVOICE)["payment_amount"]);
    assert_eq!(invoice.ok()["recipient_address"], "0x000000000000000000000000464c4f52494e0000");
    let id = invoice.ok()["delivery_id"].as_u64().unwrap();
    assert!(id > 0);

    // Step 3: the card, with the number of our invoice in the place of the sample's
    let body = r#"{
"delivery_id": 12345,
"card_name": "My Shopping Card",
"name_on_card": "Alex Grey"
}"#
    .replace("12345", &id.to_string());
    let issued = desk.post("/api/v2/cards/virtual", &body).await;
    same_shape(&json!({"id": "64120850-73a1-4df5-a074-d463258c9deb"}), &issued.ok(), "issued");
    assert!(issued.headers.contains_key("x-florin-position") && issued.headers.contains_key("x-request-id"));
    assert_eq!(desk.wallet("USDC").await, "989.95");

    // The list
    let cards = desk.get("/api/v1/cards").await;
    same_shape(&parse(CARDS), &cards.ok(), "cards");
    let card = &cards.ok()["data"][0];
    let sample = &parse(CARDS)["data"][0];
    assert_eq!(card["id"], issued.ok()["id"]);
    for same in ["status", "status_reason", "previous_status", "generation", "allowed_actions"] {
        assert_eq!(card[same], sample[same], "{same}");
    }
    assert_eq!(card["card_data"]["card_name"], "My Shopping Card");
    assert_eq!(card["card_data"]["name_on_card"], "Alex Grey");
    assert_eq!(
        (&card["card_data"]["payment_system"], &card["card_data"]["format"]),
        (&json!("Visa"), &json!("Virtual"))
    );
    assert!(cards.text.contains(r#""limit":{"daily_limit":10000.00,"daily_usage":0.00,"currency":"USD"}"#));
    let wallet = card["card_wallet_address"].as_str().unwrap();
    assert!(wallet.len() == 42 && wallet.starts_with("0x"));
    assert!(card["created_at"].as_str().unwrap().ends_with('Z'));

    // Daily usage shows what was bought
    let id = card["id"].as_str().unwrap();
    assert_eq!(desk.buy(id, "250.00").await["approved"], true);
    let card = desk.card(id).await;
    assert_eq!(minor(&card["limit"]["daily_usage"]), 25_000);
    assert_eq!(card["card_wallet_address"], wallet, "the address never changes");

    // Manage: block, unblock, close
    let path = format!("/api/v1/cards/{id}");
    for (action, status) in [("block", "Blocked"), ("unblock", "Active"), ("close", "Closed")] {
        desk.put(&format!("{path}/{action}")).await.empty();
        assert_eq!(desk.card(id).await["status"], status);
    }
}

#[tokio::test]
async fn a_plastic_card_as_the_document_tells() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));

    // Steps 1 and 2: where to, by whom
    let countries = desk.get("/api/v1/cards/delivery/countries").await;
    assert_eq!(countries.ok(), json!(["GB", "DE", "FR", "ES", "IT"]));
    let methods = desk.get("/api/v1/cards/delivery/methods/GB").await;
    same_shape(&parse(METHODS), &methods.ok(), "methods");
    assert!(methods.text.starts_with(r#"[{"fee":15.00,"currency":"USD","provider":"DHL","#), "{}", methods.text);
    // 15.00 ÷ 0.9940; the sample's 15.10 is at another rate
    assert!(methods.text.contains(r#""amount":15.09,"precise_amount":"15090000""#));

    // Steps 3 and 4
    same_shape(&parse(FEES), &desk.get("/api/v1/cards/Plastic/fees/GB").await.ok(), "fees");
    let body = r#"{
"token_address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
"delivery_provider": "DHL"
}"#;
    let invoice = desk.post("/api/v2/cards/Plastic/fees/GB/payment", body).await;
    same_shape(&parse(INVOICE), &invoice.ok(), "invoice");
    assert!(invoice.text.contains(r#""amount":25.14,"precise_amount":"25140000""#), "{}", invoice.text);

    // Step 5
    let body = crate::desk::with_invoice(invoice.ok()["delivery_id"].as_u64().unwrap());
    let id = desk.post("/api/v2/cards/plastic", &body).await.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.wallet("USDC").await, "974.86");
    let card = desk.card(&id).await;
    assert_eq!(card["status"], "NotActivated");
    assert_eq!(card["previous_status"], "Requested");
    assert_eq!(card["card_data"]["format"], "Plastic");
    assert_eq!(actions(&card), ["Activate"]);

    // Activation, with what is printed on our card in the place of the sample's
    let (last4, expiry) = desk.printed(&id).await;
    let body = r#"{
"card_number_last4": "1234",
"expiry_date": "12/2027"
}"#
    .replace("1234", &last4)
    .replace("12/2027", &expiry);
    desk.put_json(&format!("/api/v1/cards/{id}/activate"), &body).await.empty();
    assert_eq!(desk.card(&id).await["status"], "Active");
}

#[tokio::test]
async fn secrets_are_shown_in_full_to_nobody_else_and_kept_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let card = desk.activated().await;
    let (last4, expiry) = desk.printed(&card).await;
    let path = format!("/api/v1/cards/{card}");
    let mut shown = Vec::new();
    for (call, keys) in
        [("details", &["card_number", "expiry_date", "name_on_card"][..]), ("cvv", &["cvv"]), ("pin", &["pin"])]
    {
        let got = desk.get(&format!("{path}/{call}")).await;
        let body = got.ok();
        let mut expected = keys.to_vec();
        expected.sort_unstable();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), expected);
        assert_eq!(got.headers["cache-control"], "no-store");
        shown.push(body[keys[0]].as_str().unwrap().to_owned());
        if call == "details" {
            assert_eq!((&body["expiry_date"], &body["name_on_card"]), (&json!(expiry), &json!("Alex Grey")));
        }
    }
    assert_eq!((shown[0].len(), shown[1].len(), shown[2].len()), (16, 3, 4));
    assert!(shown[0].ends_with(&last4));
    // Each is an entry of the journal, and none is in the log
    let history = crate::server::send(desk.server.ops(Method::GET, &format!("/cards/{card}/history")), 200).await;
    assert_eq!(history.to_string().matches("Revealed").count(), 3, "{history}");
    assert!(!desk.server.logged().contains(&shown[0]));
}

#[tokio::test]
async fn the_openapi_document_names_every_call() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let document = desk.call(Method::GET, "/openapi.json", &[], None).await.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let calls = document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
    assert_eq!(calls.sum::<usize>(), 16);
    for (path, of_path) in document["paths"].as_object().unwrap() {
        for (method, call) in of_path.as_object().unwrap() {
            for status in ["200", "400", "401", "403", "429", "500", "503"] {
                assert!(call["responses"][status].is_object(), "{method} {path}: {status}");
            }
        }
    }
}

/// A client written for the document needs only another base URL: where the API has a port of its own, it has no prefix.
#[tokio::test]
async fn on_a_port_of_its_own_there_is_no_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = serve_demo(&data);
    for api in ["DASHBOARD", "BAAS", "MOBILE"] {
        command.env(format!("FLORIN_SERVE_{api}_LISTEN"), "127.0.0.1:0");
    }
    let mut desk = Desk::start_with(&mut command, &data);
    let card = desk.virtual_card().await;
    let own = |api: &str| {
        let line = desk.server.printed.lines().find(|line| line.starts_with(api)).unwrap();
        line[line.find("http").unwrap()..].to_owned()
    };
    let (dashboard, baas, mobile) = (own("dashboard API"), own("baas API"), own("mobile API"));
    desk.base = baas;
    assert_eq!(desk.card(&card).await["status"], "Active");
    assert_eq!(desk.get("/openapi.json").await.ok()["servers"], json!([{"url": "/"}]));
    // What is at no path is told as this API tells it; the others are not here
    for path in ["/nothing", "/baas/api/v1/cards", "/users/alice/cards"] {
        let got = desk.get(path).await;
        assert_eq!((got.status.as_u16(), &got.json()["error_reason"]), (404, &json!("ErrorNotFound")), "{path}");
    }
    for (base, path) in [(dashboard, "/users/alice/cards"), (mobile, "/api/v1/cards")] {
        desk.base = base;
        assert_eq!(desk.call(Method::GET, path, &[], None).await.status, 401);
        assert_eq!(desk.call(Method::GET, "/healthz", &[], None).await.status, 200);
    }
}
