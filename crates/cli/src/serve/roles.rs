//! What a process does: everything, or some of it.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;

/// One thing that a process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Role {
    /// Owns partitions: decides commands and writes the journal.
    Processor,
    /// Brings work to the issuer, and the issuer's answers back.
    Settlement,
    /// Tells partners what happened to their cards.
    Webhooks,
    /// Sends mail.
    Mail,
    /// Sends what has fallen due.
    Clock,
    /// Serves the card APIs, from views of its own.
    Gateway,
    /// Serves the ops API, on the ops listener: a role of its own, so that a gateway's credentials need not be able to deposit.
    Ops,
    /// Serves the sandbox issuer's REST contract.
    IssuerSandbox,
}

/// What a process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles(BTreeSet<Role>);

impl Roles {
    /// Everything that one process on the embedded journal does.
    pub(crate) fn all() -> Self {
        Self(Role::value_variants().iter().copied().filter(|role| *role != Role::IssuerSandbox).collect())
    }

    /// These.
    pub(crate) fn of(roles: &[Role]) -> Self {
        Self(roles.iter().copied().collect())
    }

    /// Whether this is one of them.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether the process answers from views.
    pub(crate) fn reads(&self) -> bool {
        self.has(Role::Gateway) || self.has(Role::Ops)
    }

    /// Whether the process keeps views: to answer from them, or to tell what happened.
    pub(crate) fn follows(&self) -> bool {
        self.reads() || self.has(Role::Webhooks)
    }

    /// Whether it works on the ledger at all: the sandbox issuer by itself does not.
    pub(crate) fn on_ledger(&self) -> bool {
        self.0.iter().any(|role| *role != Role::IssuerSandbox)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().filter_map(|role| Some(role.to_possible_value()?.get_name().to_owned()));
        f.write_str(&names.collect::<Vec<_>>().join(" "))
    }
}
