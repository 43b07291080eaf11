//! Accounts: who a user is to the rules, without anything personal.

use florin_engine::{
    ids::AccountId,
    money::{Country, Text},
    people::Verification,
};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// A registered user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// The account.
    pub account: AccountId,
    /// The tenant.
    pub company: Text,
    /// The user's country.
    pub country: Country,
    /// Status and levels, once set.
    pub verification: Option<Verification>,
    /// When it was registered, ms since 1970.
    pub registered_ms: u64,
}

impl Row for AccountRow {
    const NAME: &'static str = "accounts";
}

pub(crate) fn key(account: AccountId) -> Key {
    Key::of(Table::Account).bytes(&account.0)
}

#[cfg(test)]
mod tests {
    use florin_engine::people::{VerificationLevel, VerificationStatus};

    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn an_account_reads_back_as_written() {
        let row = AccountRow {
            account: AccountId([3; 16]),
            company: "demo".into(),
            country: Country::parse("GB").expect("a country"),
            verification: Some(Verification {
                status: VerificationStatus::Approved,
                levels: vec![VerificationLevel {
                    code: "SDD".into(),
                    status: VerificationStatus::Approved,
                    name: "Simplified".into(),
                }],
            }),
            registered_ms: 17,
        };
        assert_eq!(decode::<AccountRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
    }
}
