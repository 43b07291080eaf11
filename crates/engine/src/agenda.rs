//! Agenda: what falls due, and what is to be brought to the issuer. Derived from the state, kept in order of time, so that
//! the clock worker and the settlement ask for the next few instead of searching all accounts.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{
    command::{Command, ExpireCard, ExpireHold, ExpireInvoice, LapseChange},
    ids::{AccountId, AuthorizationId, CardId, Position, RequestId, request_id},
    limits::{Limits, month_end_ms},
    money::Minor,
    state::{Authorization, Card, Phase, State, Waiting},
    terms::Status,
};

/// Something that the clock worker must send a command for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// An invoice is past its time.
    Invoice {
        /// Whose.
        account: AccountId,
        /// Its number.
        number: u64,
    },
    /// A pending change is past its deadline.
    Change {
        /// Whose.
        account: AccountId,
        /// On which card.
        card: CardId,
        /// Which.
        request: RequestId,
    },
    /// A hold is past its time.
    Hold {
        /// Whose.
        account: AccountId,
        /// On which card.
        card: CardId,
        /// Which.
        authorization: AuthorizationId,
    },
    /// A card is past its expiry month.
    Card {
        /// Whose.
        account: AccountId,
        /// Which.
        card: CardId,
    },
}

impl Due {
    /// The command that it asks for.
    pub fn command(&self) -> Command {
        match *self {
            Self::Invoice { number, .. } => ExpireInvoice { number }.into(),
            Self::Change { card, request, .. } => LapseChange { card, request }.into(),
            Self::Hold { card, authorization, .. } => ExpireHold { card, authorization }.into(),
            Self::Card { card, .. } => ExpireCard { card }.into(),
        }
    }

    /// Whose account it is about.
    pub const fn account(&self) -> AccountId {
        match *self {
            Self::Invoice { account, .. }
            | Self::Change { account, .. }
            | Self::Hold { account, .. }
            | Self::Card { account, .. } => account,
        }
    }
}

/// One thing to bring to the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whose.
    pub account: AccountId,
    /// On which card.
    pub card: CardId,
    /// The request id: the idempotency key at the issuer.
    pub request: RequestId,
    /// The card's change number: the issuer refuses lower ones.
    pub change: u32,
    /// Where it was asked for; an issuance's name and address stand there. Zero for an assertion.
    pub position: Position,
    /// Since when, ms since 1970.
    pub since_ms: u64,
    /// Until when, ms since 1970; `u64::MAX`: no end.
    pub deadline_ms: u64,
    /// What to do.
    pub task: Task,
}

/// What to do at the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make the card.
    Issue,
    /// Give the issuance up: terminate what was made, and see that nothing will be.
    Abandon,
    /// Set the status.
    SetStatus(Status),
    /// Set the limits.
    SetLimits {
        /// The limits.
        limits: Limits,
        /// The no-PIN amount.
        no_pin: Option<Minor>,
    },
    /// Assert status and limits, then confirm.
    Assert {
        /// The status.
        status: Status,
        /// The limits.
        limits: Limits,
        /// The no-PIN amount.
        no_pin: Option<Minor>,
    },
}

/// Which of a card's times it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CardTime {
    Deadline,
    Expiry,
}

/// What falls due, in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    cards: BTreeSet<(u64, u32, u32, CardTime)>,
    holds: BTreeSet<(u64, u32, AuthorizationId)>,
    forget: BTreeSet<(u64, u32, AuthorizationId)>,
    invoices: BTreeSet<(u64, u32, u64)>,
    work: BTreeSet<(u64, u32, u32)>,
}

/// What of a card stands in the agenda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct CardDates {
    deadline: Option<u64>,
    expiry: Option<u64>,
    work: Option<u64>,
}

impl CardDates {
    pub(crate) fn of(card: &Card) -> Self {
        let pending = card.pending.as_deref();
        let open = !matches!(card.status, Status::Cancelled | Status::Expired | Status::Requested);
        let reconcile = (card.reconcile != 0).then_some(card.reconcile_since_ms);
        Self {
            deadline: pending.map(|pending| pending.deadline_ms).filter(|deadline| *deadline != u64::MAX),
            expiry: (open && card.expiry != 0).then(|| month_end_ms(card.expiry)),
            work: pending.map(|pending| pending.since_ms).or(reconcile),
        }
    }
}

/// What of an authorization stands in the agenda: its phase and time.
pub(crate) fn auth_date(auth: &Authorization) -> (Phase, u64) {
    (auth.phase, auth.until_ms)
}

impl Agenda {
    pub(crate) fn move_card(&mut self, slot: u32, card: u32, before: CardDates, after: CardDates) {
        for (time, is) in [(before.deadline, CardTime::Deadline), (before.expiry, CardTime::Expiry)] {
            if let Some(time) = time {
                self.cards.remove(&(time, slot, card, is));
            }
        }
        for (time, is) in [(after.deadline, CardTime::Deadline), (after.expiry, CardTime::Expiry)] {
            if let Some(time) = time {
                self.cards.insert((time, slot, card, is));
            }
        }
        if before.work != after.work {
            if let Some(time) = before.work {
                self.work.remove(&(time, slot, card));
            }
            if let Some(time) = after.work {
                self.work.insert((time, slot, card));
            }
        }
    }

