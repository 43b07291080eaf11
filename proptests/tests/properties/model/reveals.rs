//! Reveals: in which states something secret of a card is shown. That it was shown is told, and nothing else changes.

use florin_engine::{
    command::RecordReveal,
    money::Sealed,
    reject::Field,
    terms::{RevealKind, Status},
};

use super::{
    User, Verdict, no,
    refusals::{field, status},
};

impl User {
    pub(super) fn reveal(&self, c: &RecordReveal) -> Verdict {
        if c.address.0.len() > Sealed::BYTES_MAX {
            return no(field(Field::Reason));
        }
        let is = self.cards[&c.card].status;
        let usable = is == Status::Active;
        let own = usable || is == Status::Frozen;
        let shown = match c.kind {
            RevealKind::OneTimeCode => usable,
            RevealKind::Cvv | RevealKind::Pin | RevealKind::Page => own,
            // Not before activation, for which they are asked; not once the card is closed.
            RevealKind::Details => own || is == Status::Blocked || is == Status::PreCancel,
            RevealKind::ByNumber => true,
        };
        if shown { Ok(None) } else { no(status(is)) }
    }
}
