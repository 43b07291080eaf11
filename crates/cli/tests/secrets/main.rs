//! Nothing secret is anywhere: after a run over all APIs with everything logged, no file, log line, metric or error has a card's
//! number, CVV, PIN or code, or a key or token.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

#[path = "../baas/desk.rs"]
#[allow(dead_code, reason = "shared with other stories")]
mod desk;
#[path = "../serve/server.rs"]
#[allow(dead_code, reason = "shared with other stories")]
mod server;

use std::path::{Path, PathBuf};

use desk::Desk;
use reqwest::Method;
use serde_json::{Value, json};
use server::{send, serve_demo};

/// What must be nowhere.
#[derive(Default)]
struct Secrets {
    /// Long enough to be found by themselves.
    long: Vec<String>,
    /// Three to six digits, which may stand in other numbers: looked for as a text is written.
    short: Vec<String>,
    /// What was answered to calls that were refused.
    refusals: Vec<String>,
}

impl Secrets {
    fn long(&mut self, value: &Value) -> String {
        let text = value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
        self.long.push(text.clone());
        text
    }

    fn short(&mut self, value: &Value) {
        self.short.push(value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned());
    }

    /// Every form in which a text or a record could have them.
    fn forms(&self) -> Vec<(String, Vec<u8>)> {
        let mut forms = Vec::new();
        for secret in &self.long {
            forms.push((secret.clone(), secret.clone().into_bytes()));
            if secret.len() == 16 {
                for between in [" ", "-"] {
                    let groups: Vec<&str> = (0..4).map(|at| &secret[at * 4..at * 4 + 4]).collect();
                    forms.push((secret.clone(), groups.join(between).into_bytes()));
                }
            }
        }
        for secret in &self.short {
            for (open, close) in [("\"", "\""), ("\\\"", "\\\""), (">", "<"), ("cvv=", ""), ("pin=", ""), ("code=", "")]
            {
                forms.push((secret.clone(), format!("{open}{secret}{close}").into_bytes()));
            }
            // As postcard writes a text.
            let length = u8::try_from(secret.len()).unwrap();
            forms.push((secret.clone(), [&[length], secret.as_bytes()].concat()));
        }
        forms
    }
}

