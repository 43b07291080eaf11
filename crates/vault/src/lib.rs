//! Personal data under each user's own key, so that destroying the key erases the person.
//!
//! Shape, in one process: one redb file plus, beside it, a small file of *shreds* (`<file>.shreds`). A user's random data key is wrapped
//! under a key made from the master key **and** the user's 32-byte shred. Destroying overwrites the shred in place and then
//! leaves a tombstone in redb: redb copies pages when it writes, so what it removes may linger in the file, but a
//! wrapped key without its shred opens nothing, not even for the holder of the master key.
//! Shared by processes it is a bucket on NATS ([`nats`]), with the same records and a shred for each.
//!
//! Bounds: plaintexts up to [`MAX_PLAINTEXT`] bytes; unwrapped keys of at most [`CACHED_USERS`] users in memory.
//!
//! Deliberately absent: any list of people, any way to export a key, any undoing of [`Vault::destroy`]. Copies of the
//! files made before a destruction (backups, snapshots of a copy-on-write disk) still hold the shred: they
//! must be shredded too, or be encrypted under a key that is.
//!
//! Stored formats: [`sealed`] (in the journal, for ever), the people record (`people.rs`) and the shreds file (`shreds.rs`).

mod cache;
mod error;
mod keys;
pub mod master;
mod moving;
pub mod nats;
pub mod pan;
mod people;
pub mod sealed;
mod sealing;
mod shreds;
mod store;
mod vault;

pub use cache::CACHED_USERS;
pub use error::Error;
pub use master::MasterKey;
pub use people::Person;
pub use sealed::MAX_PLAINTEXT;
pub use sealing::Sealing;
pub use vault::Vault;

/// A user's account, as the ledger knows it: 16 bytes that say nothing about the person.
pub type Account = [u8; 16];
