//! The loop of one partition: the single writer of its state and of its journal.
//!
//! Batching is natural. While a record is being written, what arrives is decided and gathers in the next; the
//! acknowledgement submits it. A record that reaches the working size is submitted at once, up to [`IN_FLIGHT`] in all;
//! then nothing more is decided, and the lanes fill. One that the network waits for goes as soon as it is worth a write, so
//! that an authorization does not wait for users' batches. With nothing in flight a record is submitted as soon as the
//! lanes are empty, so a lone command costs one sync.
//!
//! State is speculative between decision and acknowledgement: only this loop sees it. If the journal fails, the loop ends
//! and its state is dropped.

mod open;
mod own;
mod queue;

use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use florin_engine::{
    codec::{Outcome, encode},
    command::{Admitted, Class, Envelope},
    decide::{Decision, decide},
    event::Event,
    evolve::evolve,
    ids::{AccountId, Position},
    money::Asset,
    postings::{Posting, unbalanced},
    reject::Reject,
    state::State,
};
use florin_journal::{Batch, Head, PartitionId, Writer};

use self::open::{Flight, Open, Waiting};
use self::own::checkpoint;
use self::queue::{Event as Happened, Next, Queue};
use crate::clock::{Clock, Stamps};
use crate::gauges::Gauges;
use crate::handle::{Reply, Status, card_of};
use crate::lanes::{Answer, Gate, Inbox, Question, Single};
use crate::options::{Expand, Options};
use crate::recovery::Recovered;
use crate::reversal::Reversal;
use crate::snapshotter;
use crate::{Error, processor};

/// Records submitted and not yet durable; one more is under construction. Two keep the disk busy while one is being
/// hashed; more would only make batches smaller and waits longer.
const IN_FLIGHT: usize = 2;

/// Commands decided between two looks at acknowledgements and questions.
const CHUNK: usize = 64;

pub(crate) struct Loop<W> {
    partition: PartitionId,
    writer: W,
    state: State,
    stamps: Stamps,
    clock: Arc<dyn Clock>,
    queue: Queue,
    gate: Arc<Gate>,
    gauges: Gauges,
    expand: Expand,
    open: Open,
    in_flight: VecDeque<Flight>,
    durable: Head,
    last_durable: Instant,
    snapshotter: Option<snapshotter::Requests>,
    snapshot_entries: u64,
    since_snapshot: u64,
    snapshot_running: bool,
    // Scratch, so that deciding allocates nothing.
    events: Vec<Event>,
    bytes: Vec<u8>,
    postings: Vec<Posting>,
}

impl<W: Writer> Loop<W> {
    pub(crate) fn new(
        recovered: Recovered,
        writer: W,
        inbox: Inbox,
        snapshotter: Option<snapshotter::Requests>,
        options: &Options,
    ) -> Self {
        let partition = recovered.partition;
        let durable = writer.head();
        let last_ms = recovered.state.clock_ms().max(durable.time_ms);
        Self {
            partition,
            writer,
            stamps: Stamps::new(&*options.clock, partition, last_ms),
            state: recovered.state,
            clock: Arc::clone(&options.clock),
            gate: Arc::clone(&inbox.gate),
            queue: Queue::new(inbox),
            gauges: Gauges::new(partition),
            expand: options.expand,
            open: Open::default(),
            in_flight: VecDeque::with_capacity(IN_FLIGHT),
            durable,
            last_durable: Instant::now(),
            snapshotter,
            snapshot_entries: options.snapshot_entries.max(1),
            since_snapshot: recovered.tail_entries,
            snapshot_running: false,
            events: Vec::new(),
            bytes: Vec::new(),
            postings: Vec::new(),
        }
    }

    /// Runs until stopped, then has answered everything; or until it must not go on, then has answered what is durable
    /// and told everybody else why.
    pub(crate) async fn run(mut self) -> Result<(), processor::Error> {
        let ended = self.work().await;
        if let Err(processor::Error::Unbalanced { .. }) = &ended {
            // What is in flight is sound: let it become durable and be answered.
            while !self.in_flight.is_empty() {
                match self.writer.acked().await {
                    Ok(head) => self.release(head),
                    Err(_) => break,
                }
            }
        }
        let reason = match &ended {
            Ok(()) => "it was shut down".to_owned(),
            Err(error) => crate::error::chain(error),
        };
        // Set before the lanes are closed, so that whoever finds them closed finds the reason.
        let stopped = Error::Stopped { reason: self.gate.stopped.get_or_init(|| reason).clone() };
        self.queue.fail(&stopped);
        for waiting in self.in_flight.drain(..).flat_map(|flight| flight.waiting).chain(self.open.waiting.drain(..)) {
            waiting.fail(&stopped);
        }
        ended
    }

