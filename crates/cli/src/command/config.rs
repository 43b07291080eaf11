//! `florin config check`: every mistake, with its line.

use std::path::Path;

use crate::config;
use crate::failure::Failure;

/// Checks `file` and the environment.
pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    let checked = config::check(Some(file))?;
    for warning in &checked.warnings {
        eprintln!("warning: {warning}");
    }
    if checked.problems.is_empty() {
        println!("{}: no mistakes", file.display());
        Ok(())
    } else {
        Err(config::mistakes(Some(file), &checked.problems))
    }
}
