//! The next segment, filled with zeros by a thread of its own while the log still goes to the last one.
//!
//! Overwriting zeros spares a sync the file's growth. Written by the committer they held it up for as long as three
//! batches take; beside it they hold up nothing. A file that is being prepared is nobody's segment: it gets its name when the log
//! reaches it, and what a crash leaves of it is deleted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::{Disk, layout};

/// Zeros, as much as is written at once.
pub(super) static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// A segment in preparation.
pub(super) struct Ahead {
    path: PathBuf,
    /// `None`: it has been taken.
    thread: Option<JoinHandle<io::Result<File>>>,
}

impl Ahead {
    /// Starts to prepare a segment of `bytes` in a partition's directory.
    pub(super) fn start(partition_dir: &Path, bytes: u64, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let path = layout::prepared(partition_dir);
        let place = path.clone();
        let thread =
            std::thread::Builder::new().name("journal-ahead".into()).spawn(move || zeros(&place, bytes, &*disk))?;
        Ok(Self { path, thread: Some(thread) })
    }

    /// Whether waiting for it is over.
    pub(super) fn is_ready(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The file, named as the segment at `path`; the name is not durable yet.
    pub(super) fn take(mut self, path: &Path) -> io::Result<File> {
        let Some(thread) = self.thread.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let file = thread.join().map_err(|_| io::Error::other("the thread that prepared the segment panicked"))??;
        // Not over a segment, whatever happens.
        fs::hard_link(&self.path, path)?;
        Ok(file)
    }
}

impl Drop for Ahead {
    /// Nothing keeps the name: not what was taken, and what failed must not be in the way of the next try.
    fn drop(&mut self) {
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

/// Synced piece by piece, so that a sync of the log never waits behind all of it.
fn zeros(path: &Path, bytes: u64, disk: &dyn Disk) -> io::Result<File> {
    let file = File::options().read(true).write(true).create_new(true).open(path)?;
    let mut at = 0;
    while at < bytes {
        let piece = usize::try_from(bytes - at).map_or(&ZEROS[..], |left| &ZEROS[..left.min(ZEROS.len())]);
        disk.write(&file, piece, at)?;
        disk.sync(&file)?;
        at += piece.len() as u64;
    }
    Ok(file)
}
