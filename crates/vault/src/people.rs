//! What the vault keeps of one person: the wrapped data key and the way back, or a tombstone. Codec and bounds together.
//!
//! ```text
//! living   0 version = 1 | 1 state = 1 | 2..10 slot of the shred, little-endian | 10..83 data key, sealed (see sealed.rs)
//!          83.. way back, sealed under a key derived from the data key
//! erased   0 version = 1 | 1 state = 0
//! way back 0..2 length of the company, little-endian | company | user
//! ```

use std::fmt;

use zeroize::Zeroizing;

use crate::Error;
use crate::keys::KEY_BYTES;
use crate::sealed::OVERHEAD;

/// The longest company or user id, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 1024;
/// Bytes of a sealed data key.
pub(crate) const WRAPPED_BYTES: usize = KEY_BYTES + OVERHEAD;

const VERSION: u8 = 1;
const ERASED: u8 = 0;
const LIVING: u8 = 1;

/// Whom an account belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// The company (tenant).
    pub company: String,
    /// The company's own id of the user.
    pub user: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").finish_non_exhaustive()
    }
}

impl Person {
    /// The plaintext of the way back.
    pub(crate) fn encode(company: &str, user: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let too_long = |what| Error::TooLong { what, bound: ID_BYTES_MAX };
        if user.len() > ID_BYTES_MAX {
            return Err(too_long("the user id"));
        }
        let length = u16::try_from(company.len())
            .ok()
            .filter(|length| usize::from(*length) <= ID_BYTES_MAX)
            .ok_or_else(|| too_long("the company id"))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 + company.len() + user.len()));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(company.as_bytes());
        bytes.extend_from_slice(user.as_bytes());
        Ok(bytes)
    }

    /// Reads the plaintext of the way back.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = Error::Damaged("a way back does not decode");
        let parsed = bytes.split_first_chunk::<2>().and_then(|(length, rest)| {
            let (company, user) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
            Some(Self {
                company: std::str::from_utf8(company).ok()?.to_owned(),
                user: std::str::from_utf8(user).ok()?.to_owned(),
            })
        });
        parsed.ok_or(damaged)
    }
}

/// One row of the people table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The key was destroyed.
    Erased,
    /// The person can be found.
    Living { slot: u64, wrapped: Vec<u8>, way_back: Vec<u8> },
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Erased => vec![VERSION, ERASED],
            Self::Living { slot, wrapped, way_back } => {
                debug_assert_eq!(wrapped.len(), WRAPPED_BYTES);
                let mut bytes = Vec::with_capacity(10 + wrapped.len() + way_back.len());
                bytes.extend_from_slice(&[VERSION, LIVING]);
                bytes.extend_from_slice(&slot.to_le_bytes());
                bytes.extend_from_slice(wrapped);
                bytes.extend_from_slice(way_back);
                bytes
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = Error::Damaged("a record of a person does not decode");
        match bytes {
            [VERSION, ERASED] => Ok(Self::Erased),
            [VERSION, LIVING, rest @ ..] => {
                let parsed = rest.split_first_chunk::<8>().and_then(|(slot, rest)| {
                    let (wrapped, way_back) = rest.split_at_checked(WRAPPED_BYTES)?;
                    Some(Self::Living {
                        slot: u64::from_le_bytes(*slot),
                        wrapped: wrapped.to_vec(),
                        way_back: way_back.to_vec(),
                    })
                });
                parsed.ok_or(damaged)
            }
            [VERSION, ..] | [] => Err(damaged),
            [version, ..] => Err(Error::Version(*version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_stay_what_they_were() {
        let living = Record::Living { slot: 0x0102, wrapped: vec![0xaa; WRAPPED_BYTES], way_back: vec![0xbb; 3] };
        let mut golden = vec![1, 1, 2, 1, 0, 0, 0, 0, 0, 0];
        golden.extend_from_slice(&[0xaa; 73]);
        golden.extend_from_slice(&[0xbb; 3]);
        assert_eq!(living.encode(), golden);
        assert_eq!(Record::decode(&golden).expect("decodes"), living);
        assert_eq!(Record::Erased.encode(), [1, 0]);
        assert_eq!(Record::decode(&[1, 0]).expect("decodes"), Record::Erased);
    }

    #[test]
    fn the_way_back_stays_what_it_was() {
        let bytes = Person::encode("demo", "alice").expect("encodes");
        assert_eq!(bytes.as_slice(), b"\x04\0demoalice");
        let person = Person::decode(&bytes).expect("decodes");
        assert_eq!((person.company.as_str(), person.user.as_str()), ("demo", "alice"));
        assert!(!format!("{person:?}").contains("alice"));
    }

    #[test]
    fn what_does_not_fit_is_damage_and_a_newer_version_says_so() {
        for bytes in [&[][..], &[1], &[1, 2], &[1, 0, 0], &[1, 1, 0, 0]] {
            assert!(matches!(Record::decode(bytes), Err(Error::Damaged(_))), "{bytes:?}");
        }
        assert!(matches!(Record::decode(&[2, 1]), Err(Error::Version(2))));
        assert!(matches!(Person::decode(b"\x05\0demo"), Err(Error::Damaged(_))));
        assert!(matches!(Person::encode("demo", &"x".repeat(ID_BYTES_MAX + 1)), Err(Error::TooLong { .. })));
    }
}
