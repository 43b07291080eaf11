//! How rows are stored: postcard, one kind of row per table. Views are disposable, so a changed row is a new
//! [`crate::SCHEMA`] and no upcaster.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, lines::Packed};

/// A stored row.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// What the table is called in errors.
    const NAME: &'static str;
}

pub(crate) fn encode<R: Row>(row: &R) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(row).map_err(|source| Error::Damaged { table: R::NAME, source })
}

/// Encodes behind what is there.
pub(crate) fn append<R: Row>(row: &R, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let extended = postcard::to_extend(row, std::mem::take(bytes));
    *bytes = extended.map_err(|source| Error::Damaged { table: R::NAME, source })?;
    Ok(())
}

/// A row and, after it, the newest lines of its statement: what changes together is written once. Decoded as `R` it gives the row alone.
#[derive(Serialize, Deserialize)]
pub(crate) struct WithLines<R> {
    row: R,
    pub(crate) lines: Packed,
}

impl<R> From<R> for WithLines<R> {
    fn from(row: R) -> Self {
        Self { row, lines: Packed::default() }
    }
}

impl<R> Deref for WithLines<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.row
    }
}

impl<R> DerefMut for WithLines<R> {
    fn deref_mut(&mut self) -> &mut R {
        &mut self.row
    }
}

impl<R: Row> Row for WithLines<R> {
    const NAME: &'static str = R::NAME;
}

pub(crate) fn decode<R: Row>(bytes: &[u8]) -> Result<R, Error> {
    postcard::from_bytes(bytes).map_err(|source| Error::Damaged { table: R::NAME, source })
}
