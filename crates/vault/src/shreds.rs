//! The shreds file: one 32-byte random slot per user, overwritten in place when the user is erased.
//!
//! ```text
//! 0..32       "florin vault shreds v1", then zeros
//! 32 + 32 n   slot n; all zeros = destroyed
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::Error;
use crate::keys::{KEY_BYTES, Key};

const HEADER: [u8; SLOT_BYTES] = *b"florin vault shreds v1\0\0\0\0\0\0\0\0\0\0";
const SLOT_BYTES: usize = 32;

pub(crate) struct Shreds {
    file: File,
}

impl Shreds {
    /// Opens the file, or makes it with its header (durable on return) when it is absent.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = private_file(path)?;
        if file.metadata()?.len() < HEADER.len() as u64 {
            file.write_all_at(&HEADER, 0)?;
            file.sync_all()?;
        }
        let mut header = [0; HEADER.len()];
        file.read_exact_at(&mut header, 0)?;
        if header != HEADER {
            return Err(Error::Damaged("the shreds file does not begin as one"));
        }
        Ok(Self { file })
    }

    /// How many slots there are, used or not.
    pub(crate) fn count(&self) -> Result<u64, Error> {
        let bytes = self.file.metadata()?.len();
        // A slot cut short by a crash was never told to anybody; the next one goes behind it.
        Ok(bytes.saturating_sub(HEADER.len() as u64).div_ceil(SLOT_BYTES as u64))
    }

    /// Writes shreds behind the last slot; durable on return. Answers the number of the first one.
    /// Only one caller at a time: the database's write transaction is the lock.
    pub(crate) fn append(&self, shreds: &[Key]) -> Result<u64, Error> {
        let first = self.count()?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(shreds.len() * SLOT_BYTES));
        for shred in shreds {
            bytes.extend_from_slice(shred.as_slice());
        }
        self.file.write_all_at(&bytes, offset(first))?;
        self.file.sync_all()?;
        Ok(first)
    }

    /// The shred of a slot.
    pub(crate) fn read(&self, slot: u64) -> Result<Key, Error> {
        let mut shred = Zeroizing::new([0; KEY_BYTES]);
        match self.file.read_exact_at(shred.as_mut_slice(), offset(slot)) {
            Ok(()) if shred.iter().all(|byte| *byte == 0) => Err(Error::Erased),
            Ok(()) => Ok(shred),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::Damaged("the shreds file is shorter than the vault says"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Overwrites a slot with zeros; durable on return. May be repeated.
    pub(crate) fn destroy(&self, slot: u64) -> Result<(), Error> {
        if slot >= self.count()? {
            return Err(Error::Damaged("the shreds file is shorter than the vault says"));
        }
        self.file.write_all_at(&[0; SLOT_BYTES], offset(slot))?;
        self.file.sync_all()?;
        Ok(())
    }
}

fn offset(slot: u64) -> u64 {
    HEADER.len() as u64 + slot * SLOT_BYTES as u64
}

/// Opens a file for reading and writing, made for its owner alone when it is absent.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destroyed_slot_is_zeros_on_disk_and_its_neighbours_stay() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("shreds");
        let shreds = Shreds::open(&path).expect("opens");
        let keys = [[1; 32], [2; 32], [3; 32]].map(Zeroizing::new);
        assert_eq!(shreds.append(&keys).expect("appends"), 0);

        shreds.destroy(1).expect("destroys");

        assert!(matches!(shreds.read(1), Err(Error::Erased)));
        assert!(matches!(shreds.read(3), Err(Error::Damaged(_))));
        assert!(matches!(shreds.destroy(3), Err(Error::Damaged(_))));
        let mut expected = b"florin vault shreds v1\0\0\0\0\0\0\0\0\0\0".to_vec();
        expected.extend_from_slice(&[1; 32]);
        expected.extend_from_slice(&[0; 32]);
        expected.extend_from_slice(&[3; 32]);
        assert_eq!(std::fs::read(&path).expect("reads"), expected);
    }

    #[test]
    fn a_slot_cut_short_by_a_crash_is_left_behind() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("shreds");
        let shreds = Shreds::open(&path).expect("opens");
        shreds.append(&[Zeroizing::new([1; 32])]).expect("appends");
        shreds.file.set_len(32 + 32 + 5).expect("cut");

        let next = shreds.append(&[Zeroizing::new([2; 32])]).expect("appends");

        assert_eq!(next, 2);
        assert_eq!(*shreds.read(2).expect("reads"), [2; 32]);
    }

    #[test]
    fn another_file_is_not_taken_for_shreds() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("shreds");
        std::fs::write(&path, [b'x'; 64]).expect("writes");
        assert!(matches!(Shreds::open(&path), Err(Error::Damaged(_))));
    }
}
