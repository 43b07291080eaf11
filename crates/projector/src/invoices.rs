//! Invoices of order and delivery fees, newest number first.

use florin_engine::{
    ids::{AccountId, CardId},
    money::{Asset, Country, Factor, Minor, Text},
    policy::{CardKind, ProgrammeCode},
};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// Where an invoice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InvoiceStatus {
    /// Can be used until it expires.
    Open,
    /// Paid for a card.
    Used,
    /// Past its time.
    Expired,
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceRow {
    /// Whose.
    pub account: AccountId,
    /// Its number, as shown to the user.
    pub number: u64,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// For what kind of card.
    pub kind: CardKind,
    /// For which country.
    pub country: Country,
    /// The courier; empty for virtual cards.
    pub provider: Text,
    /// Order fee, in `fiat`.
    pub order_fee: Minor,
    /// Delivery fee, in `fiat`.
    pub delivery_fee: Minor,
    /// What the fees are quoted in.
    pub fiat: Asset,
    /// What it is paid in.
    pub asset: Asset,
    /// How much of that.
    pub amount: Minor,
    /// Fiat for one token, fixed.
    pub rate: Factor,
    /// Where it stands; compare `expires_at_ms` as well.
    pub status: InvoiceStatus,
    /// The card it paid for.
    pub card: Option<CardId>,
    /// When it was made, ms since 1970.
    pub created_ms: u64,
    /// Until when it can be used, ms since 1970.
    pub expires_at_ms: u64,
}

impl Row for InvoiceRow {
    const NAME: &'static str = "invoices";
}

pub(crate) fn of_account(account: AccountId) -> Key {
    Key::of(Table::Invoice).bytes(&account.0)
}

pub(crate) fn key(account: AccountId, number: u64) -> Key {
    of_account(account).newest(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn an_invoice_reads_back_as_written() {
        let row = InvoiceRow {
            account: AccountId([1; 16]),
            number: 12,
            programme: ProgrammeCode::Baas,
            kind: CardKind::Virtual,
            country: Country::parse("DE").expect("a country"),
            provider: Text::new(),
            order_fee: Minor(999),
            delivery_fee: Minor::ZERO,
            fiat: Asset::USD,
            asset: Asset::parse("USDC").expect("an asset"),
            amount: Minor(10_050_000),
            rate: Factor::ONE,
            status: InvoiceStatus::Used,
            card: Some(CardId([2; 16])),
            created_ms: 3,
            expires_at_ms: 4,
        };
        assert_eq!(decode::<InvoiceRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
        assert!(key(row.account, 13).as_slice() < key(row.account, 12).as_slice(), "newest number first");
    }
}
