//! Authorizations: each with what is held, cleared and refunded of it, and where the money comes from.

use florin_engine::{
    command::Merchant,
    ids::{AccountId, AuthorizationId, CardId, Position},
    limits::Used,
    money::{Asset, Minor},
    terms::Decline,
};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Place, Table},
    row::Row,
    transactions::TransactionStatus,
};

/// An authorization, declined ones and force posts included. Stays when the engine forgets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRow {
    /// The authorization.
    pub authorization: AuthorizationId,
    /// Whose.
    pub account: AccountId,
    /// On which card.
    pub card: CardId,
    /// The card's currency; the amounts below are in its minor units.
    pub currency: Asset,
    /// What was authorized, increments included; for a declined one what was asked for.
    pub authorized: Minor,
    /// Still held.
    pub held: Minor,
    /// Cleared or force-posted in all.
    pub cleared: Minor,
    /// Refunded against it.
    pub refunded: Minor,
    /// Source by source.
    pub sources: Vec<SourceRow>,
    /// As its transaction is shown.
    pub status: TransactionStatus,
    /// Whether the hold is open.
    pub open: bool,
    /// When the hold expires, ms since 1970; 0: there was none.
    pub expires_at_ms: u64,
    /// Where.
    pub merchant: Merchant,
    /// Why it was declined.
    pub decline: Option<Decline>,
    /// What it used of the limits, and when.
    pub used: Vec<Used>,
    /// When it came, ms since 1970.
    pub created_ms: u64,
    /// When it last changed, ms since 1970.
    pub updated_ms: u64,
    /// The entry that made it.
    pub position: Position,
    /// The event in that entry.
    pub event: u32,
}

impl AuthorizationRow {
    /// The place of its purchase on statements.
    pub(crate) const fn place(&self) -> Place {
        Place { position: self.position, event: self.event }
    }

    pub(crate) fn source(&mut self, wallet: bool, asset: Asset) -> &mut SourceRow {
        let at =
            self.sources.iter().position(|source| source.wallet == wallet && source.asset == asset).unwrap_or_else(
                || {
                    self.sources.push(SourceRow {
                        wallet,
                        asset,
                        authorized: Minor::ZERO,
                        held: Minor::ZERO,
                        cleared: Minor::ZERO,
                        refunded: Minor::ZERO,
                    });
                    self.sources.len() - 1
                },
            );
        &mut self.sources[at]
    }
}

impl Row for AuthorizationRow {
    const NAME: &'static str = "authorizations";
}

/// What an authorization draws from one source, in minor units of its asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// The wallet of `asset`; else the card's own balance.
    pub wallet: bool,
    /// Which asset.
    pub asset: Asset,
    /// Was held in all.
    pub authorized: Minor,
    /// Still held.
    pub held: Minor,
    /// Drawn.
    pub cleared: Minor,
    /// Given back.
    pub refunded: Minor,
}

pub(crate) fn key(authorization: AuthorizationId) -> Key {
    Key::of(Table::Authorization).bytes(&authorization.0)
}

pub(crate) fn holds_of(account: AccountId) -> Key {
    Key::of(Table::Hold).bytes(&account.0)
}

pub(crate) fn hold_key(account: AccountId, authorization: AuthorizationId) -> Key {
    holds_of(account).bytes(&authorization.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn an_authorization_reads_back_as_written() {
        let mut row = AuthorizationRow {
            authorization: AuthorizationId([1; 16]),
            account: AccountId([2; 16]),
            card: CardId([3; 16]),
            currency: Asset::USD,
            authorized: Minor(100),
            held: Minor(60),
            cleared: Minor(40),
            refunded: Minor::ZERO,
            sources: Vec::new(),
            status: TransactionStatus::Pending,
            open: true,
            expires_at_ms: 7,
            merchant: Merchant { name: "cafe".into(), mcc: 5812, ..Merchant::default() },
            decline: None,
            used: vec![Used { at: florin_engine::limits::Day::of(0), amount: Minor(100) }],
            created_ms: 1,
            updated_ms: 2,
            position: Position::new(3, 4),
            event: 1,
        };
        row.source(true, Asset::USD).held = Minor(60);
        row.source(true, Asset::USD).cleared = Minor(40);
        assert_eq!(row.sources.len(), 1, "one row per source");
        assert_eq!(decode::<AuthorizationRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
    }
}
