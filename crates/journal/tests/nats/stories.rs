//! Stories of connections cut, servers killed, writers deposed, streams replaced.

use std::time::Duration;

use florin_journal::nats::signature::sign;
use florin_journal::nats::{Nats, Settings};
use florin_journal::testing::NatsServer;
use florin_journal::{Error, IN_FLIGHT_MAX, Loose, Provider, Reader, Writer};

use super::support::{
    HEADS, P, STREAM, batch, context, create, headers, key, messages, records, replace, settings, texts, write,
};

/// Nothing here takes longer, unless it hangs.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn records_in_flight_when_the_server_dies_are_there_once_or_not_at_all() {
    // Given a writer with acknowledged records and a full pipeline,
    let mut server = NatsServer::start().await;
    let journal = create(&server).await;
    let mut reader = journal.reader(P, 0).await.expect("a reader");
    let mut writer = journal.claim(P).await.expect("a claim");
    write(&mut writer, "kept").await;
    for n in 0..IN_FLIGHT_MAX {
        writer.submit(batch(&format!("unsure {n}"))).await.expect("a batch taken");
    }
    // when its server is killed and started again,
    server.restart().await;
    // then what it was told is stored, and what it was not told is there at most once, in order;
    let mut told = vec!["kept".to_owned()];
    let mut n = 0;
    while let Ok(Ok(_)) = tokio::time::timeout(SOON, writer.acked()).await {
        told.push(format!("unsure {n}"));
        n += 1;
        if n == IN_FLIGHT_MAX {
            break;
        }
    }
    let mut next = journal.claim(P).await.expect("a claim after the storm");
    write(&mut next, "after").await;
    let all = texts(&records(&journal, 0).await);
    assert!(all.starts_with(&told), "{all:?} lacks {told:?}");
    let unsure = all[1..all.len() - 1].iter().enumerate();
    unsure.for_each(|(n, text)| assert_eq!(*text, format!("unsure {n}")));
    assert_eq!(all.last().map(String::as_str), Some("after"));
    // and a reader that was there all the time sees the same, without a gap and nothing twice.
    let mut seen = Vec::new();
    while seen.len() < records(&journal, 0).await.len() {
        seen.push(tokio::time::timeout(SOON, reader.next()).await.expect("in time").expect("a record"));
    }
    assert_eq!(texts(&seen), all);
}

#[tokio::test]
async fn a_writer_that_slept_through_its_deposition_writes_nothing() {
    // Given two processes (here: connections), of which the first owns the partition and is held up,
    let server = NatsServer::start().await;
    let first = create(&server).await;
    let client = server.connect().await;
    let second = Nats::open(client, "test", Some(key()), settings(&server)).await.expect("a ledger");
    let mut deposed = first.claim(P).await.expect("a claim");
    write(&mut deposed, "before").await;
    // when the second claims and writes, and the first goes on with everything it had in mind,
    let mut owner = second.claim(P).await.expect("a claim");
    write(&mut owner, "owner's").await;
    let mut refused = None;
    for n in 0..20 {
        if let Err(error) = deposed.submit(batch(&format!("deposed {n}"))).await {
            refused = Some(error);
            break;
        }
    }
    // then nothing of it counts, and it is told why; the owner goes on, with a new claim if one of those messages
    // happened to take the place of its next record.
    let refused = match refused {
        Some(error) => error,
        None => deposed.acked().await.expect_err("refused"),
    };
    assert!(matches!(refused, Error::Deposed(P)), "{refused:?}");
    let mut owner = second.claim(P).await.expect("a claim");
    write(&mut owner, "and on").await;
    assert_eq!(texts(&records(&first, 0).await), ["before", "owner's", "and on"]);
    assert_eq!(records(&first, 0).await, records(&second, 0).await);
}