/// That a text or file has none of them in any form.
fn absent(what: &str, bytes: &[u8], forms: &[(String, Vec<u8>)]) {
    for (secret, form) in forms {
        if let Some(at) = bytes.windows(form.len()).position(|part| part == form) {
            let around = &bytes[at.saturating_sub(120)..(at + form.len() + 40).min(bytes.len())];
            panic!("{secret} is in {what}: …{}…", String::from_utf8_lossy(around));
        }
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_any_log_file_metric_or_error() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = serve_demo(&data);
    command.env("FLORIN_LOG_FILTER", "trace").env("FLORIN_LOG_FORMAT", "json");
    let place = data.clone();
    let desk = tokio::task::spawn_blocking(move || Desk::start_with(&mut command, &place)).await.unwrap();
    let http = reqwest::Client::new();
    let mut secrets = Secrets::default();
    let demo = &desk.server.demo;
    for (api, key) in [
        ("dashboard", "api_key"),
        ("ops", "api_key"),
        ("sandbox", "api_key"),
        ("baas", "access_token"),
        ("mobile", "access_token"),
    ] {
        secrets.long(&demo[api][key]);
    }
    secrets.long(&demo["token_secret"]);

    // Given every reveal of the dashboard
    let card = desk.server.card("carol", "100.00").await;
    let path = format!("/users/carol/cards/{card}");
    let details = send(desk.server.dashboard(Method::GET, &path), 200).await;
    let number = secrets.long(&details["cardNumber"]);
    secrets.short(&details["cvv"]);
    let code = send(desk.server.dashboard(Method::GET, &format!("{path}/otp")), 200).await;
    secrets.short(&code["code"]);

    // Of the baas API, on a virtual and a plastic card
    let cards = [desk.virtual_card().await, desk.activated().await];
    for card in &cards {
        desk.until(card, |listed| listed["status"] == "Active").await;
        let got = desk.get(&format!("/api/v1/cards/{card}/details")).await.ok();
        secrets.long(&got["card_number"]);
        let got = desk.get(&format!("/api/v1/cards/{card}/cvv")).await.ok();
        secrets.short(&got["cvv"]);
    }
    let got = desk.get(&format!("/api/v1/cards/{}/pin", cards[1])).await.ok();
    secrets.short(&got["pin"]);
    // With a number where none belongs
    for body in [json!({"card_number_last4": number, "expiry_date": "x"}), json!(number)] {
        let got = desk.put_json(&format!("/api/v1/cards/{}/activate", cards[0]), &body.to_string()).await;
        assert!(got.status.is_client_error() || got.status.is_server_error());
        secrets.refusals.push(got.text);
    }

    // Of the mobile API, with the page
    let base = demo["mobile"]["base_url"].as_str().unwrap().to_owned();
    let token = demo["mobile"]["access_token"].as_str().unwrap().to_owned();
    let mobile = async |path: &str, body: Value, token: &str| {
        let request = http.post(format!("{base}/api/v1/cards/{path}")).bearer_auth(token);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let found = mobile("get-by-number", json!({"card_number": number}), &token).await;
    assert_eq!(found.0, 200, "{}", found.1);
    let id = serde_json::from_str::<Value>(&found.1).unwrap()["data"]["id"].clone();
    let shown = mobile("show-cvv", json!({"card_id": id}), &token).await;
    assert_eq!(shown.0, 200, "{}", shown.1);
    let framed = mobile("show-cvv-iframe", json!({"card_id": id}), &token).await;
    let framed: Value = serde_json::from_str(&framed.1).unwrap();
    let link = framed["data"]["iframe_url"].as_str().unwrap();
    secrets.long.push(link.rsplit('/').next().unwrap().to_owned());
    for status in [200, 410] {
        let answer = http.get(link).header("sec-fetch-dest", "iframe").send().await.unwrap();
        assert_eq!(answer.status(), status);
        let page = answer.text().await.unwrap();
        if status != 200 {
            secrets.refusals.push(page);
        }
    }
    // Refused: a number of nobody's, one that is none, a token that is wrong, a key that is wrong
    for (body, token, status) in [
        (json!({"card_number": "4000009999999995"}), &*token, 404),
        (json!({"card_number": format!("{number}0")}), &token, 400),
        (json!({"card_number": number}), &format!("{token}x"), 401),
        (json!({"card_number": number}), "florin_dashboard_0000000000000000", 401),
    ] {
        let (got, text) = mobile("get-by-number", body, token).await;
        assert_eq!(got, status, "{text}");
        secrets.refusals.push(text);
    }
    secrets.long.extend(["4000009999999995", "florin_dashboard_0000000000000000"].map(str::to_owned));
    let wrong = http.get(format!("{}/users/x", desk.server.demo["ops"]["base_url"].as_str().unwrap()));
    let answer = wrong.bearer_auth("florin_ops_11111111111111111111").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    secrets.refusals.push(answer.text().await.unwrap());
    secrets.long.push("florin_ops_11111111111111111111".to_owned());

    // When all of it is looked through, while it runs and once it has ended
    let ops = desk.server.demo["ops"]["base_url"].as_str().unwrap().replace("/ops/v1", "/metrics");
    let metrics = http.get(ops).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("florin_http_seconds"));
    assert!(desk.server.terminate().success());
    let [master, signing] = ["master.key", "signing.key"].map(|name| {
        let text = std::fs::read_to_string(data.join(name)).unwrap();
        text.trim().to_owned()
    });
    secrets.long.extend([master, signing]);

    // Then there is none
    let forms = secrets.forms();
    let log = desk.server.logged();
    assert!(log.contains("\"TRACE\"") && log.contains("\"request\""), "the log is not complete");
    absent("the log", log.as_bytes(), &forms);
    absent("the metrics", metrics.as_bytes(), &forms);
    for refusal in &secrets.refusals {
        absent("a refusal", refusal.as_bytes(), &forms);
    }
    let mut found = Vec::new();
    files(&data, &mut found);
    let kept = ["demo.json", "master.key", "signing.key"];
    found.retain(|file| !kept.iter().any(|name| file.file_name().is_some_and(|file| file == *name)));
    for folder in ["journal", "views", "settlement", "vault"] {
        let inside = |file: &PathBuf| file.strip_prefix(&data).unwrap().to_string_lossy().contains(folder);
        assert!(found.iter().any(inside), "no {folder} among {found:?}");
    }
    for file in &found {
        absent(&file.display().to_string(), &std::fs::read(file).unwrap(), &forms);
    }
}
