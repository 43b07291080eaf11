//! Keys, digests and ids that the workers derive, so that whatever is sent again is the same again.

use florin_engine::{
    command::{Class, Command, Envelope},
    ids::{AccountId, Digest, Key},
};
use uuid::Uuid;

/// A command of a worker. `content` says all that the command says; `round` tells repetitions apart that are meant.
pub(crate) fn envelope(
    account: AccountId,
    class: Class,
    command: Command,
    content: &[u8],
    round: u64,
    now_ms: u64,
) -> Envelope {
    let code = command.code().to_le_bytes();
    Envelope {
        account,
        class,
        actor: 0,
        key: Key(hash16("florin 2026 worker key", &[&account.0, &code, content, &round.to_le_bytes()])),
        digest: Digest(hash16("florin 2026 worker content", &[&account.0, &code, content])),
        dated_ms: now_ms,
        command,
    }
}

/// The id of an issuer call that asserts a state. It depends on what is asserted and when: an issuer remembers a refusal
/// under its id for ever, and an assertion that was refused must be able to come through later. It is a version 5, so that
/// a late answer to it is told apart from the answer to a change.
pub(crate) fn assertion_id(request: [u8; 16], content: &[u8], now_ms: u64) -> Uuid {
    uuid::Builder::from_bytes(hash16("florin 2026 assertion", &[&request, content, &now_ms.to_le_bytes()]))
        .with_version(uuid::Version::Sha1)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
}

/// Whether a request id is a change's, which may be settled, and not an assertion's.
pub(crate) fn is_change(request: Uuid) -> bool {
    request.get_version_num() == 8
}

fn hash16(context: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut hash = [0; 16];
    hasher.finalize_xof().fill(&mut hash);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_is_told_apart_from_a_change() {
        let change = florin_engine::ids::request_id(florin_engine::ids::CardId([7; 16]), 3);
        assert!(is_change(change.uuid()));
        let asserted = assertion_id(change.0, b"frozen", 7);
        assert!(!is_change(asserted));
        assert_ne!(asserted, assertion_id(change.0, b"active", 7), "another state is another request");
        assert_ne!(asserted, assertion_id(change.0, b"frozen", 8), "and so is another time");
    }
}
