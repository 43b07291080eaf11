//! `florin export` and `florin import`: a ledger in one file, and a ledger from one.
//!
//! The file has the records as they are, so hashes stay the same, and a trailer that shows that it is whole
//! (`crates/journal/FORMAT.md`). It has no personal data that could be read: the vault goes beside it, see `import.rs`.
//! What else a ledger has is made from the journal or brought back by it: views, snapshots, and the settlement's queue,
//! whose sweeper finds everything that is still to be done. Dead letters come again as new work.

mod export;
mod import;

pub(crate) use export::{EXPORT, Export, export, to_file};
pub(crate) use import::{IMPORT, Import, import};
