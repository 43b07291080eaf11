//! The `florin` binary: wires the crates together and answers the command line.
//!
//! What the commands are is told in `args.rs`, one command per file in `command/`; how they fail, with which exit code
//! and which advice, in `failure.rs`.

mod args;
mod causes;
mod command;
mod config;
mod data;
mod failure;
mod hex;
mod logging;
mod progress;
mod secrets;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, Config, Ledger};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(_) | Command::Views(_) => {
            Err(failure::Failure::new(failure::Exit::Other, "the server is not part of this build"))
        }
        Command::Token(token) => command::token::run(&token),
        Command::Config(Config::Check { file }) => command::config::check(&file),
        Command::Ledger(Ledger::Create { place, partitions }) => command::ledger::create(&place, partitions),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("florin: {failure}");
            failure.code()
        }
    }
}
