//! The `florin` binary: wires the crates together and answers the command line.
//!
//! What the commands are is told in `args.rs`, one command per file in `command/`; how they fail, with which exit code
//! and which advice, in `failure.rs`.

mod args;
mod audit;
mod bench;
mod causes;
mod command;
mod config;
mod data;
mod failure;
mod logging;
mod progress;
mod secrets;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, Config, Ledger, Views};

/// The views and the HTTP layer allocate much and briefly on several threads, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Audit(audit) => return audit::run(&audit),
        Command::Serve(serve) => serve::run(&serve),
        Command::Bench(bench) => bench::run(&bench),
        Command::Views(Views::Rebuild { place }) => command::views::rebuild(&place),
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
