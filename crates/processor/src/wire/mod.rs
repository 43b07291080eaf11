//! What travels between processes over NATS: subjects, headers, and the forms of requests and answers. See `SERVICES.md`.

pub mod command;
pub mod fault;
pub mod query;

use florin_engine::command::Class;

/// Content type of Florin's own binary form.
pub const BINARY: &str = "application/postcard";
/// Content type of the form for people.
pub const JSON: &str = "application/json";
/// The header that says which.
pub const CONTENT_TYPE: &str = "Content-Type";
/// The number of the reject that a single command in JSON met.
pub const REJECT: &str = "Florin-Reject";
/// The name of an error, see [`fault::Fault`].
pub const ERROR: &str = "Florin-Error";
/// Figures of an error, separated by spaces.
pub const FIGURES: &str = "Florin-Figures";
/// Milliseconds after which to try again.
pub const RETRY_AFTER: &str = "Florin-Retry-After-Ms";

/// Classes that commands are taken from; the system's own come from nobody else.
pub const CLASSES: [Class; 5] = [Class::User, Class::Ops, Class::Network, Class::Settlement, Class::Clock];

/// What a subject is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Commands of a class.
    Command(Class),
    /// Giving up an authorization; who may command as the network may.
    GiveUp,
    /// Confirming the clock; who may command as ops may.
    ConfirmClock,
    /// How the partition is doing.
    Status,
    /// What the clock worker must send.
    Due,
    /// What the settlement must bring to the issuer.
    Work,
    /// Whether an approval was taken back.
    TakenBack,
}

impl What {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Command(Class::User),
        Self::Command(Class::Ops),
        Self::Command(Class::Network),
        Self::Command(Class::Settlement),
        Self::Command(Class::Clock),
        Self::GiveUp,
        Self::ConfirmClock,
        Self::Status,
        Self::Due,
        Self::Work,
        Self::TakenBack,
    ];

    /// Name of the endpoint, as tools list it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command(class) => class_name(class),
            Self::GiveUp => "give-up",
            Self::ConfirmClock => "confirm-clock",
            Self::Status => "status",
            Self::Due => "due",
            Self::Work => "work",
            Self::TakenBack => "taken-back",
        }
    }

    /// The subject in a ledger for a partition.
    pub fn subject(self, ledger: &str, partition: u16) -> String {
        match self {
            Self::Command(class) => format!("florin.{ledger}.cmd.v1.{}.{partition}", class_name(class)),
            Self::GiveUp => format!("florin.{ledger}.cmd.v1.network.{partition}.give-up"),
            Self::ConfirmClock => format!("florin.{ledger}.cmd.v1.ops.{partition}.confirm-clock"),
            other => format!("florin.{ledger}.qry.v1.{}.{partition}", other.name()),
        }
    }
}

/// A class as subjects name it.
pub const fn class_name(class: Class) -> &'static str {
    match class {
        Class::User => "user",
        Class::Ops => "ops",
        Class::Network => "network",
        Class::Settlement => "settlement",
        Class::Clock => "clock",
        Class::System => "system",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_as_documented() {
        let subjects = What::ALL.map(|what| what.subject("main", 7));
        assert_eq!(
            subjects,
            [
                "florin.main.cmd.v1.user.7",
                "florin.main.cmd.v1.ops.7",
                "florin.main.cmd.v1.network.7",
                "florin.main.cmd.v1.settlement.7",
                "florin.main.cmd.v1.clock.7",
                "florin.main.cmd.v1.network.7.give-up",
                "florin.main.cmd.v1.ops.7.confirm-clock",
                "florin.main.qry.v1.status.7",
                "florin.main.qry.v1.due.7",
                "florin.main.qry.v1.work.7",
                "florin.main.qry.v1.taken-back.7",
            ]
        );
    }
}
