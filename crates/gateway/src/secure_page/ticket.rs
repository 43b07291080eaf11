//! The ticket in a link: which card, until when, in which language; sealed, so that any gateway of the ledger can read it and
//! nobody else can read, make or change one.
//!
//! ```text
//! base64url of   0..16   account
//!               16..     sealed under the user's key (vault), context "secure-page":
//!                        0..16 id, random   16..32 card   32..40 actor   40..48 expires_ms   48 language, 0: the browser's
//! ```
//!
//! Numbers are little-endian. It is good for a minute, so the format may change from one release to the next.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use florin_engine::ids::{AccountId, CardId};
use florin_vault::Vault;

use super::texts::Language;
use crate::{gateway::Sender, http::problem::Problem, people};

const CONTEXT: &str = "secure-page";
const BODY_BYTES: usize = 49;
/// Most characters of a ticket.
const CHARACTERS: usize = 192;

/// What a link stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Random, and known to nobody but in the sealed ticket; it makes the reveal's idempotency key.
    pub(super) id: [u8; 16],
    pub(super) account: AccountId,
    pub(super) card: CardId,
    pub(super) actor: u64,
    /// When it expires, ms since 1970.
    pub(super) expires_ms: u64,
    /// `None`: what the browser asks for.
    pub(super) language: Option<Language>,
}

impl Ticket {
    pub(super) fn new(
        sender: Sender,
        card: CardId,
        expires_ms: u64,
        language: Option<Language>,
    ) -> Result<Self, Problem> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Problem::internal("no random bytes to be had", &error))?;
        Ok(Self { id, account: sender.account, card, actor: sender.actor, expires_ms, language })
    }

    pub(super) fn sender(&self) -> Sender {
        Sender { account: self.account, actor: self.actor }
    }

    pub(super) fn seal(&self, vault: &Vault) -> Result<String, Problem> {
        let mut body = Vec::with_capacity(BODY_BYTES);
        body.extend_from_slice(&self.id);
        body.extend_from_slice(&self.card.0);
        body.extend_from_slice(&self.actor.to_le_bytes());
        body.extend_from_slice(&self.expires_ms.to_le_bytes());
        body.push(self.language.map_or(0, Language::code));
        let sealed = people::seal(vault, self.account, CONTEXT, &body)?;
        Ok(URL_SAFE_NO_PAD.encode([&self.account.0[..], &sealed.0].concat()))
    }

    /// The ticket of a text; `None` for anything that was not sealed by this ledger for a user it still knows.
    pub(super) fn open(vault: &Vault, text: &str) -> Option<Self> {
        if text.len() > CHARACTERS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (account, sealed) = bytes.split_first_chunk::<16>()?;
        let account = AccountId(*account);
        let body = vault.open_sealed(account.0, CONTEXT, sealed).ok()?;
        let body: &[u8; BODY_BYTES] = body.as_slice().try_into().ok()?;
        let (id, rest) = body.split_first_chunk::<16>()?;
        let (card, rest) = rest.split_first_chunk::<16>()?;
        let (actor, rest) = rest.split_first_chunk::<8>()?;
        let (expires, language) = rest.split_first_chunk::<8>()?;
        Some(Self {
            id: *id,
            account,
            card: CardId(*card),
            actor: u64::from_le_bytes(*actor),
            expires_ms: u64::from_le_bytes(*expires),
            language: language.first().copied().and_then(Language::of_code),
        })
    }
}

#[cfg(test)]
mod tests {
    use florin_vault::MasterKey;

    use super::*;

    #[test]
    fn a_ticket_is_read_back_and_no_other_is() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("vault"), &MasterKey::generate().unwrap()).unwrap();
        let account = AccountId::from_pseudonym(vault.pseudonym("acme", "ann"), 1);
        let other = AccountId::from_pseudonym(vault.pseudonym("acme", "bob"), 1);
        vault.register(account.0, "acme", "ann").unwrap();
        vault.register(other.0, "acme", "bob").unwrap();
        let sender = Sender { account, actor: 7 };
        let ticket = Ticket::new(sender, CardId([9; 16]), 1_234, Some(Language::German)).unwrap();

        let text = ticket.seal(&vault).unwrap();
        assert!(text.len() <= CHARACTERS);
        assert_eq!(Ticket::open(&vault, &text), Some(ticket));
        // Two of the same are never alike
        assert_ne!(Ticket::new(sender, ticket.card, 1_234, None).unwrap().id, ticket.id);

        // Another account's name on it, any changed character, more or less of it: nothing
        let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        bytes[..16].copy_from_slice(&other.0);
        assert_eq!(Ticket::open(&vault, &URL_SAFE_NO_PAD.encode(bytes)), None);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Ticket::open(&vault, std::str::from_utf8(&forged).unwrap()), None, "{at}");
        }
        for forged in ["", "AAAA", &text[1..], &format!("{text}AAAA")] {
            assert_eq!(Ticket::open(&vault, forged), None, "{forged}");
        }
        // Nor anything that the vault sealed for the same user for another use
        let sealed = vault.seal(account.0, "card-name", &[0; BODY_BYTES]).unwrap();
        assert_eq!(Ticket::open(&vault, &URL_SAFE_NO_PAD.encode([&account.0[..], &sealed].concat())), None);

        // An erased user's tickets are worth nothing
        vault.destroy(account.0).unwrap();
        assert_eq!(Ticket::open(&vault, &text), None);
    }
}
