//! A client of the BaaS API of a demo server, written as the document tells, and helpers that bring cards into every state.

use std::path::Path;
use std::process::Command;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, send, serve_demo};

/// The document's token, in the demo's policy too.
pub(crate) const USDC: &str = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";

/// The document's request for a plastic card, without its invoice.
pub(crate) const PLASTIC: &str = r#"{
"delivery_provider": "DHL",
"card_name": "My Travel Card",
"name_on_card": "Alex Grey",
"delivery_address": {
"line1": "10 Downing Street",
"line2": "Flat 2",
"city": "London",
"state": "",
"zip_code": "SW1A 2AA",
"country": "GB"
}
}"#;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Got {
    /// The body of a 200.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// A 200 without a body.
    pub(crate) fn empty(&self) {
        assert_eq!((self.status.as_u16(), self.text.as_str()), (200, ""));
    }

    /// An error, to the letter.
    pub(crate) fn is(&self, expected: &Value) {
        assert_eq!(&self.json(), expected);
        assert_eq!(self.status.as_u16(), expected["error_category"]["http_status_code"], "{}", self.text);
    }

    pub(crate) fn replayed(&self) -> bool {
        self.headers.contains_key("idempotency-replayed")
    }
}

/// A demo server, its BaaS user, and a client for both.
pub(crate) struct Desk {
    pub(crate) server: Server,
    client: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
    pub(crate) address: String,
    pub(crate) chain: String,
}

