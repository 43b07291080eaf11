//! Cards: the row that every card read answers from, and the ways to find it.

use florin_engine::{
    ids::{AccountId, CardId, Position, RequestId},
    limits::{Limits, Usage},
    money::{Asset, Minor, Sealed, Text},
    policy::{CardKind, Funding, ProgrammeCode},
    terms::{Cause, Change, RefusalCode, Status},
};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// A card as of [`CardRow::position`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRow {
    /// The card.
    pub card: CardId,
    /// Whose.
    pub account: AccountId,
    /// The tenant.
    pub company: Text,
    /// Its numeric id.
    pub number: u64,
    /// What it was issued under.
    pub programme: ProgrammeCode,
    /// Virtual or physical.
    pub kind: CardKind,
    /// Where its money lies.
    pub funding: Funding,
    /// Its billing currency.
    pub currency: Asset,
    /// Its canonical state, under the pending change if there is one.
    pub status: Status,
    /// The state before; `None` while it is in its first.
    pub previous_status: Option<Status>,
    /// The state in which it was when it began to close; `None` before that.
    pub before_closing: Option<Status>,
    /// Whose doing the state is.
    pub cause: Cause,
    /// Blocked for fraud: only ops may lift or close it.
    pub fraud: bool,
    /// Whether it was ever Active.
    pub activated: bool,
    /// Wrong activation tries so far.
    pub tries: u8,
    /// What waits for the issuer; shown as PROCESSING.
    pub pending: Option<PendingRow>,
    /// The change number under which the card's state is being asserted at the issuer again; outside the overlay.
    pub reconcile: Option<u32>,
    /// Posted balance in minor units of `currency`; always 0 for a card funded by the wallet.
    pub balance: Minor,
    /// Held of it.
    pub held: Minor,
    /// First four digits, 0–9999; known once the issuer made it.
    pub first4: Option<u16>,
    /// Last four digits, 0–9999.
    pub last4: Option<u16>,
    /// Expiry month: `year × 12 + month − 1`.
    pub expiry: Option<u16>,
    /// The issuer's id of the card.
    pub issuer_card: Option<Text>,
    /// The limits that bind now.
    pub limits: Limits,
    /// Most that is approved on a card-present purchase without a PIN.
    pub no_pin: Option<Minor>,
    /// How much of the limits is used; ask [`Usage::on`] for a day.
    pub usage: Usage,
    /// Card name, name on card, delivery address: ciphertext.
    pub profile: Sealed,
    /// The courier; empty: none.
    pub provider: Text,
    /// The invoice that paid for it; 0: none.
    pub invoice: u64,
    /// When it was asked for, ms since 1970.
    pub created_ms: u64,
    /// When it last changed, money included, ms since 1970.
    pub updated_ms: u64,
    /// Why the issuer refused the last thing it was asked for it; cleared by the next change.
    pub refusal: Option<RefusalCode>,
    /// The last entry that changed it.
    pub position: Position,
    /// Position of the entry that asked for it, and the event in it.
    pub requested: (Position, u32),
}

impl CardRow {
    /// What can be spent of its own balance; below zero: owed. Balances were checked when they were decided.
    pub const fn available(&self) -> Minor {
        self.balance.fold_minus(self.held)
    }
}

impl Row for CardRow {
    const NAME: &'static str = "cards";
}

/// A change that waits for the issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRow {
    /// What was asked, and what it leads to.
    pub kind: PendingKind,
    /// Its id at the issuer.
    pub request: RequestId,
    /// Its change number.
    pub change: u32,
    /// Since when, ms since 1970.
    pub since_ms: u64,
    /// Until when it should be settled, ms since 1970.
    pub deadline_ms: u64,
    /// Past its deadline, holding and alarming.
    pub overdue: bool,
    /// An issuance past its deadline that the issuer is asked to give up.
    pub abandoned: bool,
}

/// What a pending change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PendingKind {
    /// The issuance itself.
    Issue,
    /// A change of status.
    Status {
        /// What was asked.
        what: Change,
        /// The state it leads to.
        target: Status,
        /// Who asked.
        cause: Cause,
    },
    /// A change of limits.
    Limits {
        /// The limits asked for.
        target: Limits,
        /// The limits before, which a refusal restores.
        before: Limits,
    },
}

/// A pending change with the card it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCard {
    /// The card.
    pub card: CardId,
    /// Whose.
    pub account: AccountId,
    /// The tenant.
    pub company: Text,
    /// The change.
    pub pending: PendingRow,
}

pub(crate) fn key(card: CardId) -> Key {
    Key::of(Table::Card).bytes(&card.0)
}

pub(crate) fn of_account(account: AccountId) -> Key {
    Key::of(Table::CardOfAccount).bytes(&account.0)
}

pub(crate) fn of_account_key(account: AccountId, created_ms: u64, card: CardId) -> Key {
    of_account(account).newest(created_ms).bytes(&card.0)
}

pub(crate) fn by_number_key(number: u64) -> Key {
    Key::of(Table::CardByNumber).u64(number)
}

pub(crate) fn by_issuer_key(issuer_card: &str) -> Key {
    Key::of(Table::CardByIssuer).bytes(issuer_card.as_bytes())
}

pub(crate) fn pending_key(card: CardId) -> Key {
    Key::of(Table::CardPending).bytes(&card.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::row::{decode, encode};

    pub(crate) fn sample() -> CardRow {
        CardRow {
            card: CardId([7; 16]),
            account: AccountId([8; 16]),
            company: "demo".into(),
            number: 42,
            programme: ProgrammeCode::Dashboard,
            kind: CardKind::Virtual,
            funding: Funding::Prepaid,
            currency: Asset::USD,
            status: Status::Active,
            previous_status: Some(Status::NotActivated),
            before_closing: None,
            cause: Cause::System,
            fraud: false,
            activated: true,
            tries: 0,
            pending: Some(PendingRow {
                kind: PendingKind::Limits {
                    target: Limits::default(),
                    before: Limits { daily: Some(Minor(5)), ..Limits::default() },
                },
                request: RequestId([9; 16]),
                change: 3,
                since_ms: 1,
                deadline_ms: 2,
                overdue: true,
                abandoned: false,
            }),
            reconcile: Some(4),
            balance: Minor(10_000),
            held: Minor(250),
            first4: Some(4000),
            last4: Some(42),
            expiry: Some(2030 * 12 + 4),
            issuer_card: Some("iss-1".into()),
            limits: Limits::default(),
            no_pin: Some(Minor(5_000)),
            usage: Usage::default(),
            profile: Sealed(vec![1, 2, 3]),
            provider: Text::new(),
            invoice: 0,
            created_ms: 1,
            updated_ms: 2,
            refusal: Some(RefusalCode::Declined),
            position: Position::new(5, 6),
            requested: (Position::new(1, 2), 0),
        }
    }

    #[test]
    fn a_card_reads_back_as_written() {
        let row = sample();
        assert_eq!(decode::<CardRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
    }

    #[test]
    fn cards_of_an_account_sort_newest_first_then_by_id() {
        let account = AccountId([1; 16]);
        let keys = [(20, 9), (10, 1), (10, 2)]
            .map(|(ms, id)| of_account_key(account, ms, CardId([id; 16])).as_slice().to_vec());
        assert!(keys.is_sorted());
    }

    #[test]
    fn numbers_sort_as_numbers() {
        let keys = [1, 255, 256, 65_536].map(|number| by_number_key(number).as_slice().to_vec());
        assert!(keys.is_sorted());
    }

    #[test]
    fn available_is_balance_less_held() {
        assert_eq!(sample().available(), Minor(9_750));
    }
}
