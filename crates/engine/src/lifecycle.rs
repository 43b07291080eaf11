//! Lifecycle: activation, changes of status and limits, closing, expiry (lifecycle.md, Card states).
//!
//! A change waits for the issuer as an overlay over the state, at most one a card. What lowers risk binds at once; what
//! raises it binds when it is settled. Freeze, block and cancel by ops overtake what is pending, if they are stronger.

use alloc::vec::Vec;

use crate::{
    command::{Activate, ChangeLimits, ChangeStatus, Class, ExpireCard, RecordReveal, SetNoPinAmount},
    decide::{Case, Verdict},
    event::{
        ActivationFailed, CardActivated, Event, FraudCleared, LimitsChangeRequested, NoPinAmountSet, ReconcileStarted,
        Revealed, StatusChangeRequested, StatusChanged, Swept,
    },
    funding::invalid_status,
    ids::CardId,
    money::{Minor, Sealed},
    reject::{Field, Reason, Reject},
    state::{Card, Waiting},
    terms::{Cause, Change, RevealKind, Status},
};

/// Which class may ask for which change: users not for blocks, the issuer only for those.
pub(crate) const fn may_change(class: Class, change: Change) -> bool {
    match class {
        Class::User => matches!(change, Change::Freeze | Change::Thaw | Change::Cancel),
        Class::Ops => true,
        Class::Network => matches!(change, Change::Block | Change::BlockForFraud),
        Class::Settlement | Class::Clock | Class::System => false,
    }
}

const fn cause_of(class: Class) -> Cause {
    match class {
        Class::User => Cause::User,
        Class::Ops => Cause::Ops,
        Class::Network => Cause::Issuer,
        Class::Clock => Cause::Clock,
        Class::Settlement | Class::System => Cause::System,
    }
}

/// Where a change leads from a card's state; `None` where the table has no such arrow.
pub(crate) fn target(card: &Card, change: Change, class: Class) -> Option<Status> {
    match (change, card.status) {
        (Change::Freeze, Status::Active | Status::Frozen) => Some(Status::Frozen),
        (Change::Thaw, Status::Frozen | Status::Active) => Some(Status::Active),
        (Change::Block | Change::BlockForFraud, Status::Active | Status::Frozen | Status::Blocked) => {
            Some(Status::Blocked)
        }
        // The issuer reports what it has done already, before activation too.
        (Change::Block | Change::BlockForFraud, Status::NotActivated) if class == Class::Network => {
            Some(Status::Blocked)
        }
        (Change::Unblock, Status::Blocked) => Some(card.before_block),
        (Change::Cancel, Status::Active | Status::Frozen | Status::Blocked) => Some(Status::PreCancel),
        // Lost in the mail.
        (Change::Cancel, Status::NotActivated) if class == Class::Ops => Some(Status::PreCancel),
        _ => None,
    }
}

pub(crate) fn change_status(case: &Case<'_>, command: &ChangeStatus, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if command.reason.0.len() > Sealed::BYTES_MAX {
        return Err(Reject::field(Field::Reason));
    }
    let closing = matches!(card.status, Status::PreCancel | Status::Expired);
    if command.change == Change::Unblock && closing && card.fraud {
        out.push(FraudCleared { card: card.id }.into());
        return close(case, card.id, out);
    }
    let target = target(card, command.change, case.class).ok_or_else(|| invalid_status(card))?;
    if card.fraud && case.class == Class::User {
        return Err(Reason::FraudBlock.into());
    }
    if case.class == Class::Network {
        return block_by_issuer(card, command.change, out);
    }
    let overtakes = overtakes(card, command.change, case.class)?;
    let upgrade = command.change == Change::BlockForFraud && card.status == Status::Blocked && !card.fraud;
    if upgrade {
        // The issuer has it blocked already.
        let (from, to) = (Status::Blocked, Status::Blocked);
        out.push(StatusChanged { card: card.id, from, to, cause: Cause::Ops, fraud: true }.into());
        if card.pending.is_some() {
            out.push(ReconcileStarted { card: card.id, change: card.change + 1 }.into());
        }
        return Ok(());
    }
    // Over a thaw or unblock on its way, the state that is there already has to be asked for again.
    if target == card.status && !overtakes {
        return Err(Reason::NothingToChange.into());
    }
    request(case, card, command.change, target, cause_of(case.class), command.reason.clone(), overtakes, out);
    Ok(())
}

