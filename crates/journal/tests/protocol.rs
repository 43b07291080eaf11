//! The protocol of `crates/journal/src/nats/PROTOCOL.md`, exhaustively: every order in which the messages of a few
//! writers can reach a simulated stream, with acknowledgements lost, writers dead, publishes delayed without bound, and
//! somebody who is no writer putting what looks like a claim or a record exactly where it would fit.
//!
//! The claims, the sealing and the reader rule are the provider's own code. The stream is a list that checks expected
//! sequences, as JetStream does.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash as _, Hasher};

use florin_journal::genesis::genesis;
use florin_journal::nats::pipeline::{Answer, Claimed, Pipeline, claim, claimed};
use florin_journal::nats::rule::{Origin, Rule, Verdict, Void};
use florin_journal::{Batch, Hash, Ledger, LedgerId, Loose, PartitionId};

const P: PartitionId = PartitionId(0);

/// What is broken on purpose, to show that the exploration would see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The stream stores whatever comes.
    UncheckedStream,
    /// A writer takes every answer for a yes.
    TrustingWriter,
    /// A claimant that got no answer writes as if it had won.
    HopefulClaimant,
    /// A claimant reads a stream that lacks its last message.
    StaleClaimant,
    /// A reader that takes the first record of an index it finds, whatever its term.
    FirstOfIndex,
    /// A reader that asks nobody's signature.
    TrustingReader,
}

/// How much happens at most.
#[derive(Clone, Copy)]
struct Bounds {
    writers: usize,
    claims: u8,
    records: u8,
    in_flight: usize,
    forgeries: u8,
}

#[derive(Clone)]
enum Role {
    Idle,
    Claiming { nonce: [u8; 16], first: u64, tail: Rule, answer: Option<Answer>, id: u8 },
    Owner { pipeline: Pipeline, answers: VecDeque<(u8, Option<Answer>)> },
}

/// A published message on its way.
#[derive(Clone)]
struct Flight {
    id: u8,
    expected: u64,
    record: Loose,
}

/// A stored message.
#[derive(Clone)]
struct Stored {
    origin: Origin,
    record: Loose,
}

#[derive(Clone)]
struct World {
    ledger: Ledger,
    stream: Vec<Stored>,
    reader: Rule,
    valid: Vec<Rule>,
    writers: Vec<Role>,
    flying: Vec<Flight>,
    /// Term and record, as acknowledged. A writer may hear late, when another one has long gone on.
    acked: Vec<(u64, Hash)>,
    claims: u8,
    records: u8,
    forgeries: u8,
    published: u8,
}

