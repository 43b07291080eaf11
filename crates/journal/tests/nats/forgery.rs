//! Stories of messages that no writer signed, and of the keys that writers sign with.

use std::fs::File;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use florin_journal::export;
use florin_journal::nats::pipeline::{Pipeline, Publish, claim};
use florin_journal::nats::rule::{Origin, Rule};
use florin_journal::nats::signature::sign;
use florin_journal::nats::{Nats, Settings};
use florin_journal::testing::NatsServer;
use florin_journal::{Error, Loose, Provider, Reader, SigningKey, Writer};
use tempfile::TempDir;

use super::support::{P, STREAM, batch, context, create, headers, key, messages, records, settings, texts, write};

const SUBJECT: &str = "florin.test.journal.000";

fn other() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

/// The stream as anybody can read it, every message taken for what its own writer would say of it.
async fn tail(journal: &Nats, context: &Context) -> Rule {
    let ledger = journal.ledger();
    let mut rule = Rule::new(ledger.clone(), P);
    for (at, (headers, payload)) in (0..).zip(messages(context).await) {
        let record = Loose::decode(payload);
        let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        let right = record.as_ref().map(|record| sign(&key(), ledger.id, P, at, record.hash())).ok();
        let signed = right.is_some() && text("Florin-Signature") == right;
        let origin = if signed { Origin::Writer { expected: at } } else { Origin::Unsigned };
        rule.push(at + 1, origin, record).expect("a sound stream");
    }
    rule
}

fn next_record(tail: &Rule) -> Publish {
    Pipeline::after_claim(tail, tail.head().expect("a record")).seal(batch("forged")).expect("a record")
}

#[tokio::test]
async fn what_no_writer_signed_is_void_wherever_it_would_fit() {
    Box::pin(forged(NatsServer::start().await)).await;
}

#[tokio::test]
async fn what_no_writer_signed_is_void_on_an_old_server() {
    Box::pin(forged(NatsServer::start_old().await)).await;
}

async fn forged(server: NatsServer) {
    // Given a ledger with an owner, and one who may put messages into the stream but has no key of it,
    let journal = create(&server).await;
    let ledger = journal.ledger().id;
    let context = context(&server).await;
    let old = Nats::open(server.connect().await, "test", None, settings(&server)).await.expect("a ledger");
    let mut following = old.reader(P, 0).await.expect("a reader");
    let mut told = Vec::new();
    for round in 0..5 {
        let mut writer = journal.claim(P).await.expect("a claim");
        let text = format!("round {round}");
        write(&mut writer, &text).await;
        told.push(text);
        // when it stores the very next record or claim, right but for the signature,
        let tail = tail(&journal, &context).await;
        let publish = if round % 2 == 0 { next_record(&tail) } else { claim(&tail, [0xee; 16]).expect("a claim") };
        let (expected, hash) = (publish.expected, publish.record.hash());
        let before = messages(&context).await.pop().expect("a message").0;
        let headers = match round {
            0 => {
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Expected-Last-Sequence", expected.to_string().as_str());
                headers
            }
            1 => headers(expected, &sign(&other(), ledger, P, expected, hash)),
            // of another record,
            2 => headers(expected, before.get("Florin-Signature").expect("a signature").as_str()),
            // for another place,
            3 => headers(expected, &sign(&key(), ledger, P, expected + 1, hash)),
            _ => headers(expected, "no hexadecimal digits"),
        };
        let payload = publish.record.bytes().to_vec();
        let stored = context.publish_with_headers(SUBJECT, headers, payload.into()).await.expect("sent").await;
        assert_eq!(stored.expect("stored").sequence, expected + 1);
        // then the writer, whose place is taken, is dead, and was deposed by nobody;
        writer.submit(batch("its place is taken")).await.expect("a batch taken");
        let dead = writer.acked().await.expect_err("a doubt");
        assert!(matches!(dead, Error::Nats { .. }), "{dead:?}");
    }
    // the next claim goes on behind it,
    let mut writer = journal.claim(P).await.expect("a claim");
    let head = write(&mut writer, "after").await;
    told.push("after".into());
    // and everybody reads the writers' records: one who was there, those who come now, by index, and an export.
    let anew = Nats::open(server.connect().await, "test", None, settings(&server)).await.expect("a ledger");
    let all = records(&anew, 0).await;
    assert_eq!(texts(&all), told);
    for record in &all {
        assert_eq!(following.next().await.expect("a record"), *record);
        for journal in [&journal, &old, &anew] {
            assert_eq!(journal.read(P, record.index()).await.expect("a record"), *record);
        }
    }
    for journal in [&journal, &old, &anew] {
        assert_eq!(records(journal, 0).await, all);
        assert_eq!(journal.head(P).await.expect("a head"), head);
    }
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("all.export");
    export::write(&anew, |_| 0, &mut File::create(&file).expect("a file"), |_| {}).await.expect("an export");
    let mut exported = Vec::new();
    let contents = export::read(&mut File::open(&file).expect("a file"), |record| {
        if record.partition() == P {
            exported.push(record);
        }
        Ok::<_, export::Error>(())
    });
    assert_eq!(contents.expect("sound").partitions[0].head, head);
    assert_eq!(exported, all);
}

