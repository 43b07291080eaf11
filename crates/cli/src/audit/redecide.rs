//! The second half of the pipeline: decides every command again under the state so far, compares the outcome byte by byte,
//! folds what was recorded, and keeps the auditor's own books beside it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::mpsc::Receiver;

use florin_engine::{
    codec::{Entry, Outcome, encode},
    decide::{Decision, decide},
    event::{Checkpointed, Event},
    evolve::evolve,
    ids::Position,
    policy::RULES_LATEST,
    reject::Reject,
    snapshot,
    state::State,
};
use florin_journal::{Kind, Ledger, PartitionId, Record};

use super::books::Books;
use super::finding::{Finding, Sink};
use super::words;

/// Entries between two comparisons of books and state, at least; more when there are many accounts.
const COMPARE_ENTRIES: u64 = 1_000_000;

/// Entries that are read before they are decided, so that what they need comes from memory together.
const AHEAD: usize = 64;

/// What deciding again came to.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// Entries read.
    pub(super) entries: u64,
    /// Entries decided again: the same, or none where the state is not known.
    pub(super) again: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) events: u64,
    pub(super) accounts: usize,
    pub(super) cards: usize,
    /// Checkpoints whose state hash was compared.
    pub(super) checkpoints: u64,
    pub(super) books: Books,
}

