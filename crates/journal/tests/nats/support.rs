//! Ledgers on real servers, and streams taken apart and put together again.

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use florin_journal::nats::{Nats, Settings};
use florin_journal::testing::NatsServer;
use florin_journal::{Batch, Head, PartitionId, Provider, Reader, Record, SigningKey, Writer};

pub(crate) const P: PartitionId = PartitionId(0);
pub(crate) const STREAM: &str = "FLORIN_test_P000";
pub(crate) const HEADS: &str = "FLORIN_test_HEADS";

pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn settings(server: &NatsServer) -> Settings {
    Settings { allow_old_server: server.is_old(), ..Settings::default() }
}

/// A ledger of two partitions on a server.
pub(crate) async fn create(server: &NatsServer) -> Nats {
    let client = server.connect().await;
    Nats::create(client, "test", 2, key(), settings(server)).await.expect("a ledger")
}

pub(crate) fn batch(text: &str) -> Batch {
    let mut batch = Batch::new();
    batch.push(5, text.as_bytes()).expect("a small entry");
    batch
}

pub(crate) async fn write(writer: &mut impl Writer, text: &str) -> Head {
    writer.submit(batch(text)).await.expect("a batch taken");
    writer.acked().await.expect("an acknowledgement")
}

pub(crate) async fn records(journal: &impl Provider, from: u64) -> Vec<Record> {
    let mut reader = journal.reader(P, from).await.expect("a reader");
    let mut records = Vec::new();
    while let Some(record) = reader.try_next().await.expect("sound records") {
        records.push(record);
    }
    records
}

/// Texts of all entries.
pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    let entries = records.iter().filter(|record| record.index() > 0).flat_map(|record| record.entries());
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

/// Headers and payload of every message of partition 0's stream.
pub(crate) async fn messages(context: &Context) -> Vec<(HeaderMap, Vec<u8>)> {
    let stream = context.get_stream(STREAM).await.expect("the stream");
    let mut messages = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.expect("a message");
        messages.push((message.headers, message.payload.to_vec()));
    }
    messages
}

/// Puts other messages in the stream's place.
pub(crate) async fn replace(context: &Context, messages: Vec<(HeaderMap, Vec<u8>)>) {
    let config = context.get_stream(STREAM).await.expect("the stream").cached_info().config.clone();
    context.delete_stream(STREAM).await.expect("deleted");
    let subject = config.subjects[0].clone();
    context.create_stream(config).await.expect("made again");
    for (headers, payload) in messages {
        let sent = context.publish_with_headers(subject.clone(), headers, payload.into()).await;
        sent.expect("sent").await.expect("stored");
    }
}

/// Headers of a message that expects the stream to end with a sequence, with a signature.
pub(crate) fn headers(expected: u64, signature: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Sequence", expected.to_string().as_str());
    headers.insert("Florin-Signature", signature);
    headers
}

pub(crate) async fn context(server: &NatsServer) -> Context {
    jetstream::new(server.connect().await)
}