    async fn work(&mut self) -> Result<(), processor::Error> {
        // Everything up to the claim is anchored: what is cut off later is missed at the next opening.
        self.writer.sign_head().await?;
        self.ask_for_snapshot();
        loop {
            while let Some(head) = self.acknowledged().await? {
                self.durable(head).await?;
            }
            while let Some(question) = self.queue.question() {
                self.answer(question);
            }
            let idle = self.decide_some().await?;
            let cut = match self.in_flight.len() {
                0 => idle || self.open.full(),
                flying => self.open.worth_a_write() && flying < IN_FLIGHT,
            };
            if cut && !self.open.batch.is_empty() {
                self.submit().await?;
            } else if idle || self.open.full() {
                if self.finished() {
                    self.writer.sign_head().await?;
                    return Ok(());
                }
                self.wait().await?;
            }
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> Result<(), processor::Error> {
        let lanes = !self.open.full();
        tokio::select! {
            biased;
            head = self.writer.acked(), if !self.in_flight.is_empty() => self.durable(head?).await?,
            happened = self.queue.wait(lanes) => match happened {
                Happened::Question(question) => self.answer(question),
                Happened::Arrived => {}
            },
        }
        Ok(())
    }

    fn finished(&self) -> bool {
        // Own commands that a refused clock holds back do not hold up the end: a reversal comes from the network again.
        let own = self.queue.own_is_empty() || self.stamps.refused().is_some();
        self.queue.ended() && own && self.in_flight.is_empty() && self.open.batch.is_empty()
    }

    /// An acknowledgement, if there is one already.
    async fn acknowledged(&mut self) -> Result<Option<Head>, processor::Error> {
        if self.in_flight.is_empty() {
            return Ok(None);
        }
        tokio::select! {
            biased;
            head = self.writer.acked() => Ok(Some(head?)),
            () = ready(()) => Ok(None),
        }
    }

    /// Decides what has arrived, up to a chunk. Says whether it ran out of commands.
    async fn decide_some(&mut self) -> Result<bool, processor::Error> {
        let mut now = None;
        let mut idle = false;
        let mut decided = 0_u32;
        let begun = Instant::now();
        self.state.touch(self.queue.ahead(CHUNK));
        for _ in 0..CHUNK {
            if self.open.full() {
                break;
            }
            let Some(next) = self.queue.next(self.stamps.refused().is_none()) else {
                idle = true;
                break;
            };
            let (time_ms, monotonic) = match now {
                Some(now) => now,
                None => match self.stamps.read(&*self.clock) {
                    Ok(read) => *now.insert(read),
                    Err(refused) => {
                        self.refuse(next, refused);
                        continue;
                    }
                },
            };
            if next.deadline().is_some_and(|deadline| deadline <= monotonic) {
                self.refuse(next, Error::DeadlinePassed);
                continue;
            }
            if let Err(next) = self.decide_next(next, time_ms) {
                // Its entry does not fit beside the others: it gets a record of its own.
                self.submit().await?;
                let _ = self.decide_next(*next, time_ms);
            }
            decided += 1;
        }
        if decided > 0 {
            self.gauges.decide_seconds.record(begun.elapsed().as_secs_f64() / f64::from(decided));
        }
        Ok(idle)
    }

    fn refuse(&mut self, next: Next, error: Error) {
        match next {
            Next::Own { envelope, sign } => self.queue.put_back(envelope, sign),
            Next::One(single) => drop(single.to.send(Err(error))),
            Next::OfBatch(_) => self.queue.refuse_current(error),
        }
    }

    /// Decides the next command. Gives it back, with nothing changed, if its entry fits only into a new record.
    ///
    /// Not async, as are the two below: an envelope would be moved into one future after the other.
    fn decide_next(&mut self, next: Next, time_ms: u64) -> Result<(), Box<Next>> {
        match next {
            Next::Own { envelope, sign } => {
                let decided = self
                    .decide(envelope, time_ms)
                    .map_err(|envelope| Box::new(Next::Own { envelope: *envelope, sign }))?;
                if sign && matches!(decided, Ok(Answer::Decided(..))) {
                    self.attach(Waiting::SignHead);
                }
            }
            Next::One(Single { envelope, deadline, to }) => match self.decide(envelope, time_ms) {
                Ok(Ok(mut answer)) => {
                    if let Answer::Decided(Reply { outcome: Outcome::Accepted(events), .. }, _) = &mut answer {
                        events.append(&mut self.events);
                    }
                    self.attach(Waiting::One { answer, to });
                }
                Ok(Err(error)) => drop(to.send(Err(error))),
                Err(envelope) => return Err(Box::new(Next::One(Single { envelope: *envelope, deadline, to }))),
            },
            Next::OfBatch(envelope) => {
                let account = envelope.account;
                let decided = self.decide(envelope, time_ms).map_err(|envelope| Box::new(Next::OfBatch(*envelope)))?;
                match decided {
                    Ok(answer) => self.answer_of_batch(answer, account, time_ms),
                    Err(error) => self.queue.refuse_current(error),
                }
            }
        }
        Ok(())
    }

    fn answer_of_batch(&mut self, answer: Answer, account: AccountId, time_ms: u64) {
        let partition = self.partition.0;
        if let Some(current) = self.queue.current() {
            let answers = &mut current.answers;
            answers.replies.push(match answer {
                Answer::Decided(reply, _) => {
                    answers.counts.push(self.events.len());
                    answers.events.append(&mut self.events);
                    reply
                }
                Answer::Replayed(position) => {
                    answers.replayed.push(answers.replies.len());
                    answers.counts.push(0);
                    // Filled in by the caller, who reads the record.
                    let outcome = Outcome::Accepted(Vec::new());
                    Reply { partition, position, time_ms, replayed: true, account, outcome }
                }
            });
        }
        if let Some(done) = self.queue.completed() {
            self.attach(Waiting::Many { answers: done.answers, to: done.to });
        }
    }

    /// Decides one command, writes its entry into the open record, and lets the state follow. Gives the command back,
    /// with nothing changed, if the entry does not fit beside those that are there.
    ///
    /// The events of an accepted command are not in the answer: they are left in `self.events` for whoever wants them.
    fn decide(&mut self, mut envelope: Envelope, time_ms: u64) -> Result<Result<Answer, Error>, Box<Envelope>> {
        if envelope.account.is_nil()
            && envelope.class == Class::Network
            && let Some(account) = card_of(&envelope.command).and_then(|card| self.state.account_of_card(card))
        {
            envelope.account = account;
        }
        let policy = self.state.policy_at(time_ms).map_or(0, |(version, _)| version);
        let admitted = Admitted { time_ms, policy, envelope };
        self.events.clear();
        let reject = match decide(&self.state, &admitted, &mut self.events) {
            Decision::Accepted => None,
            Decision::Rejected(reject) => Some(reject),
            Decision::Replayed(position) => {
                self.gauges.replayed.increment(1);
                return Ok(Ok(Answer::Replayed(position)));
            }
        };
        self.bytes.clear();
        encode(&admitted, outcome(&self.events, reject.as_ref()), &mut self.bytes);
        // Into the record before the state follows: which record it is says the position.
        if self.open.batch.push(time_ms, &self.bytes).is_err() {
            if self.open.batch.is_empty() {
                return Ok(Err(Error::CommandTooLarge));
            }
            return Err(Box::new(admitted.envelope));
        }
        let entry = u32::try_from(self.open.batch.len() - 1).unwrap_or(u32::MAX);
        let position = Position::new(self.writer.next_index(), entry);
        evolve(&mut self.state, position, &admitted, outcome(&self.events, reject.as_ref()));
        self.stamps.used(time_ms);
        self.open.network |= admitted.envelope.class == Class::Network;
        let account = admitted.envelope.account;
        // Entry by entry, while its few postings are at hand: if each balances, so does the batch.
        self.postings.clear();
        for event in &self.events {
            (self.expand)(account, event, &mut self.postings);
        }
        if !self.postings.is_empty() {
            self.open.unbalanced = self.open.unbalanced.or(unbalanced(&self.postings));
        }
        let reversal = Reversal::of(&admitted.envelope, &self.events);
        let outcome = match reject {
            None => Outcome::Accepted(Vec::new()),
            Some(reject) => {
                self.events.clear();
                Outcome::Rejected(reject)
            }
        };
        self.gauges.count(&outcome);
        let partition = self.partition.0;
        let reply = Reply { partition, position, time_ms, replayed: false, account, outcome };
        Ok(Ok(Answer::Decided(reply, reversal)))
    }

    /// Has something wait for everything decided so far to be durable.
    fn attach(&mut self, waiting: Waiting) {
        if !self.open.batch.is_empty() {
            self.open.waiting.push(waiting);
        } else if let Some(last) = self.in_flight.back_mut() {
            last.waiting.push(waiting);
        } else if let Some(reversal) = waiting.release() {
            self.queue.push_reversal(reversal);
        }
    }

    /// Hands the open record over, if its debits equal its credits.
    async fn submit(&mut self) -> Result<(), processor::Error> {
        if let Some(asset) = self.open.unbalanced {
            return Err(self.unbalanced(asset));
        }
        while self.in_flight.len() >= IN_FLIGHT {
            let head = self.writer.acked().await?;
            self.durable(head).await?;
        }
        let waiting = std::mem::take(&mut self.open.waiting);
        self.open.network = false;
        // The next record is likely as long as this one.
        let next = Batch::with_capacity(self.open.batch.bytes());
        let batch = std::mem::replace(&mut self.open.batch, next);
        let entries = batch.len() as u64;
        self.gauges.batch_entries.record(entries as f64);
        self.gauges.batch_bytes.record(batch.bytes() as f64);
        self.gauges.tell();
        self.in_flight.push_back(Flight { entries, submitted: Instant::now(), waiting });
        self.writer.submit(batch).await?;
        Ok(())
    }

    fn unbalanced(&self, asset: Asset) -> processor::Error {
        processor::Error::Unbalanced { partition: self.partition, index: self.writer.next_index(), asset }
    }

    /// A record is durable: its answers go out, then what follows from it.
    async fn durable(&mut self, head: Head) -> Result<(), processor::Error> {
        let sign = self
            .in_flight
            .front()
            .is_some_and(|flight| flight.waiting.iter().any(|waiting| matches!(waiting, Waiting::SignHead)));
        self.release(head);
        if sign {
            self.writer.sign_head().await?;
        }
        self.ask_for_snapshot();
        Ok(())
    }

    fn release(&mut self, head: Head) {
        self.durable = head;
        let Some(flight) = self.in_flight.pop_front() else { return };
        for waiting in flight.waiting {
            if let Some(reversal) = waiting.release() {
                self.queue.push_reversal(reversal);
            }
        }
        self.since_snapshot += flight.entries;
        self.gauges.durable_seconds.record(flight.submitted.elapsed().as_secs_f64());
        let user = self.gate.user_depth.load(Ordering::Relaxed);
        let network = self.gate.network_depth.load(Ordering::Relaxed);
        self.gauges.user_queued.set(user as f64);
        self.gauges.network_queued.set(network as f64);
        let since = self.last_durable.max(flight.submitted).elapsed().as_nanos();
        let pace_ns = u64::try_from(since).unwrap_or(u64::MAX) / flight.entries.max(1);
        self.gate.pace_ns.store(pace_ns, Ordering::Relaxed);
        self.last_durable = Instant::now();
    }

    fn ask_for_snapshot(&mut self) {
        if self.snapshot_running || self.since_snapshot < self.snapshot_entries {
            return;
        }
        if let Some(snapshotter) = &self.snapshotter {
            self.snapshot_running = snapshotter.request(self.partition, self.durable.index);
            self.since_snapshot = 0;
        }
    }

    fn answer(&mut self, question: Question) {
        match question {
            // From the speculative state, so held until all of that is durable.
            Question::Due { max, to } => {
                let now_ms = self.stamps.read(&*self.clock).map(|(time_ms, _)| time_ms);
                let due = now_ms.map_or_else(|_| Vec::new(), |now_ms| self.state.due(now_ms, max));
                self.attach(Waiting::Due { due, to });
            }
            Question::Work { of, to } => self.attach(Waiting::Work { work: of.of(&self.state), to }),
            Question::Status { to } => drop(to.send(self.status())),
            Question::Reverse(reversal) => self.queue.push_reversal(reversal),
            Question::Given { account, key, to } => {
                let given = self.queue.own_has(account, key) || self.state.has_key(account, key);
                let _ = to.send(given);
            }
            Question::ConfirmClock { to } => {
                self.stamps.confirm(&*self.clock);
                let _ = to.send(());
            }
            Question::Snapshot(finished) => {
                self.snapshot_running = false;
                if let Some(finished) = finished {
                    self.queue.push_own(checkpoint(self.partition, &finished), true);
                }
            }
            Question::Stop => self.queue.close(),
        }
    }

    fn status(&self) -> Status {
        Status {
            partition: self.partition,
            head: self.durable,
            accounts: self.state.accounts(),
            cards: self.state.cards(),
            remembered: self.state.remembered(),
            policy: self.state.policy_version(),
            clock_ms: self.state.clock_ms(),
            clock_refused: self.stamps.refused().cloned(),
            user_queued: self.gate.user_depth.load(Ordering::Relaxed),
            network_queued: self.gate.network_depth.load(Ordering::Relaxed),
            in_flight: self.in_flight.len(),
        }
    }
}

fn outcome<'a>(events: &'a [Event], reject: Option<&'a Reject>) -> Result<&'a [Event], &'a Reject> {
    reject.map_or(Ok(events), Err)
}
