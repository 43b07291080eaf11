//! The progress bar of an audit: bytes, rate and time left on a terminal, silent elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Bytes of the journal done and to do.
#[derive(Debug)]
pub(super) struct Meter(ProgressBar);

impl Meter {
    /// A bar over `bytes`; 0 is not known yet.
    pub(super) fn new(doing: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} · {bytes_per_sec} · {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(doing);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// How much there is, from here on.
    pub(super) fn expect(&self, bytes: u64) {
        self.0.set_position(0);
        self.0.set_length(bytes);
        self.0.reset_eta();
    }

    /// So much more is done.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Says what is being done now.
    pub(super) fn doing(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Draws nothing from now on.
    pub(super) fn hide(&self) {
        self.0.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Takes the bar off the screen.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
