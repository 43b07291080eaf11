//! A demo server with users of the mobile API, and what they, ops and the network do to a card.

use std::{process::Command, time::Duration};

use florin_gateway::http::tokens::{Grant, SigningKey};
use reqwest::{Method, header::HeaderMap};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, send, serve_demo};

/// What the tests' own issuer signs with.
const SECRET: &str = "a secret of the stories, thirty-two bytes and more";
/// Its name.
const ISSUER: &str = "https://issuer.stories.example";
/// How long anything may take at most, in tries of 50 ms.
const TRIES: usize = 600;

/// The server and what it runs on.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) dir: TempDir,
    base: String,
    http: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Got {
    /// The answer, which must be of this status, inside and outside.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.body["status_code"], status, "{}", self.text);
        assert!(self.body["message"].is_string(), "{}", self.text);
        self
    }

    /// The data of a success.
    #[track_caller]
    pub(crate) fn data(self) -> Value {
        assert!((200..300).contains(&self.status), "{}", self.text);
        self.expect_any().body["data"].take()
    }

    fn expect_any(self) -> Self {
        let status = self.status;
        self.expect(status)
    }

    /// Status, code and field of a refusal.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String, Option<String>) {
        let error = &self.body["errors"][0];
        assert_eq!(self.body["status_code"], self.status, "{}", self.text);
        assert_eq!(self.body["errors"].as_array().map(Vec::len), Some(1), "{}", self.text);
        assert!(error["message"].is_string(), "{}", self.text);
        let code = error["code"].as_str().unwrap_or_else(|| panic!("no code in {}", self.text));
        (self.status, code.to_owned(), error["field"].as_str().map(ToOwned::to_owned))
    }

    /// Whether it is the first outcome of its key again.
    pub(crate) fn replayed(&self) -> bool {
        self.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap()
    }
}

/// A card as the API names it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: u64,
    pub(crate) uuid: String,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// With environment variables of its own.
    pub(crate) fn start_with(adjust: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        let config = dir.path().join("florin.toml");
        let keys = ["demo", "other"].map(|company| {
            format!(
                "[[tokens.keys]]\ncompany = \"{company}\"\nissuer = \"{ISSUER}/{company}\"\nalgorithm = \"HS256\"\nfile = {:?}\n",
                secret.display().to_string()
            )
        });
        std::fs::write(&config, keys.concat()).unwrap();
        let data = dir.path().join("data");
        let mut command = serve_demo(&data);
        command.arg("--config").arg(&config);
        command.env("FLORIN_LIMITS_REVEALS_PER_MINUTE", "0");
        adjust(&mut command);
        let server = Server::start_with(&mut command, &data);
        let base = server.demo["dashboard"]["base_url"].as_str().unwrap().replace("/api/dashboard", "/mobile");
        Self { server, dir, base, http: reqwest::Client::new() }
    }

    /// A token of a company's user.
    pub(crate) fn token(company: &str, user: Option<&str>) -> String {
        let grant = Grant {
            issuer: &format!("{ISSUER}/{company}"),
            audience: "florin",
            company,
            subject: user,
            expires_in: Duration::from_hours(1),
            kid: None,
        };
        let token = SigningKey::new(SECRET.as_bytes()).unwrap().token(&grant).unwrap();
        token.expose_secret().to_owned()
    }

    /// A request as it is given.
    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Got {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        Got { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Got {
        self.call(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], None).await
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: &str) -> Got {
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        self.call(Method::POST, path, &headers, Some(body.as_bytes())).await
    }

    /// As carol.
    pub(crate) async fn get(&self, path: &str) -> Got {
        self.get_as(&Self::token("demo", Some("carol")), path).await
    }

    /// As carol.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Got {
        self.post_as(&Self::token("demo", Some("carol")), path, &body.to_string()).await
    }

    /// As carol, under a key.
    pub(crate) async fn post_under(&self, key: &str, path: &str, body: &str) -> Got {
        let token = Self::token("demo", Some("carol"));
        let headers = [
            ("authorization", &*format!("Bearer {token}")),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        self.call(Method::POST, path, &headers, Some(body.as_bytes())).await
    }

    /// What ops do.
    pub(crate) async fn ops(&self, path: &str, body: &Value) -> Value {
        send(self.server.ops(Method::POST, path).body(body.to_string()), 200).await
    }

    /// A call of ops that is refused: status and code.
    pub(crate) async fn ops_refused(&self, path: &str, body: &Value) -> (u16, String) {
        let call = self.server.ops(Method::POST, path).header("content-type", "application/json");
        let got = call.body(body.to_string()).send().await.unwrap();
        let (status, text) = (got.status().as_u16(), got.text().await.unwrap());
        let body: Value = serde_json::from_str(&text).unwrap();
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    }

    /// How the issuer behaves from now on.
    pub(crate) async fn issuer(&self, behaviour: &str) {
        send(self.server.sandbox(Method::PUT, "/issuer").body(behaviour.to_owned()), 200).await;
    }

    /// The issuer does nothing until it is told otherwise.
    pub(crate) async fn hold(&self) {
        self.issuer(r#"{"failure_rate": 1.0}"#).await;
    }

    pub(crate) async fn release(&self) {
        self.issuer(r#"{"failure_rate": 0.0}"#).await;
    }

    /// A card of carol's, asked for, approved and made.
    pub(crate) async fn card(&self, name: &str) -> Named {
        let asked = self.post("/api/v1/card-requests", &json!({"card_type": "VIRTUAL", "card_name": name})).await;
        let asked = asked.expect(201).data();
        let request = asked["request_id"].as_str().unwrap();
        self.ops(&format!("/card-requests/{request}/approve"), &json!({"reason": "fine"})).await;
        let decided = self.get(&format!("/api/v1/card-requests/{request}")).await.expect(200).data();
        let uuid = decided["card_uuid"].as_str().unwrap().to_owned();
        let card = self.becomes(&uuid, "ACTIVE").await;
        Named { id: card["id"].as_u64().unwrap(), uuid }
    }

    /// Carol's card once it is shown in a status.
    pub(crate) async fn becomes(&self, uuid: &str, status: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..TRIES {
            last = self.get(&format!("/api/v1/cards/{uuid}")).await.expect(200).data();
            if last["status"] == status {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never {status}: {last} {}", self.server.logged());
    }

    /// Asks for another status, and waits until it is so.
    pub(crate) async fn change(&self, card: &Named, status: &str) {
        let body = json!({"card_id": card.id, "card_status": status});
        self.post("/api/v1/cards/update-status", &body).await.expect(200);
        self.becomes(&card.uuid, status).await;
    }

    /// Ops block a card.
    pub(crate) async fn block(&self, card: &Named, fraud: bool) {
        let body = json!({"reason": "something odd", "fraud": fraud});
        self.ops(&format!("/cards/{}/block", card.uuid), &body).await;
        self.becomes(&card.uuid, "BLOCKED").await;
    }

    /// Carol's wallet in cents.
    pub(crate) async fn wallet(&self) -> i64 {
        self.server.wallet("carol", "USD").await
    }
}