#[tokio::test]
async fn a_paused_server_makes_a_writer_doubt_and_a_claim_settles_it() {
    // Given a writer whose server stops answering with records in flight,
    let server = NatsServer::start().await;
    let mut patient = settings(&server);
    patient.patience = Duration::from_secs(2);
    create(&server).await;
    let open =
        || async { Nats::open(server.connect().await, "test", Some(key()), patient.clone()).await.expect("a ledger") };
    let journal = open().await;
    let mut writer = journal.claim(P).await.expect("a claim");
    server.pause();
    writer.submit(batch("unsure")).await.expect("a batch taken");
    // when patience is over, then the writer is dead, without a word on what became of the record,
    let dead = tokio::time::timeout(SOON, writer.acked()).await.expect("in time").expect_err("a doubt");
    assert!(matches!(dead, Error::Nats { .. }), "{dead:?}");
    assert!(dead.to_string().contains("see that its servers run"), "{dead}");
    // and when the server goes on, the next claim knows: the record arrived before it, once, or never counts.
    server.resume();
    let mut next = journal.claim(P).await.expect("a claim");
    write(&mut next, "after").await;
    let all = texts(&records(&open().await, 0).await);
    assert!(all == ["unsure", "after"] || all == ["after"], "{all:?}");
}

#[tokio::test]
async fn messages_of_the_deposed_and_of_strangers_are_passed_over_by_every_way_of_reading() {
    // Given a stream with a stranger's message, and a deposed writer's that matched the expected sequence,
    let server = NatsServer::start().await;
    let journal = create(&server).await;
    let mut first = journal.claim(P).await.expect("a claim");
    write(&mut first, "one").await;
    let context = context(&server).await;
    let stranger = context.publish("florin.test.journal.000", "hello".into()).await.expect("sent").await;
    assert_eq!(stranger.expect("stored").sequence, 4);
    let doubtful = async {
        first.submit(batch("lost")).await?;
        first.acked().await
    };
    doubtful.await.expect_err("its place was taken");
    let mut second = journal.claim(P).await.expect("a claim");
    let old = messages(&context).await[2].clone();
    let record = Loose::decode(old.1.clone()).expect("a record");
    let headers = headers(5, &sign(&key(), journal.ledger().id, P, 5, record.hash()));
    let late = context.publish_with_headers("florin.test.journal.000", headers, old.1.into()).await.expect("sent");
    late.await.expect("stored, for it matches");
    second.submit(batch("its place is taken")).await.expect("a batch taken");
    second.acked().await.expect_err("one more doubt");
    let mut third = journal.claim(P).await.expect("a claim");
    let head = write(&mut third, "two").await;
    // when it is read from the beginning, from the middle and by index, from memory or anew, then only records are seen.
    let anew = Nats::open(server.connect().await, "test", None, settings(&server)).await.expect("a ledger");
    for journal in [&journal, &anew] {
        let all = records(journal, 0).await;
        assert_eq!(texts(&all), ["one", "two"]);
        for (index, record) in (0..).zip(&all) {
            assert_eq!(journal.read(P, index).await.expect("a record"), *record);
            assert_eq!(records(journal, index).await[0], *record);
        }
        assert_eq!(journal.head(P).await.expect("a head"), head);
    }
    assert!(matches!(anew.claim(P).await.err(), Some(Error::ReadOnly)));
}

