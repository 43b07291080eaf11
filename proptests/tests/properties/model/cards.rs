//! Cards beside their changes of status: how they begin, are activated, limited, and expire.

use florin_engine::{
    command::{
        Activate, ChangeLimits, ConfirmReconcile, DecideCardRequest, IssueCard, LapseChange, RequestCard,
        SetNoPinAmount,
    },
    ids::CardId,
    policy::ProgrammeCode,
    reject::{Field, Figure, Reason},
    terms::Status,
};

use super::{
    Assertion, Desk, Pending, Refusal, User, Verdict, Waiting, no,
    purchases::month_begins,
    refusals::{field, lowers_risk, not_due, short, status, with},
    rules::{binding, bounds, new_card, positive, share_of, updated},
};

impl User {
    pub(super) fn issue(&mut self, desk: &mut Desk<'_>, c: &IssueCard) -> Verdict {
        let initial = i128::from(c.initial.0);
        let dashboard = c.programme == ProgrammeCode::Dashboard;
        if dashboard {
            positive(c.initial.0)?;
            bounds(initial, desk.figures.initial.0, desk.figures.initial.1)?;
        } else if initial != 0 {
            return no(field(Field::Initial));
        }
        if self.counted() >= desk.figures.cards_max {
            return no(self.too_many_cards(desk));
        }
        let fees = if dashboard { desk.figures.issue_fee + share_of(initial, desk.figures.issue_points) } else { 0 };
        if self.wallet < initial + fees && initial + fees > 0 {
            return no(short(initial + fees, self.wallet));
        }
        self.wallet -= initial + fees;
        *desk.revenue += fees;
        self.cards.insert(c.card, new_card(desk.figures, c.programme, c.kind, initial, fees, desk.now));
        Ok(None)
    }

    pub(super) fn request(&mut self, desk: &mut Desk<'_>, c: &RequestCard) -> Verdict {
        if self.cards.contains_key(&c.card) || self.requests.contains_key(&c.request) {
            return no(Reason::CardExists);
        }
        if self.counted() >= desk.figures.cards_max {
            return no(self.too_many_cards(desk));
        }
        self.requests.insert(c.request, (c.card, c.kind));
        Ok(None)
    }

    /// The rule is asked again when a request is approved: the policy may be another by then.
    pub(super) fn decide_request(&mut self, desk: &mut Desk<'_>, c: &DecideCardRequest) -> Verdict {
        let Some(&(card, kind)) = self.requests.get(&c.request) else {
            return no(Reason::CardRequestUnknown);
        };
        if c.approved && self.counted() > desk.figures.cards_max {
            return no(self.too_many_cards(desk));
        }
        self.requests.remove(&c.request);
        if c.approved {
            self.cards.insert(card, new_card(desk.figures, ProgrammeCode::Mobile, kind, 0, 0, desk.now));
        }
        Ok(None)
    }

    fn too_many_cards(&self, desk: &Desk<'_>) -> Refusal {
        let (most, used) = (desk.figures.cards_max as i128, self.counted() as i128);
        with(Reason::CardLimitReached, [(Figure::Limit, most), (Figure::Used, used)])
    }

    pub(super) fn activate(&mut self, desk: &mut Desk<'_>, c: &Activate) -> Verdict {
        let card = self.cards.get_mut(&c.card).unwrap();
        if card.status != Status::NotActivated || card.past_expiry(desk.now) {
            return no(status(card.status));
        }
        if card.pending.is_some() {
            return no(Reason::ChangePending);
        }
        if c.tried.is_none_or(|tried| tried.last4 == card.last4 && tried.expiry == card.expiry) {
            card.status = Status::Active;
            card.assertion = Assertion::New;
            return Ok(None);
        }
        card.tries += 1;
        if card.tries >= desk.figures.tries_max {
            (card.before_block, card.status) = (card.status, Status::Blocked);
            card.assertion = Assertion::New;
        }
        Ok(None)
    }

    pub(super) fn set_no_pin(&mut self, c: &SetNoPinAmount) -> Verdict {
        let card = self.cards.get_mut(&c.card).unwrap();
        if c.amount.0 < 0 {
            return no(field(Field::Amount));
        }
        if !card.open() {
            return no(status(card.status));
        }
        card.no_pin = Some(i128::from(c.amount.0));
        card.assert_again();
        Ok(None)
    }

    pub(super) fn change_limits(&mut self, desk: &mut Desk<'_>, c: &ChangeLimits) -> Verdict {
        let card = self.cards.get_mut(&c.card).unwrap();
        let u = c.update;
        if [u.transaction, u.daily, u.monthly, u.lifetime].iter().flatten().flatten().any(|l| l.0 < 0) {
            return no(field(Field::Limits));
        }
        if card.status != Status::Active {
            return no(status(card.status));
        }
        if card.pending.is_some() {
            return no(Reason::ChangePending);
        }
        let target = updated(card.limits, u);
        if target == card.limits {
            return no(Reason::NothingToChange);
        }
        let before = card.limits;
        card.limits = binding(before, target);
        card.pending = Some(Pending {
            request: None,
            deadline: desk.now + desk.figures.change_ms,
            told: false,
            what: Waiting::Limits { target, before },
            overtaken: vec![],
        });
        Ok(None)
    }

    pub(super) fn lapse(&mut self, desk: &mut Desk<'_>, c: &LapseChange) -> Verdict {
        let card = self.cards.get_mut(&c.card).unwrap();
        let Some(pending) = card.pending.as_mut().filter(|pending| pending.request == Some(c.request)) else {
            return no(Reason::NothingPending);
        };
        if pending.told {
            return no(Reason::NothingPending);
        }
        if desk.now < pending.deadline {
            return no(not_due(pending.deadline));
        }
        pending.told = true;
        let reverts = match &pending.what {
            Waiting::Issue => false,
            Waiting::Status(asked) => !lowers_risk(asked.what),
            // What was lowered holds; what was raised reverts.
            Waiting::Limits { target, before } => binding(*target, *before) != *target,
        };
        if reverts {
            // Whether the issuer has done it is not known.
            card.pending = None;
            card.assertion = Assertion::New;
        }
        Ok(None)
    }

    /// Only the assertion of now is confirmed, not one that was made anew since.
    pub(super) fn confirm(&mut self, c: &ConfirmReconcile) -> Verdict {
        let card = self.cards.get_mut(&c.card).unwrap();
        if card.assertion != Assertion::Number(c.change) {
            return no(Reason::NothingPending);
        }
        card.assertion = Assertion::None;
        Ok(None)
    }

    pub(super) fn expire_card(&mut self, desk: &mut Desk<'_>, id: CardId) -> Verdict {
        let card = self.cards.get_mut(&id).unwrap();
        if !card.open() {
            return no(status(card.status));
        }
        if card.status == Status::Requested {
            return no(status(card.status));
        }
        if !card.past_expiry(desk.now) {
            return no(not_due(month_begins(u64::from(card.expiry) + 1)));
        }
        card.status = Status::Expired;
        card.pending = None;
        card.assertion = Assertion::New;
        self.close_if_due(id);
        Ok(None)
    }
}
