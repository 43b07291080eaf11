//! One command per file.

pub(crate) mod bearer;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod ledger;
pub(crate) mod token;
pub(crate) mod views;
