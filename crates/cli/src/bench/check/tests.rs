//! Stories of the check: a journal as it should be, and one mistake in it each time.

use florin_engine::{
    codec::{self, Entry, Outcome},
    command::{Admitted, Class, Command, Envelope, Settle},
    decide::{Decision, decide},
    event::Event,
    evolve::evolve,
    ids::{Digest, Key, Position, request_id},
    money::Minor,
    state::State,
};

use super::super::args::parsed;
use super::super::people;
use super::*;

const NOW_MS: u64 = 1_790_000_000_000;
const COMMANDS: u64 = 60;

fn script() -> Script {
    let options = ["--accounts", "6", "--batch", "10", "--commands", "60"];
    let mix = ["--mix", "top-up=4,authorize=2,unload=2,freeze=2"];
    Script::new(&parsed(&[&options[..], &mix].concat()), NOW_MS, None).expect("possible options")
}

fn sent() -> Sent {
    Sent { commands: COMMANDS, authorizations: Told::default() }
}

/// What a processor would write for these commands.
fn decided(envelopes: impl IntoIterator<Item = Envelope>) -> Vec<Entry> {
    let mut state = State::new(0, 1);
    let mut events = Vec::new();
    let mut entries = Vec::new();
    for (n, envelope) in envelopes.into_iter().enumerate() {
        let admitted = Admitted { time_ms: NOW_MS, policy: state.policy_version_at(NOW_MS), envelope };
        assert_eq!(decide(&state, &admitted, &mut events), Decision::Accepted, "{:?}", admitted.envelope.command);
        evolve(&mut state, Position::new(n as u64, 0), &admitted, Ok(&events));
        let mut bytes = Vec::new();
        codec::encode(&admitted, Ok(&events), &mut bytes);
        entries.push(Entry::decode(&bytes).expect("an entry"));
    }
    entries
}

/// Everybody, then the commands as they were sent, each change settled at once.
fn everything(script: &Script) -> Vec<Envelope> {
    let users = script.users.iter().flatten();
    let users = users.flat_map(|user| script.user(user, |_| people::unmade()).expect("commands"));
    let mut turns = std::collections::HashMap::new();
    let load = (0..COMMANDS).map(|n| script.envelope(n)).flat_map(|envelope| {
        let settled = match &envelope.command {
            Command::ChangeStatus(change) => {
                let turn = turns.entry(change.card).or_insert(1_u32);
                *turn += 1;
                let request = request_id(change.card, *turn);
                let outcome = florin_engine::command::Outcome::Done;
                let command = Settle { card: change.card, request, outcome }.into();
                let (key, digest) = (Key(request.0), Digest(request.0));
                Some(Envelope { class: Class::Settlement, key, digest, dated_ms: NOW_MS, command, ..envelope.clone() })
            }
            _ => None,
        };
        std::iter::once(envelope).chain(settled)
    });
    std::iter::once(script.adopt(0)).chain(users).chain(load).collect()
}

/// The verdict on these entries.
fn verdict(script: &Script, sent: &Sent, entries: &[Entry]) -> Result<Checked, String> {
    verdict_over(script, sent, entries, entries)
}

/// The verdict on entries where accounts stand as others left them.
fn verdict_over(script: &Script, sent: &Sent, entries: &[Entry], folded: &[Entry]) -> Result<Checked, String> {
    let mut tally = Tally::new(script, sent);
    let mut state = State::new(0, 1);
    let mut read = || {
        for (n, (entry, folded)) in entries.iter().zip(folded).enumerate() {
            let position = Position::new(n as u64, 0);
            tally.entry(position, entry)?;
            evolve(&mut state, position, &folded.admitted, Ok(tally::accepted(position, folded)?));
        }
        for user in &script.users[0] {
            tally.account(user, state.account(user.account))?;
        }
        Ok(())
    };
    read().and_then(|()| tally.verdict()).map_err(|failure: Failure| failure.to_string())
}

/// The place of the first command of the load that is of a kind.
fn first(entries: &[Entry], kind: impl Fn(&Command) -> bool) -> usize {
    entries.iter().position(|entry| kind(&entry.admitted.envelope.command)).expect("one of this kind")
}

fn top_up(command: &Command) -> bool {
    matches!(command, Command::TopUp(_))
}

/// Says why a journal is refused after a change to its entries.
fn refused(change: impl FnOnce(&mut Vec<Entry>)) -> String {
    let script = script();
    let mut entries = decided(everything(&script));
    change(&mut entries);
    verdict(&script, &sent(), &entries).expect_err("a mistake")
}

#[test]
fn a_journal_that_has_everything_is_said_to_have_it() {
    let script = script();
    let checked = verdict(&script, &sent(), &decided(everything(&script))).expect("everything");
    assert_eq!((checked.commands, checked.settled), (COMMANDS, script.changes(COMMANDS)));
    assert_eq!(checked.settled, 12, "each of six cards is frozen and thawed");
    let told = checked.to_string();
    assert!(told.starts_with("every command is there once, and everything balances: 60 commands"), "{told}");
    assert!(told.contains("12 changes settled once each"), "{told}");
    assert!(told.ends_with("no views to compare"), "{told}");
}

