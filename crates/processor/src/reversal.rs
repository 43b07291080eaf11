//! What is undone when the caller of an approved authorization has given up on it.

use florin_engine::{
    command::{Class, Command, Envelope, Reverse},
    event::Event,
    ids::{AccountId, AuthorizationId, CardId, Digest, Key},
    money::Minor,
};

/// The reversal of one approval. Its key derives from the approval's, so that it happens once however often it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Reversal {
    account: AccountId,
    actor: u64,
    key: Key,
    digest: Digest,
    dated_ms: u64,
    card: CardId,
    authorization: AuthorizationId,
    amount: Option<Minor>,
}

impl Reversal {
    /// The reversal of an accepted command, if it approved anything: all of an authorization, or what an increment
    /// added.
    pub(crate) fn of(envelope: &Envelope, events: &[Event]) -> Option<Self> {
        if envelope.class != Class::Network {
            return None;
        }
        let (card, authorization, amount) = match &envelope.command {
            Command::Authorize(asked) if events.iter().any(|event| matches!(event, Event::Authorized(_))) => {
                (asked.card, asked.authorization, None)
            }
            Command::Increment(asked) if events.iter().any(|event| matches!(event, Event::HoldIncremented(_))) => {
                (asked.card, asked.authorization, Some(asked.amount))
            }
            _ => return None,
        };
        Some(Self {
            account: envelope.account,
            actor: envelope.actor,
            key: envelope.key,
            digest: envelope.digest,
            dated_ms: envelope.dated_ms,
            card,
            authorization,
            amount,
        })
    }

    /// The reversal of an authorization that its caller gave up on without knowing what came of it: it reverses what was
    /// approved, or kills what is still to come, under the same key as [`Reversal::of`].
    pub(crate) fn of_given_up(envelope: &Envelope) -> Option<Self> {
        let Command::Authorize(asked) = &envelope.command else { return None };
        Some(Self {
            account: envelope.account,
            actor: envelope.actor,
            key: envelope.key,
            digest: envelope.digest,
            dated_ms: envelope.dated_ms,
            card: asked.card,
            authorization: asked.authorization,
            amount: None,
        })
    }

    /// The key under which what `key` approved is reversed.
    pub(crate) fn key(account: AccountId, key: Key) -> Key {
        let mut reversal = *b"reversal................";
        reversal[8..].copy_from_slice(&key.0);
        Key::of(account, &reversal)
    }

    /// The command that reverses it.
    pub(crate) fn envelope(self) -> Envelope {
        // Derived from a digest that is itself keyed, so it says no more about the content than that one.
        let mut digest = Digest::default();
        let hash = blake3::derive_key("florin 2026 digest of a reversal", &self.digest.0);
        digest.0.copy_from_slice(&hash[..16]);
        Envelope {
            account: self.account,
            class: Class::Network,
            actor: self.actor,
            key: Self::key(self.account, self.key),
            digest,
            dated_ms: self.dated_ms,
            command: Reverse { card: self.card, authorization: self.authorization, amount: self.amount }.into(),
        }
    }
}
