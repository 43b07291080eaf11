//! How many connections each listener takes, so that clients cannot use up what the process may open.

/// Most connections of the public listener.
const PUBLIC: usize = 4_096;
/// Most connections of the ops listener. They are its own: a crowd at the public one does not lock ops out.
const OPS: usize = 256;

/// Most connections of the public listener and of the ops listener, by how many files the process may have open: half
/// of them at most for the one and an eighth for the other, so that journal, views, queue and issuer have theirs.
pub(crate) fn bounds() -> (usize, usize) {
    // Where the system does not tell so, there is nothing to divide.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    divided(open_files(&limits).unwrap_or(usize::MAX))
}

fn divided(files: usize) -> (usize, usize) {
    (PUBLIC.min(files / 2).max(1), OPS.min(files / 8).max(1))
}

/// The soft limit of open files; `None`: there is none, or it is not told.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_may_open_is_divided() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             7634                 7634                 processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(1_024));
        assert_eq!(open_files(&limits.replace("1024  ", "unlimited")), None);
        assert_eq!(divided(1_024), (512, 128));
        assert_eq!(divided(1_048_576), (PUBLIC, OPS));
    }
}