    pub(crate) fn move_hold(
        &mut self,
        slot: u32,
        id: AuthorizationId,
        before: Option<(Phase, u64)>,
        after: Option<(Phase, u64)>,
    ) {
        if before == after {
            return;
        }
        if let Some((phase, time)) = before {
            self.times(phase).remove(&(time, slot, id));
        }
        if let Some((phase, time)) = after {
            self.times(phase).insert((time, slot, id));
        }
    }

    fn times(&mut self, phase: Phase) -> &mut BTreeSet<(u64, u32, AuthorizationId)> {
        match phase {
            Phase::Open => &mut self.holds,
            Phase::Closed | Phase::Killed => &mut self.forget,
        }
    }

    pub(crate) fn add_invoice(&mut self, time_ms: u64, slot: u32, number: u64) {
        self.invoices.insert((time_ms, slot, number));
    }

    pub(crate) fn drop_invoice(&mut self, time_ms: u64, slot: u32, number: u64) {
        self.invoices.remove(&(time_ms, slot, number));
    }

    /// Takes the next authorization that is to be forgotten at `now_ms`.
    pub(crate) fn forget_one(&mut self, now_ms: u64) -> Option<(u32, AuthorizationId)> {
        let first = *self.forget.first()?;
        if first.0 > now_ms {
            return None;
        }
        self.forget.remove(&first);
        Some((first.1, first.2))
    }
}

impl State {
    /// What is due at `now_ms`, oldest first within its kind; at most `max`.
    pub fn due(&self, now_ms: u64, max: usize) -> Vec<Due> {
        let mut due = Vec::new();
        let cards = self.agenda.cards.iter().take_while(|item| item.0 <= now_ms).filter_map(|&(_, slot, card, is)| {
            let account = &self.accounts[slot as usize];
            let card = &account.cards[card as usize];
            match is {
                CardTime::Expiry => Some(Due::Card { account: account.id, card: card.id }),
                CardTime::Deadline => {
                    card.request().map(|request| Due::Change { account: account.id, card: card.id, request })
                }
            }
        });
        due.extend(cards.take(max));
        let holds =
            self.agenda.holds.iter().take_while(|item| item.0 <= now_ms).filter_map(|&(_, slot, authorization)| {
                let account = &self.accounts[slot as usize];
                let card = account.authorization(authorization)?.card;
                Some(Due::Hold { account: account.id, card, authorization })
            });
        due.extend(holds.take(max.saturating_sub(due.len())));
        let invoices = self.agenda.invoices.iter().take_while(|item| item.0 <= now_ms);
        let invoices =
            invoices.map(|&(_, slot, number)| Due::Invoice { account: self.accounts[slot as usize].id, number });
        due.extend(invoices.take(max.saturating_sub(due.len())));
        due
    }

    /// What is to be brought to the issuer, oldest first; at most `max`.
    pub fn work(&self, max: usize) -> Vec<Work> {
        let items = self.agenda.work.iter().filter_map(|&(_, slot, card)| {
            let account = &self.accounts[slot as usize];
            work_of(account.id, &account.cards[card as usize])
        });
        items.take(max).collect()
    }

    /// What is to be brought to the issuer for one card.
    pub fn work_of_card(&self, card: CardId) -> Option<Work> {
        let at = self.card_at(card)?;
        let account = &self.accounts[at.slot as usize];
        work_of(account.id, &account.cards[at.card as usize])
    }
}

/// The pending change first; an assertion waits until nothing is pending, as it would undo what is on its way.
fn work_of(account: AccountId, card: &Card) -> Option<Work> {
    if let Some(pending) = &card.pending {
        let task = match &pending.what {
            Waiting::Issue { abandoned: false, .. } => Task::Issue,
            Waiting::Issue { abandoned: true, .. } => Task::Abandon,
            Waiting::Status { target, .. } => Task::SetStatus(*target),
            Waiting::Limits { target, .. } => Task::SetLimits { limits: *target, no_pin: card.no_pin },
        };
        return Some(Work {
            account,
            card: card.id,
            request: request_id(card.id, pending.change),
            change: pending.change,
            position: pending.position,
            since_ms: pending.since_ms,
            deadline_ms: pending.deadline_ms,
            task,
        });
    }
    (card.reconcile != 0).then(|| Work {
        account,
        card: card.id,
        request: request_id(card.id, card.reconcile),
        change: card.reconcile,
        position: Position::default(),
        since_ms: card.reconcile_since_ms,
        deadline_ms: u64::MAX,
        task: Task::Assert { status: card.status, limits: card.limits, no_pin: card.no_pin },
    })
}
