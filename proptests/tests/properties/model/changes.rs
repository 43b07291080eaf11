//! Changes of status: who may ask, what overtakes what, and what settling one comes to.

use florin_engine::{
    command::{Class, Outcome},
    ids::{CardId, RequestId},
    policy::CardKind,
    reject::{Field, Reason},
    terms::{Change, RefusalCode, Status},
};

use super::{
    Asked, Assertion, Card, Desk, Pending, User, Verdict, Waiting, no,
    refusals::{field, lowers_risk, status as not_from},
};

impl User {
    pub(super) fn change_status(&mut self, desk: &mut Desk<'_>, id: CardId, change: Change) -> Verdict {
        use Status::{Active, Blocked, Frozen, NotActivated, PreCancel};
        let (now, class) = (desk.now, desk.class);
        let user_asks = class == Class::User;
        let card = self.cards.get_mut(&id).unwrap();
        // By ops, unblocking a card that closes lifts the fraud mark that keeps it from closing.
        if change == Change::Unblock && matches!(card.status, PreCancel | Status::Expired) && card.fraud {
            card.fraud = false;
            self.close_if_due(id);
            return Ok(None);
        }
        let blocks = matches!(change, Change::Block | Change::BlockForFraud);
        let waits = card.pending.as_ref().map(|pending| match pending.what {
            Waiting::Status(asked) => strength(asked.what),
            Waiting::Limits { .. } => 0,
            Waiting::Issue => u8::MAX,
        });
        // What is so already can be asked for again over something on its way that would end it: by ops whatever is
        // weaker, by the issuer an unblock.
        let again = match class {
            Class::Ops => waits.is_some_and(|waits| strength(change) > waits),
            Class::Network => card.asked().is_some_and(|asked| asked.what == Change::Unblock),
            _ => false,
        };
        let target = match (change, card.status) {
            (Change::Freeze, Active) => Frozen,
            (Change::Freeze, Frozen) if again => Frozen,
            (_, Blocked) if blocks && again => Blocked,
            (Change::Thaw, Frozen) => Active,
            (_, Active | Frozen) if blocks => Blocked,
            (_, NotActivated) if blocks && class == Class::Network => Blocked,
            (Change::BlockForFraud, Blocked) if !card.fraud => Blocked,
            (Change::Unblock, Blocked) => card.before_block,
            (Change::Cancel, Blocked) if card.fraud && user_asks => return no(Reason::FraudBlock),
            (Change::Cancel, Active | Frozen | Blocked) => PreCancel,
            (Change::Cancel, NotActivated) if !user_asks => PreCancel,
            _ => {
                let mut refusals = vec![not_from(card.status), Reason::NothingToChange.into()];
                refusals.extend((card.fraud && user_asks).then_some(Reason::FraudBlock.into()));
                refusals.extend(waits.map(|_| Reason::ChangePending.into()));
                return Err(refusals);
            }
        };
        if class == Class::Network {
            // What the issuer says it has done is so at once. Only a pending cancel goes on, unless it is the user's and
            // the block is for fraud.
            let goes_on = card
                .asked()
                .is_some_and(|asked| asked.what == Change::Cancel && (asked.by_ops || change == Change::Block));
            card.block(change == Change::BlockForFraud);
            // What was said of the card before the block must not be taken for the last word.
            if !goes_on && card.drop_pending_at(Blocked) {
                card.assertion = Assertion::New;
            }
            card.assert_again();
            return Ok(None);
        }
        if let Some(waits) = waits {
            let overtakes = class == Class::Ops && lowers_risk(change);
            if !overtakes || strength(change) < waits {
                return no(Reason::ChangePending);
            }
            if strength(change) == waits {
                return no(Reason::NothingToChange);
            }
        }
        if card.status == Blocked && change == Change::BlockForFraud && !card.fraud {
            card.block(true);
            if card.drop_pending_at(Blocked) {
                card.assertion = Assertion::New;
            }
            return Ok(None);
        }
        // Whether the issuer has done what is overtaken is not known.
        if card.pending.is_some() {
            card.assertion = Assertion::New;
        }
        let mut overtaken = card.pending.take().map_or(vec![], |pending| match pending.what {
            Waiting::Status(asked) => pending.overtaken.into_iter().chain([asked]).collect(),
            _ => vec![],
        });
        overtaken.retain(|asked| lowers_risk(asked.what));
        card.pending = Some(Pending {
            request: None,
            deadline: now + desk.figures.change_ms,
            told: false,
            what: Waiting::Status(Asked { what: change, target, by_ops: class == Class::Ops }),
            overtaken,
        });
        Ok(None)
    }

