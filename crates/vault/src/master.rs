//! The master key: from a file or the environment, never shown, wiped when dropped.
//!
//! Both hold 64 hexadecimal digits (32 bytes), white space around them ignored.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use crate::keys::{self, KEY_BYTES, Key};

/// Why there is no master key. No message shows any of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not 64 hexadecimal digits.
    #[error("a master key is 64 hexadecimal digits")]
    Format,
    /// The variable is not set, or not text.
    #[error("the environment variable {0} holds no master key")]
    Environment(String),
    /// Others than the owner can read the file.
    #[error("the key file {path} is open to others (mode {mode:03o}); run chmod 600 on it")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file could not be read or made.
    #[error("key file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    Random,
}

/// The key that wraps all others. Its `Debug` shows nothing of it.
#[derive(Debug)]
pub struct MasterKey(SecretBox<[u8; KEY_BYTES]>);

impl MasterKey {
    /// A fresh random key, for tests and throw-away ledgers.
    pub fn generate() -> Result<Self, Error> {
        let key = keys::random().map_err(|_| Error::Random)?;
        Ok(Self::from_bytes(&key))
    }

    /// Takes 64 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let text = text.trim().as_bytes();
        if text.len() != KEY_BYTES * 2 {
            return Err(Error::Format);
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
            *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
        }
        Ok(Self::from_bytes(&key))
    }

    /// Reads the key from an environment variable.
    pub fn from_env(variable: &str) -> Result<Self, Error> {
        let text = std::env::var(variable).map_err(|_| Error::Environment(variable.to_owned()))?;
        Self::from_hex(&Zeroizing::new(text))
    }

    /// Reads the key from a file that only its owner may read.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| at(path, source))?;
        let about = file.metadata().map_err(|source| at(path, source))?;
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Permissions { path: path.to_owned(), mode });
        }
        // One byte more than any good file, read into room enough that the buffer never moves.
        let mut text = Zeroizing::new(String::with_capacity(256));
        file.take(129).read_to_string(&mut text).map_err(|source| at(path, source))?;
        Self::from_hex(&text)
    }

    /// Makes a new random key in a new file of mode 0600; durable on return. A file that exists is never touched.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let key = Self::generate()?;
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_BYTES * 2 + 1));
        for byte in key.0.expose_secret() {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text.push(b'\n');
        let written = File::options().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            sync_folder(path)
        });
        written.map_err(|source| at(path, source))?;
        Ok(key)
    }

    fn from_bytes(key: &Key) -> Self {
        Self(SecretBox::init_with_mut(|inner: &mut [u8; KEY_BYTES]| {
            inner.copy_from_slice(key.as_slice());
        }))
    }

    /// The key for one use, derived under its own context.
    pub(crate) fn derive(&self, context: &'static str) -> Key {
        keys::derive(context, self.0.expose_secret())
    }
}

/// Makes the name of a new file durable.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn at(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

fn nibble(digit: u8) -> Result<u8, Error> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Error::Format),
    }
}

fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00112233445566778899aAbBcCdDeEfF00112233445566778899aabbccddeeff";

    #[test]
    fn a_created_key_is_private_and_reads_back_as_itself() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("master.key");
        let made = MasterKey::create(&path).expect("creates");
        let read = MasterKey::from_file(&path).expect("reads");

        assert_eq!(made.0.expose_secret(), read.0.expose_secret());
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(MasterKey::create(&path), Err(Error::File { .. })), "overwritten");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("master.key");
        MasterKey::create(&path).expect("creates");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(MasterKey::from_file(&path), Err(Error::Permissions { mode: 0o640, .. })));
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_key_and_nothing_shows_it() {
        let key = MasterKey::from_hex(&format!(" {TEXT}\n")).expect("a key");
        assert_eq!(key.0.expose_secret()[..3], [0x00, 0x11, 0x22]);
        assert_eq!(key.0.expose_secret()[10..12], [0xaa, 0xbb]);
        let shown = format!("{key:?}");
        assert!(!shown.contains("17") && !shown.contains("1122"), "{shown}");

        for bad in ["", &TEXT[1..], &format!("{TEXT}0"), &TEXT.replace('0', "g")] {
            let error = MasterKey::from_hex(bad).expect_err("no key");
            assert!(matches!(error, Error::Format));
            assert!(bad.is_empty() || !error.to_string().contains(bad));
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = MasterKey::from_env("FLORIN_NO_SUCH_VARIABLE").expect_err("not set");
        assert!(error.to_string().contains("FLORIN_NO_SUCH_VARIABLE"));
    }
}
