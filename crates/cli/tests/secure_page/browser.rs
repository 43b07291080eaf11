//! A headless Chromium, driven over WebDriver.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How a reference to an element is named (W3C WebDriver, 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How often something that is to come is looked for, every 100 ms.
const TRIES: usize = 200;

/// One browser with one window; ended when dropped.
pub(crate) struct Browser {
    driver: Child,
    /// Of the browser itself, which a driver that is killed leaves behind.
    process: String,
    session: String,
    http: reqwest::Client,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let binary = std::env::var("FLORIN_CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let mut driver =
            Command::new(&binary).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap_or_else(
                |error| panic!("{binary}: {error}: install chromium-driver, or set FLORIN_CHROMEDRIVER"),
            );
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver says its port").unwrap();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // What it says later is read too, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
        let args = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=520,560",
            format!("--user-data-dir={}", profile.path().display()),
        ]);
        let asked =
            json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": args}}}});
        let base = format!("http://127.0.0.1:{port}");
        let made: Value = http.post(format!("{base}/session")).json(&asked).send().await.unwrap().json().await.unwrap();
        let id = made["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}"));
        let process = made["value"]["capabilities"]["goog:processID"].to_string();
        Self { driver, process, session: format!("{base}/session/{id}"), http, _profile: profile }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.session));
        if method == Method::POST {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let good = answer.status().is_success();
        let value = answer.json::<Value>().await.unwrap()["value"].take();
        if good { Ok(value) } else { Err(value) }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) async fn go(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, params: Value) {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": params})).await;
    }

    /// Into the page's only frame, once it is loaded.
    pub(crate) async fn frame(&self) {
        let frame = self.post("/element", json!({"using": "css selector", "value": "iframe"})).await;
        self.post("/frame", json!({"id": frame})).await;
        // The page around it may be there before what is in it.
        self.until("return location.href !== 'about:blank' && document.readyState === 'complete'").await;
    }

    /// Back to the page around it.
    pub(crate) async fn top(&self) {
        self.post("/frame", json!({"id": null})).await;
    }

    /// What a script in the current frame returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// What a script hands to its last argument.
    pub(crate) async fn run_async(&self, script: &str) -> Value {
        self.post("/execute/async", json!({"script": script, "args": []})).await
    }

    /// Waits until a script in the current frame returns true.
    pub(crate) async fn until(&self, script: &str) {
        for _ in 0..TRIES {
            if self.run(script).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never: {script}; the page: {}", self.text().await);
    }

    /// The text that can be seen in the current frame.
    pub(crate) async fn text(&self) -> String {
        let text = self.run("return document.body ? document.body.innerText : ''").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks, as a hand would.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.post("/element", json!({"using": "css selector", "value": selector})).await;
        let id = element[ELEMENT].as_str().unwrap().to_owned();
        self.post(&format!("/element/{id}/click"), json!({})).await;
    }

    /// Role and name of an element. (The driver tells neither for elements in a frame of another site, so both are as written.)
    pub(crate) async fn told(&self, selector: &str) -> (String, String) {
        let script = format!(
            "const e = document.querySelector('{selector}');
             return [e.getAttribute('role') || e.tagName.toLowerCase(), e.getAttribute('aria-label') || e.textContent]"
        );
        let told = self.run(&script).await;
        (told[0].as_str().unwrap().to_owned(), told[1].as_str().unwrap().to_owned())
    }

    pub(crate) async fn screenshot(&self, file: &Path) {
        let shot = self.call(Method::GET, "/screenshot", Value::Null).await.unwrap();
        std::fs::write(file, STANDARD.decode(shot.as_str().unwrap()).unwrap()).unwrap();
    }

    /// Ends the browser, which the driver would otherwise leave behind.
    pub(crate) async fn end(self) {
        let _ = self.call(Method::DELETE, "", Value::Null).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(&self.process).stderr(Stdio::null()).status();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
