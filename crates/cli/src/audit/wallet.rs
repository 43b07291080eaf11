//! A wallet as it is named on the command line, looked up in a copy of the vault where a user is named.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use florin_engine::{ids::AccountId, money::Asset};
use florin_vault::{MasterKey, Vault};

use super::source::Source;
use crate::failure::{Exit, Failure};
use crate::{causes, secrets};

/// How often a vault that is being written is copied again, and how long apart.
const COPIES: u32 = 20;
const COPY_EVERY: Duration = Duration::from_millis(100);

/// Bytes compared together.
const CHUNK_BYTES: usize = 1 << 20;

/// Reads `ACCOUNT/ASSET` or `COMPANY/USER/ASSET`; a user may have slashes.
pub(super) fn find(source: &Source, text: &str, partitions: u16) -> Result<(AccountId, Asset), Failure> {
    let bad = || {
        Failure::new(Exit::Usage, format!("{text} is no wallet"))
            .advise("write COMPANY/USER/ASSET, such as acme/user-17/USD, or ACCOUNT/ASSET")
    };
    let (who, asset) = text.rsplit_once('/').ok_or_else(bad)?;
    let asset = Asset::parse(asset).ok_or_else(bad)?;
    let Some((company, user)) = who.split_once('/') else {
        let account: uuid::Uuid = who.parse().map_err(|_| bad())?;
        return Ok((AccountId::from(account), asset));
    };
    let root = source.root().ok_or_else(|| {
        Failure::new(Exit::Usage, "only a data directory has the vault that knows users")
            .advise("name the data directory, or the wallet as ACCOUNT/ASSET")
    })?;
    let scratch = tempfile::tempdir().map_err(|cause| Failure::io("make", &std::env::temp_dir(), cause))?;
    let copy = scratch.path().join("vault.redb");
    still(&root.join("ledger").join("vault.redb"), &copy)?;
    let master: MasterKey = secrets::master_key(&root.join("master.key"), false)?;
    let vault = Vault::open(&copy, &master).map_err(causes::vault)?;
    Ok((AccountId::from_pseudonym(vault.pseudonym(company, user), partitions), asset))
}

/// Copies a vault as it was at one moment: opening it would write to it, and a running server has it open. What was copied
/// while the server wrote would be of no moment, so it counts only if the files still are the same afterwards.
fn still(vault: &Path, copy: &Path) -> Result<(), Failure> {
    for again in 0..COPIES {
        if again > 0 {
            thread::sleep(COPY_EVERY);
        }
        let files = ["", ".shreds"].map(|suffix| (named(vault, suffix), named(copy, suffix)));
        for (from, to) in &files {
            fs::copy(from, to).map_err(|cause| Failure::io("copy", from, cause))?;
        }
        let mut same = true;
        for (from, to) in &files {
            same &= equal(from, to).map_err(|cause| Failure::io("read", from, cause))?;
        }
        if same {
            return Ok(());
        }
    }
    Err(Failure::new(Exit::Other, format!("{} is written all the time", vault.display()))
        .advise("name the wallet as ACCOUNT/ASSET, which needs no vault; or ask again when the server has less to do"))
}

fn named(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn equal(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (fs::File::open(one)?, fs::File::open(other)?);
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    loop {
        of_one.clear();
        of_other.clear();
        (&mut one).take(CHUNK_BYTES as u64).read_to_end(&mut of_one)?;
        (&mut other).take(CHUNK_BYTES as u64).read_to_end(&mut of_other)?;
        if of_one != of_other {
            return Ok(false);
        }
        if of_one.is_empty() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A writer that never rests, with files that are only right together: no mixture of two moments is taken for a vault.
    #[test]
    fn a_vault_is_copied_as_of_one_moment_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, copy) = (dir.path().join("vault"), dir.path().join("copy"));
        let write = |n: u8| {
            fs::write(&vault, vec![n; 100_000]).unwrap();
            fs::write(named(&vault, ".shreds"), [n; 10]).unwrap();
        };
        write(0);
        still(&vault, &copy).unwrap();
        assert!(equal(&vault, &copy).unwrap());
        let (stop, written) = (AtomicBool::new(false), AtomicBool::new(false));
        let done = thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0_u8;
                while !stop.load(Ordering::Relaxed) {
                    n = n.wrapping_add(1);
                    write(n);
                    written.store(true, Ordering::Relaxed);
                }
            });
            while !written.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            let done = still(&vault, &copy);
            stop.store(true, Ordering::Relaxed);
            done
        });
        let copied = fs::read(&copy).unwrap();
        assert!(done.is_err() || copied.iter().all(|byte| *byte == copied[0]), "{} bytes of two moments", copied.len());
        // Once nobody writes any more it is copied.
        still(&vault, &copy).unwrap();
        assert!(equal(&vault, &copy).unwrap());
    }
}
