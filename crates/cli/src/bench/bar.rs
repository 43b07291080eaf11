//! Progress bars over counted work: drawn on a terminal, silent elsewhere.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A bar of `all` things to do.
pub(super) fn bar(doing: &'static str, all: u64) -> ProgressBar {
    styled(ProgressBar::new(all), doing)
}

/// Two bars, one above the other.
pub(super) fn bars(doing: [(&'static str, u64); 2]) -> [ProgressBar; 2] {
    let both = MultiProgress::new();
    doing.map(|(doing, all)| styled(both.add(ProgressBar::new(all)), doing))
}

fn styled(bar: ProgressBar, doing: &'static str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(doing);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
