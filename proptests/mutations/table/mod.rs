//! The mutations, by what they are about.

mod cards;
mod holds;
mod journal;
mod limits;
mod memory;
mod money;
mod orders;
mod stored;

/// One mistake: exact text of a file, and what it becomes.
pub struct Mutation {
    pub name: &'static str,
    /// What is wrong then, in words.
    pub says: &'static str,
    pub file: &'static str,
    pub old: &'static str,
    pub new: &'static str,
}

impl Mutation {
    /// The test program that is to find it.
    pub fn test(&self) -> &'static str {
        if self.file.starts_with("crates/journal/") { "journal" } else { "properties" }
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Mutation> {
    [money::ALL, holds::ALL, limits::ALL, cards::ALL, orders::ALL, memory::ALL, stored::ALL, journal::ALL]
        .into_iter()
        .flatten()
}