/// Asks for a change of status: an event, and the overlay.
#[expect(clippy::too_many_arguments, reason = "each is a field of the event")]
pub(crate) fn request(
    case: &Case<'_>,
    card: &Card,
    what: Change,
    target: Status,
    cause: Cause,
    reason: Sealed,
    overtakes: bool,
    out: &mut Vec<Event>,
) {
    let change = card.change + 1;
    let deadline_ms = case.now_ms.saturating_add(case.policy.spans.change_ms);
    out.push(
        StatusChangeRequested { card: card.id, change, what, target, cause, deadline_ms, overtakes, reason }.into(),
    );
    if overtakes {
        // Whether the issuer has done what was overtaken is not known.
        out.push(ReconcileStarted { card: card.id, change: change + 1 }.into());
    }
}

/// Whether the change takes the place of a pending one; a reject where it must wait.
fn overtakes(card: &Card, change: Change, class: Class) -> Result<bool, Reject> {
    let Some(pending) = &card.pending else {
        return Ok(false);
    };
    let may = class == Class::Ops && change.reduces_risk();
    match &pending.what {
        Waiting::Limits { .. } if may => Ok(true),
        Waiting::Status { what, .. } if may && strength(change) > strength(*what) => Ok(true),
        Waiting::Status { what, .. } if may && change == *what => Err(Reason::NothingToChange.into()),
        _ => Err(Reason::ChangePending.into()),
    }
}

/// A weaker change does not undo a stronger one that is on its way.
const fn strength(change: Change) -> u8 {
    match change {
        Change::Thaw | Change::Unblock => 0,
        Change::Freeze => 1,
        Change::Block => 2,
        Change::Cancel => 3,
        Change::BlockForFraud => 4,
    }
}

/// The issuer has blocked the card: a fact, in force at once. A pending cancel goes on from there, unless the block is for
/// fraud and it was the user's.
fn block_by_issuer(card: &Card, change: Change, out: &mut Vec<Event>) -> Verdict {
    let fraud = change == Change::BlockForFraud;
    let unblocking = card
        .pending
        .as_ref()
        .is_some_and(|pending| matches!(pending.what, Waiting::Status { what: Change::Unblock, .. }));
    if card.status == Status::Blocked && (card.fraud || !fraud) && !unblocking {
        return Err(Reason::NothingToChange.into());
    }
    let event = StatusChanged {
        card: card.id,
        from: card.status,
        to: Status::Blocked,
        cause: Cause::Issuer,
        fraud: fraud || card.fraud,
    };
    let dropped = card.pending.is_some() && !card.keeps_pending(&event);
    out.push(event.into());
    // An assertion on its way says what was there before the block: its number must not be good any more.
    if dropped || card.reconcile != 0 {
        out.push(ReconcileStarted { card: card.id, change: card.change + 1 }.into());
    }
    Ok(())
}

impl Card {
    /// Whether a pending change outlives a change of state: only a cancel does, over a block by the issuer.
    pub(crate) fn keeps_pending(&self, event: &StatusChanged) -> bool {
        let Some(Waiting::Status { what: Change::Cancel, cause, .. }) =
            self.pending.as_ref().map(|pending| &pending.what)
        else {
            return false;
        };
        event.cause == Cause::Issuer && (!event.fraud || *cause == Cause::Ops)
    }
}

pub(crate) fn activate(case: &Case<'_>, command: &Activate, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if card.status != Status::NotActivated || card.past_expiry(case.now_ms) {
        return Err(invalid_status(card));
    }
    if card.pending.is_some() {
        return Err(Reason::ChangePending.into());
    }
    let right = match (command.tried, case.class) {
        (None, Class::Ops) => true,
        (None, _) => return Err(Reject::field(Field::Outcome)),
        (Some(tried), _) => tried.last4 == card.last4 && tried.expiry == card.expiry,
    };
    let change = card.change + 1;
    if right {
        out.push(CardActivated { card: card.id, cause: cause_of(case.class) }.into());
        out.push(ReconcileStarted { card: card.id, change }.into());
        return Ok(());
    }
    let tries = card.tries.saturating_add(1);
    out.push(ActivationFailed { card: card.id, tries }.into());
    if tries >= case.policy.activation_tries_max {
        let (from, to, cause) = (Status::NotActivated, Status::Blocked, Cause::WrongTries);
        out.push(StatusChanged { card: card.id, from, to, cause, fraud: false }.into());
        out.push(ReconcileStarted { card: card.id, change }.into());
    }
    Ok(())
}

