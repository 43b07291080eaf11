//! The reference model: the documents of cards, money and limits once more, as plain maps and sums, for prepaid cards.
//!
//! It is written from the documents and knows nothing of how the engine works. It is meant to be slow and obvious: usage
//! is a list that is added up, the time is a number, money is an `i128`. The `match` in `decide` is the table of contents.

use std::collections::{BTreeMap, HashMap};

use florin_engine::{
    command::{AdoptPolicy, Class, Command, Envelope},
    ids::{AccountId, CardId, Key},
    reject::{Field, Figure, Reason},
};

mod appeals;
mod cards;
mod changes;
mod classes;
mod messages;
mod money;
mod purchases;
mod refusals;
mod reveals;
mod rules;
mod state;

use self::{
    classes::may,
    refusals::{field, full},
};
pub use self::{
    refusals::{Decline, Refusal, comes_again, no, with},
    state::{Asked, Assertion, Card, Drawn, Pending, Phase, Purchase, Use, User, Waiting},
};
use crate::policy::{DAY, Figures, figures_of};

pub const MEMORY_MS: u64 = 31 * DAY;
/// How far ahead a message may be dated; it is too old as much before its key is forgotten.
pub const AHEAD_MS: u64 = 300_000;
/// The most that a wallet or card may come to, either way, by what is paid in or posted.
pub const BALANCE_MAX: i128 = (i64::MAX / 4) as i128;

/// What the model says a command comes to. Where the documents do not decide between reasons, any of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, and no authorization or increment is declined by it.
    Accepted,
    /// Accepted, as a decline.
    Declined(Decline),
    /// Rejected for one of these.
    Rejected(Vec<Refusal>),
    /// The first outcome again.
    Replayed,
}

type Verdict = Result<Option<Decline>, Vec<Refusal>>;

/// What is remembered of a command's key.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub time: u64,
    digest: [u8; 16],
    /// Whether a user sent it: only those count towards the most that a user may have.
    by_user: bool,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub users: BTreeMap<AccountId, User>,
    pub memory: HashMap<(AccountId, Key), Memory>,
    pub revenue: i128,
    pub network: i128,
    pub funding: i128,
    /// Policies as adopted: version, from when, and what they say.
    pub policies: Vec<(u32, u64, &'static Figures)>,
}

/// What of the whole a command is decided by, beside the user.
struct Desk<'a> {
    now: u64,
    class: Class,
    figures: &'static Figures,
    revenue: &'a mut i128,
    network: &'a mut i128,
    funding: &'a mut i128,
}

impl Desk<'_> {
    /// When what is closed now is forgotten.
    fn forget(&self) -> u64 {
        self.now + self.figures.purchase_ms
    }
}

impl Model {
    pub fn under(figures: &'static Figures) -> Self {
        Self {
            users: BTreeMap::new(),
            memory: HashMap::new(),
            revenue: 0,
            network: 0,
            funding: 0,
            policies: vec![(1, 0, figures)],
        }
    }

