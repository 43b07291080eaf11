//! A demo server with a card, its links, and apps that frame them.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::{Router, extract::Query, response::Html, routing::get};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, send, serve_demo};

/// Where the configuration says that the page is; the stories ask the server itself.
const BASE_URL: &str = "https://cards.demo.example/here";

/// The server, a card of carol's, an app that may frame and one that may not.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) allowed: String,
    pub(crate) other: String,
    pub(crate) card: String,
    pub(crate) http: reqwest::Client,
    id: u64,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn start(environment: &[(&str, &str)]) -> Self {
        let allowed = format!("http://localhost:{}", app().await.port());
        let other = format!("http://localhost:{}", app().await.port());
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut command = serve_demo(&data);
        command.env("FLORIN_SECURE_PAGE_BASE_URL", BASE_URL).env("FLORIN_SECURE_PAGE_ALLOWED_ORIGINS", &allowed);
        command.env("FLORIN_LIMITS_REVEALS_PER_MINUTE", "0").envs(environment.iter().copied());
        let server = tokio::task::spawn_blocking(move || Server::start_with(&mut command, &data)).await.unwrap();
        let card = server.card("carol", "100.00").await;
        let mut world = Self { server, allowed, other, card, http: reqwest::Client::new(), id: 0, _dir: dir };
        let list = world.mobile(Method::GET, &format!("/api/v1/cards/{}", world.card), Value::Null, "").await;
        world.id = list["data"]["id"].as_u64().unwrap_or_else(|| panic!("no id in {list}"));
        world
    }

    async fn mobile(&self, method: Method, path: &str, body: Value, language: &str) -> Value {
        let mobile = &self.server.demo["mobile"];
        let url = format!("{}{path}", mobile["base_url"].as_str().unwrap());
        let request = self.http.request(method, url).bearer_auth(mobile["access_token"].as_str().unwrap());
        send(request.header("accept-language", language).body(body.to_string()), 200).await
    }

    /// A link, as the app asks for it in a language.
    pub(crate) async fn link(&self, language: &str) -> String {
        let body = json!({"card_id": self.id});
        let got = self.mobile(Method::POST, "/api/v1/cards/show-cvv-iframe", body, language).await;
        let url = got["data"]["iframe_url"].as_str().unwrap().to_owned();
        let path = url.strip_prefix(BASE_URL).unwrap_or_else(|| panic!("{url} is elsewhere"));
        let base = self.server.demo["mobile"]["base_url"].as_str().unwrap();
        format!("{}{path}", base.strip_suffix("/mobile").unwrap())
    }

    /// Number, expiry and CVV, as the dashboard tells them.
    pub(crate) async fn secrets(&self) -> [String; 3] {
        let path = format!("/users/carol/cards/{}", self.card);
        let card = send(self.server.dashboard(Method::GET, &path), 200).await;
        ["cardNumber", "expiryDate", "cvv"].map(|name| card[name].as_str().unwrap().to_owned())
    }

    /// Loads a link as a browser loads a frame.
    pub(crate) async fn load(&self, link: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.http.get(link);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }
}

/// A page of an app with a link in a frame.
pub(crate) fn framed(app: &str, link: &str) -> String {
    format!("{app}/?link={link}")
}

/// Where screenshots are kept for a person to look at.
pub(crate) fn shot(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("secure_page");
    std::fs::create_dir_all(&dir).unwrap();
    dir.join(format!("{name}.png"))
}

#[derive(serde::Deserialize)]
struct Asked {
    link: String,
    #[serde(default)]
    silent: bool,
}

/// A server of an app: a page with nothing but a frame.
async fn app() -> SocketAddr {
    let page = async |Query(Asked { link, silent }): Query<Asked>| {
        assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_".contains(&byte)), "{link}");
        let policy = if silent { "no-referrer" } else { "strict-origin-when-cross-origin" };
        Html(format!(
            "<!doctype html><meta name=color-scheme content='light dark'><title>App</title>\
             <style>body{{margin:0}}iframe{{border:0;width:100%;height:400px}}</style>\
             <iframe title=Card src='{link}' referrerpolicy='{policy}' allow='clipboard-write'></iframe>"
        ))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(page))).await });
    address
}
