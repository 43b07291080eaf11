//! The ways into a partition's loop: two bounded lanes for commands, and questions beside them.
//!
//! The network lane has its own bound, so that no amount of user load can fill it, and the loop empties it first. A
//! lane counts commands, not messages: a client's batch travels as one message and counts in full.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use florin_engine::{
    agenda::{Due, Work},
    codec::Outcome,
    command::Envelope,
    event::Event,
    ids::{AccountId, CardId, Key, Position},
    state::State,
};
use tokio::sync::{mpsc, oneshot};

use crate::handle::{Reply, Status};
use crate::options::Options;
use crate::reversal::Reversal;
use crate::{Error, snapshotter::Finished};

/// Questions waiting for one loop.
const QUESTIONS_MAX: usize = 256;

/// What the loop answers to one command, once everything it rests on is durable.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Decided now; with what undoes it, should the caller have given up.
    Decided(Reply, Option<Reversal>),
    /// Decided before: the outcome is read back from the journal, off the loop.
    Replayed(Position),
}

/// The same for a client's batch: a reply for each command, those in `replayed` still without the outcome.
///
/// Events of accepted commands lie in one list, as many for each reply as `counts` says. Handing them out is left to the
/// caller's thread, which frees them too: an allocation for each reply is not the loop's to make.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) replies: Vec<Reply>,
    pub(crate) counts: Vec<usize>,
    pub(crate) events: Vec<Event>,
    pub(crate) replayed: Vec<usize>,
}

impl Answers {
    pub(crate) fn with_capacity(commands: usize) -> Self {
        Self {
            replies: Vec::with_capacity(commands),
            counts: Vec::with_capacity(commands),
            events: Vec::with_capacity(commands),
            replayed: Vec::new(),
        }
    }

    /// Gives each reply its events.
    pub(crate) fn hand_out(&mut self) {
        let mut events = self.events.drain(..);
        for (reply, count) in self.replies.iter_mut().zip(&self.counts) {
            if let Outcome::Accepted(own) = &mut reply.outcome {
                own.reserve_exact(*count);
                own.extend(events.by_ref().take(*count));
            }
        }
    }
}

pub(crate) type To<T> = oneshot::Sender<Result<T, Error>>;

/// One command on its way in.
pub(crate) struct Single {
    pub(crate) envelope: Envelope,
    pub(crate) deadline: Option<Instant>,
    pub(crate) to: To<Answer>,
}

/// What arrives in a lane.
pub(crate) enum Arrival {
    One(Single),
    Many {
        envelopes: Vec<Envelope>,
        to: To<Answers>,
    },
    /// From a caller that gave up after it had been answered.
    Reversal(Reversal),
}

impl Arrival {
    pub(crate) fn refuse(self, error: Error) {
        match self {
            Self::One(single) => drop(single.to.send(Err(error))),
            Self::Many { to, .. } => drop(to.send(Err(error))),
            Self::Reversal(_) => {}
        }
    }
}

/// Which work is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// The oldest, at most so many.
    Oldest(usize),
    /// A card's.
    Of(CardId),
}

impl Wanted {
    pub(crate) fn of(self, state: &State) -> Vec<Work> {
        match self {
            Self::Oldest(max) => state.work(max),
            Self::Of(card) => state.work_of_card(card).into_iter().collect(),
        }
    }
}

/// What is asked of the loop beside commands.
pub(crate) enum Question {
    Due {
        max: usize,
        to: oneshot::Sender<Vec<Due>>,
    },
    Work {
        of: Wanted,
        to: oneshot::Sender<Vec<Work>>,
    },
    Status {
        to: oneshot::Sender<Status>,
    },
    /// Whether a command of this account was given under this key, decided or about to be.
    Given {
        account: AccountId,
        key: Key,
        to: oneshot::Sender<bool>,
    },
    /// An approval is to be taken back.
    Reverse(Reversal),
    ConfirmClock {
        to: oneshot::Sender<()>,
    },
    Snapshot(Option<Finished>),
    Stop,
}

