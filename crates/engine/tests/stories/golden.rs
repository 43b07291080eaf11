//! Golden bytes: what is stored is stored for ever. A test here that fails means that old journals no longer read: give the
//! changed body a new version instead.

use std::fmt::Write;

use florin_engine::{
    codec::{Entry, Error, Outcome, Unread, encode},
    command::{Admitted, Class, Envelope, TopUp},
    event::{Event, ToppedUp},
    evolve::evolve,
    ids::{AccountId, CardId, Digest, Key, Position},
    money::Minor,
    reject::{Figure, Reason, Reject},
    snapshot,
    state::State,
};

use crate::world::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn top_up() -> (Admitted, Vec<Event>) {
    let card = CardId([0xCA; 16]);
    let envelope = Envelope {
        account: AccountId([0xAC; 16]),
        class: Class::User,
        actor: 0x0102_0304,
        key: Key([0x4B; 16]),
        digest: Digest([0xD1; 16]),
        dated_ms: 0,
        command: TopUp { card, amount: Minor(1_000) }.into(),
    };
    let event = ToppedUp {
        card,
        currency: USD,
        amount: Minor(1_000),
        fee: Minor(30),
        card_balance: Minor(11_000),
        wallet_balance: Minor(988_170),
    };
    (Admitted { time_ms: START, policy: 3, envelope }, vec![event.into()])
}

const HEAD: &str = concat!(
    "01",                               // entry version
    "01",                               // class: user
    "809ac6ad9c010000",                 // time
    "03000000",                         // policy version
    "acacacacacacacacacacacacacacacac", // account
    "0403020100000000",                 // actor
    "4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b", // key
    "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1", // digest
    "0000000000000000",                 // own date
    "3200",                             // command 50, top-up
    "01",                               // its version
    "12",                               // its length
    "cacacacacacacacacacacacacacacaca", // card
    "d00f",                             // 1,000
);

#[test]
fn an_accepted_top_up() {
    let (admitted, events) = top_up();
    let mut bytes = vec![];
    encode(&admitted, Ok(&events), &mut bytes);
    let expected = [
        HEAD,
        "01",                               // accepted
        "01",                               // events
        "3c00",                             // event 60, topped up
        "01",                               // its version
        "1d",                               // its length
        "cacacacacacacacacacacacacacacaca", // card
        "03555344",                         // USD
        "d00f",                             // 1,000
        "3c",                               // fee 30
        "f0ab01",                           // card 11,000
        "94d078",                           // wallet 988,170
    ]
    .concat();
    assert_eq!(hex(&bytes), expected);
    assert!(bytes.len() <= 220, "budgets.md P14: {} bytes", bytes.len());
}

#[test]
fn a_rejected_top_up() {
    let (admitted, _) = top_up();
    let reject = Reject::new(Reason::InsufficientBalance).with(Figure::Needed, 1_030).with(Figure::Available, 5);
    let mut bytes = vec![];
    encode(&admitted, Err(&reject), &mut bytes);
    assert_eq!(hex(&bytes), [HEAD, "02", "07", "1d", "02", "01", "8c10", "02", "0a"].concat());
}

/// The entries of a history in which every kind of event happens, each behind its length; written once and never again.
const TOUR: &[u8] = include_bytes!("grand_tour.entries");
/// The hash of the state it leads to, under snapshot schema 1.
const TOUR_STATE: &str = include_str!("grand_tour.state");

#[test]
fn a_history_with_every_kind_of_event_keeps_its_bytes() {
    let world = grand_tour();
    let mut kinds: Vec<&str> = vec![];
    let mut told = vec![];
    for bytes in &world.entries {
        told.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        told.extend(bytes);
        if let Outcome::Accepted(events) = Entry::decode(bytes).unwrap().outcome {
            kinds.extend(names(&events));
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 47, "every kind of event is told: {kinds:?}");
    assert!(told == TOUR, "the history is told in other bytes than those stored");
    assert_eq!(hex(&snapshot::hash(&world.state)), TOUR_STATE.trim());
}

#[test]
fn the_stored_history_reads_and_leads_to_the_same_state() {
    let mut state = State::new(0, 1);
    let (mut without_commands, mut unread) = (State::new(0, 1), Entry::<Unread>::blank());
    let mut rest = TOUR;
    let mut index = 0;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (bytes, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        let entry = Entry::decode(bytes).unwrap();
        index += 1;
        evolve(&mut state, Position::new(index, 0), &entry.admitted, stored(&entry.outcome));
        unread.read(bytes).unwrap();
        evolve(&mut without_commands, Position::new(index, 0), &unread.admitted, stored(&unread.outcome));
        let mut again = vec![];
        entry.encode(&mut again);
        assert_eq!(again, bytes, "entry {index} is written as it was read");
        rest = after;
    }
    assert_eq!(hex(&snapshot::hash(&state)), TOUR_STATE.trim());
    assert_eq!(hex(&snapshot::hash(&without_commands)), TOUR_STATE.trim(), "events alone lead there");
}

#[test]
fn what_is_no_entry_is_refused_by_its_reason() {
    let (admitted, events) = top_up();
    let mut bytes = vec![];
    encode(&admitted, Ok(&events), &mut bytes);
    assert!(Entry::decode(&bytes).is_ok());
    for end in 0..bytes.len() {
        assert!(Entry::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    let with = |at: usize, byte: u8| {
        let mut spoiled = bytes.clone();
        spoiled[at] = byte;
        let refused = Entry::decode(&spoiled);
        let without_command = Entry::<Unread>::blank().read(&spoiled);
        assert_eq!(
            without_command.err(),
            refused.clone().err(),
            "all but a command's body is read alike by who leaves that out"
        );
        refused
    };
    assert_eq!(with(0, 2), Err(Error::Version(2)));
    assert_eq!(with(1, 9), Err(Error::Class(9)));
    assert_eq!(with(78, 0xEE), Err(Error::UnknownCommand { code: 0x00EE, version: 1 }));
    assert_eq!(with(80, 2), Err(Error::UnknownCommand { code: 50, version: 2 }));
    assert_eq!(with(100, 3), Err(Error::Outcome(3)));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Entry::decode(&longer), Err(Error::Left(1)));
}
