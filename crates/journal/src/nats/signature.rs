//! Who wrote a message: the writer's signature in its header, and the keys that the stream's configuration names.
//!
//! A server stores its answers under whatever subject a question names for them, so whoever may ask can have a message of
//! its own making stored in a journal's stream. Such a message lacks the signature. The keys are in the stream's
//! description, which only who administers the servers can write.

use async_nats::jetstream::stream::Config;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::rule::Origin;
use super::stream::Message;
use crate::hash::{hex, unhex};
use crate::header::Header;
use crate::record::Loose;
use crate::{Corruption, Error, Hash, LedgerId, PartitionId};

/// Header of a message with its writer's Ed25519 signature, 128 hexadecimal digits.
pub const HEADER: &str = "Florin-Signature";
/// What signatures are about; prefixed to the signed bytes.
const DOMAIN: &[u8; 16] = b"florin record v1";

/// What is signed: domain, ledger, partition, expected sequence, record hash; numbers little-endian.
pub fn input(ledger: LedgerId, partition: PartitionId, expected: u64, record: Hash) -> [u8; 74] {
    let mut bytes = [0; 74];
    bytes[..16].copy_from_slice(DOMAIN);
    bytes[16..32].copy_from_slice(&ledger.0);
    bytes[32..34].copy_from_slice(&partition.0.to_le_bytes());
    bytes[34..42].copy_from_slice(&expected.to_le_bytes());
    bytes[42..].copy_from_slice(&record.0);
    bytes
}

/// The header's value for a record that is published where the stream ends with `expected`. About 25 µs.
pub fn sign(key: &SigningKey, ledger: LedgerId, partition: PartitionId, expected: u64, record: Hash) -> String {
    hex(&key.sign(&input(ledger, partition, expected, record)).to_bytes())
}

/// A stream's description, which names the keys of those who write it.
pub fn description(partition: PartitionId, keys: &[VerifyingKey]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| hex(key.as_bytes())).collect();
    format!("{}{}", lead(partition), keys.join(","))
}

fn lead(partition: PartitionId) -> String {
    format!("Florin journal, partition {}; writer keys ", partition.0)
}

/// A message with what is known of its origin.
pub(super) struct Origined {
    pub(super) sequence: u64,
    pub(super) origin: Origin,
    pub(super) record: Result<Loose, Corruption>,
}

/// The keys whose signatures count in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WriterKeys {
    partition: PartitionId,
    keys: Vec<VerifyingKey>,
}

impl WriterKeys {
    /// Reads them from a stream's configuration.
    pub(super) fn of(config: &Config, partition: PartitionId) -> Result<Self, Error> {
        let lead = lead(partition);
        let listed = config.description.as_deref().and_then(|text| text.strip_prefix(&lead));
        let keys = listed.and_then(|list| list.split(',').map(|key| parse(key.trim())).collect::<Option<Vec<_>>>());
        let keys = keys.ok_or_else(|| {
            Error::Unfit(format!(
                "stream {} is not configured as a journal must be: its description must be \"{lead}<keys>\", with the \
                 public keys (64 hexadecimal digits each, commas between) of all who write or ever wrote it; mend it \
                 with `nats stream edit --description`",
                config.name
            ))
        })?;
        Ok(Self { partition, keys })
    }

    /// Refuses a signing key whose messages nobody would take for a writer's.
    pub(super) fn admit(&self, signing: &SigningKey) -> Result<(), Error> {
        let key = signing.verifying_key();
        if self.keys.contains(&key) {
            return Ok(());
        }
        let mut all = self.keys.clone();
        all.push(key);
        Err(Error::Unfit(format!(
            "this process signs with the key {}, which is not a writer key of partition {}: use the ledger's signing \
             key, or, to replace it by this one, let an administrator add this one to those in the stream's description, \
             of every partition, and keep the old (what it signed must stay good): `nats stream edit STREAM \
             --description \"{}\"`",
            hex(key.as_bytes()),
            self.partition,
            description(self.partition, &all)
        )))
    }

    pub(super) fn list(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Says where a message comes from, and decodes it. About 50 µs, and hashing the record.
    pub(super) fn examine(&self, ledger: LedgerId, message: Message) -> Origined {
        let Message { sequence, expected, signature, payload } = message;
        let header = Header::decode(&payload).map(|(_, hash)| hash);
        let origin = match (expected, header, signature) {
            (None, ..) => Origin::Unexpected,
            (Some(expected), Ok(hash), Some(signature)) if self.verify(ledger, expected, hash, &signature) => {
                Origin::Writer { expected }
            }
            _ => Origin::Unsigned,
        };
        Origined { sequence, origin, record: Loose::decode(payload) }
    }

    fn verify(&self, ledger: LedgerId, expected: u64, record: Hash, signature: &[u8; 64]) -> bool {
        let input = input(ledger, self.partition, expected, record);
        let signature = Signature::from_bytes(signature);
        self.keys.iter().any(|key| key.verify_strict(&input, &signature).is_ok())
    }
}

fn parse(key: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(&unhex(key)?).ok().filter(|key| !key.is_weak())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_bytes_and_description_are_as_the_protocol_says() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let (ledger, partition, record) = (LedgerId([1; 16]), PartitionId(0x0203), Hash([4; 32]));
        let expected = [
            "666c6f72696e207265636f7264207631",
            "01010101010101010101010101010101",
            "0302",
            "0c0b0a0900000000",
            "0404040404040404040404040404040404040404040404040404040404040404",
        ];
        assert_eq!(hex(&input(ledger, partition, 0x090a_0b0c, record)), expected.concat());
        assert_eq!(
            sign(&key, ledger, partition, 0x090a_0b0c, record),
            "ee8f09046f11e652d73ff9bd24dffa39ea9fef1f10470507ea70b2e19b0c4ff54430585b1dedd91fe5206ad1f999938c8521a9854bbb396f58675272d674200e"
        );
        assert_eq!(
            description(PartitionId(3), &[key.verifying_key()]),
            "Florin journal, partition 3; writer keys ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"
        );
    }

    #[test]
    fn only_a_description_that_names_keys_is_taken() {
        let keys = [[7; 32], [8; 32]].map(|secret| SigningKey::from_bytes(&secret));
        let public = keys.each_ref().map(SigningKey::verifying_key);
        let config = |text: &str| Config { description: Some(text.into()), ..Config::default() };
        let good = description(PartitionId(1), &public);
        let read = WriterKeys::of(&config(&good), PartitionId(1)).expect("two keys");
        assert_eq!(read.list(), public);
        for key in &keys {
            read.admit(key).expect("listed");
        }
        let refused = read.admit(&SigningKey::from_bytes(&[9; 32])).expect_err("a stranger").to_string();
        assert!(refused.contains(&good) && refused.contains("nats stream edit"), "{refused}");
        let cut = &good[..good.len() - 1];
        for bad in ["", "Florin journal, partition 1; writer keys ", cut, &description(PartitionId(2), &public)] {
            let refused = WriterKeys::of(&config(bad), PartitionId(1)).expect_err("no keys").to_string();
            assert!(refused.contains("description"), "{refused}");
        }
    }
}
