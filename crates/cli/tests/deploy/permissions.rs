//! What each role's NATS user may do and may not, asked of a real server with the real configuration.

use std::time::Duration;

use async_nats::Event;
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::nats::Servers;

/// Who may send what.
const MAY: [(&str, &[&str]); 8] = [
    ("processor", &["florin.main.journal.000"]),
    ("gateway", &["florin.main.cmd.v1.user.0", "florin.main.cmd.v1.network.0"]),
    ("ops", &["florin.main.cmd.v1.ops.0", "florin.main.cmd.v1.network.0", "florin.main.cmd.v1.settlement.0"]),
    ("settlement", &["florin.main.cmd.v1.settlement.0"]),
    ("clock", &["florin.main.cmd.v1.clock.0"]),
    ("webhooks", &[]),
    ("mail", &["florin.main.cmd.v1.settlement.0"]),
    ("client", &["florin.main.cmd.v1.user.0"]),
];

#[tokio::test]
async fn every_role_sends_what_is_its_own_and_nothing_else() {
    let servers = Servers::one().await;
    let admin = servers.connect("admin").await;
    let mut heard = listen(&servers).await;
    let all: Vec<&str> = MAY.iter().flat_map(|(_, subjects)| subjects.iter().copied()).collect();
    for (role, may) in MAY {
        let client = servers.connect(role).await;
        for subject in &all {
            client.publish(*subject, role.into()).await.unwrap();
        }
        // Answered, in whatever way, once the server has dealt with all before it; a message of the admin's comes after.
        let _ = client.request("$SRV.PING", "".into()).await;
        admin.publish("florin.main.end", "".into()).await.unwrap();
        let mut got = Vec::new();
        while let Some((subject, from)) = heard.recv().await {
            match subject.as_str() {
                "florin.main.end" => break,
                _ => assert_eq!(from, role),
            }
            got.push(subject);
        }
        got.sort_unstable();
        got.dedup();
        let mut expected: Vec<String> = may.iter().map(|subject| (*subject).to_owned()).collect();
        expected.sort_unstable();
        assert_eq!(got, expected, "{role}");
    }
}

/// Hears everything of the ledger, as the processor: it may subscribe to commands, and the stream tells of the journal.
async fn listen(servers: &Servers) -> mpsc::UnboundedReceiver<(String, String)> {
    let admin = jetstream::new(servers.connect("admin").await);
    let all = stream::Config {
        name: "FLORIN_main_ALL".into(),
        subjects: vec!["florin.main.>".into()],
        no_ack: true,
        ..Default::default()
    };
    let stream = admin.create_stream(all).await.unwrap();
    let consumer = stream.create_consumer(jetstream::consumer::pull::OrderedConfig::default()).await.unwrap();
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = consumer.messages().await.unwrap();
        while let Some(Ok(message)) = messages.next().await {
            let from = String::from_utf8_lossy(&message.payload).into_owned();
            if tell.send((message.subject.to_string(), from)).is_err() {
                return;
            }
        }
    });
    heard
}

#[tokio::test]
async fn no_role_but_admin_makes_deletes_or_purges_a_stream_or_hears_anothers_answers() {
    let servers = Servers::one().await;
    let admin = jetstream::new(servers.connect("admin").await);
    let journal = stream::Config {
        name: "FLORIN_main_P000".into(),
        subjects: vec!["florin.main.journal.000".into()],
        ..Default::default()
    };
    admin.create_stream(journal).await.unwrap();
    for role in ["processor", "gateway", "ops", "settlement", "clock", "webhooks", "mail"] {
        let client = servers.connect(role).await;
        for call in [
            "STREAM.CREATE.OTHER",
            "STREAM.UPDATE.FLORIN_main_P000",
            "STREAM.DELETE.FLORIN_main_P000",
            "STREAM.PURGE.FLORIN_main_P000",
            "STREAM.MSG.DELETE.FLORIN_main_P000",
        ] {
            let asked = client.request(format!("$JS.API.{call}"), "{}".into());
            let answer = tokio::time::timeout(Duration::from_millis(500), asked).await;
            assert!(!matches!(answer, Ok(Ok(_))), "{role} may {call}");
        }
        // It may read the journal.
        let read = jetstream::new(client.clone()).get_stream("FLORIN_main_P000").await;
        assert!(read.is_ok(), "{role}: {read:?}");
        let mut others = client.subscribe("_INBOX_admin.>").await.unwrap();
        client.flush().await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(200), others.next()).await;
        assert!(!matches!(silent, Ok(Some(_))), "{role} hears others' answers");
    }
}

#[tokio::test]
async fn a_gateway_can_neither_answer_for_a_processor_nor_take_settlements_work() {
    let servers = Servers::one().await;
    let (tell, mut refused) = mpsc::unbounded_channel();
    let gateway = servers.connect_telling("gateway", tell).await;
    let _commands = gateway.subscribe("florin.main.cmd.v1.user.*").await.unwrap();
    gateway.publish("$JS.API.CONSUMER.MSG.NEXT.FLORIN_main_SETTLEMENT.settlement", "".into()).await.unwrap();
    gateway.publish("$JS.API.CONSUMER.DELETE.FLORIN_main_SETTLEMENT.settlement", "".into()).await.unwrap();
    gateway.flush().await.unwrap();
    for _ in 0..3 {
        let event = tokio::time::timeout(Duration::from_secs(10), refused.recv()).await.expect("a refusal");
        assert!(matches!(&event, Some(Event::ServerError(_))), "{event:?}");
    }
}