    /// What is in force at a time: the last that has begun.
    pub fn figures(&self, now: u64) -> &'static Figures {
        self.policies.iter().rfind(|(_, from, _)| *from <= now).unwrap().2
    }

    /// Whether a key is still remembered.
    fn recalled(&self, envelope: &Envelope, now: u64) -> Option<[u8; 16]> {
        let known = self.memory.get(&(envelope.account, envelope.key))?;
        (now - known.time < MEMORY_MS).then_some(known.digest)
    }

    /// How many keys of a user's own commands are remembered.
    fn keys(&self, account: AccountId, now: u64) -> usize {
        let own = self.memory.iter().filter(|((of, _), known)| *of == account && known.by_user);
        own.filter(|(_, known)| now - known.time < MEMORY_MS).count()
    }

    /// Remembers an outcome by its key, unless it only says "try later".
    pub fn remember(&mut self, now: u64, envelope: &Envelope, rejected: Option<Reason>) {
        let known = self.users.contains_key(&envelope.account) || envelope.account == AccountId::of_partition(0);
        // What is said before the key is looked up is no outcome of the key.
        let decided = |reason| !comes_again(reason) && !matches!(reason, Reason::TooOld | Reason::WrongClass);
        if known && rejected.is_none_or(decided) {
            let (digest, by_user) = (envelope.digest.0, envelope.class == Class::User);
            self.memory.insert((envelope.account, envelope.key), Memory { time: now, digest, by_user });
        }
    }

    /// What the command comes to, and what it does.
    pub fn apply(&mut self, now: u64, envelope: &Envelope) -> Answer {
        for user in self.users.values_mut() {
            user.purchases.retain(|_, purchase| purchase.phase == Phase::Open || now < purchase.forget);
        }
        if envelope.dated_ms != 0 && now >= envelope.dated_ms + MEMORY_MS - AHEAD_MS {
            return Answer::Rejected(vec![Reason::TooOld.into()]);
        }
        if !may(envelope.class, &envelope.command) {
            return Answer::Rejected(vec![Reason::WrongClass.into()]);
        }
        match self.recalled(envelope, now) {
            Some(digest) if digest == envelope.digest.0 => return Answer::Replayed,
            Some(_) => return Answer::Rejected(vec![Reason::IdempotencyConflict.into()]),
            None => {}
        }
        if envelope.dated_ms > now + AHEAD_MS {
            return Answer::Rejected(vec![field(Field::Date)]);
        }
        let registered = self.users.contains_key(&envelope.account);
        let verdict = match (&envelope.command, registered) {
            (Command::AdoptPolicy(command), _) => self.adopt(now, envelope.account, command),
            (Command::RegisterUser(_), true) => no(Reason::UserExists),
            (Command::RegisterUser(_), false) => {
                self.users.insert(envelope.account, User::default());
                Ok(None)
            }
            (_, false) => no(Reason::UserUnknown),
            (command, true) => self.decide(now, envelope.account, envelope.class, command),
        };
        match verdict {
            Ok(None) => Answer::Accepted,
            Ok(Some(decline)) => Answer::Declined(decline),
            Err(refusals) => Answer::Rejected(refusals),
        }
    }

    /// Versions and times go up; what was to begin in the past begins now.
    fn adopt(&mut self, now: u64, account: AccountId, command: &AdoptPolicy) -> Verdict {
        if account != AccountId::of_partition(0) {
            return no(Reason::UserUnknown);
        }
        let (version, last, _) = *self.policies.last().unwrap();
        if command.version <= version {
            return no(with(Reason::PolicyRefused, [(Figure::Version, version.into())]));
        }
        let from = command.effective_at_ms.max(now);
        if from < last {
            return no(field(Field::EffectiveAt));
        }
        self.policies.push((command.version, from, figures_of(&command.policy)));
        Ok(None)
    }

    fn decide(&mut self, now: u64, account: AccountId, class: Class, command: &Command) -> Verdict {
        let figures = self.figures(now);
        if class == Class::User && self.keys(account, now) >= figures.keys_max {
            return no(full(Reason::TooManyKeys, figures.keys_max));
        }
        let taken = |id| self.users.values().any(|user| user.cards.contains_key(&id));
        if let Command::IssueCard(c) = command
            && taken(c.card)
        {
            return no(Reason::CardExists);
        }
        let user = self.users.get_mut(&account).unwrap();
        let id = card_of(command).unwrap_or(CardId::NIL);
        if !id.is_nil() && !user.cards.contains_key(&id) {
            return no(Reason::CardUnknown);
        }
        let Self { revenue, network, funding, .. } = self;
        let desk = &mut Desk { now, class, figures, revenue, network, funding };
        match command {
            Command::Deposit(c) => user.deposit(desk, c),
            Command::Withdraw(c) => user.withdraw(desk, c),
            Command::WriteOff(c) => user.write_off(c),
            Command::TopUp(c) => user.top_up(desk, c),
            Command::Unload(c) => user.unload(desk, c),
            Command::IssueCard(c) => user.issue(desk, c),
            Command::RequestCard(c) => user.request(desk, c),
            Command::DecideCardRequest(c) => user.decide_request(desk, c),
            Command::Activate(c) => user.activate(desk, c),
            Command::SetNoPinAmount(c) => user.set_no_pin(c),
            Command::ChangeLimits(c) => user.change_limits(desk, c),
            Command::ChangeStatus(c) => user.change_status(desk, id, c.change),
            Command::Settle(c) => user.settle(desk, id, c.request, &c.outcome),
            Command::LapseChange(c) => user.lapse(desk, c),
            Command::ConfirmReconcile(c) => user.confirm(c),
            Command::ExpireCard(_) => user.expire_card(desk, id),
            Command::OpenAppeal(c) => user.open_appeal(c),
            Command::DecideAppeal(c) => user.decide_appeal(desk, c),
            Command::RecordAppealEmail(c) => user.record_email(c),
            Command::Authorize(c) => user.authorize(desk, c),
            Command::Increment(c) => user.increment(desk, c),
            Command::Clear(c) => user.clear(desk, c),
            Command::Reverse(c) => user.reverse(desk, c),
            Command::ExpireHold(c) => user.expire_hold(desk, c),
            Command::Refund(c) => user.refund(desk, c),
            Command::ForcePost(c) => user.force_post(desk, c),
            Command::RecordReveal(c) => user.reveal(c),
            other => panic!("the model does not know {other:?}"),
        }
    }
}

/// The card that must be there for a command.
fn card_of(command: &Command) -> Option<CardId> {
    Some(match command {
        Command::Activate(c) => c.card,
        Command::ChangeStatus(c) => c.card,
        Command::ChangeLimits(c) => c.card,
        Command::SetNoPinAmount(c) => c.card,
        Command::Settle(c) => c.card,
        Command::LapseChange(c) => c.card,
        Command::ConfirmReconcile(c) => c.card,
        Command::ExpireCard(c) => c.card,
        Command::OpenAppeal(c) => c.card,
        Command::TopUp(c) => c.card,
        Command::Unload(c) => c.card,
        Command::Authorize(c) => c.card,
        Command::Increment(c) => c.card,
        Command::Clear(c) => c.card,
        Command::Reverse(c) => c.card,
        Command::ExpireHold(c) => c.card,
        Command::Refund(c) => c.card,
        Command::ForcePost(c) => c.card,
        Command::WriteOff(c) => c.card,
        Command::RecordReveal(c) => c.card,
        _ => return None,
    })
}