    pub(super) fn settle(&mut self, desk: &mut Desk<'_>, id: CardId, request: RequestId, outcome: &Outcome) -> Verdict {
        let card = self.cards.get_mut(&id).unwrap();
        let Some(pending) = card.pending.clone().filter(|pending| pending.request == Some(request)) else {
            card.hear_late(request, outcome);
            return Ok(None);
        };
        match (pending.what, outcome) {
            // Past its deadline it is being given up: what is made late is terminated, and only a refusal returns the money.
            (Waiting::Issue, Outcome::Issued(_)) if pending.told => {}
            (Waiting::Issue, Outcome::Issued(issued)) => {
                (card.pending, card.settled) = (None, Some(request));
                (card.last4, card.expiry) = (issued.last4, issued.expiry);
                card.status = if card.kind == CardKind::Virtual { Status::Active } else { Status::NotActivated };
            }
            (Waiting::Issue, Outcome::Refused(_)) => {
                card.pending = None;
                card.status = Status::Cancelled;
                card.balance -= card.taken.0;
                card.returned = true;
                *desk.revenue -= card.taken.1;
                self.wallet += card.taken.0 + card.taken.1;
            }
            (Waiting::Status(Asked { what, target, .. }), Outcome::Done) => {
                match what {
                    Change::Block | Change::BlockForFraud => card.block(what == Change::BlockForFraud),
                    Change::Unblock => {
                        card.fraud = false;
                        card.tries = 0;
                    }
                    _ => {}
                }
                (card.pending, card.settled) = (None, Some(request));
                card.status = target;
                card.assert_again();
                self.close_if_due(id);
            }
            (Waiting::Limits { target, .. }, Outcome::Done) => {
                (card.pending, card.settled) = (None, Some(request));
                card.limits = target;
                card.assert_again();
            }
            // What was overtaken is asked for again, unless the card has come to that, or further, by now.
            (Waiting::Status(_), Outcome::Refused(refusal)) => {
                card.hear_refusal(*refusal);
                let mut overtaken = pending.overtaken;
                overtaken.retain(|asked| rank(asked.target) > rank(card.status));
                card.pending = overtaken.pop().map(|asked| Pending {
                    request: None,
                    deadline: desk.now + desk.figures.change_ms,
                    told: false,
                    what: Waiting::Status(asked),
                    overtaken,
                });
            }
            (Waiting::Limits { before, .. }, Outcome::Refused(refusal)) => {
                card.pending = None;
                card.limits = before;
                card.hear_refusal(*refusal);
            }
            _ => return no(field(Field::Outcome)),
        }
        Ok(None)
    }
}

impl Card {
    /// Something was done at the issuer while an assertion was on its way: it is made anew.
    pub fn assert_again(&mut self) {
        if self.assertion != Assertion::None {
            self.assertion = Assertion::New;
        }
    }

    /// A newer change is said to be done there: which, is not known here.
    fn hear_refusal(&mut self, refusal: RefusalCode) {
        if refusal == RefusalCode::Stale {
            self.assertion = Assertion::New;
        }
        self.assert_again();
    }

    /// An answer that nothing waits for. The issuer did what Florin no longer wants, unless it says so of the change that
    /// was settled last, or of a card that was made.
    fn hear_late(&mut self, request: RequestId, outcome: &Outcome) {
        let unwanted = match outcome {
            Outcome::Refused(_) => false,
            Outcome::Done => self.settled != Some(request),
            Outcome::Issued(_) => self.returned,
        };
        if unwanted {
            self.assertion = Assertion::New;
        }
    }

    /// Drops what is pending as the card comes to `status`, which may be what was asked for; says whether there was anything.
    fn drop_pending_at(&mut self, status: Status) -> bool {
        let Some(pending) = self.pending.take() else { return false };
        if matches!(pending.what, Waiting::Status(asked) if asked.target == status) {
            self.settled = pending.request;
        }
        true
    }
}

/// Of changes by ops, the stronger overtakes the weaker.
fn strength(change: Change) -> u8 {
    match change {
        Change::Thaw | Change::Unblock => 0,
        Change::Freeze => 1,
        Change::Block => 2,
        Change::Cancel => 3,
        Change::BlockForFraud => 4,
    }
}

/// How little a card can do.
fn rank(status: Status) -> u8 {
    match status {
        Status::Active => 0,
        Status::Frozen => 1,
        Status::Blocked => 2,
        _ => 3,
    }
}