#[test]
fn a_lost_command_is_found() {
    let script = script();
    let lost = (0..COMMANDS).find(|n| top_up(&script.envelope(*n).command)).expect("a top-up");
    let key = script.key(lost);
    let all = everything(&script).into_iter().filter(|envelope| envelope.key != key);
    let told = verdict(&script, &sent(), &decided(all)).expect_err("a command is lost");
    assert!(told.contains(&format!("command {lost} was acknowledged and is not in the journal")), "{told}");
}

#[test]
fn a_command_that_is_there_twice_is_found() {
    let told = refused(|entries| {
        let at = first(entries, top_up);
        entries.insert(at + 1, entries[at].clone());
    });
    assert!(told.contains("is in the journal twice"), "{told}");
}

/// Given a ledger that decided ten dollars more than were asked for, though everything in it balances.
#[test]
fn an_altered_command_is_found() {
    let script = script();
    for kind in [
        (|command| match command {
            Command::TopUp(command) => {
                command.amount.0 += 1_000;
                true
            }
            _ => false,
        }) as fn(&mut Command) -> bool,
        |command| match command {
            Command::Unload(command) => {
                command.amount.0 += 1;
                true
            }
            _ => false,
        },
    ] {
        let mut all = everything(&script);
        assert!(all.iter_mut().any(|envelope| kind(&mut envelope.command)));
        let told = verdict(&script, &sent(), &decided(all)).expect_err("a command is another one");
        assert!(told.contains("is another one than was sent"), "{told}");
    }
}

#[test]
fn a_command_that_nobody_sent_is_found() {
    let script = script();
    let mut all = everything(&script);
    all.push(script.envelope(script.end));
    let told = verdict(&script, &sent(), &decided(all)).expect_err("a command more");
    assert!(told.contains("is a command that was never sent"), "{told}");
}

/// Given accounts that stand as one entry less a cent of its fee would leave them.
#[test]
fn books_that_do_not_balance_are_found() {
    let script = script();
    let entries = decided(everything(&script));
    let mut folded = entries.clone();
    let Outcome::Accepted(events) = &mut folded[first(&entries, top_up)].outcome else { panic!("a rejection") };
    let Some(Event::ToppedUp(event)) = events.first_mut() else { panic!("no top-up") };
    event.fee = Minor(event.fee.0 - 1);
    let told = verdict_over(&script, &sent(), &entries, &folded).expect_err("a cent too much");
    assert!(told.contains("was deposited"), "{told}");
}

#[test]
fn a_hold_that_no_card_has_is_found() {
    let script = script();
    let folded = decided(everything(&script));
    let mut entries = folded.clone();
    let event = entries.iter_mut().find_map(|entry| match &mut entry.outcome {
        Outcome::Accepted(events) => events.iter_mut().find_map(|event| match event {
            Event::Authorized(event) => Some(event),
            _ => None,
        }),
        Outcome::Rejected(_) => None,
    });
    event.expect("an approval").amount.0 += 1;
    let told = verdict_over(&script, &sent(), &entries, &folded).expect_err("a hold is a cent off");
    assert!(told.contains("was authorized and not released"), "{told}");
}

#[test]
fn a_change_that_is_not_settled_or_settled_twice_is_found() {
    let settle = |command: &Command| matches!(command, Command::Settle(settle) if settle.outcome == florin_engine::command::Outcome::Done);
    let script = script();
    let mut all = everything(&script);
    let last = all.iter().rposition(|envelope| settle(&envelope.command)).expect("a settlement");
    let dropped = all.remove(last);
    let told = verdict(&script, &sent(), &decided(all)).expect_err("a change waits");
    assert!(told.contains("1 changes are not settled"), "{told}");

    let mut all = everything(&script);
    all.push(Envelope { key: Key([9; 16]), ..dropped });
    let told = verdict(&script, &sent(), &decided(all)).expect_err("a second settlement");
    assert!(told.contains("settles what card"), "{told}");
}

#[test]
fn approvals_that_were_not_answered_are_found() {
    let script = script();
    let sent = Sent { authorizations: Told { approved: 1, ..Told::default() }, ..sent() };
    let told = verdict(&script, &sent, &decided(everything(&script))).expect_err("an approval");
    assert!(told.contains("1 authorizations were answered as approved, 0 are"), "{told}");
}

#[test]
fn a_rejection_is_found() {
    let told = refused(|entries| {
        let at = first(entries, top_up);
        entries[at].outcome =
            Outcome::Rejected(florin_engine::reject::Reject::new(florin_engine::reject::Reason::Overflow));
    });
    assert!(told.contains("is a rejection"), "{told}");
}