pub(crate) fn change_limits(case: &Case<'_>, command: &ChangeLimits, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if command.update.any_negative() {
        return Err(Reject::field(Field::Limits));
    }
    if card.status != Status::Active {
        return Err(invalid_status(card));
    }
    if card.pending.is_some() {
        return Err(Reason::ChangePending.into());
    }
    let target = card.limits.updated(command.update);
    if target == card.limits {
        return Err(Reason::NothingToChange.into());
    }
    out.push(
        LimitsChangeRequested {
            card: card.id,
            change: card.change + 1,
            target,
            binding: card.limits.lower(target),
            deadline_ms: case.now_ms.saturating_add(case.policy.spans.change_ms),
        }
        .into(),
    );
    Ok(())
}

pub(crate) fn set_no_pin(case: &Case<'_>, command: &SetNoPinAmount, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if command.amount.is_negative() {
        return Err(Reject::field(Field::Amount));
    }
    if !card.status.counts() {
        return Err(invalid_status(card));
    }
    out.push(NoPinAmountSet { card: card.id, amount: command.amount }.into());
    if card.reconcile != 0 {
        // The assertion on its way carries the old amount.
        out.push(ReconcileStarted { card: card.id, change: card.change + 1 }.into());
    }
    Ok(())
}

pub(crate) fn expire_card(case: &Case<'_>, command: &ExpireCard, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if !card.status.counts() || card.expiry == 0 {
        return Err(invalid_status(card));
    }
    case.due(crate::limits::month_end_ms(card.expiry))?;
    out.push(
        StatusChanged { card: card.id, from: card.status, to: Status::Expired, cause: Cause::Clock, fraud: card.fraud }
            .into(),
    );
    out.push(ReconcileStarted { card: card.id, change: card.change + 1 }.into());
    close(case, card.id, out)
}

/// Sweeps what is left and closes, once no hold is open, no fraud block stands and nothing is owed. A card lost in the mail
/// goes this way at once.
pub(crate) fn close(case: &Case<'_>, card: CardId, out: &mut Vec<Event>) -> Verdict {
    let account = case.after(out);
    let Some(card) = account.card(card).filter(|card| matches!(card.status, Status::PreCancel | Status::Expired))
    else {
        return Ok(());
    };
    if card.fraud || card.balance.is_negative() || account.has_holds(card.id) {
        return Ok(());
    }
    if card.balance.is_positive() {
        let wallet = account.wallet(card.currency).map_or(Minor::ZERO, |wallet| wallet.balance);
        let wallet_balance = wallet.plus(card.balance).ok_or(Reason::Overflow)?;
        out.push(Swept { card: card.id, currency: card.currency, amount: card.balance, wallet_balance }.into());
    }
    if card.status == Status::PreCancel {
        let (from, to, cause) = (Status::PreCancel, Status::Cancelled, Cause::System);
        out.push(StatusChanged { card: card.id, from, to, cause, fraud: false }.into());
    }
    Ok(())
}

pub(crate) fn record_reveal(case: &Case<'_>, command: &RecordReveal, out: &mut Vec<Event>) -> Verdict {
    let card = case.card(command.card)?;
    if command.address.0.len() > Sealed::BYTES_MAX {
        return Err(Reject::field(Field::Reason));
    }
    let shown = match command.kind {
        RevealKind::OneTimeCode => card.status == Status::Active,
        RevealKind::Cvv | RevealKind::Pin | RevealKind::Page => {
            matches!(card.status, Status::Active | Status::Frozen)
        }
        // Last four and expiry are the activation secret until then.
        RevealKind::Details => {
            matches!(card.status, Status::Active | Status::Frozen | Status::Blocked | Status::PreCancel)
        }
        RevealKind::ByNumber => true,
    };
    if !shown {
        return Err(invalid_status(card));
    }
    out.push(Revealed { card: card.id, kind: command.kind, address: command.address.clone() }.into());
    Ok(())
}