#[tokio::test]
async fn forged_heads_are_passed_over() {
    // Given signed heads, behind which somebody put noise, a head of its own, and a true one with another place,
    let server = NatsServer::start().await;
    let journal = create(&server).await;
    let mut writer = journal.claim(P).await.expect("a claim");
    write(&mut writer, "one").await;
    let early = writer.sign_head().await.expect("a signed head");
    write(&mut writer, "two").await;
    let context = context(&server).await;
    let record = messages(&context).await[2].1.clone();
    let copy = context.publish(SUBJECT, record.into()).await.expect("sent").await.expect("stored").sequence;
    let mut own = early;
    own.head.index = 7;
    let own = florin_journal::SignedHead::sign(own.ledger, P, own.head, &other());
    for (text, place) in [("noise".into(), 1), (own.to_json(), 3), (early.to_json(), copy), (early.to_json(), 99)] {
        let mut headers = HeaderMap::new();
        headers.insert("Florin-Sequence", place.to_string().as_str());
        let sent = context.publish_with_headers("florin.test.heads.000", headers, text.into()).await.expect("sent");
        sent.await.expect("stored");
        // when it is opened, then all that was acknowledged is there.
        let anew = Nats::open(server.connect().await, "test", None, settings(&server)).await.expect("a ledger");
        assert_eq!(texts(&records(&anew, 0).await), ["one", "two"]);
        assert_eq!(anew.head(P).await.expect("a head").index, 3);
    }
}

async fn describe(context: &Context, partition: u16, description: Option<String>) {
    let name = format!("FLORIN_test_P{partition:03}");
    let mut config = context.get_stream(&name).await.expect("the stream").cached_info().config.clone();
    config.description = description;
    context.update_stream(config).await.expect("edited");
}

fn refusal(opened: Result<Nats, Error>) -> String {
    let error = opened.err().expect("refused");
    assert!(matches!(error, Error::Unfit(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_writer_key_is_replaced_while_everybody_goes_on() {
    // Given a ledger, an owner with its key, and one who reads along,
    let server = NatsServer::start().await;
    let journal = create(&server).await;
    let context = context(&server).await;
    let quick = Settings { patience: std::time::Duration::from_secs(3), ..settings(&server) };
    let open = async |key: SigningKey| Nats::open(server.connect().await, "test", Some(key), quick.clone()).await;
    let mut writer = journal.claim(P).await.expect("a claim");
    write(&mut writer, "old key").await;
    let reading = Nats::open(server.connect().await, "test", None, settings(&server)).await.expect("a ledger");
    let mut reader = reading.reader(P, 0).await.expect("a reader");
    // a process with another key is refused, with the description that would admit it,
    let text = refusal(open(other()).await);
    let description = text.split('"').nth(1).expect("a description").to_owned();
    assert!(description.starts_with("Florin journal, partition 0; writer keys "), "{text}");
    // and when an administrator has put it in place, of every partition,
    describe(&context, 0, Some(description.clone())).await;
    assert!(refusal(open(other()).await).contains("partition 1"));
    describe(&context, 1, Some(description.replace("partition 0", "partition 1"))).await;
    let renewed = open(other()).await.expect("a ledger");
    let mut next = renewed.claim(P).await.expect("a claim");
    write(&mut next, "new key").await;
    // then those who were there all the time read what it signs, and can take the partition back.
    let mut last = journal.claim(P).await.expect("a claim");
    write(&mut last, "old key again").await;
    let expected = ["old key", "new key", "old key again"];
    assert_eq!(texts(&records(&renewed, 0).await), expected);
    let mut seen = Vec::new();
    while texts(&seen).len() < expected.len() {
        seen.push(reader.next().await.expect("a record"));
    }
    assert_eq!(texts(&seen), expected);
    assert_eq!(seen, records(&reading, 0).await);
    // Without keys it is no journal.
    describe(&context, 0, None).await;
    assert!(refusal(open(key()).await).contains(STREAM));
}
