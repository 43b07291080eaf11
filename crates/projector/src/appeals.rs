//! Appeals against blocks: by id, by card (the latest counts), and all by state, newest first.

use florin_engine::{
    ids::{AccountId, AppealId, CardId, Position},
    money::Sealed,
    terms::EmailStatus,
};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// Where an appeal or a card request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// Not decided yet.
    Open,
    /// Granted.
    Approved,
    /// Not granted.
    Rejected,
}

impl Decision {
    /// The stable word, as the APIs show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    pub(crate) const fn of(approved: bool) -> Self {
        if approved { Self::Approved } else { Self::Rejected }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Approved => 2,
            Self::Rejected => 3,
        }
    }
}

/// An appeal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppealRow {
    /// The appeal.
    pub appeal: AppealId,
    /// Its numeric id.
    pub number: u64,
    /// Whose.
    pub account: AccountId,
    /// Against the block of which card.
    pub card: CardId,
    /// What the user says: ciphertext.
    pub message: Sealed,
    /// Where it stands.
    pub decision: Decision,
    /// Why it was so decided: ciphertext.
    pub reason: Sealed,
    /// What became of its e-mail.
    pub email: EmailStatus,
    /// When it was opened, ms since 1970.
    pub opened_ms: u64,
    /// When it was decided, ms since 1970.
    pub decided_ms: Option<u64>,
}

impl Row for AppealRow {
    const NAME: &'static str = "appeals";
}

pub(crate) fn key(appeal: AppealId) -> Key {
    Key::of(Table::Appeal).bytes(&appeal.0)
}

pub(crate) fn by_state(decision: Decision) -> Key {
    Key::of(Table::AppealByState).u8(decision.code())
}

pub(crate) fn by_state_key(decision: Decision, opened_ms: u64, appeal: AppealId) -> Key {
    by_state(decision).newest(opened_ms).bytes(&appeal.0)
}

pub(crate) fn of_card(card: CardId) -> Key {
    Key::of(Table::AppealOfCard).bytes(&card.0)
}

pub(crate) fn of_card_key(card: CardId, opened: Position, appeal: AppealId) -> Key {
    of_card(card).newest(opened.0).bytes(&appeal.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn an_appeal_reads_back_as_written() {
        let row = AppealRow {
            appeal: AppealId([1; 16]),
            number: 9,
            account: AccountId([2; 16]),
            card: CardId([3; 16]),
            message: Sealed(vec![4]),
            decision: Decision::Approved,
            reason: Sealed(vec![5]),
            email: EmailStatus::Sent,
            opened_ms: 6,
            decided_ms: Some(7),
        };
        assert_eq!(decode::<AppealRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
    }
}