/// Decides a partition again.
pub(super) struct Judge<'a> {
    partition: u16,
    sink: &'a Sink,
    state: State,
    books: Books,
    done: Decided,
    /// Records whose state a later checkpoint names, and the hashes there.
    named: &'a BTreeSet<u64>,
    hashes: HashMap<u64, [u8; 32]>,
    compared: u64,
    books_agree: bool,
    /// Why nothing more can be decided.
    stuck: bool,
    last_ms: u64,
    // Scratch, so that deciding allocates little.
    room: Vec<Entry>,
    events: Vec<Event>,
    bytes: Vec<u8>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(ledger: &Ledger, partition: PartitionId, named: &'a BTreeSet<u64>, sink: &'a Sink) -> Self {
        Self {
            partition: partition.0,
            sink,
            state: State::new(partition.0, ledger.partitions),
            books: Books::default(),
            done: Decided::default(),
            named,
            hashes: HashMap::new(),
            compared: 0,
            books_agree: true,
            stuck: false,
            last_ms: 0,
            room: Vec::new(),
            events: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Takes records until there are no more.
    pub(super) fn hear(mut self, records: &Receiver<Vec<Record>>) -> Decided {
        for record in records.iter().flatten() {
            self.record(&record);
            if self.stuck {
                break;
            }
        }
        self.compare();
        Decided { accounts: self.state.accounts(), cards: self.state.cards(), books: self.books, ..self.done }
    }

    fn record(&mut self, record: &Record) {
        if record.kind() == Kind::Entries {
            self.entries(record);
            if self.stuck {
                return;
            }
        }
        if self.named.contains(&record.index()) {
            self.hashes.insert(record.index(), snapshot::hash(&self.state));
        }
        if self.done.entries - self.compared >= COMPARE_ENTRIES.max(8 * self.state.accounts() as u64) {
            self.compare();
        }
    }

    fn entries(&mut self, record: &Record) {
        let mut room = std::mem::take(&mut self.room);
        room.resize_with(AHEAD, Entry::blank);
        self.all_entries(record, &mut room);
        self.room = room;
    }

    fn all_entries(&mut self, record: &Record, room: &mut [Entry]) {
        let (index, mut left, mut n) = (record.index(), record.entries(), 0);
        let mut stored: [&[u8]; AHEAD] = [&[]; AHEAD];
        let mut unreadable = None;
        while unreadable.is_none() {
            let mut count = 0;
            // In this order: an entry that is taken has a place.
            for ((entry, stored), bytes) in room.iter_mut().zip(&mut stored).zip(left.by_ref()) {
                if let Err(error) = entry.read(bytes) {
                    unreadable = Some(error);
                    break;
                }
                *stored = bytes;
                count += 1;
            }
            if count == 0 {
                break;
            }
            let ahead = &room[..count];
            self.state.touch(ahead.iter().map(|entry| &entry.admitted.envelope));
            self.books.look(ahead);
            for (entry, stored) in ahead.iter().zip(stored) {
                for finding in plain(record, n, entry, &mut self.last_ms) {
                    self.tell(index, n, finding);
                }
                self.entry(index, n, entry, stored);
                if self.stuck {
                    return;
                }
                n += 1;
            }
        }
        if let Some(error) = unreadable {
            self.stuck = true;
            self.tell(index, n, Finding::new("entry", "an entry of a known type and version", error));
            self.give_up(format!("entry {index}.{n} cannot be read"));
        }
    }

    fn entry(&mut self, index: u64, n: u32, entry: &Entry, stored: &[u8]) {
        let (admitted, envelope) = (&entry.admitted, &entry.admitted.envelope);
        let recorded = match &entry.outcome {
            Outcome::Accepted(events) => Ok(events.as_slice()),
            Outcome::Rejected(reject) => Err(reject),
        };
        if let Some(rules) = newer_rules(recorded) {
            self.stuck = true;
            self.give_up(format!("entry {index}.{n} adopts rules {rules}, this binary has rules up to {RULES_LATEST}"));
            return;
        }
        let policy = self.state.policy_version_at(admitted.time_ms);
        if admitted.policy != policy {
            let finding = Finding::new(
                "policy",
                format!("policy {policy}, which was in force"),
                format!("policy {}", admitted.policy),
            );
            self.tell(index, n, finding);
        }
        let mut events = std::mem::take(&mut self.events);
        let decision = decide(&self.state, admitted, &mut events);
        let again = match &decision {
            Decision::Accepted => Some(Ok(events.as_slice())),
            Decision::Rejected(reject) => Some(Err(reject)),
            Decision::Replayed(first) => {
                let finding = Finding::new(
                    "idempotency",
                    format!("nothing recorded: the key was used at {first}, whose outcome is the answer"),
                    format!("{} decided a second time: {}", envelope.command.name(), words::outcome(recorded)),
                );
                self.tell(index, n, finding);
                None
            }
        };
        if let Some(again) = again {
            self.bytes.clear();
            encode(admitted, again, &mut self.bytes);
            if self.bytes != stored {
                let finding =
                    if again == recorded { spelled() } else { differing(envelope.command.name(), again, recorded) };
                self.tell(index, n, finding);
            }
        }
        self.events = events;
        evolve(&mut self.state, Position::new(index, n), admitted, recorded);
        self.done.entries += 1;
        self.done.again += 1;
        match recorded {
            Ok(events) => {
                self.done.accepted += 1;
                self.done.events += events.len() as u64;
                let (sink, partition) = (self.sink, self.partition);
                let mut tell = |finding: Finding| sink.find(finding.at(partition, index).entry(n));
                self.books.entry(envelope.account, admitted.time_ms, events, &mut tell);
                for event in events {
                    if let Event::Checkpointed(checkpoint) = event {
                        self.checkpoint(index, n, checkpoint);
                    }
                }
            }
            Err(_) => self.done.rejected += 1,
        }
    }

    fn checkpoint(&mut self, index: u64, n: u32, said: &Checkpointed) {
        if said.schema != snapshot::SCHEMA {
            self.give_up(format!(
                "the checkpoint at {index}.{n} is of state schema {}, this binary has {}",
                said.schema,
                snapshot::SCHEMA
            ));
            return;
        }
        let hex = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex().to_string();
        match self.hashes.get(&said.index) {
            Some(hash) if *hash == said.state_hash => self.done.checkpoints += 1,
            Some(hash) => {
                let expected = format!("the state after record {} hashes to {}", said.index, hex(hash));
                self.tell(index, n, Finding::new("checkpoint", expected, hex(&said.state_hash)));
            }
            None => {
                let finding = Finding::new("checkpoint", "an earlier record", format!("record {}", said.index));
                self.tell(index, n, finding);
            }
        }
    }

    /// Compares books and state; once they differ they differ for good, so it is told once.
    fn compare(&mut self) {
        self.compared = self.done.entries;
        if self.books_agree {
            let (sink, partition) = (self.sink, self.partition);
            let mut tell = |finding: Finding| sink.find(Finding { partition: Some(partition), ..finding });
            self.books_agree = self.books.compare(&self.state, &mut tell);
        }
    }

    fn tell(&self, index: u64, n: u32, finding: Finding) {
        self.sink.find(finding.at(self.partition, index).entry(n));
    }

    fn give_up(&self, why: impl fmt::Display) {
        self.sink.gap(format!("partition {}: {why}", self.partition));
    }
}

/// What an entry shows without a state: its header tells the times of its first and last entry, they do not go back, and
/// its account is of the partition.
pub(super) fn plain(record: &Record, n: u32, entry: &Entry, last_ms: &mut u64) -> Vec<Finding> {
    let (time_ms, account) = (entry.admitted.time_ms, entry.admitted.envelope.account);
    let last = n as usize + 1 == record.len();
    let wrong = if time_ms < *last_ms {
        Some(format!("a time not before {last_ms}"))
    } else if n == 0 && time_ms != record.first_time_ms() {
        Some(format!("the header's first time {}", record.first_time_ms()))
    } else if last && time_ms != record.last_time_ms() {
        Some(format!("the header's last time {}", record.last_time_ms()))
    } else {
        None
    };
    *last_ms = (*last_ms).max(time_ms);
    let mut found = Vec::new();
    if let Some(expected) = wrong {
        found.push(Finding::new("time", expected, time_ms));
    }
    if !account.is_nil() && account.partition() != record.partition().0 {
        found.push(Finding::new("account", "an account of this partition", account));
    }
    found
}

/// An entry that is not in the form in which the engine writes it.
pub(super) fn spelled() -> Finding {
    Finding::new("encoding", "the one form in which this entry is stored", "another form of it")
}

type Recorded<'a> = Result<&'a [Event], &'a Reject>;

/// Rules that an entry adopts and this binary does not have.
fn newer_rules(recorded: Recorded<'_>) -> Option<u32> {
    recorded.ok()?.iter().find_map(|event| match event {
        Event::PolicyAdopted(event) => Some(event.policy.rules).filter(|rules| *rules > RULES_LATEST),
        _ => None,
    })
}

/// Says where two outcomes part.
fn differing(command: &str, again: Recorded<'_>, recorded: Recorded<'_>) -> Finding {
    if let (Ok(again), Ok(recorded)) = (again, recorded)
        && again.len() == recorded.len()
        && let Some(at) = again.iter().zip(recorded).position(|(again, recorded)| again != recorded)
    {
        return Finding::new(
            "outcome",
            format!("{command} accepted, event {at}: {}", words::of(&again[at])),
            format!("{command} accepted, event {at}: {}", words::of(&recorded[at])),
        );
    }
    let outcome = |outcome| format!("{command} {}", words::outcome(outcome));
    Finding::new("outcome", outcome(again), outcome(recorded))
}
