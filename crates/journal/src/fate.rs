//! How a writer ended: told again whenever it is asked for more.

use crate::{Error, PartitionId};

/// Why a writer is finished, once it is.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Deposed(PartitionId),
    Dead(String),
}

impl Fate {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Deposed(partition) => Self::Deposed(*partition),
            Error::Dead(reason) => Self::Dead(reason.clone()),
            other => Self::Dead(other.to_string()),
        }
    }

    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Deposed(partition) => Error::Deposed(*partition),
            Self::Dead(reason) => Error::Dead(reason.clone()),
        }
    }
}
