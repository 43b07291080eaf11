//! Sealing of what belongs to a deployment and to no user: secrets shared with companies, say.
//!
//! The format is that of [`crate::sealed`]; the key is derived from the master key for one purpose, the owner is bound by
//! its hash. There is no shredding: what is sealed is as safe as the master key.

use std::fmt;

use zeroize::Zeroizing;

use crate::keys::{self, Key};
use crate::{Error, MasterKey, sealed};

/// Context of the hash that stands for an owner's name.
const OWNER: &str = "florin vault 2026 owner of a deployment's secret v1";

/// Seals and opens for one purpose.
pub struct Sealing {
    key: Key,
    purpose: &'static str,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl MasterKey {
    /// Sealing for a purpose; `context` is a derivation context of its own, such as `florin vault 2026 webhook secrets v1`.
    pub fn sealing(&self, context: &'static str) -> Sealing {
        Sealing { key: self.derive(context), purpose: context }
    }
}

impl Sealing {
    /// Seals `plaintext` for `owner`. [`Error::TooLong`] beyond [`crate::MAX_PLAINTEXT`].
    pub fn seal(&self, owner: &str, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        sealed::seal(&self.key, &account_of(owner), self.purpose, plaintext)
    }

    /// Opens what [`seal`](Self::seal) made for the same purpose and owner, under the same master key.
    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        sealed::open(&self.key, &account_of(owner), self.purpose, sealed)
    }
}

fn account_of(owner: &str) -> [u8; 16] {
    let key = keys::derive(OWNER, &[0; keys::KEY_BYTES]);
    keys::first_16(&keys::keyed(&key, &[owner.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_owner_and_master_key_only() {
        let master = MasterKey::generate().unwrap();
        let sealing = master.sealing("florin test 2026 a");
        let sealed = sealing.seal("demo", b"secret").unwrap();
        assert_eq!(sealing.open("demo", &sealed).unwrap().as_slice(), b"secret");
        assert!(sealing.open("other", &sealed).is_err());
        assert!(master.sealing("florin test 2026 b").open("demo", &sealed).is_err());
        let other = MasterKey::generate().unwrap();
        assert!(other.sealing("florin test 2026 a").open("demo", &sealed).is_err());
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }
}
