//! What the loop takes next: its own commands, then the network's, then the users'.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Instant;

use florin_engine::{
    command::Envelope,
    ids::{AccountId, Key},
};

use crate::lanes::{Answers, Arrival, Inbox, Question, Single, To};
use crate::{Error, reversal::Reversal};

/// A client's batch of which some are decided.
pub(super) struct Current {
    rest: std::vec::IntoIter<Envelope>,
    pub(super) answers: Answers,
    pub(super) to: To<Answers>,
}

/// The next command to decide.
pub(super) enum Next {
    /// The loop's own; `sign`: the head is signed once it is durable.
    Own { envelope: Envelope, sign: bool },
    /// A caller's.
    One(Single),
    /// One of the client's batch at hand.
    OfBatch(Envelope),
}

/// What the loop waits for between commands.
pub(super) enum Event {
    Question(Question),
    /// A lane has something, or was closed.
    Arrived,
}

/// Everything that has arrived and is not decided.
pub(super) struct Queue {
    inbox: Inbox,
    own: VecDeque<(Envelope, bool)>,
    network: Option<Arrival>,
    user: Option<Arrival>,
    current: Option<Current>,
    questions_open: bool,
    network_open: bool,
    user_open: bool,
}

impl Queue {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self {
            inbox,
            own: VecDeque::new(),
            network: None,
            user: None,
            current: None,
            questions_open: true,
            network_open: true,
            user_open: true,
        }
    }

    /// Adds a command of the loop's own.
    pub(super) fn push_own(&mut self, envelope: Envelope, sign: bool) {
        self.own.push_back((envelope, sign));
    }

    /// A command of the loop's own that could not be decided yet.
    pub(super) fn put_back(&mut self, envelope: Envelope, sign: bool) {
        self.own.push_front((envelope, sign));
    }

    pub(super) fn push_reversal(&mut self, reversal: Reversal) {
        self.push_own(reversal.envelope(), false);
    }

    /// The next command. The network lane is looked at before each, so that a client's batch does not hold it up.
    /// `own`: whether the loop's own commands can be decided now.
    pub(super) fn next(&mut self, own: bool) -> Option<Next> {
        // A reversal goes first: whoever asks again must not find the approval that it takes back.
        if own && let Some((envelope, sign)) = self.own.pop_front() {
            return Some(Next::Own { envelope, sign });
        }
        let gate = &self.inbox.gate;
        if gate.network_depth.load(Ordering::Acquire) > 0
            && let Some(arrival) = self.network.take().or_else(|| self.inbox.network.try_recv().ok())
        {
            gate.network_depth.fetch_sub(1, Ordering::AcqRel);
            match arrival {
                Arrival::One(single) => return Some(Next::One(single)),
                Arrival::Reversal(reversal) => self.push_reversal(reversal),
                Arrival::Many { .. } => {}
            }
        }
        let gate = &self.inbox.gate;
        if let Some(current) = &mut self.current {
            let envelope = current.rest.next()?;
            gate.user_depth.fetch_sub(1, Ordering::AcqRel);
            return Some(Next::OfBatch(envelope));
        }
        if gate.user_depth.load(Ordering::Acquire) == 0 {
            return None;
        }
        match self.user.take().or_else(|| self.inbox.user.try_recv().ok())? {
            Arrival::One(single) => {
                gate.user_depth.fetch_sub(1, Ordering::AcqRel);
                Some(Next::One(single))
            }
            Arrival::Many { envelopes, to } => {
                let answers = Answers::with_capacity(envelopes.len());
                let mut rest = envelopes.into_iter();
                let first = rest.next()?;
                gate.user_depth.fetch_sub(1, Ordering::AcqRel);
                self.current = Some(Current { rest, answers, to });
                Some(Next::OfBatch(first))
            }
            Arrival::Reversal(_) => None,
        }
    }

    /// The next of the client's batch at hand, at most `most`.
    pub(super) fn ahead(&self, most: usize) -> &[Envelope] {
        let rest = self.current.as_ref().map_or(&[][..], |current| current.rest.as_slice());
        &rest[..rest.len().min(most)]
    }

    /// The client's batch at hand.
    pub(super) fn current(&mut self) -> Option<&mut Current> {
        self.current.as_mut()
    }

    /// The client's batch at hand, once the last of it is decided.
    pub(super) fn completed(&mut self) -> Option<Current> {
        self.current.take_if(|current| current.rest.len() == 0)
    }

    /// Answers the client's batch at hand with an error; the rest of it is not decided.
    pub(super) fn refuse_current(&mut self, error: Error) {
        if let Some(current) = self.current.take() {
            self.inbox.gate.user_depth.fetch_sub(current.rest.len(), Ordering::AcqRel);
            drop(current.to.send(Err(error)));
        }
    }

    /// A question, if one is waiting.
    pub(super) fn question(&mut self) -> Option<Question> {
        self.inbox.questions.try_recv().ok()
    }

    /// Waits for a question, or, with `lanes`, for something in a lane. Cancel-safe. Never resolves when there is
    /// nothing that could come.
    pub(super) async fn wait(&mut self, lanes: bool) -> Event {
        loop {
            tokio::select! {
                biased;
                question = self.inbox.questions.recv(), if self.questions_open => match question {
                    Some(question) => return Event::Question(question),
                    None => self.questions_open = false,
                },
                arrival = self.inbox.network.recv(), if lanes && self.network_open && self.network.is_none() => {
                    self.network_open = arrival.is_some();
                    self.network = arrival;
                    return Event::Arrived;
                }
                arrival = self.inbox.user.recv(), if lanes && self.user_open && self.user.is_none() => {
                    self.user_open = arrival.is_some();
                    self.user = arrival;
                    return Event::Arrived;
                }
                else => std::future::pending().await,
            }
        }
    }

    /// Lets nothing in any more; what is in stays.
    pub(super) fn close(&mut self) {
        self.inbox.network.close();
        self.inbox.user.close();
    }

    /// Whether both lanes are closed and everything in them was taken.
    pub(super) fn ended(&self) -> bool {
        let held = self.network.is_some() || self.user.is_some() || self.current.is_some();
        !self.network_open && !self.user_open && !held
    }

    /// Whether a command of the loop's own waits under this key.
    pub(super) fn own_has(&self, account: AccountId, key: Key) -> bool {
        self.own.iter().any(|(envelope, _)| envelope.account == account && envelope.key == key)
    }

    pub(super) fn own_is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Answers everything that is left with an error.
    pub(super) fn fail(&mut self, error: &Error) {
        self.close();
        self.inbox.questions.close();
        self.refuse_current(error.clone());
        let held = self.network.take().into_iter().chain(self.user.take());
        for arrival in held.collect::<Vec<_>>() {
            arrival.refuse(error.clone());
        }
        while let Ok(arrival) = self.inbox.network.try_recv() {
            arrival.refuse(error.clone());
        }
        while let Ok(arrival) = self.inbox.user.try_recv() {
            arrival.refuse(error.clone());
        }
    }
}

impl Next {
    /// When it is not to be decided any more.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::One(single) => single.deadline,
            Self::Own { .. } | Self::OfBatch(_) => None,
        }
    }
}
