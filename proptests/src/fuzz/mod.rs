//! Fuzzing in the tree: sound samples are mutated, a bounded number of times and from a fixed seed, and a check is run on each.
//!
//! By default a run is short and always the same. `FLORIN_FUZZ_TIMES=100` makes it a hundred times as long,
//! `FLORIN_FUZZ_SEED=7` another one. What a check has failed on is kept in a folder of `inputs` by the target's name, one
//! file each, and is run first ever after.

pub mod bytes;
pub mod json;
mod rng;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

pub use rng::Rng;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its name, and that of the folder with its kept inputs.
    pub name: &'a str,
    /// Where the folders of kept inputs are.
    pub inputs: &'a str,
    /// Generated inputs in a short run.
    pub rounds: u32,
}

impl Target<'_> {
    /// Runs the check on every kept input, then on generated ones. An input that a check panics on is written to a file
    /// whose path is printed.
    pub fn run(&self, mut make: impl FnMut(&mut Rng) -> Vec<u8>, mut check: impl FnMut(&[u8])) {
        for (name, input) in self.kept() {
            self.one(&name, &input, &mut check);
        }
        self.rounds(|n, rng| {
            let input = make(rng);
            self.one(&format!("round {n}"), &input, &mut check);
        });
    }

    /// Runs what makes and checks its own inputs, with a generator of its own for each round.
    pub fn rounds(&self, mut round: impl FnMut(u32, &mut Rng)) {
        for n in 0..self.count() {
            round(n, &mut self.rng(n));
        }
    }

    /// Rounds of this run.
    pub fn count(&self) -> u32 {
        self.rounds.saturating_mul(u32::try_from(number("FLORIN_FUZZ_TIMES").unwrap_or(1)).unwrap_or(u32::MAX))
    }

    /// The generator of a round: the same for the same seed, target and round.
    pub fn rng(&self, round: u32) -> Rng {
        Rng::of(number("FLORIN_FUZZ_SEED").unwrap_or(0), self.name, round)
    }

    /// The kept inputs, by name.
    pub fn kept(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(files) = fs::read_dir(Path::new(self.inputs).join(self.name)) else { return Vec::new() };
        let mut kept: Vec<_> = files
            .map(|file| file.unwrap().path())
            .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
            .collect();
        kept.sort_unstable();
        kept
    }

    fn one(&self, which: &str, input: &[u8], check: &mut impl FnMut(&[u8])) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
            let path = std::env::temp_dir().join(format!("{}-{:016x}", self.name, rng::hash(input)));
            fs::write(&path, input).unwrap();
            let folder = Path::new(self.inputs).join(self.name);
            eprintln!("{}: {which} fails; keep {} in {}", self.name, path.display(), folder.display());
            resume_unwind(panic);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
