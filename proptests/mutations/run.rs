//! A copy of the workspace in a temporary directory, where one file at a time is mutated.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::table::Mutation;

/// The workspace's directory.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

const GOLDEN: &str = "golden::";

pub struct Bench {
    copy: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.copy);
    }
}

impl Bench {
    /// Copies every file that git knows, as it is now. Builds go to `MUTATIONS_TARGET`, or to a directory in the workspace's own
    /// target, so that the next run finds its dependencies built.
    pub fn new() -> Self {
        let copy = std::env::temp_dir().join(format!("florin-mutations-{}", std::process::id()));
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(listed.status.success(), "git lists the files of the workspace");
        for name in String::from_utf8(listed.stdout).unwrap().split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (workspace().join(name), copy.join(name));
            if from.is_file() {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, to).unwrap();
            }
        }
        // Of the other crates, the properties need only two: what else the package tests would be built anew each time as well.
        let manifest = copy.join("proptests/Cargo.toml");
        let manifest_text = fs::read_to_string(&manifest).unwrap();
        let needed = |line: &&str| {
            !line.starts_with("florin-")
                || ["florin-engine", "florin-journal"].iter().any(|name| line.starts_with(name))
        };
        let lines: Vec<&str> = manifest_text.lines().filter(needed).collect();
        fs::write(manifest, lines.join("\n")).unwrap();
        Self { copy }
    }

    /// Does something while a mutation is made.
    pub fn with<T>(&self, mutation: &Mutation, act: impl FnOnce(&Self) -> T) -> T {
        let path = self.copy.join(mutation.file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(mutation.old).count(), 1, "{} no longer applies", mutation.name);
        fs::write(&path, text.replace(mutation.old, mutation.new)).unwrap();
        let came = act(self);
        fs::write(&path, text).unwrap();
        came
    }

    /// Builds the properties and runs them until one fails; its name. What the stored history tells comes last: it would hide
    /// whether a property finds as much.
    pub fn first_failure(&self, test: &str) -> Option<String> {
        let program = self.build(test);
        self.run(&program, &["--skip", GOLDEN]).or_else(|| self.run(&program, &[GOLDEN]))
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Option<String> {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.copy.join("proptests"))
            // A failure is enough, the smallest is not looked for.
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let failed = lines.find_map(|line| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned()));
        let _ = child.kill();
        let _ = child.wait();
        // What failed under one mutation says nothing of the next.
        let _ = fs::remove_dir_all(self.copy.join("proptests/tests/proptest-regressions"));
        failed
    }

    /// The path of a test program, built.
    fn build(&self, test: &str) -> PathBuf {
        let target =
            std::env::var_os("MUTATIONS_TARGET").map_or_else(|| workspace().join("target/mutations"), PathBuf::from);
        let built = Command::new(env!("CARGO"))
            .args(["test", "--offline", "--no-run", "-p", "florin-proptests", "--test", test])
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", target)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "a mutation builds:\n{said}");
        // `Executable tests/<name>/main.rs (/path/of/it)`
        let path =
            said.lines().rev().find_map(|line| Some(line.split_once("main.rs (")?.1.strip_suffix(')')?.to_owned()));
        self.copy.join(path.unwrap())
    }
}
