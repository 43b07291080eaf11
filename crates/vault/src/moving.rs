//! A vault that moves to another place, as a ledger does: embedded to NATS, or back.
//!
//! The ledger secret goes as it is, sealed under the master key, so that pseudonyms stay the same. Each user's data key is
//! wrapped anew with a shred of the new place: destroying it there is what erases the user from then on, and the old place is
//! to be destroyed as a whole. Who was erased stays so. Users who are there already are compared, so that a copy that was
//! interrupted can be made again.

use crate::keys::Key;
use crate::people::Record;
use crate::store::Store;
use crate::vault::{DATA_KEY, Vault};
use crate::{Account, Error, MasterKey, sealed};

/// Users copied at once.
const AT_ONCE: usize = 256;

impl Vault {
    /// Copies everybody to `target`, an empty store or one of an interrupted copy, and opens it; how many there are.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] when the target has a secret under another key, [`Error::Taken`] when it is another
    /// ledger's vault.
    pub(crate) fn copy_into(&self, target: &dyn Store, master: &MasterKey) -> Result<u64, Error> {
        let source = &self.0.store;
        let sealed_secret = source.secret(&|| Err(Error::Damaged("the vault has no ledger secret")))?;
        let there = target.secret(&|| Ok(sealed_secret.clone()))?;
        if crate::vault::open_secret(&there, master)? != crate::vault::open_secret(&sealed_secret, master)? {
            return Err(Error::Taken);
        }
        let accounts = source.accounts()?;
        for accounts in accounts.chunks(AT_ONCE) {
            let people = accounts.iter().map(|account| self.person_to_move(*account)).collect::<Result<Vec<_>, _>>()?;
            target.add(
                accounts,
                &|index, record| match (record, &people[index]) {
                    (Record::Erased, None) | (Record::Living { .. }, Some(_)) => Ok(()),
                    _ => Err(Error::Taken),
                },
                &|index, slot, shred| match &people[index] {
                    None => Ok(Record::Erased),
                    Some((data, way_back)) => {
                        let wrapping = self.0.wrapping_key(accounts[index], shred);
                        let wrapped = sealed::seal(&wrapping, &accounts[index], DATA_KEY, data.as_slice())?;
                        Ok(Record::Living { slot, wrapped, way_back: way_back.clone() })
                    }
                },
            )?;
        }
        Ok(accounts.len() as u64)
    }

    /// The data key and the sealed way back; `None`: erased.
    fn person_to_move(&self, account: Account) -> Result<Option<(Key, Vec<u8>)>, Error> {
        let record = self.0.record(account)?;
        match (self.0.unwrap(account, &record), record) {
            (Ok(data), Record::Living { way_back, .. }) => Ok(Some((data, way_back))),
            (Err(Error::Erased), _) | (Ok(_), Record::Erased) => Ok(None),
            (Err(error), _) => Err(error),
        }
    }
}
