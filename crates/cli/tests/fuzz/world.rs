//! A demo server with a card in every API, what they are called, and the books that refused requests must leave alone.

use std::{collections::BTreeMap, process::Command, time::Duration};

use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    answers::Answer,
    calls::Api,
    request::Request,
    server::{Server, florin, send, serve_demo},
};

/// How often the books are looked at until nothing is on its way.
const TRIES: usize = 300;

pub(crate) struct World {
    pub(crate) server: Server,
    dir: TempDir,
    http: reqwest::Client,
    /// Names that requests are written with, longest first.
    names: Vec<(&'static str, String)>,
    /// The documents by API.
    pub(crate) documents: BTreeMap<&'static str, Value>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut command: Command = serve_demo(&data);
        for limit in ["REVEALS_PER_MINUTE", "FAILED_AUTHENTICATIONS_PER_MINUTE"] {
            command.env(format!("FLORIN_LIMITS_{limit}"), "0");
        }
        let server = Server::start_with(&mut command, &data);
        let http = reqwest::Client::new();
        let mut world = Self { server, dir, http, names: vec![], documents: BTreeMap::new() };
        world.furnish().await;
        for api in Api::ALL {
            let document = world.get(api, "/openapi.json").await;
            world.documents.insert(api.name(), document);
        }
        world
    }

    async fn furnish(&mut self) {
        let alice = self.server.card("alice", "500.00").await;
        let spare = self.server.card("bob", "50.00").await;
        let asked =
            self.post(Api::Mobile, "/api/v1/card-requests", json!({"card_type": "VIRTUAL", "card_name": "A"})).await;
        let asked = asked["data"]["request_id"].as_str().unwrap().to_owned();
        self.post(Api::Ops, &format!("/card-requests/{asked}/approve"), json!({"reason": "fine"})).await;
        let open =
            self.post(Api::Mobile, "/api/v1/card-requests", json!({"card_type": "VIRTUAL", "card_name": "B"})).await;
        let token = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
        let mut baas = vec![];
        for kind in ["Virtual", "Plastic", "Virtual"] {
            let asked = json!({"token_address": token, "delivery_provider": (kind == "Plastic").then_some("DHL")});
            let invoice = self.post(Api::Baas, &format!("/api/v2/cards/{kind}/fees/GB/payment"), asked).await;
            baas.push(invoice["delivery_id"].as_u64().unwrap());
        }
        let named = json!({"delivery_id": baas[0], "card_name": "My Card", "name_on_card": "Alex Grey"});
        let card = self.post(Api::Baas, "/api/v2/cards/virtual", named).await;
        let address = json!({"line1": "10 Downing Street", "line2": "", "city": "London", "state": "", "zip_code": "SW1A 2AA", "country": "GB"});
        let named = json!({"delivery_id": baas[1], "delivery_provider": "DHL", "card_name": "C", "name_on_card": "Alex Grey", "delivery_address": address});
        let plastic = self.post(Api::Baas, "/api/v2/cards/plastic", named).await;
        let plastic = plastic["id"].as_str().unwrap().to_owned();
        let printed = self.get(Api::Sandbox, &format!("/issuer/cards/{plastic}")).await;
        let carol = self.get(Api::Mobile, &format!("/api/v1/card-requests/{asked}")).await;
        let carol = carol["data"]["card_uuid"].as_str().unwrap().to_owned();
        let shown = self.get(Api::Mobile, &format!("/api/v1/cards/{carol}")).await;
        let purchase = json!({"card_id": alice, "amount": 40, "merchant": "Shop"});
        let approved = self.post(Api::Sandbox, "/authorizations", purchase).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
        self.names = vec![
            ("$authorization", text(&approved["authorization_id"])),
            ("$plastic", plastic),
            ("$request", text(&open["data"]["request_id"])),
            ("$expiry", text(&printed["expiry"])),
            ("$last4", text(&printed["last4"])),
            ("$alice", alice),
            ("$spare", spare),
            ("$carol", carol),
            ("$baas", text(&card["id"])),
            ("900000001", shown["data"]["id"].to_string()),
            ("900000002", baas[2].to_string()),
        ];
    }

    fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn call(&self, api: Api, method: &str, path: &str) -> reqwest::RequestBuilder {
        let demo = &self.server.demo[api.name()];
        let url = format!("{}{path}", demo["base_url"].as_str().unwrap());
        let token = demo["api_key"].as_str().or(demo["access_token"].as_str()).unwrap();
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let mut request = self.http.request(method, url).bearer_auth(token).timeout(Duration::from_secs(30));
        if api == Api::Baas {
            request = request.header("x-user-address", demo["user_address"].as_str().unwrap());
            request = request.header("x-chain-id", demo["chain_id"].as_str().unwrap());
        }
        request
    }

    pub(crate) async fn get(&self, api: Api, path: &str) -> Value {
        send(self.call(api, "get", path), 200).await
    }

    async fn post(&self, api: Api, path: &str, body: Value) -> Value {
        let request = self.call(api, "post", path).header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a hostile request as it is; a header of its own takes the place of a sound one.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let path = self.fill(&request.path);
        let body = match std::str::from_utf8(&request.body) {
            Ok(text) => self.fill(text).into_bytes(),
            Err(_) => request.body.clone(),
        };
        let call = self.call(request.call.api, request.call.method, &path);
        let mut call = call.body(body.clone()).build().unwrap();
        if !body.is_empty() {
            call.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        }
        for (name, value) in &request.headers {
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            call.headers_mut().insert(name, HeaderValue::from_bytes(value).unwrap());
        }
        let answer = self.http.execute(call).await.unwrap_or_else(|error| {
            panic!("no answer to {} {}: {error:?}; {}", request.call.method, request.path, self.server.logged())
        });
        let json =
            answer.headers().get("content-type").is_some_and(|is| is.as_bytes().starts_with(b"application/json"));
        Answer { status: answer.status().as_u16(), json, text: answer.text().await.unwrap() }
    }

    /// A link to the secure page of carol's card.
    pub(crate) async fn link(&self) -> String {
        let id: u64 = self.fill("900000001").parse().unwrap();
        let got = self.post(Api::Mobile, "/api/v1/cards/show-cvv-iframe", json!({"card_id": id})).await;
        got["data"]["iframe_url"].as_str().unwrap().to_owned()
    }

    /// Status and text of a page.
    pub(crate) async fn page(&self, url: &str) -> (u16, String) {
        let answer = self.http.get(url).timeout(Duration::from_secs(30)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Makes the issuer well again.
    pub(crate) async fn mend(&self) {
        let well = json!({"failure_rate": 0.0, "latency_ms": 0, "timeout": false, "refuse": false, "answer_twice": false,
            "lose_answers": false, "applies_to": null});
        let call = self.call(Api::Sandbox, "put", "/issuer").header("content-type", "application/json");
        send(call.body(well.to_string()), 200).await;
    }

    /// Money and cards once nothing is on its way; `None` if something always is.
    pub(crate) async fn books(&self) -> Option<Vec<Value>> {
        let mut last = Value::Null;
        for _ in 0..TRIES {
            let followers = self.get(Api::Ops, "/followers").await;
            let behind = followers["followers"].as_array().unwrap().iter().any(|of| of["behind_records"] != 0);
            let pending = self.get(Api::Ops, "/pending").await;
            if !behind && pending["pending"] == json!([]) && followers == last {
                let mut books = vec![self.get(Api::Ops, "/trial-balance").await];
                for user in ["alice", "bob"] {
                    books.push(self.get(Api::Ops, &format!("/users/demo/{user}")).await);
                }
                for card in ["$alice", "$carol", "$baas"] {
                    books.push(self.get(Api::Ops, &format!("/cards/{}", self.fill(card))).await);
                }
                return Some(books);
            }
            last = followers;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        None
    }

    /// Ends the server; then the journal's audit finds nothing.
    pub(crate) fn close(self) {
        assert!(self.server.terminate().success(), "{}", self.server.logged());
        let logged = self.server.logged();
        assert!(!logged.contains("panicked"), "{logged}");
        let audit = florin().args(["audit", "verify"]).arg(self.dir.path().join("data")).output().unwrap();
        let said = String::from_utf8_lossy(&audit.stdout);
        assert!(audit.status.success(), "{said}{}", String::from_utf8_lossy(&audit.stderr));
    }
}
