//! The two keys of a ledger: the master key of the vault, and the key that signs the journal's heads.
//!
//! Each comes from the environment or from a file of 64 hex digits, made with mode 0600 when the ledger is made. A key
//! that is missing later is never made anew: the vault could not be read, and auditors would not know the signature.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use florin_journal::SigningKey;
use florin_vault::{MasterKey, master};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// The variable that may carry the master key.
pub(crate) const MASTER_KEY: &str = "FLORIN_MASTER_KEY";
/// The variable that may carry the signing key.
pub(crate) const SIGNING_KEY: &str = "FLORIN_SIGNING_KEY";

/// Where a key comes from.
enum Source {
    Variable,
    File,
    /// From nowhere yet: this is a new ledger.
    Make,
}

fn source(variable: &str, file: &Path, fresh: bool) -> Result<Source, Failure> {
    if std::env::var_os(variable).is_some() {
        return Ok(Source::Variable);
    }
    match fs::metadata(file) {
        // A crash, or a full disk, while it was being made.
        Ok(metadata) if fresh && metadata.len() == 0 => {
            fs::remove_file(file).map_err(|error| Failure::io("remove the empty key file", file, error))?;
            Ok(Source::Make)
        }
        Ok(_) => Ok(Source::File),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::io("read the key file", file, error)),
        Err(_) if fresh => Ok(Source::Make),
        Err(_) => Err(Failure::new(Exit::Config, format!("the key file {} is missing", file.display()))
            .advise(format!("put it back from a backup, or set {variable}; a new key would not fit this ledger"))),
    }
}

/// The master key of the vault; `fresh`: made if there is none.
pub(crate) fn master_key(file: &Path, fresh: bool) -> Result<MasterKey, Failure> {
    let key = match source(MASTER_KEY, file, fresh)? {
        Source::Variable => MasterKey::from_env(MASTER_KEY),
        Source::File => MasterKey::from_file(file),
        Source::Make => {
            tracing::info!(file = %file.display(), "making a master key: back it up apart from the data");
            MasterKey::create(file)
        }
    };
    key.map_err(|error| match error {
        master::Error::File { path, source } => Failure::io("use the key file", &path, source),
        error => Failure::new(Exit::Config, "the master key cannot be used")
            .advise(format!("put the key file back from a backup, or set {MASTER_KEY} to 64 hex digits"))
            .because(error),
    })
}

/// The key that signs heads; `fresh`: made if there is none.
pub(crate) fn signing_key(file: &Path, fresh: bool) -> Result<SigningKey, Failure> {
    let text = match source(SIGNING_KEY, file, fresh)? {
        Source::Variable => std::env::var(SIGNING_KEY).unwrap_or_default(),
        Source::File => {
            let read = || {
                let mode = fs::metadata(file)?.permissions().mode();
                fs::read_to_string(file).map(|text| (text, mode & 0o777))
            };
            let (text, mode) = read().map_err(|error| Failure::io("read", file, error))?;
            if mode & 0o077 != 0 {
                return Err(Failure::new(
                    Exit::Config,
                    format!("the key file {} is open to others (mode {mode:03o})", file.display()),
                )
                .advise("run chmod 600 on it"));
            }
            text
        }
        Source::Make => {
            let text = random_hex()?;
            write_private(file, text.as_bytes())?;
            text.to_string()
        }
    };
    let text = Zeroizing::new(text);
    let key = blake3::Hash::from_hex(text.trim()).map_err(|_| {
        Failure::new(Exit::Config, "the signing key is damaged: a key is 64 hex digits")
            .advise(format!("put {} back from a backup, or set {SIGNING_KEY}", file.display()))
    })?;
    Ok(SigningKey::from_bytes(key.as_bytes()))
}

/// 32 bytes of the system's randomness as 64 hex digits.
pub(crate) fn random_hex() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)
        .map_err(|cause| Failure::new(Exit::Other, "the system gives no randomness").because(cause.to_string()))?;
    let digits = blake3::Hash::from_bytes(*bytes).to_hex();
    Ok(Zeroizing::new(digits.to_string()))
}

/// Writes a file that only its owner can read, whole or not at all, and durably.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let scratch = path.with_extension("unfinished");
    let write = || {
        let mut file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&scratch)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&scratch, path)?;
        // A bare name has the empty path for a parent, which is no directory.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    write().map_err(|cause| Failure::io("write", path, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_for_their_owner_only_and_never_again() {
        let dir = tempfile::tempdir().unwrap();
        let [master, signing] = ["m.key", "s.key"].map(|name| dir.path().join(name));
        // Given no files, when the ledger is not new, then none are made
        assert!(master_key(&master, false).is_err() && signing_key(&signing, false).is_err());
        assert!(!master.exists() && !signing.exists());
        // When it is new, then they are made, and found again
        master_key(&master, true).unwrap();
        let made = signing_key(&signing, true).unwrap();
        for file in [&master, &signing] {
            let mode = fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(signing_key(&signing, true).unwrap(), made);
        assert_eq!(signing_key(&signing, false).unwrap(), made);
        master_key(&master, false).unwrap();
    }

    #[test]
    fn a_key_that_was_never_written_is_made_again_for_a_new_ledger_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.key");
        for make in [|file: &Path| master_key(file, true).is_ok(), |file: &Path| signing_key(file, true).is_ok()] {
            write_private(&file, b"").unwrap();
            assert!(master_key(&file, false).is_err() && signing_key(&file, false).is_err());
            assert!(make(&file));
            assert_eq!(fs::read_to_string(&file).unwrap().trim().len(), 64);
        }
    }

    #[test]
    fn a_damaged_or_open_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.key");
        write_private(&file, b"short").unwrap();
        assert!(master_key(&file, true).is_err());
        let failure = signing_key(&file, true).unwrap_err().to_string();
        assert!(failure.contains("is damaged"), "{failure}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "short");

        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let failure = signing_key(&file, true).unwrap_err().to_string();
        assert!(failure.contains("chmod 600"), "{failure}");
    }
}
