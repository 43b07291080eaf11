//! The next segment, filled with zeros by a thread of its own while the log still goes to the last one.
//!
//! Overwriting zeros spares a sync the file's growth. Written by the committer they held it up for as long as three
//! batches take; beside it, and no faster than the log comes nearer, they hold up nothing. They go past the page cache where the
//! file system lets them: a page of zeros is not worth the memory it takes. A file that is being prepared is nobody's segment: it gets its name when the log
//! reaches it, and what a crash leaves of it is deleted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::{Disk, layout};

/// Aligned as memory must be that is written past the page cache.
#[repr(align(4096))]
struct Aligned([u8; PIECE]);

/// What is written at once.
const PIECE: usize = 1 << 20;

static ALIGNED: Aligned = Aligned([0; PIECE]);

/// Zeros, as much as is written at once.
pub(super) static ZEROS: &[u8; PIECE] = &ALIGNED.0;

/// So much before the zeros of the last segment end, the next one is ready.
const MARGIN_BYTES: u64 = 4 << 20;

/// A segment in preparation.
pub(super) struct Ahead {
    path: PathBuf,
    bytes: u64,
    /// Where in the last segment the log was when this began, and where it will be when this must be over.
    from: u64,
    until: u64,
    pace: Arc<Pace>,
    /// `None`: it has been taken.
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// What the thread is told.
#[derive(Default)]
struct Pace {
    /// How far it may have come.
    allowed: AtomicU64,
    /// Nobody wants it any more.
    given_up: AtomicBool,
}

impl Ahead {
    /// Starts to prepare a segment of `bytes` in a partition's directory. The log is at `end` of a segment that has zeros up to
    /// `zeroed`.
    pub(super) fn start(
        partition_dir: &Path,
        bytes: u64,
        end: u64,
        zeroed: u64,
        disk: Arc<dyn Disk>,
    ) -> io::Result<Self> {
        let path = layout::prepared(partition_dir);
        let pace = Arc::new(Pace::default());
        let (place, told) = (path.clone(), Arc::clone(&pace));
        let thread =
            thread::Builder::new().name("journal-ahead".into()).spawn(move || zeros(&place, bytes, &told, &*disk))?;
        let ahead =
            Self { path, bytes, from: end, until: zeroed.saturating_sub(MARGIN_BYTES), pace, thread: Some(thread) };
        ahead.follow(end);
        Ok(ahead)
    }

    /// Lets it come as far as it must be while the log is at `end`.
    pub(super) fn follow(&self, end: u64) {
        let way = u128::from(self.until.saturating_sub(self.from));
        let gone = u128::from(end.saturating_sub(self.from));
        let due = (u128::from(self.bytes) * gone)
            .checked_div(way)
            .map_or(self.bytes, |due| u64::try_from(due).unwrap_or(u64::MAX).saturating_add(PIECE as u64));
        let before = self.pace.allowed.swap(due, Ordering::Release);
        if before / PIECE as u64 != due / PIECE as u64 {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Whether waiting for it is over.
    pub(super) fn is_ready(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The file, named as the segment at `path`; the name is not durable yet.
    pub(super) fn take(mut self, path: &Path) -> io::Result<File> {
        let Some(thread) = self.thread.take() else { return Err(io::ErrorKind::NotFound.into()) };
        thread.join().map_err(|_| io::Error::other("the thread that prepared the segment panicked"))??;
        let file = File::options().read(true).write(true).open(&self.path)?;
        // Not over a segment, whatever happens.
        fs::hard_link(&self.path, path)?;
        Ok(file)
    }
}

impl Drop for Ahead {
    /// Nothing keeps the name: not what was taken, and what failed must not be in the way of the next try.
    fn drop(&mut self) {
        self.pace.given_up.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Deletes what a process that was killed left of its preparations.
pub(super) fn clear(partition_dir: &Path) -> io::Result<()> {
    match fs::remove_file(layout::prepared(partition_dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn zeros(path: &Path, bytes: u64, pace: &Pace, disk: &dyn Disk) -> io::Result<()> {
    let (file, direct) = create(path)?;
    let mut at = 0;
    while at < bytes {
        let piece = usize::try_from(bytes - at).map_or(&ZEROS[..], |left| &ZEROS[..left.min(PIECE)]);
        while at + piece.len() as u64 > pace.allowed.load(Ordering::Acquire) {
            if pace.given_up.load(Ordering::Acquire) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            thread::park();
        }
        disk.write(&file, piece, at)?;
        if !direct {
            // Piece by piece, so that a sync of the log never waits behind all of it.
            disk.sync(&file)?;
        }
        at += piece.len() as u64;
    }
    disk.sync(&file)
}

/// The new file, past the page cache if that can be; and whether it is.
fn create(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut direct = options.clone();
        direct.custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed());
        match direct.open(path) {
            Ok(file) => return Ok((file, true)),
            // Some file systems say so only after the name is there.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => drop(fs::remove_file(path)),
            Err(error) => return Err(error),
        }
    }
    Ok((options.open(path)?, false))
}