/// What an exploration came across.
#[derive(Debug, Default)]
struct Seen {
    states: usize,
    deposed: bool,
    stranded: bool,
    claim_over_closed: bool,
    settled_by_claim: bool,
    forged: bool,
    stranded_by_forgery: bool,
    longest: usize,
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let first = genesis(LedgerId([9; 16]), P, 1, Hash::ZERO).expect("genesis");
        let ledger = Ledger::from_genesis(&first).expect("a ledger");
        let mut world = Self {
            reader: Rule::new(ledger.clone(), P),
            ledger,
            stream: Vec::new(),
            valid: Vec::new(),
            writers: vec![Role::Idle; bounds.writers],
            flying: Vec::new(),
            acked: Vec::new(),
            claims: bounds.claims,
            records: bounds.records,
            forgeries: bounds.forgeries,
            published: 0,
        };
        world.store(Origin::Writer { expected: 0 }, first, false, &mut Seen::default()).expect("an empty stream");
        world
    }

    /// Appends to the stream, and has the reader judge it.
    fn store(&mut self, origin: Origin, record: Loose, forged: bool, seen: &mut Seen) -> Result<(), String> {
        let sequence = self.stream.len() as u64 + 1;
        let before = self.reader.clone();
        self.stream.push(Stored { origin, record: record.clone() });
        match self.reader.push(sequence, origin, Ok(record)) {
            Ok(Verdict::Valid(_)) if forged => return Err("what nobody signed is a record".into()),
            Ok(Verdict::Valid(record)) => {
                let closed = before.sequence() > before.valid_sequence() && seen.stranded;
                seen.claim_over_closed |= closed && record.term() > before.chain().term();
                self.valid.push(self.reader.clone());
            }
            Ok(Verdict::Void(Void::Deposed { .. })) => seen.deposed = true,
            Ok(Verdict::Void(Void::Stranded)) => {
                seen.stranded = true;
                seen.stranded_by_forgery |= self.stream[self.stream.len() - 2].origin == Origin::Unsigned;
            }
            Ok(Verdict::Void(Void::Unsigned)) => seen.forged = true,
            Ok(Verdict::Void(Void::Unexpected)) => return Err("a writer's message without expectation".into()),
            Err(error) => return Err(format!("message {sequence}: {error}")),
        }
        Ok(())
    }

    fn publish(&mut self, expected: u64, record: Loose) -> u8 {
        self.published += 1;
        self.flying.push(Flight { id: self.published, expected, record });
        self.published
    }

    fn answer(&mut self, id: u8, answer: Answer) {
        for writer in &mut self.writers {
            match writer {
                Role::Claiming { id: mine, answer: slot, .. } if *mine == id => *slot = Some(answer),
                Role::Owner { answers, .. } => {
                    answers.iter_mut().filter(|(mine, _)| *mine == id).for_each(|(_, slot)| *slot = Some(answer));
                }
                _ => {}
            }
        }
    }

    /// The stream as a claimant reads it from its leader.
    fn tail(&self, fault: Option<Fault>) -> Rule {
        let mut tail = Rule::new(self.ledger.clone(), P);
        let missing = usize::from(fault == Some(Fault::StaleClaimant) && self.stream.len() > 1);
        for (at, Stored { origin, record }) in self.stream[..self.stream.len() - missing].iter().enumerate() {
            tail.push(at as u64 + 1, *origin, Ok(record.clone())).expect("judged before");
        }
        // Behind the missing message a server that checks would refuse; a claimant that does not care goes on.
        tail
    }

    fn send_claim(&mut self, writer: usize, nonce: [u8; 16], first: Option<u64>, fault: Option<Fault>) {
        if self.claims == 0 {
            self.writers[writer] = Role::Idle;
            return;
        }
        self.claims -= 1;
        let tail = self.tail(fault);
        let first = first.unwrap_or(tail.chain().term());
        let mut publish = claim(&tail, nonce).expect("a claim");
        if fault == Some(Fault::StaleClaimant) {
            publish.expected = self.stream.len() as u64;
        }
        let id = self.publish(publish.expected, publish.record);
        self.writers[writer] = Role::Claiming { nonce, first, tail, answer: None, id };
    }

    /// A claimant without a plain yes reads again.
    fn doubt_claim(&mut self, writer: usize, fault: Option<Fault>, seen: &mut Seen) {
        let Role::Claiming { nonce, first, tail: old, .. } = self.writers[writer].clone() else { return };
        let tail = self.tail(fault);
        match claimed(&tail, nonce, first) {
            Claimed::Won => {
                seen.settled_by_claim = true;
                self.own(writer, &tail);
            }
            _ if fault == Some(Fault::HopefulClaimant) => {
                let mut tail = old;
                let hoped = claim(&tail, nonce).expect("a claim");
                let origin = Origin::Writer { expected: hoped.expected };
                tail.push(hoped.expected + 1, origin, Ok(hoped.record)).expect("it would fit");
                self.own(writer, &tail);
            }
            Claimed::Lost => self.writers[writer] = Role::Idle,
            Claimed::Open => self.send_claim(writer, nonce, Some(first), fault),
        }
    }

    fn own(&mut self, writer: usize, tail: &Rule) {
        let pipeline = Pipeline::after_claim(tail, tail.head().expect("a claim"));
        self.writers[writer] = Role::Owner { pipeline, answers: VecDeque::new() };
    }

    /// Takes the answer that has come for the oldest message.
    fn receive(&mut self, writer: usize, answer: Answer, fault: Option<Fault>, seen: &mut Seen) {
        match &mut self.writers[writer] {
            Role::Claiming { tail, .. } => {
                let (expected, mut tail) = (tail.sequence(), tail.clone());
                if answer == Answer::Stored(expected + 1) {
                    let Stored { origin, record } = self.stream[usize::try_from(expected).expect("small")].clone();
                    tail.push(expected + 1, origin, Ok(record)).expect("just read");
                    self.own(writer, &tail);
                } else {
                    self.doubt_claim(writer, fault, seen);
                }
            }
            Role::Owner { pipeline, answers } => {
                answers.pop_front();
                let answer = if fault == Some(Fault::TrustingWriter) && answer == Answer::Doubt {
                    // Whatever sequence it expects.
                    Answer::Stored(pipeline_next(pipeline))
                } else {
                    answer
                };
                match pipeline.answer(answer) {
                    Some(head) => self.acked.push((head.term, head.hash)),
                    None => self.writers[writer] = Role::Idle,
                }
            }
            Role::Idle => {}
        }
    }

    fn check(&self, fault: Option<Fault>) -> Result<(), String> {
        let valid: Vec<Hash> = self.valid.iter().map(|rule| rule.chain().last()).collect();
        // Acknowledged records are there, once, each writer's in order of acknowledgement.
        for writer in 1..=self.reader.chain().term().max(self.acked.iter().map(|(term, _)| *term).max().unwrap_or(0)) {
            let mut rest = valid.iter();
            for (_, hash) in self.acked.iter().filter(|(term, _)| *term == writer) {
                if !rest.any(|there| there == hash) {
                    return Err("an acknowledged record is not among the valid ones, or not in order".into());
                }
            }
        }
        // A reader that starts behind any valid record sees what one from the beginning sees.
        for (at, start) in self.valid.iter().enumerate() {
            let mut rule = Rule::after(
                self.ledger.clone(),
                start.chain().clone(),
                start.head().expect("a valid record"),
                start.sequence(),
            );
            let mut found = Vec::new();
            for sequence in start.sequence() + 1..=self.stream.len() as u64 {
                let Stored { origin, record } = self.stream[usize::try_from(sequence - 1).expect("small")].clone();
                match rule.push(sequence, origin, Ok(record)) {
                    Ok(Verdict::Valid(record)) => found.push(record.hash()),
                    Ok(Verdict::Void(_)) => {}
                    Err(error) => return Err(format!("a reader from record {at}: {error}")),
                }
            }
            if found != valid[at + 1..] {
                return Err(format!("a reader from record {at} sees other records"));
            }
            // Found by its index among all writers' messages: the one of the highest term.
            let index = start.head().expect("a valid record").index;
            let signed = || self.stream.iter().filter(|stored| stored.origin != Origin::Unsigned);
            let same = || signed().map(|stored| &stored.record).filter(|record| record.index() == index);
            let best = if fault == Some(Fault::FirstOfIndex) {
                same().next()
            } else {
                same().max_by_key(|record| record.term())
            };
            if best.map(Loose::hash) != Some(valid[at]) {
                return Err(format!("record {index} is not the one of the highest term"));
            }
        }
        Ok(())
    }

    /// Everything that can happen next.
    fn next(&self, bounds: Bounds, fault: Option<Fault>, seen: &mut Seen) -> Result<Vec<Self>, String> {
        let mut next = Vec::new();
        for at in 0..self.flying.len() {
            // A message arrives. That its answer is lost is the same as that it is never taken.
            let mut world = self.clone();
            let flight = world.flying.remove(at);
            let fits = fault == Some(Fault::UncheckedStream) || flight.expected == world.stream.len() as u64;
            let answer = if fits {
                // An unchecked stream would be caught by the stored expectation alone: it lies about that too.
                let expected = world.stream.len() as u64;
                world.store(Origin::Writer { expected }, flight.record, false, seen)?;
                Answer::Stored(world.stream.len() as u64)
            } else {
                Answer::Doubt
            };
            world.answer(flight.id, answer);
            next.push(world);
        }
        if self.forgeries > 0 {
            next.extend(self.forge(fault, seen)?);
        }
        for (at, writer) in self.writers.iter().enumerate() {
            match writer {
                Role::Idle if self.claims > 0 => {
                    let mut world = self.clone();
                    world.send_claim(at, [self.claims; 16], None, fault);
                    next.push(world);
                }
                Role::Idle => {}
                Role::Claiming { answer, .. } => {
                    if let Some(answer) = answer {
                        let mut world = self.clone();
                        world.receive(at, *answer, fault, seen);
                        next.push(world);
                    }
                    let mut world = self.clone();
                    world.doubt_claim(at, fault, seen);
                    next.push(world);
                }
                Role::Owner { pipeline, answers } => {
                    if self.records > 0 && pipeline.waiting() < bounds.in_flight {
                        let mut world = self.clone();
                        world.submit(at);
                        next.push(world);
                    }
                    if let Some((_, Some(answer))) = answers.front() {
                        let mut world = self.clone();
                        world.receive(at, *answer, fault, seen);
                        next.push(world);
                    }
                    // It dies, or waits no longer.
                    let mut world = self.clone();
                    world.writers[at] = Role::Idle;
                    next.push(world);
                }
            }
        }
        Ok(next)
    }

    /// What somebody who sees everything and signs nothing would store: the next claim, or the next record of the term.
    fn forge(&self, fault: Option<Fault>, seen: &mut Seen) -> Result<Vec<Self>, String> {
        let tail = self.tail(None);
        let mut batch = Batch::new();
        batch.push(0, b"forged").expect("a small entry");
        let entries = Pipeline::after_claim(&tail, tail.head().expect("a record")).seal(batch).ok();
        let claim = claim(&tail, [0xff; 16]).expect("a claim");
        let mut next = Vec::new();
        for publish in [Some(claim), entries].into_iter().flatten() {
            let mut world = self.clone();
            world.forgeries -= 1;
            let trusted = fault == Some(Fault::TrustingReader);
            let origin = if trusted { Origin::Writer { expected: tail.sequence() } } else { Origin::Unsigned };
            world.store(origin, publish.record, true, seen)?;
            next.push(world);
        }
        Ok(next)
    }

    fn submit(&mut self, writer: usize) {
        let text = [self.records];
        self.records -= 1;
        let Role::Owner { pipeline, .. } = &mut self.writers[writer] else { return };
        let mut batch = Batch::new();
        batch.push(0, &text).expect("a small entry");
        let publish = pipeline.seal(batch).expect("sealed");
        let id = self.publish(publish.expected, publish.record);
        if let Role::Owner { answers, .. } = &mut self.writers[writer] {
            answers.push_back((id, None));
        }
    }

    /// What tells this state from others. Writers are alike, messages on their way have no order.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let fold = |hash: Hash| u64::from_le_bytes(hash.0[..8].try_into().expect("eight bytes"));
        let mut flying: Vec<_> =
            self.flying.iter().map(|flight| (flight.expected, fold(flight.record.hash()), flight.id)).collect();
        flying.sort_unstable();
        let stream: Vec<_> = self.stream.iter().map(|stored| fold(stored.record.hash())).collect();
        let acked: Vec<_> = self.acked.iter().map(|(term, hash)| (*term, fold(*hash))).collect();
        (flying, stream, acked, self.claims, self.records, self.forgeries).hash(&mut hasher);
        let mut writers: Vec<u64> = self.writers.iter().map(role_key).collect();
        writers.sort_unstable();
        writers.hash(&mut hasher);
        hasher.finish()
    }
}

