//! A mobile user's appeal goes out as an e-mail, once, whatever the mail server does, and over a kill of the server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Server, send, serve_demo};
use crate::smtp::{Mood, Smtp};

fn serve(data: &Path, smtp: &Smtp) -> Command {
    let mut command = serve_demo(data);
    command.env("FLORIN_MAIL_URL", smtp.url()).env("FLORIN_MAIL_FROM", "Florin <florin@example.com>");
    command.env("FLORIN_MAIL_TO", "appeals@example.com").env("FLORIN_MAIL_RETRY_MS", "50");
    command.env("FLORIN_MAIL_TIMEOUT_MS", "500");
    command
}

fn mobile(server: &Server, method: Method, path: &str) -> RequestBuilder {
    let mobile = &server.demo["mobile"];
    let url = format!("{}{path}", mobile["base_url"].as_str().unwrap());
    reqwest::Client::new().request(method, url).bearer_auth(mobile["access_token"].as_str().unwrap())
}

/// A blocked card of the mobile user: its numeric id.
async fn blocked(server: &Server) -> u64 {
    let uuid = server.card("carol", "25.00").await;
    send(server.ops(Method::POST, &format!("/cards/{uuid}/block")).body(r#"{"reason": "story"}"#), 200).await;
    let until = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let card = send(server.ops(Method::GET, &format!("/cards/{uuid}")), 200).await;
        if card["status"] == "blocked" && card["pending"].is_null() {
            return card["number"].as_u64().unwrap();
        }
        assert!(std::time::Instant::now() < until, "{card}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn appeals(server: &Server, card: u64, message: &str) {
    let body = json!({"card_id": card, "request_message": message}).to_string();
    let call = mobile(server, Method::POST, "/api/v1/cards/blocked-appeal").header("content-type", "application/json");
    let answer = call.body(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

async fn until_email(server: &Server, card: u64, status: &str) -> Value {
    let until = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let path = format!("/api/v1/cards/blocked-appeal/status/{card}");
        let shown = send(mobile(server, Method::GET, &path), 200).await;
        if shown["data"]["email_status"] == status {
            return shown;
        }
        assert!(std::time::Instant::now() < until, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appeal_is_mailed_once_and_its_status_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let smtp = Smtp::start(Mood::Busy).await;
    // Given a mail server that is busy, then hangs, and a server that is killed meanwhile
    let server = Server::start_with(&mut serve(&data, &smtp), &data);
    let card = blocked(&server).await;
    appeals(&server, card, "it was not me\r\nBcc: everybody@example.com").await;
    until_email(&server, card, "queued").await;
    smtp.asked(2).await;
    smtp.is(Mood::Hangs);
    smtp.asked(3).await;
    server.kill();
    assert!(smtp.messages().is_empty());
    // When both are well again, then the message arrives once, with nothing of the user's in its headers
    smtp.is(Mood::Takes);
    let server = Server::start_with(&mut serve(&data, &smtp), &data);
    until_email(&server, card, "sent").await;
    let messages = smtp.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let (head, text) = messages[0].split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Subject: Appeal ") && head.contains("Message-ID: <appeal-"), "{head}");
    assert!(!head.contains("everybody") && text.contains("it was not me"), "{head}\n\n{text}");
    // And a restart sends nothing again
    server.kill();
    let server = Server::start_with(&mut serve(&data, &smtp), &data);
    until_email(&server, card, "sent").await;
    assert_eq!(smtp.messages().len(), 1);
    assert!(!server.logged().contains("it was not me"), "no message is logged");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mail_server_refuses_has_failed_and_what_it_lost_sight_of_is_sent_again_under_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let smtp = Smtp::start(Mood::Refuses).await;
    let server = Server::start_with(&mut serve(&data, &smtp), &data);
    let refused = blocked(&server).await;
    appeals(&server, refused, "please").await;
    until_email(&server, refused, "failed").await;
    // A server that dies after it took the message, before it said so
    smtp.is(Mood::DiesAfter);
    let card = blocked(&server).await;
    appeals(&server, card, "please").await;
    smtp.asked(2).await;
    smtp.asked(3).await;
    smtp.is(Mood::Takes);
    until_email(&server, card, "sent").await;
    let id = |message: &String| message.lines().find(|line| line.starts_with("Message-ID")).map(str::to_owned);
    let ids: Vec<_> = smtp.messages().iter().map(id).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| id.is_some() && *id == ids[0]), "{ids:?}");
    assert!(server.terminate().success());
}
