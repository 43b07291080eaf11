//! How rows are stored: postcard, one kind of row per table. Views are disposable, so a changed row is a new
//! [`crate::SCHEMA`] and no upcaster.

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// A stored row.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// What the table is called in errors.
    const NAME: &'static str;
}

pub(crate) fn encode<R: Row>(row: &R) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(row).map_err(|source| Error::Damaged { table: R::NAME, source })
}

pub(crate) fn decode<R: Row>(bytes: &[u8]) -> Result<R, Error> {
    postcard::from_bytes(bytes).map_err(|source| Error::Damaged { table: R::NAME, source })
}