impl Desk {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(&mut serve_demo(data), data)
    }

    pub(crate) fn start_with(command: &mut Command, data: &Path) -> Self {
        // Reveals are tried more often here than a cardholder would.
        command.env("FLORIN_LIMITS_REVEALS_PER_MINUTE", "0");
        let server = Server::start_with(command, data);
        let text = |key: &str| match &server.demo["baas"][key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (base, token, address, chain) =
            (text("base_url"), text("access_token"), text("user_address"), text("chain_id"));
        Self { client: reqwest::Client::new(), base, token, address, chain, server }
    }

    /// A call with these headers and nothing else.
    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Got {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Got { status, headers, text: answer.text().await.unwrap() }
    }

    /// A call of the demo's user with more headers.
    pub(crate) async fn with(&self, method: Method, path: &str, more: &[(&str, &str)], body: Option<&str>) -> Got {
        let bearer = format!("Bearer {}", self.token);
        let mut headers =
            vec![("Authorization", &*bearer), ("X-User-Address", &*self.address), ("X-Chain-Id", &*self.chain)];
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        headers.extend_from_slice(more);
        self.call(method, path, &headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.with(Method::GET, path, &[], None).await
    }

    pub(crate) async fn put(&self, path: &str) -> Got {
        self.with(Method::PUT, path, &[], None).await
    }

    pub(crate) async fn put_json(&self, path: &str, body: &str) -> Got {
        self.with(Method::PUT, path, &[], Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Got {
        self.with(Method::POST, path, &[], Some(body)).await
    }

    /// An invoice in the document's token.
    pub(crate) async fn invoice(&self, kind: &str) -> u64 {
        let body = match kind {
            "Plastic" => json!({"token_address": USDC, "delivery_provider": "DHL"}),
            _ => json!({"token_address": USDC}),
        };
        let made = self.post(&format!("/api/v2/cards/{kind}/fees/GB/payment"), &body.to_string()).await.ok();
        made["delivery_id"].as_u64().unwrap()
    }

    /// A virtual card, paid for.
    pub(crate) async fn virtual_card(&self) -> String {
        let id = self.invoice("Virtual").await;
        let body = json!({"delivery_id": id, "card_name": "My Card", "name_on_card": "Alex Grey"});
        let made = self.post("/api/v2/cards/virtual", &body.to_string()).await.ok();
        made["id"].as_str().unwrap().to_owned()
    }

    /// A plastic card, paid for, not activated.
    pub(crate) async fn plastic_card(&self) -> String {
        let made = self.post("/api/v2/cards/plastic", &with_invoice(self.invoice("Plastic").await)).await.ok();
        made["id"].as_str().unwrap().to_owned()
    }

    /// What is printed on a card: last four and expiry.
    pub(crate) async fn printed(&self, card: &str) -> (String, String) {
        let card = send(self.server.sandbox(Method::GET, &format!("/issuer/cards/{card}")), 200).await;
        (card["last4"].as_str().unwrap().to_owned(), card["expiry"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn activate(&self, card: &str, last4: &str, expiry: &str) -> Got {
        let body = json!({"card_number_last4": last4, "expiry_date": expiry});
        self.put_json(&format!("/api/v1/cards/{card}/activate"), &body.to_string()).await
    }

    /// A plastic card in its user's hands.
    pub(crate) async fn activated(&self) -> String {
        let card = self.plastic_card().await;
        let (last4, expiry) = self.printed(&card).await;
        self.activate(&card, &last4, &expiry).await.empty();
        card
    }

    /// A card as the list has it.
    pub(crate) async fn card(&self, card: &str) -> Value {
        let list = self.get("/api/v1/cards").await.ok();
        let found = list["data"].as_array().unwrap().iter().find(|listed| listed["id"] == card);
        found.unwrap_or_else(|| panic!("{card} not in {list}")).clone()
    }

    /// The same without when it last changed: the issuer's confirmation of a state that it was told may come at any time.
    pub(crate) async fn card_but_for_time(&self, card: &str) -> Value {
        let mut card = self.card(card).await;
        card["updated_at"].take();
        card
    }

    /// The card once `done` holds.
    pub(crate) async fn until(&self, card: &str, done: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..600 {
            let listed = self.card(card).await;
            if done(&listed) {
                return listed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("never: {}", self.card(card).await);
    }

    /// What ops do with a card, settled.
    pub(crate) async fn ops(&self, card: &str, action: &str, body: &str, status: &str) -> Value {
        let asked = self.server.ops(Method::POST, &format!("/cards/{card}/{action}")).body(body.to_owned());
        send(asked, 200).await;
        let url = format!("/cards/{card}");
        for _ in 0..600 {
            let shown = send(self.server.ops(Method::GET, &url), 200).await;
            if shown["pending"].is_null() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.until(card, |card| card["status"] == status).await
    }

    /// Makes the sandbox issuer fail every time, or be well again.
    pub(crate) async fn issuer_fails(&self, fails: bool) {
        let body = json!({"failure_rate": if fails { 1.0 } else { 0.0 }});
        send(self.server.sandbox(Method::PUT, "/issuer").body(body.to_string()), 200).await;
    }

    /// A purchase with the card; what the sandbox says.
    pub(crate) async fn buy(&self, card: &str, amount: &str) -> Value {
        let body = format!(
            r#"{{"card_id": "{card}", "amount": {amount}, "currency": "USD", "merchant": "Shop", "mcc": 5814, "country": "GB", "card_present": true, "pin_entered": true}}"#
        );
        send(self.server.sandbox(Method::POST, "/authorizations").body(body), 200).await
    }

    /// What the user has, minor units of a token with two decimals.
    pub(crate) async fn wallet(&self, asset: &str) -> String {
        let user = format!("{}:{}", self.chain, self.address.to_ascii_lowercase());
        let answer = self.server.ops(Method::GET, &format!("/users/demo/{user}")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let user: Value = serde_json::from_str(&text).unwrap();
        let wallets = user["wallets"].as_array().unwrap();
        wallets.iter().find(|wallet| wallet["asset"] == asset).unwrap()["balance"].to_string()
    }
}

/// The document's request for a plastic card with an invoice.
pub(crate) fn with_invoice(id: u64) -> String {
    PLASTIC.replacen('{', &format!("{{\n\"delivery_id\": {id},"), 1)
}

/// What can be done with a card, in order.
pub(crate) fn actions(card: &Value) -> Vec<&str> {
    card["allowed_actions"].as_array().unwrap().iter().map(|action| action["type"].as_str().unwrap()).collect()
}

/// `ErrorInvalidStatus` as the document prints it.
pub(crate) fn invalid_status(value: &str) -> Value {
    json!({
        "error_reason": "ErrorInvalidStatus",
        "error_description": "Card is not in valid status for this action",
        "error_category": {"category": "CategoryValidationFailure", "http_status_code": 400},
        "error_details": [{"key": "field", "details": "card_status"}, {"key": "value", "details": value}],
    })
}

/// A 500 of the document.
pub(crate) fn failed(description: &str) -> Value {
    json!({
        "error_reason": "ErrorGeneral",
        "error_description": description,
        "error_category": {"category": "CategoryInternalFailure", "http_status_code": 500},
    })
}
