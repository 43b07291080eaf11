//! Whoever asks for another's card is answered as if there were none: to the byte, but for the request id.

use florin_gateway::http::tokens::{Grant, SigningKey};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::desk::{Desk, Got, PLASTIC, USDC, failed};
use crate::server::{send, serve_demo};

/// Every call about a card, with a body that is good.
const CALLS: [(&str, &str, Option<&str>); 8] = [
    ("PUT", "activate", Some(r#"{"card_number_last4": "1234", "expiry_date": "12/2027"}"#)),
    ("PUT", "block", None),
    ("PUT", "unblock", None),
    ("PUT", "close", None),
    ("PUT", "limit", Some(r#"{"daily_limit": 5}"#)),
    ("GET", "details", None),
    ("GET", "cvv", None),
    ("GET", "pin", None),
];

/// Status, headers and body, without what differs from answer to answer.
fn comparable(got: Got) -> (u16, Vec<(String, String)>, String) {
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let mut headers: Vec<_> = got
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    headers.sort();
    (got.status.as_u16(), headers, got.text)
}

#[tokio::test]
async fn another_users_card_and_no_card_are_answered_alike() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let card = desk.activated().await;
    let before = desk.card_but_for_time(&card).await;
    // Another user of the same company, on the same chain
    let other = format!("0x{}", "2".repeat(40));
    let registered = json!({"company": "demo", "user": format!("{}:{other}", desk.chain), "country": "GB"});
    let asked = desk.server.ops(Method::POST, "/users").header("content-type", "application/json");
    assert!(asked.body(registered.to_string()).send().await.unwrap().status().is_success());
    let bearer = format!("Bearer {}", desk.token);
    let headers = [
        ("Authorization", &*bearer),
        ("X-User-Address", &*other),
        ("X-Chain-Id", &*desk.chain),
        ("Content-Type", "application/json"),
    ];
    for (method, call, body) in CALLS {
        let method: Method = method.parse().unwrap();
        let mut answers = Vec::new();
        for id in [&*card, "0192f0c1-2b3c-8000-8123-456789abcdef", "no-uuid", "%00", "%FF", &"x".repeat(500)] {
            let got = desk.call(method.clone(), &format!("/api/v1/cards/{id}/{call}"), &headers, body).await;
            got.is(&failed("Failed to get card"));
            answers.push(comparable(got));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{call}: {answers:?}");
    }
    let list = desk.call(Method::GET, "/api/v1/cards", &headers, None).await;
    assert_eq!(list.ok(), json!({"data": []}));
    // Nor is another's invoice any good
    let invoice = desk.invoice("Virtual").await;
    send(
        desk.server
            .ops(Method::PUT, &format!("/users/demo/{}:{other}/verification", desk.chain))
            .body(r#"{"status": "Approved", "levels": [{"type": "SDD", "status": "Approved", "name": "SDD"}]}"#),
        200,
    )
    .await;
    let body = json!({"delivery_id": invoice}).to_string();
    let got = desk.call(Method::POST, "/api/v2/cards/virtual", &headers, Some(&body)).await;
    assert_eq!(got.json()["error_description"], "Delivery ID is required and must be positive");
    assert_eq!(desk.card_but_for_time(&card).await, before);
}

/// Another company has a user of the same chain and address, and a good token of its own.
#[tokio::test]
async fn another_companys_token_opens_its_own_users_only() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let secret = "a secret of another company, of 32 bytes and more";
    let (file, config) = (dir.path().join("other.key"), dir.path().join("florin.toml"));
    std::fs::write(&file, secret).unwrap();
    let key = "[[tokens.keys]]\ncompany = \"other\"\nissuer = \"theirs\"\nalgorithm = \"HS256\"";
    std::fs::write(&config, format!("{key}\nfile = {file:?}\n")).unwrap();
    let mut command = serve_demo(&data);
    command.arg("--config").arg(&config);
    let desk = Desk::start_with(&mut command, &data);
    let card = desk.activated().await;
    let before = desk.card_but_for_time(&card).await;
    let (issuer, audience, company) = ("theirs", "florin", "other");
    let expires_in = std::time::Duration::from_mins(10);
    let grant = Grant { issuer, audience, company, subject: None, expires_in, kid: None };
    let token = SigningKey::new(secret.as_bytes()).unwrap().token(&grant).unwrap();
    let bearer = format!("Bearer {}", token.expose_secret());
    let headers = [
        ("Authorization", &*bearer),
        ("X-User-Address", &*desk.address),
        ("X-Chain-Id", &*desk.chain),
        ("Content-Type", "application/json"),
    ];
    // As long as it has no such user it is told so
    let got = desk.call(Method::GET, "/api/v1/cards", &headers, None).await;
    assert_eq!(got.status, 403);
    let user = format!("{}:{}", desk.chain, desk.address.to_ascii_lowercase());
    let registered = json!({"company": "other", "user": user, "country": "GB"});
    let asked = desk.server.ops(Method::POST, "/users").header("content-type", "application/json");
    assert!(asked.body(registered.to_string()).send().await.unwrap().status().is_success());
    assert_eq!(desk.call(Method::GET, "/api/v1/cards", &headers, None).await.ok(), json!({"data": []}));
    for (method, call, body) in CALLS {
        let mut answers = Vec::new();
        for id in [&*card, "0192f0c1-2b3c-8000-8123-456789abcdef"] {
            let path = format!("/api/v1/cards/{id}/{call}");
            let got = desk.call(method.parse().unwrap(), &path, &headers, body).await;
            got.is(&failed("Failed to get card"));
            answers.push(comparable(got));
        }
        assert_eq!(answers[0], answers[1], "{call}");
    }
    assert_eq!(desk.card_but_for_time(&card).await, before);
}

#[tokio::test]
async fn a_token_for_somebody_else_opens_nothing_on_any_route() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let card = desk.virtual_card().await;
    let before = desk.card_but_for_time(&card).await;
    let stranger = format!("0x{}", "3".repeat(40));
    let company = format!("Bearer {}", desk.token);
    // A user token: of carol, for whom the mobile API is
    let carol = format!("Bearer {}", desk.server.demo["mobile"]["access_token"].as_str().unwrap());
    let invoice = json!({"token_address": USDC, "delivery_provider": "DHL"}).to_string();
    let mut routes = vec![
        ("GET", "/api/v2/user".to_owned(), None),
        ("GET", "/api/v1/cards".to_owned(), None),
        ("GET", "/api/v1/cards/Virtual/fees/GB".to_owned(), None),
        ("POST", "/api/v2/cards/Plastic/fees/GB/payment".to_owned(), Some(&*invoice)),
        ("GET", "/api/v1/cards/delivery/countries".to_owned(), None),
        ("GET", "/api/v1/cards/delivery/methods/GB".to_owned(), None),
        ("POST", "/api/v2/cards/virtual".to_owned(), Some("{}")),
        ("POST", "/api/v2/cards/plastic".to_owned(), Some(PLASTIC)),
    ];
    routes.extend(CALLS.map(|(method, call, body)| (method, format!("/api/v1/cards/{card}/{call}"), body)));
    let mut answers = Vec::new();
    for (method, path, body) in routes {
        for (token, address) in [(&company, &stranger), (&carol, &desk.address)] {
            let headers = [
                ("Authorization", &**token),
                ("X-User-Address", &**address),
                ("X-Chain-Id", &*desk.chain),
                ("Content-Type", "application/json"),
            ];
            let got = desk.call(method.parse().unwrap(), &path, &headers, body).await;
            got.is(&json!({
                "error_reason": "ErrorGeneral",
                "error_description": "The access token does not allow acting for this user",
                "error_category": {"category": "CategoryAuthorizationFailure", "http_status_code": 403},
            }));
            answers.push(comparable(got));
        }
    }
    // But that a body, where there is one, is not read, so that the connection ends.
    for (_, headers, _) in &mut answers {
        headers.retain(|(name, _)| name != "connection");
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(desk.card_but_for_time(&card).await, before);
}
