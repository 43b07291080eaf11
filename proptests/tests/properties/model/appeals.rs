//! Appeals: only for a blocked card, one open at a time; ops grant (the card returns to what it was) or reject.

use florin_engine::{
    command::{Class, DecideAppeal, OpenAppeal, RecordAppealEmail},
    reject::{Field, Reason},
    terms::{Change, Status},
};

use super::{
    Asked, Desk, Pending, User, Verdict, Waiting, no,
    refusals::{field, status},
};

impl User {
    pub(super) fn open_appeal(&mut self, c: &OpenAppeal) -> Verdict {
        if c.message.0.is_empty() {
            return no(field(Field::Message));
        }
        let is = self.cards[&c.card].status;
        if is != Status::Blocked {
            return no(status(is));
        }
        // Its id may be one of an appeal whose key is forgotten.
        if self.appeals.contains_key(&c.appeal) || self.appeals.values().any(|(card, open)| *card == c.card && *open) {
            return no(Reason::AppealOpen);
        }
        self.appeals.insert(c.appeal, (c.card, true));
        Ok(None)
    }

    pub(super) fn decide_appeal(&mut self, desk: &mut Desk<'_>, c: &DecideAppeal) -> Verdict {
        let Some((id, true)) = self.appeals.get(&c.appeal).copied() else {
            return no(Reason::AppealUnknown);
        };
        let card = self.cards.get_mut(&id).unwrap();
        // A card that is no longer blocked has nothing to return from.
        if c.granted && card.status == Status::Blocked {
            if card.pending.is_some() {
                return no(Reason::ChangePending);
            }
            let by_ops = desk.class == Class::Ops;
            card.pending = Some(Pending {
                request: None,
                deadline: desk.now + desk.figures.change_ms,
                told: false,
                what: Waiting::Status(Asked { what: Change::Unblock, target: card.before_block, by_ops }),
                overtaken: vec![],
            });
        }
        self.appeals.insert(c.appeal, (id, false));
        Ok(None)
    }

    pub(super) fn record_email(&mut self, c: &RecordAppealEmail) -> Verdict {
        if self.appeals.contains_key(&c.appeal) { Ok(None) } else { no(Reason::AppealUnknown) }
    }
}
