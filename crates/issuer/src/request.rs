//! What Florin asks of an issuer.

use std::fmt;

use florin_vault::Account;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The vault context under which [`IssueRequest::sealed_profile`] is sealed, as JSON of [`Profile`].
pub const PROFILE_CONTEXT: &str = "card-profile";

/// The form of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number to pay with.
    Virtual,
    /// Plastic in the mail; has a PIN.
    Physical,
}

/// A card's status as the issuer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardStatus {
    /// Made and not yet activated.
    NotActivated,
    /// In use.
    Active,
    /// Stopped by its user.
    Frozen,
    /// Stopped by the programme or the issuer.
    Blocked,
    /// Closed; final.
    Terminated,
}

/// Limits of a card in minor units of its currency. None is no limit; 0 lets nothing through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most in one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u64>,
    /// The most in one UTC calendar day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<u64>,
    /// The most in one UTC calendar month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<u64>,
    /// The most in the card's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
    /// The most without a PIN where the card is present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_pin: Option<u64>,
}

/// Make a card.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// The request's own id, which makes it idempotent.
    pub request_id: Uuid,
    /// Our id of the card to be; the issuer stores and echoes it.
    pub card_id: Uuid,
    /// The account it is for.
    pub account: Account,
    /// Virtual or physical.
    pub kind: Kind,
    /// ISO 4217 code.
    pub currency: String,
    /// Names and address, sealed in the vault under [`PROFILE_CONTEXT`]; the adapter opens it at the last moment. When the
    /// user has been erased meanwhile, the request goes without.
    pub sealed_profile: Option<Vec<u8>>,
    /// Limits from the start.
    pub limits: Limits,
}

/// Bring a card to a status.
#[derive(Clone, Debug)]
pub struct StatusRequest {
    /// The request's own id.
    pub request_id: Uuid,
    /// Our id of the card.
    pub card_id: Uuid,
    /// The card's change number; lower ones than the last accepted are stale.
    pub change: u32,
    /// The status to reach.
    pub status: CardStatus,
}

/// Replace the limits of a card.
#[derive(Clone, Debug)]
pub struct LimitsRequest {
    /// The request's own id.
    pub request_id: Uuid,
    /// Our id of the card.
    pub card_id: Uuid,
    /// The card's change number; counted apart from that of the status.
    pub change: u32,
    /// All limits as they shall be.
    pub limits: Limits,
}

/// Personal data that an issuance needs; its `Debug` shows none.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What the user calls the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_name: Option<String>,
    /// What is embossed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_on_card: Option<String>,
    /// Where plastic goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_address: Option<Address>,
}

/// A postal address; its `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// First line.
    pub line1: String,
    /// Second line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// City.
    pub city: String,
    /// State or region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Postal code.
    pub zip_code: String,
    /// ISO 3166 code.
    pub country: String,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").finish_non_exhaustive()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

/// Opens the profile of a request at the last moment. None when there is none, or the user was erased.
pub(crate) fn open_profile(
    vault: Option<&florin_vault::Vault>,
    request: &IssueRequest,
) -> Result<Option<Profile>, crate::Error> {
    let (Some(vault), Some(sealed)) = (vault, &request.sealed_profile) else {
        return Ok(None);
    };
    match vault.open_sealed(request.account, PROFILE_CONTEXT, sealed) {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            // The cause could quote the profile, so it is left out.
            .map_err(|_| crate::Error::Profile(florin_vault::Error::Damaged("a card profile is not its JSON"))),
        Err(florin_vault::Error::Erased) => Ok(None),
        Err(error) => Err(crate::Error::Profile(error)),
    }
}
