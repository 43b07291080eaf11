//! Stories of the outbox: appeals from a real journal to a mail server on loopback, and back as records.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

#[path = "support/smtp.rs"]
mod smtp;
mod support;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::command::{ChangeStatus, Class, OpenAppeal};
use florin_engine::event::Event;
use florin_engine::ids::{AccountId, AppealId, CardId};
use florin_engine::money::Sealed;
use florin_engine::policy::CardKind;
use florin_engine::terms::{Change, EmailStatus, Status};
use florin_journal::{Provider, testing::NatsServer};
use florin_workers::mail::{Error, Opener, Options, Outbox, check_address};
use florin_workers::{Backoff, Mail};
use secrecy::SecretString;
use smtp::{Mood, Smtp};
use support::{World, account, envelope, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is sealed is its text; of an erased user it is empty.
struct Plain;

impl Opener for Plain {
    fn open(&self, _: AccountId, message: &Sealed) -> Result<Option<String>, Box<dyn StdError + Send + Sync>> {
        let text = String::from_utf8(message.0.clone())?;
        Ok((text != "erased").then_some(text))
    }
}

/// A blocked card.
async fn blocked(world: &World, name: &str) -> CardId {
    let card = world.asks_for_card(name, CardKind::Virtual).await;
    world.rests(card, Status::Active).await;
    let block = ChangeStatus { card, change: Change::Block, reason: Sealed::NONE };
    world.does(envelope(account(), Class::Ops, &format!("block {name}"), block)).await;
    world.rests(card, Status::Blocked).await;
    card
}

async fn appeals(world: &World, card: CardId, id: u8, message: &str) {
    let open = OpenAppeal { card, appeal: AppealId([id; 16]), message: Sealed(message.as_bytes().to_vec()) };
    world.does(envelope(account(), Class::User, &format!("appeal {id}"), open)).await;
}

fn options(world: &World, smtp: &Smtp) -> Options {
    let url = SecretString::from(smtp.url());
    let mut options = Options::new(url, "Florin <florin@example.com>".into(), "appeals@example.com".into());
    options.timeout = Duration::from_millis(200);
    options.backoff = Backoff { first: Duration::from_millis(10), max: Duration::from_millis(10) };
    options.clock = Arc::clone(&world.clock) as _;
    options
}

fn mails(world: &World, options: Options) -> JoinHandle<Result<(), Error>> {
    let begun = std::time::Instant::now();
    let outbox = loop {
        match Outbox::open(&world.dir.path().join("mail.redb"), world.journal.ledger().id) {
            Err(Error::Locked { .. }) if begun.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => break opened.unwrap(),
        }
    };
    let (handle, journal) = (world.handle.clone(), world.journal.clone());
    tokio::spawn(Mail::run(handle, journal, Arc::new(Plain), outbox, options, None, std::future::pending()))
}

/// What was recorded of an appeal's e-mail.
async fn recorded(world: &World, id: u8) -> Vec<EmailStatus> {
    let events = world.events().await.into_iter();
    let of = |event| match event {
        Event::AppealEmailed(event) if event.appeal == AppealId([id; 16]) => Some(event.status),
        _ => None,
    };
    events.filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn appeals_that_waited_before_there_was_mail_are_sent_once_in_their_order() {
    let world = World::new().await;
    let settling = world.settles();
    let first = blocked(&world, "first").await;
    appeals(&world, first, 1, "the first\r\nBcc: x@example.com\r\n.\r\nDATA").await;
    let second = blocked(&world, "second").await;
    appeals(&world, second, 2, "der zweite, mit Umlauten: äöü").await;
    let smtp = Smtp::start(Mood::Takes).await;
    let worker = mails(&world, options(&world, &smtp));
    eventually(async || recorded(&world, 2).await == [EmailStatus::Sent]).await;
    assert_eq!(recorded(&world, 1).await, [EmailStatus::Sent]);
    let messages = smtp.messages();
    assert_eq!(messages.len(), 2);
    let (head, text) = messages[0].split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    assert!(head.contains("To: appeals@example.com") && head.contains(&format!("card {first}")), "{head}");
    assert!(!head.contains("Bcc") && text.contains("the first"), "{head}\n\n{text}");
    assert!(messages[1].contains("Message-ID: <appeal-02020202"), "{}", messages[1]);
    // When the worker crashes and its outbox is lost, then the journal says that all is sent
    worker.abort();
    let _ = worker.await;
    std::fs::remove_file(world.dir.path().join("mail.redb")).unwrap();
    let worker = mails(&world, options(&world, &smtp));
    let third = blocked(&world, "third").await;
    appeals(&world, third, 3, "erased").await;
    eventually(async || recorded(&world, 3).await == [EmailStatus::Failed]).await;
    assert_eq!(smtp.messages().len(), 2);
    worker.abort();
    settling.ends().await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_tried_again_up_to_a_bound_and_one_that_refuses_is_not() {
    let world = World::new().await;
    let settling = world.settles();
    let smtp = Smtp::start(Mood::Busy).await;
    let worker = mails(&world, Options { tries_max: 3, ..options(&world, &smtp) });
    let card = blocked(&world, "busy").await;
    appeals(&world, card, 1, "busy").await;
    for tries in 1..=3 {
        smtp.asked(tries).await;
        assert_eq!(recorded(&world, 1).await.len(), 0, "{tries}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.passes_ms(20).await;
        if tries == 2 {
            smtp.is(Mood::Hangs);
        }
        if tries == 3 {
            break;
        }
    }
    eventually(async || recorded(&world, 1).await == [EmailStatus::Failed]).await;
    smtp.is(Mood::Refuses);
    let card = blocked(&world, "refused").await;
    appeals(&world, card, 2, "refused").await;
    eventually(async || recorded(&world, 2).await == [EmailStatus::Failed]).await;
    assert!(smtp.messages().is_empty());
    worker.abort();
    settling.ends().await;
    world.ends().await;
}

/// A mail worker as a process of its own has it, and what it holds.
async fn process(
    world: &World,
    server: &NatsServer,
    options: Options,
    holds: bool,
) -> (JoinHandle<Result<(), Error>>, watch::Sender<BTreeSet<u16>>) {
    let outbox = Outbox::shared(server.connect().await, "main", world.journal.ledger().id, 1).await.unwrap();
    let (hold, held) = watch::channel(if holds { BTreeSet::from([0]) } else { BTreeSet::new() });
    let (handle, journal) = (world.handle.clone(), world.journal.clone());
    let run = Mail::run(handle, journal, Arc::new(Plain), outbox, options, Some(held), std::future::pending());
    (tokio::spawn(run), hold)
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_an_outbox_and_a_partition_that_moves_sends_nothing_twice() {
    let (world, server, smtp) = (World::new().await, NatsServer::start().await, Smtp::start(Mood::Takes).await);
    let settling = world.settles();
    let (first, of_first) = process(&world, &server, options(&world, &smtp), true).await;
    let (second, of_second) = process(&world, &server, options(&world, &smtp), false).await;
    // Given an appeal that the first has sent, the second sends the next when the partition is its own
    appeals(&world, blocked(&world, "one").await, 1, "one").await;
    eventually(async || recorded(&world, 1).await == [EmailStatus::Sent]).await;
    of_first.send_replace(BTreeSet::new());
    of_second.send_replace(BTreeSet::from([0]));
    appeals(&world, blocked(&world, "two").await, 2, "two").await;
    eventually(async || recorded(&world, 2).await == [EmailStatus::Sent]).await;
    assert_eq!(smtp.messages().len(), 2, "each once: {:?}", smtp.messages());
    // When it dies while the mail server hangs, then the first goes on where it was
    smtp.is(Mood::Hangs);
    let asked = smtp.messages().len();
    appeals(&world, blocked(&world, "three").await, 3, "three").await;
    smtp.asked(asked + 1).await;
    second.abort();
    smtp.is(Mood::Takes);
    of_first.send_replace(BTreeSet::from([0]));
    eventually(async || recorded(&world, 3).await == [EmailStatus::Sent]).await;
    assert_eq!(smtp.messages().len(), 3, "{:?}", smtp.messages());
    // And who comes to see knows how far it is
    let seen = Outbox::shared(server.connect().await, "main", world.journal.ledger().id, 1).await.unwrap();
    let reached = seen.reached(0);
    assert!(reached.is_some());
    let card = blocked(&world, "four").await;
    appeals(&world, card, 4, "four").await;
    eventually(async || recorded(&world, 4).await == [EmailStatus::Sent]).await;
    seen.look().await.unwrap();
    assert!(seen.reached(0).unwrap().index > reached.unwrap().index);
    first.abort();
    settling.ends().await;
    world.ends().await;
}

#[test]
fn what_is_no_server_or_address_is_refused() {
    for address in ["", "nobody", "a@b\r\nBcc: c@d", "@example.com"] {
        assert!(check_address(address).is_err(), "{address:?}");
    }
    for url in ["", "http://example.com", "smtp://", "mail.example.com"] {
        let options = Options::new(SecretString::from(url), "a@example.com".into(), "b@example.com".into());
        assert!(options.check().is_err(), "{url:?}");
    }
}