fn role_key(role: &Role) -> u64 {
    let code = |answer: &Option<Answer>| match answer {
        None => 0,
        Some(Answer::Doubt) => 1,
        Some(Answer::Stored(sequence)) => sequence + 2,
    };
    let mut hasher = DefaultHasher::new();
    match role {
        Role::Idle => {}
        Role::Claiming { nonce, first, tail, answer, id } => {
            (1, nonce, *first, tail.sequence(), code(answer), *id).hash(&mut hasher);
        }
        Role::Owner { pipeline, answers } => {
            let answers: Vec<_> = answers.iter().map(|(id, answer)| (*id, code(answer))).collect();
            (2, pipeline.head().hash.0, answers).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// The sequence that the oldest waiting record should have: found by trying.
fn pipeline_next(pipeline: &Pipeline) -> u64 {
    (0..100).find(|at| pipeline.clone().answer(Answer::Stored(*at)).is_some()).unwrap_or(0)
}

fn explore(bounds: Bounds, fault: Option<Fault>) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut known = HashSet::new();
    let mut judged = HashSet::new();
    let mut todo = vec![World::new(bounds)];
    while let Some(world) = todo.pop() {
        if !known.insert(world.key()) {
            continue;
        }
        let streams: Vec<Hash> = world.stream.iter().map(|stored| stored.record.hash()).collect();
        if judged.insert((streams, world.acked.clone())) {
            world.check(fault)?;
        }
        seen.longest = seen.longest.max(world.stream.len());
        todo.extend(world.next(bounds, fault, &mut seen)?);
    }
    seen.states = known.len();
    Ok(seen)
}

const TWO: Bounds = Bounds { writers: 2, claims: 3, records: 4, in_flight: 2, forgeries: 0 };
const THREE: Bounds = Bounds { writers: 3, claims: 3, records: 2, in_flight: 2, forgeries: 0 };
const FORGED: Bounds = Bounds { writers: 2, claims: 3, records: 3, in_flight: 2, forgeries: 1 };

#[test]
fn two_writers_whatever_happens() {
    let seen = explore(TWO, None).expect("every reader sees every acknowledged record");
    println!("{seen:?}");
    assert!(seen.deposed && seen.stranded && seen.claim_over_closed && seen.settled_by_claim, "{seen:?}");
}

#[test]
fn three_writers_whatever_happens() {
    let seen = explore(THREE, None).expect("every reader sees every acknowledged record");
    println!("{seen:?}");
    assert!(seen.deposed && seen.settled_by_claim, "{seen:?}");
}

#[test]
fn two_writers_and_a_forger_whatever_happens() {
    let seen = explore(FORGED, None).expect("every reader sees every acknowledged record, and nothing forged");
    println!("{seen:?}");
    assert!(seen.forged && seen.stranded_by_forgery && seen.claim_over_closed && seen.deposed, "{seen:?}");
}

#[test]
fn every_broken_part_is_found_out() {
    use Fault::{FirstOfIndex, HopefulClaimant, StaleClaimant, TrustingWriter, UncheckedStream};
    for fault in [UncheckedStream, TrustingWriter, HopefulClaimant, StaleClaimant, FirstOfIndex] {
        let found = explore(TWO, Some(fault));
        println!("{fault:?}: {found:?}");
        assert!(found.is_err(), "{fault:?} was not noticed");
    }
    assert!(explore(FORGED, Some(Fault::TrustingReader)).is_err(), "forged records were not noticed");
}
