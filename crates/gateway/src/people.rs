//! People: from a company and its id of a user to the account, its content digests and its sealed texts.

use florin_engine::{
    ids::{AccountId, Digest},
    money::Sealed,
};
use florin_issuer::Profile;
use florin_projector::CardRow;
use florin_vault::Vault;

use crate::http::{idempotency::Content, problem::Problem};

/// Most bytes of a company's id of a user.
pub const USER_BYTES_MAX: usize = 255;

/// The vault's context of the address a reveal was asked from.
pub const REVEAL_CONTEXT: &str = "reveal-address";

/// The account of a user, registered or not; no look-up is needed.
pub fn account(vault: &Vault, partitions: u16, company: &str, user: &str) -> AccountId {
    AccountId::from_pseudonym(vault.pseudonym(company, user), partitions)
}

/// The digest of a content under the user's key. A user who was never registered or is erased is [`Problem::NotFound`].
pub fn digest(vault: &Vault, account: AccountId, content: &Content) -> Result<Digest, Problem> {
    vault.digest(account.0, content.bytes()).map(Digest).map_err(|error| problem(&error))
}

/// Seals a text of the user's under the user's key; [`Problem::NotFound`] as with [`digest`].
pub fn seal(vault: &Vault, account: AccountId, context: &'static str, text: &[u8]) -> Result<Sealed, Problem> {
    vault.seal(account.0, context, text).map(Sealed).map_err(|error| problem(&error))
}

/// Opens a text of the user's; `None` where nothing was sealed or the user is erased.
pub fn open(
    vault: &Vault,
    account: AccountId,
    context: &'static str,
    sealed: &Sealed,
) -> Result<Option<Vec<u8>>, Problem> {
    if sealed.0.is_empty() {
        return Ok(None);
    }
    match vault.open_sealed(account.0, context, &sealed.0) {
        Ok(text) => Ok(Some(text.to_vec())),
        Err(florin_vault::Error::Erased | florin_vault::Error::Unknown) => Ok(None),
        Err(error) => Err(problem(&error)),
    }
}

/// The names and the address that a card was asked for with; all empty where none were given or the user is erased.
pub fn profile(vault: &Vault, row: &CardRow) -> Result<Profile, Problem> {
    let Some(profile) = open(vault, row.account, florin_issuer::PROFILE_CONTEXT, &row.profile)? else {
        return Ok(Profile::default());
    };
    serde_json::from_slice(&profile).map_err(|error| Problem::internal("a card's profile is not its JSON", &error))
}

fn problem(error: &florin_vault::Error) -> Problem {
    match error {
        florin_vault::Error::Unknown | florin_vault::Error::Erased => Problem::NotFound,
        florin_vault::Error::Unreachable(_) => Problem::Busy { retry_after_s: 1 },
        error => Problem::internal("the vault failed", error),
    }
}
