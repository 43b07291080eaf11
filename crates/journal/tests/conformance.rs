//! The embedded provider against the contract.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use florin_journal::conformance::{self, Damage, Fixture};
use florin_journal::embedded::{Embedded, Options};
use florin_journal::{Error, HEADER_BYTES, SigningKey, header::Header};
use tempfile::TempDir;

/// Segments of a few records, so that every check crosses some, and little memory, so that disk is read.
struct Directory(TempDir);

impl Directory {
    fn segments(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(self.0.path().join("p00000"))
            .expect("a partition")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.sort();
        paths
    }

    /// Segment, offset and size of every record.
    fn places(&self) -> Vec<(PathBuf, usize, usize)> {
        let mut places = Vec::new();
        for path in self.segments() {
            let bytes = fs::read(&path).expect("a segment");
            let mut at = 0;
            while let Ok((header, _)) = Header::decode(&bytes[at..]) {
                places.push((path.clone(), at, header.record_bytes()));
                at += header.record_bytes();
            }
        }
        places
    }
}

impl Fixture for Directory {
    type Provider = Embedded;

    async fn create() -> Self {
        let dir = TempDir::new().expect("a directory");
        Embedded::create(dir.path(), 2, key()).expect("a ledger");
        Self(dir)
    }

    async fn open(&mut self) -> Result<Embedded, Error> {
        let options = Options { segment_bytes: 2000, ring_bytes: 1500, ..Options::default() };
        Embedded::open_with(self.0.path(), key(), &options)
    }

    async fn crash(&mut self) -> Self {
        let copy = TempDir::new().expect("a directory");
        copy_dir(self.0.path(), copy.path());
        Self(copy)
    }

    async fn damage(&mut self, damage: Damage) {
        let places = self.places();
        let write = |path: &Path| fs::File::options().write(true).open(path).expect("a segment");
        match damage {
            Damage::TearLast => {
                let (path, at, bytes) = places.last().expect("a record");
                let zeros = vec![0; bytes / 2];
                write(path).write_all_at(&zeros, (at + bytes - zeros.len()) as u64).expect("a write");
            }
            Damage::FlipByte { index } => {
                let (path, at, _) = &places[usize::try_from(index).expect("small")];
                let byte = fs::read(path).expect("a segment")[at + HEADER_BYTES + 5] ^ 1;
                write(path).write_all_at(&[byte], (at + HEADER_BYTES + 5) as u64).expect("a write");
            }
            Damage::CutFrom { index } => {
                let (path, at, _) = &places[usize::try_from(index).expect("small")];
                write(path).set_len(*at as u64).expect("a cut");
                for later in self.segments().iter().filter(|later| *later > path) {
                    fs::remove_file(later).expect("a removal");
                }
            }
            Damage::RemovePartition => fs::remove_dir_all(self.0.path().join("p00000")).expect("a removal"),
        }
    }

    async fn stored(&mut self) -> Vec<u8> {
        self.segments().iter().flat_map(|path| fs::read(path).expect("a segment")).collect()
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("a directory");
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

macro_rules! checks {
    ($($check:ident)*) => {
        $(#[tokio::test]
        async fn $check() {
            conformance::$check::<Directory>().await;
        })*
    };
}

checks! {
    order_without_gaps
    acknowledged_survives_a_crash
    torn_tail_is_cut
    corruption_is_named_and_kept
    second_claim_deposes_the_first
    reader_from_any_index
    reader_waits
    confirm_compares
    missing_and_shorter_are_refused
    bad_batches_are_refused_and_harmless
}