#[tokio::test]
async fn a_reader_notices_that_its_stream_was_replaced() {
    let server = NatsServer::start().await;
    let journal = create(&server).await;
    let mut writer = journal.claim(P).await.expect("a claim");
    write(&mut writer, "one").await;
    write(&mut writer, "two").await;
    let context = context(&server).await;
    let all = messages(&context).await;
    // Given a reader that has read to the end, when the stream is put back to an earlier state, or is gone,
    for kept in [Some(3), None] {
        let journal = Nats::open(server.connect().await, "test", None, settings(&server)).await.expect("a ledger");
        let mut reader = journal.reader(P, 0).await.expect("a reader");
        for _ in 0..4 {
            reader.next().await.expect("a record");
        }
        match kept {
            Some(kept) => replace(&context, all[..kept].to_vec()).await,
            None => drop(context.delete_stream(STREAM).await.expect("deleted")),
        }
        // then it says so.
        let found = tokio::time::timeout(SOON, reader.next()).await.expect("in time").expect_err("another stream");
        match kept {
            Some(_) => assert!(matches!(found, Error::Shorter { index: 3, .. }), "{found:?}"),
            None => assert!(matches!(found, Error::Missing { .. }), "{found:?}"),
        }
        if kept.is_some() {
            replace(&context, all.clone()).await;
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_is_explained() {
    // An old server,
    let old = NatsServer::start_old().await;
    if old.is_old() {
        let refused = Nats::create(old.connect().await, "test", 1, key(), Settings::default()).await;
        let text = refused.err().expect("refused").to_string();
        assert!(text.contains("--allow-old-server") && text.contains("power failure"), "{text}");
    }
    // small messages,
    let small = NatsServer::start_with("max_payload: 64KB").await;
    let refused = Nats::create(small.connect().await, "test", 1, key(), settings(&small)).await;
    assert!(refused.err().expect("refused").to_string().contains("max_payload"));
    // a name that cannot be, or that is taken,
    let server = NatsServer::start().await;
    let refused = Nats::create(server.connect().await, "My Ledger", 1, key(), settings(&server)).await;
    assert!(matches!(refused.err(), Some(Error::Name(_))));
    create(&server).await;
    let again = Nats::create(server.connect().await, "test", 2, key(), settings(&server)).await;
    assert!(matches!(again.err(), Some(Error::Exists(stream)) if stream == HEADS));
    let nowhere = Nats::open(server.connect().await, "other", None, settings(&server)).await;
    assert!(matches!(nowhere.err(), Some(Error::Missing { .. })));
    // and streams that somebody has changed: each deviation by its name.
    let context = context(&server).await;
    let mut config = context.get_stream(STREAM).await.expect("the stream").cached_info().config.clone();
    config.max_age = Duration::from_hours(1);
    config.discard = async_nats::jetstream::stream::DiscardPolicy::Old;
    config.allow_direct = true;
    context.update_stream(config).await.expect("edited");
    let text = Nats::open(server.connect().await, "test", None, settings(&server)).await.err().expect("refused");
    let text = text.to_string();
    assert!(["max_age", "discard", "allow_direct"].iter().all(|name| text.contains(name)), "{text}");
    assert!(!text.contains("deny_delete"), "{text}");
}

#[tokio::test]
async fn a_head_that_nobody_hears_yet_is_said_again() {
    let server = NatsServer::start().await;
    let journal = create(&server).await;
    let mut writer = journal.claim(P).await.expect("a claim");
    let head = write(&mut writer, "one").await;
    // Given a stream of heads that listens nowhere for a moment, as one that was just made or has lost its leader,
    let context = context(&server).await;
    let config = context.get_stream(HEADS).await.expect("the stream").cached_info().config.clone();
    context.delete_stream(HEADS).await.expect("deleted");
    // when a head is signed, then it is published as soon as the stream is there.
    let (signed, ()) = tokio::join!(writer.sign_head(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        context.create_stream(config).await.expect("made again");
    });
    assert_eq!(signed.expect("published").head, head);
    assert_eq!(journal.signed_head(P).await.expect("an answer").expect("a head").head, head);
}

#[tokio::test]
async fn a_ledger_on_three_servers_survives_its_leader() {
    let mut cluster = NatsServer::cluster(3).await;
    let mut settings = settings(&cluster.servers[0]);
    settings.replicas = 3;
    settings.patience = Duration::from_secs(30);
    let client = cluster.connect().await;
    let journal = Nats::create(client.clone(), "test", 1, key(), settings).await.expect("a ledger");
    let mut reader = journal.reader(P, 0).await.expect("a reader");
    let mut writer = journal.claim(P).await.expect("a claim");
    write(&mut writer, "one").await;
    let stream = async_nats::jetstream::new(client).get_stream(STREAM).await.expect("the stream");
    let leader = stream.cached_info().cluster.as_ref().and_then(|cluster| cluster.leader.clone()).expect("a leader");
    let at: usize = leader.trim_start_matches('n').parse().expect("a server's name");
    // When the stream's leader is killed, then the next claim finds everything, and the reader goes on.
    cluster.servers[at].kill();
    let deadline = std::time::Instant::now() + SOON;
    let mut next = loop {
        match journal.claim(P).await {
            Ok(writer) => break writer,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error:?}"),
        }
    };
    write(&mut next, "two").await;
    let mut seen = Vec::new();
    while texts(&seen).last().map(String::as_str) != Some("two") {
        seen.push(tokio::time::timeout(SOON, reader.next()).await.expect("in time").expect("a record"));
    }
    assert_eq!(texts(&seen), ["one", "two"]);
    assert_eq!(seen, records(&journal, 0).await);
}
