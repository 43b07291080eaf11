//! Decide: what a command comes to, as events or a reject. The `match` below is the table of contents.
//!
//! Checks stand in the order of the reject numbers: what concerns the message first, then the account, then the matter.
//! `decide` changes nothing and knows no time but the command's.

use alloc::vec::Vec;

use crate::{
    appeals,
    apply::At,
    authorizations, clearings,
    command::{Admitted, Class, Command},
    event::{Checkpointed, Event},
    fees, funding,
    ids::{AccountId, AuthorizationId, CardId, Position},
    issue, lifecycle,
    outcomes::{MEMORY_MS, Recall},
    people,
    policy::{Policy, Programme, ProgrammeCode},
    reject::{Field, Figure, Reason, Reject},
    state::{Account, Authorization, Card, State},
};

/// How far ahead of the ledger's clock a message may be dated: clocks differ. As much is taken off a message's life, so that
/// it is too old before its key is forgotten.
const AHEAD_MS: u64 = 300_000;

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Accepted; its events are in `out`.
    Accepted,
    /// Rejected: nothing changes but the remembered outcome and the clock.
    Rejected(Reject),
    /// Decided before: the outcome at this position is the answer, and nothing is recorded.
    Replayed(Position),
}

/// The way a single check or decision ends.
pub(crate) type Verdict = Result<(), Reject>;

/// What a decision about an account looks at.
pub(crate) struct Case<'a> {
    pub(crate) state: &'a State,
    pub(crate) policy: &'a Policy,
    pub(crate) account: &'a Account,
    pub(crate) class: Class,
    pub(crate) now_ms: u64,
}

/// Decides a command. `out` is emptied first, and holds the events if the command is accepted.
pub fn decide(state: &State, admitted: &Admitted, out: &mut Vec<Event>) -> Decision {
    out.clear();
    match settle_on(state, admitted, out) {
        Ok(None) => Decision::Accepted,
        Ok(Some(position)) => Decision::Replayed(position),
        Err(reject) => {
            out.clear();
            Decision::Rejected(reject)
        }
    }
}

fn settle_on(state: &State, admitted: &Admitted, out: &mut Vec<Event>) -> Result<Option<Position>, Reject> {
    let envelope = &admitted.envelope;
    if envelope.dated_ms != 0 && envelope.dated_ms.saturating_add(MEMORY_MS - AHEAD_MS) <= admitted.time_ms {
        return Err(Reason::TooOld.into());
    }
    if !may(envelope.class, &envelope.command) {
        return Err(Reason::WrongClass.into());
    }
    match state.recall(envelope, admitted.time_ms) {
        Recall::New => {}
        Recall::Same(position) => return Ok(Some(position)),
        Recall::Conflict(_) => return Err(Reason::IdempotencyConflict.into()),
    }
    check_date(admitted)?;
    match &envelope.command {
        Command::AdoptPolicy(command) => people::adopt_policy(state, admitted, command, out)?,
        Command::Checkpoint(command) => {
            partition_only(state, envelope.account)?;
            out.push(
                Checkpointed { index: command.index, schema: command.schema, state_hash: command.state_hash }.into(),
            );
        }
        Command::RegisterUser(command) => people::register(state, admitted, command, out)?,
        command => decide_case(state, admitted, command, out)?,
    }
    Ok(None)
}

fn decide_case(state: &State, admitted: &Admitted, command: &Command, out: &mut Vec<Event>) -> Verdict {
    let envelope = &admitted.envelope;
    let known = state.account(envelope.account);
    let (_, policy) = state.policy_at(admitted.time_ms).ok_or(Reason::NoPolicy)?;
    let account = known.ok_or(Reason::UserUnknown)?;
    let full = |keys: u32| keys >= policy.remembered_max;
    // What is past its time is counted off only where it would be in the way.
    if envelope.class == Class::User && full(account.remembered) && full(state.keys_at(account, admitted.time_ms)) {
        return Err(Reject::new(Reason::TooManyKeys).with(Figure::Limit, i64::from(policy.remembered_max)));
    }
    let case = &Case { state, policy, account, class: envelope.class, now_ms: admitted.time_ms };
    match command {
        Command::AdoptPolicy(_) | Command::Checkpoint(_) | Command::RegisterUser(_) => Ok(()),
        Command::SetVerification(command) => people::set_verification(command, out),
        Command::Deposit(command) => funding::deposit(case, command, out),
        Command::Withdraw(command) => funding::withdraw(case, command, out),
        Command::WriteOff(command) => funding::write_off(case, command, out),
        Command::CreateInvoice(command) => fees::create_invoice(case, command, out),
        Command::ExpireInvoice(command) => fees::expire_invoice(case, command, out),
        Command::IssueCard(command) => issue::issue_card(case, command, out),
        Command::RequestCard(command) => issue::request_card(case, command, out),
        Command::DecideCardRequest(command) => issue::decide_request(case, command, out),
        Command::Activate(command) => lifecycle::activate(case, command, out),
        Command::ChangeStatus(command) => lifecycle::change_status(case, command, out),
        Command::ChangeLimits(command) => lifecycle::change_limits(case, command, out),
        Command::SetNoPinAmount(command) => lifecycle::set_no_pin(case, command, out),
        Command::Settle(command) => crate::settlement::settle(case, command, out),
        Command::LapseChange(command) => crate::settlement::lapse(case, command, out),
        Command::ConfirmReconcile(command) => crate::settlement::confirm(case, command, out),
        Command::ExpireCard(command) => lifecycle::expire_card(case, command, out),
        Command::OpenAppeal(command) => appeals::open(case, command, out),
        Command::DecideAppeal(command) => appeals::decide(case, command, out),
        Command::RecordAppealEmail(command) => appeals::record_email(case, command, out),
        Command::TopUp(command) => funding::top_up(case, command, out),
        Command::Unload(command) => funding::unload(case, command, out),
        Command::Authorize(command) => authorizations::authorize(case, command, out),
        Command::Increment(command) => authorizations::increment(case, command, out),
        Command::Clear(command) => clearings::clear(case, command, out),
        Command::Reverse(command) => clearings::reverse(case, command, out),
        Command::ExpireHold(command) => clearings::expire_hold(case, command, out),
        Command::Refund(command) => clearings::refund(case, command, out),
        Command::ForcePost(command) => clearings::force_post(case, command, out),
        Command::RecordReveal(command) => lifecycle::record_reveal(case, command, out),
    }
}

