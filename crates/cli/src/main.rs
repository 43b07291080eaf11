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
mod run;
mod secrets;
mod serve;
mod transfer;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, Config, Ledger, Views};

/// The views and the HTTP layer allocate much and briefly on several threads, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whoever touches a page of 2 MiB first clears all of it, which holds a batch or a payment up for some milliseconds; those of 4 KiB
/// are cleared one by one, and a fifth less of memory is in use. Best effort: both work.
fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn main() -> ExitCode {
    keep_pages_small();
    let done = match Cli::parse().command {
        Command::Audit(audit) => return audit::run(&audit),
        Command::Serve(serve) => serve::run(&serve),
        Command::Bench(bench) => bench::run(&bench),
        Command::Run(args) => run::run(&args),
        Command::Export(args) => transfer::export(&args),
        Command::Import(args) => transfer::import(&args),
        Command::Demo(demo) => command::demo::run(&demo),
        Command::Views(Views::Rebuild { place, on }) => command::views::rebuild(&place, &on),
        Command::Token(token) => command::token::run(&token),
        Command::Config(Config::Check { file }) => command::config::check(&file),
        Command::Ledger(Ledger::Create { place, on, partitions, if_missing }) => {
            command::ledger::create(&place, &on, partitions, if_missing)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("florin: {failure}");
            failure.code()
        }
    }
}
