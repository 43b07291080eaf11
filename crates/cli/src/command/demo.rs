//! `florin demo`: the demo on roles that run as processes of their own.

use crate::args::Demo as Asked;
use crate::failure::Failure;
use crate::serve::demo::Demo;
use crate::serve::{runtime, say};

/// Writes a demo's credentials, or sets it up through the ops API.
pub(crate) fn run(asked: &Asked) -> Result<(), Failure> {
    match asked {
        Asked::Prepare { file, listen, ops_listen, sandbox_listen } => {
            Demo::at(file.clone(), *listen, *ops_listen, sandbox_listen.unwrap_or(*ops_listen))?.write()
        }
        Asked::Seed { file } => {
            let demo = Demo::read(file)?;
            runtime()?.block_on(demo.seed())?;
            say(&demo.announce());
            Ok(())
        }
    }
}
