//! Requests for cards that somebody approves: by id, by account, and all by state, newest first.

use florin_engine::{
    ids::{AccountId, CardId, CardRequestId},
    money::Sealed,
    policy::{CardKind, ProgrammeCode},
};
use serde::{Deserialize, Serialize};

use crate::{
    appeals::Decision,
    key::{Key, Table},
    row::Row,
};

/// A request for a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequestRow {
    /// The request.
    pub request: CardRequestId,
    /// Whose.
    pub account: AccountId,
    /// The card it becomes when approved.
    pub card: CardId,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// Card name: ciphertext.
    pub profile: Sealed,
    /// Where it stands.
    pub decision: Decision,
    /// Why it was so decided: ciphertext.
    pub reason: Sealed,
    /// When it was opened, ms since 1970.
    pub opened_ms: u64,
    /// When it was decided, ms since 1970.
    pub decided_ms: Option<u64>,
}

impl Row for CardRequestRow {
    const NAME: &'static str = "card requests";
}

pub(crate) fn key(request: CardRequestId) -> Key {
    Key::of(Table::CardRequest).bytes(&request.0)
}

pub(crate) fn by_state(decision: Decision) -> Key {
    Key::of(Table::CardRequestByState).u8(decision.code())
}

pub(crate) fn by_state_key(decision: Decision, opened_ms: u64, request: CardRequestId) -> Key {
    by_state(decision).newest(opened_ms).bytes(&request.0)
}

pub(crate) fn of_account(account: AccountId) -> Key {
    Key::of(Table::CardRequestOfAccount).bytes(&account.0)
}

pub(crate) fn of_account_key(account: AccountId, opened_ms: u64, request: CardRequestId) -> Key {
    of_account(account).newest(opened_ms).bytes(&request.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn a_request_reads_back_as_written() {
        let row = CardRequestRow {
            request: CardRequestId([1; 16]),
            account: AccountId([2; 16]),
            card: CardId([3; 16]),
            programme: ProgrammeCode::Mobile,
            kind: CardKind::Physical,
            profile: Sealed(vec![4]),
            decision: Decision::Rejected,
            reason: Sealed(vec![5]),
            opened_ms: 6,
            decided_ms: Some(7),
        };
        assert_eq!(decode::<CardRequestRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
    }
}
