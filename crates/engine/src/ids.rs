//! Ids: who and what a command is about.
//!
//! An id that Florin mints is a UUIDv8 whose 12 bits beside the version say the partition, so that any id can be
//! routed without a look-up. Minted ids are derived from (account, idempotency key, kind): a retry mints the same.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::human;

/// Most partitions a ledger may have: what 12 bits can say.
pub const PARTITIONS_MAX: u16 = 4096;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.collect_str(&self.uuid());
                }
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    return human::text(deserializer, "a UUID", |text| Uuid::parse_str(text).ok().map(Self::from));
                }
                Deserialize::deserialize(deserializer).map(Self)
            }
        }

        impl $name {
            /// The id as a UUID.
            pub const fn uuid(&self) -> Uuid {
                Uuid::from_bytes(self.0)
            }

            /// The partition that a minted id carries.
            pub const fn partition(&self) -> u16 {
                partition_of(&self.0)
            }

            /// All zero: names nothing.
            pub const NIL: Self = Self([0; 16]);

            /// Whether it names nothing.
            pub fn is_nil(&self) -> bool {
                self.0 == [0; 16]
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.uuid(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.uuid(), f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id.into_bytes())
            }
        }
    };
}

id!(
    /// One user of one company: a keyed pseudonym, see [`AccountId::from_pseudonym`].
    AccountId
);
id!(
    /// A card.
    CardId
);
id!(
    /// A card authorization, with its hold, clearings and refunds.
    AuthorizationId
);
id!(
    /// An appeal against a block.
    AppealId
);
id!(
    /// A request for a card that somebody approves.
    CardRequestId
);
id!(
    /// One asynchronous change of one card, as the issuer knows it: its idempotency key there.
    RequestId
);
id!(
    /// A line of a statement.
    TransactionId
);

/// Fingerprint of an idempotency key, scoped to the account it came with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(#[serde(with = "human::sixteen")] pub [u8; 16]);

impl Key {
    /// The fingerprint of a client's key (1–255 bytes) for one account.
    pub fn of(account: AccountId, key: &[u8]) -> Self {
        Self(hash16("florin 2026 idempotency key", &[&account.0, key]))
    }
}

/// Keyed digest of a command's plaintext content; see the vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "human::sixteen")] pub [u8; 16]);

/// What kind of thing an id is minted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A card.
    Card,
    /// An authorization.
    Authorization,
    /// An appeal.
    Appeal,
    /// A card request.
    CardRequest,
}

/// Mints the id of what `key` makes for `account`; carries the account's partition.
pub fn mint(account: AccountId, key: Key, kind: Kind) -> [u8; 16] {
    let id = hash16("florin 2026 minted id", &[&account.0, &key.0, &[kind as u8]]);
    version_8(id, account.partition())
}

/// The request id of change `change` of a card.
pub fn request_id(card: CardId, change: u32) -> RequestId {
    let id = hash16("florin 2026 change request", &[&card.0, &change.to_le_bytes()]);
    RequestId(version_8(id, card.partition()))
}

/// The id of the transaction that event `event` of the entry at `position` makes.
pub fn transaction_id(partition: u16, position: Position, event: u32) -> TransactionId {
    let id =
        hash16("florin 2026 transaction", &[&partition.to_le_bytes(), &position.0.to_le_bytes(), &event.to_le_bytes()]);
    TransactionId(version_8(id, partition))
}

impl AccountId {
    /// The account of a pseudonym (16 keyed pseudorandom bytes) in a ledger of `partitions` partitions.
    pub fn from_pseudonym(pseudonym: [u8; 16], partitions: u16) -> Self {
        let spread = u32::from_le_bytes([pseudonym[0], pseudonym[1], pseudonym[2], pseudonym[3]]);
        let partition = spread % u32::from(partitions.max(1));
        Self(version_8(pseudonym, u16::try_from(partition).unwrap_or(0)))
    }

    /// The account that entries of the partition itself (policy, checkpoints) name.
    pub const fn of_partition(partition: u16) -> Self {
        Self(version_8([0; 16], partition))
    }
}

/// Where an entry stands in its partition's journal: record index, then entry number within the record.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return human::text(deserializer, "a position as record.entry", |text| {
                let (index, entry) = text.split_once('.')?;
                Some(Self::new(index.parse().ok()?, entry.parse().ok()?))
            });
        }
        Deserialize::deserialize(deserializer).map(Self)
    }
}

impl Position {
    const ENTRY_BITS: u32 = 20;

    /// Entry `entry` of record `index`. A record holds fewer than 2²⁰ entries, a journal fewer than 2⁴⁴ records.
    pub const fn new(index: u64, entry: u32) -> Self {
        Self((index << Self::ENTRY_BITS) | (entry as u64 & 0xF_FFFF))
    }

    /// The record's index.
    pub const fn index(self) -> u64 {
        self.0 >> Self::ENTRY_BITS
    }

    /// The entry's number within the record, from 0.
    pub const fn entry(self) -> u32 {
        (self.0 & 0xF_FFFF) as u32
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.entry())
    }
}

const fn partition_of(id: &[u8; 16]) -> u16 {
    ((id[6] as u16 & 0x0F) << 8) | id[7] as u16
}

/// RFC 9562 version 8: version in the high nibble of byte 6, variant in byte 8; the 12 bits between say the partition.
#[expect(clippy::cast_possible_truncation, reason = "the two halves of 12 bits")]
const fn version_8(mut id: [u8; 16], partition: u16) -> [u8; 16] {
    id[6] = 0x80 | ((partition >> 8) as u8 & 0x0F);
    id[7] = partition as u8;
    id[8] = 0x80 | (id[8] & 0x3F);
    id
}

/// First 16 bytes of BLAKE3 in derive-key mode over the length-prefixed parts.
fn hash16(context: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id
}