/// What both sides of the lanes see.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) user_depth: AtomicUsize,
    pub(crate) network_depth: AtomicUsize,
    /// Nanoseconds per durable command of late; tells a refused caller when to come back.
    pub(crate) pace_ns: AtomicU64,
    pub(crate) stopped: OnceLock<String>,
}

impl Gate {
    pub(crate) fn stopped(&self) -> Error {
        let reason = self.stopped.get().map_or("it was shut down", String::as_str);
        Error::Stopped { reason: reason.to_owned() }
    }
}

/// The callers' side.
#[derive(Clone)]
pub(crate) struct Port {
    user: mpsc::UnboundedSender<Arrival>,
    network: mpsc::UnboundedSender<Arrival>,
    pub(crate) questions: mpsc::Sender<Question>,
    pub(crate) gate: Arc<Gate>,
    user_lane: usize,
    network_lane: usize,
}

/// The loop's side.
pub(crate) struct Inbox {
    pub(crate) user: mpsc::UnboundedReceiver<Arrival>,
    pub(crate) network: mpsc::UnboundedReceiver<Arrival>,
    pub(crate) questions: mpsc::Receiver<Question>,
    pub(crate) gate: Arc<Gate>,
}

pub(crate) fn lanes(options: &Options) -> (Port, Inbox) {
    let gate = Arc::new(Gate::default());
    // Unbounded as channels: the bound is the gate's count of commands.
    let (user, user_inbox) = mpsc::unbounded_channel();
    let (network, network_inbox) = mpsc::unbounded_channel();
    let (questions, questions_inbox) = mpsc::channel(QUESTIONS_MAX);
    let port = Port {
        user,
        network,
        questions,
        gate: Arc::clone(&gate),
        user_lane: options.user_lane,
        network_lane: options.network_lane,
    };
    (port, Inbox { user: user_inbox, network: network_inbox, questions: questions_inbox, gate })
}

impl Port {
    pub(crate) fn user(&self, commands: usize, arrival: Arrival) -> Result<(), Error> {
        self.push(&self.user, &self.gate.user_depth, self.user_lane, commands, arrival)
    }

    pub(crate) fn network(&self, arrival: Arrival) -> Result<(), Error> {
        self.push(&self.network, &self.gate.network_depth, self.network_lane, 1, arrival)
    }

    /// A reversal is never refused for want of room: there is at most one for each answered command.
    /// It goes beside the lanes where there is room, so that who asks afterwards whether there was one is told so.
    pub(crate) fn reversal(&self, reversal: Reversal) {
        let Err(refused) = self.questions.try_send(Question::Reverse(reversal)) else { return };
        let Question::Reverse(reversal) = refused.into_inner() else { return };
        self.gate.network_depth.fetch_add(1, Ordering::AcqRel);
        if self.network.send(Arrival::Reversal(reversal)).is_err() {
            tracing::warn!("an abandoned approval is not reversed: the partition has stopped");
        }
    }

    fn push(
        &self,
        lane: &mpsc::UnboundedSender<Arrival>,
        depth: &AtomicUsize,
        most: usize,
        commands: usize,
        arrival: Arrival,
    ) -> Result<(), Error> {
        let room = |depth: usize| (depth < most).then_some(depth + commands);
        if let Err(depth) = depth.fetch_update(Ordering::AcqRel, Ordering::Acquire, room) {
            if self.gate.stopped.get().is_some() {
                return Err(self.gate.stopped());
            }
            let wait_ns = self.gate.pace_ns.load(Ordering::Relaxed).saturating_mul(depth as u64);
            return Err(Error::Busy { retry_after_ms: (wait_ns / 1_000_000).clamp(1, 1_000) });
        }
        lane.send(arrival).map_err(|_| self.gate.stopped())
    }
}
