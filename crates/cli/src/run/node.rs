//! The directory of one process on NATS: what it makes from the journal, and the keys if they are not elsewhere. Views and
//! snapshots may be deleted.
//!
//! ```text
//! views/ snapshots/     made from the journal
//! issuer.redb           the sandbox issuer's own state
//! master.key signing.key florin.lock
//! ```

use std::path::PathBuf;

use florin_journal::SigningKey;
use florin_vault::MasterKey;

use crate::config::Config;
use crate::data::Data;
use crate::failure::{Exit, Failure};
use crate::secrets;
use crate::serve::roles::{Role, Roles};

/// The directory, locked where the roles write to it.
#[derive(Debug)]
pub(crate) struct Node {
    root: PathBuf,
    lock: Option<Data>,
}

impl Node {
    /// Takes the directory for these roles. A data directory of `florin serve` is refused: what it holds is another ledger's.
    pub(crate) fn lock(config: &Config, roles: &Roles) -> Result<Self, Failure> {
        let writes = roles.follows() || [Role::Processor, Role::IssuerSandbox].iter().any(|role| roles.has(*role));
        Self::at(&config.serve.data, writes)
    }

    /// The directory at `root`, locked if it will be written.
    pub(crate) fn at(root: &std::path::Path, writes: bool) -> Result<Self, Failure> {
        if root.join("ledger").exists() {
            return Err(Failure::new(
                Exit::Ledger,
                format!("{} holds a ledger of its own, on the embedded journal", root.display()),
            )
            .advise("name another directory with --data; `florin export` and `florin import` move a ledger to NATS"));
        }
        let lock = writes.then(|| Data::lock(root)).transpose()?;
        Ok(Self { root: root.to_owned(), lock })
    }

    /// The directory as what a role keeps there sees it.
    pub(crate) fn data(&self) -> Result<&Data, Failure> {
        let unlocked = || Failure::new(Exit::Other, "these roles keep nothing in their directory");
        self.lock.as_ref().ok_or_else(unlocked)
    }

    pub(crate) fn views(&self) -> PathBuf {
        self.root.join("views")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(crate) fn sandbox(&self) -> PathBuf {
        self.root.join("issuer.redb")
    }

    /// The master key of the vault; `fresh`: made if there is none.
    pub(crate) fn master_key(&self, config: &Config, fresh: bool) -> Result<MasterKey, Failure> {
        let given = config.secrets.master_key_file.clone();
        secrets::master_key(&given.unwrap_or_else(|| self.root.join("master.key")), fresh)
    }

    /// The key that signs heads; `fresh`: made if there is none.
    pub(crate) fn signing_key(&self, config: &Config, fresh: bool) -> Result<SigningKey, Failure> {
        let given = config.secrets.signing_key_file.clone();
        secrets::signing_key(&given.unwrap_or_else(|| self.root.join("signing.key")), fresh)
    }
}