/// Network and settlement messages carry their own date: a key is forgotten after 31 days, so nothing older may come.
fn check_date(admitted: &Admitted) -> Verdict {
    let (class, dated_ms) = (admitted.envelope.class, admitted.envelope.dated_ms);
    let missing = dated_ms == 0 && matches!(class, Class::Network | Class::Settlement);
    let ahead = dated_ms > admitted.time_ms.saturating_add(AHEAD_MS);
    if missing || ahead { Err(Reject::field(Field::Date)) } else { Ok(()) }
}

/// Which class may give which command.
fn may(class: Class, command: &Command) -> bool {
    match command {
        Command::AdoptPolicy(_)
        | Command::RegisterUser(_)
        | Command::SetVerification(_)
        | Command::Deposit(_)
        | Command::Withdraw(_)
        | Command::WriteOff(_)
        | Command::DecideCardRequest(_)
        | Command::DecideAppeal(_) => class == Class::Ops,
        Command::Checkpoint(_) => class == Class::System,
        Command::CreateInvoice(_)
        | Command::RequestCard(_)
        | Command::OpenAppeal(_)
        | Command::TopUp(_)
        | Command::Unload(_) => class == Class::User,
        Command::IssueCard(_)
        | Command::Activate(_)
        | Command::ChangeLimits(_)
        | Command::SetNoPinAmount(_)
        | Command::RecordReveal(_) => matches!(class, Class::User | Class::Ops),
        Command::ChangeStatus(command) => lifecycle::may_change(class, command.change),
        Command::Settle(_) | Command::ConfirmReconcile(_) | Command::RecordAppealEmail(_) => class == Class::Settlement,
        Command::ExpireInvoice(_) | Command::LapseChange(_) | Command::ExpireCard(_) => class == Class::Clock,
        Command::ExpireHold(_) => matches!(class, Class::Clock | Class::Network),
        Command::Authorize(_)
        | Command::Increment(_)
        | Command::Clear(_)
        | Command::Reverse(_)
        | Command::Refund(_)
        | Command::ForcePost(_) => class == Class::Network,
    }
}

/// Refuses anything but the partition's own account.
pub(crate) fn partition_only(state: &State, account: AccountId) -> Verdict {
    if account == AccountId::of_partition(state.partition()) { Ok(()) } else { Err(Reason::UserUnknown.into()) }
}

impl<'a> Case<'a> {
    pub(crate) fn card(&self, id: CardId) -> Result<&'a Card, Reject> {
        self.account.card(id).ok_or_else(|| Reason::CardUnknown.into())
    }

    pub(crate) fn programme(&self, code: ProgrammeCode) -> Result<&'a Programme, Reject> {
        self.policy.programme(code).ok_or_else(|| Reason::ProgrammeUnknown.into())
    }

    pub(crate) fn authorization(&self, card: CardId, id: AuthorizationId) -> Result<&'a Authorization, Reject> {
        let known = self.known(id).filter(|known| known.card == card);
        known.ok_or_else(|| Reason::AuthorizationUnknown.into())
    }

    /// An authorization, unless it is past its time. Then it is unknown, forgotten already or not: what is decided is folded
    /// into a state that has forgotten it.
    pub(crate) fn known(&self, id: AuthorizationId) -> Option<&'a Authorization> {
        self.account.authorization(id).filter(|known| known.is_known_at(self.now_ms))
    }

    pub(crate) fn room_for_authorization(&self) -> Verdict {
        let limit = self.policy.authorizations_max;
        let full = |known: usize| known >= limit as usize;
        if !full(self.account.authorizations()) || !full(self.account.authorizations_at(self.now_ms)) {
            return Ok(());
        }
        Err(Reject::new(Reason::TooManyAuthorizations).with(Figure::Limit, i64::from(limit)))
    }

    /// Refuses what falls due only later.
    pub(crate) fn due(&self, at_ms: u64) -> Verdict {
        if self.now_ms >= at_ms {
            return Ok(());
        }
        Err(Reject::new(Reason::NotDue).with(Figure::RetryAt, i64::try_from(at_ms).unwrap_or(i64::MAX)))
    }

    /// The account as it will be once the events so far are folded.
    pub(crate) fn after(&self, out: &[Event]) -> Account {
        let mut account = self.account.clone();
        let at = At { now_ms: self.now_ms, position: Position::default(), remember_ms: self.policy.spans.purchase_ms };
        for event in out {
            account.apply(at, event);
        }
        account
    }

    /// Sweeps and closes a closing card if nothing keeps it open after the events so far.
    pub(crate) fn close_if_done(&self, card: CardId, out: &mut Vec<Event>) -> Verdict {
        use crate::terms::Status;
        let settling = out.iter().any(|event| matches!(event, Event::StatusChanged(_)));
        let closing =
            self.account.card(card).is_some_and(|card| matches!(card.status, Status::PreCancel | Status::Expired));
        if closing || settling { lifecycle::close(self, card, out) } else { Ok(()) }
    }
}
