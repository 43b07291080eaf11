//! The latencies of a run as a picture: over time, and how they are distributed. Plain SVG, readable on light and dark.

use std::fmt::Write as _;

use super::latency::Sample;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 300.0;
/// Room for labels, left of and below a panel, and above it.
const LEFT: f64 = 70.0;
const BELOW: f64 = 40.0;
const ABOVE: f64 = 34.0;
/// Slices of time, each told by its median, 99th percentile and slowest.
const SLICES: u128 = 160;
/// Points of the distribution.
const POINTS: usize = 240;

/// Height of what is drawn of one series: two panels.
const SERIES: f64 = 2.0 * (HEIGHT + ABOVE + BELOW);

/// Draws series of samples, which may be in any order, below each other; each with a title that says what ran.
pub(super) fn svg(series: &[(String, &[Sample])]) -> String {
    let whole = SERIES * series.len() as f64;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" font-family="system-ui, sans-serif" font-size="12">
<style>
:root {{ color-scheme: light dark }}
.ground {{ fill: #fff }} text {{ fill: #222 }} .grid {{ stroke: #ddd }}
.p50 {{ stroke: #0a6 }} .p99 {{ stroke: #c70 }} .max {{ stroke: #c33 }} .curve {{ stroke: #06c }}
path {{ fill: none; stroke-width: 1.5 }}
@media (prefers-color-scheme: dark) {{ .ground {{ fill: #16181c }} text {{ fill: #ddd }} .grid {{ stroke: #333 }} }}
</style>
<rect class="ground" width="{width}" height="{whole}"/>
"#,
        width = WIDTH + LEFT + 30.0,
    );
    for ((title, samples), top) in series.iter().zip((0..).map(|n| SERIES * f64::from(n))) {
        let mut by_time = samples.to_vec();
        by_time.sort_unstable_by_key(|sample| sample.at_us);
        let mut sorted: Vec<f64> = samples.iter().map(|sample| ms(sample.nanos)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let scale = Scale::of(&sorted);
        over_time(&mut out, top + ABOVE, title, &by_time, &scale);
        distribution(&mut out, top + HEIGHT + 2.0 * ABOVE + BELOW, &sorted, &scale);
    }
    out.push_str("</svg>\n");
    out
}

/// A logarithmic scale from the power of ten below the fastest to the one above the slowest, in milliseconds.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    fn of(sorted: &[f64]) -> Self {
        let power = |ms: f64| if ms > 0.0 { ms.log10() } else { -3.0 };
        let at = |ms: Option<&f64>| ms.map_or(0.0, |ms| power(*ms));
        #[expect(clippy::cast_possible_truncation, reason = "powers of ten of milliseconds are small")]
        let (low, high) = (at(sorted.first()).floor() as i32, at(sorted.last()).ceil() as i32);
        Self { low, high: high.max(low + 1) }
    }

    /// How far down from the top of a panel.
    fn y(&self, ms: f64) -> f64 {
        let power = ms.max(1e-6).log10();
        HEIGHT * (f64::from(self.high) - power) / f64::from(self.high - self.low)
    }

    fn grid(&self, out: &mut String, top: f64) {
        for power in self.low..=self.high {
            let (y, ms) = (top + self.y(10_f64.powi(power)), 10_f64.powi(power));
            let label = if ms >= 1_000.0 { format!("{} s", ms / 1e3) } else { format!("{ms} ms") };
            line(out, LEFT, y, LEFT + WIDTH, y);
            text(out, LEFT - 6.0, y + 4.0, "end", &label);
        }
    }
}

fn over_time(out: &mut String, top: f64, title: &str, by_time: &[Sample], scale: &Scale) {
    text(
        out,
        LEFT,
        top - 14.0,
        "start",
        &format!("{title}: latency over time; median (green), 99th percentile (orange), slowest (red)"),
    );
    scale.grid(out, top);
    let end = by_time.last().map_or(1, |last| last.at_us.max(1));
    let slice = |sample: &Sample| u128::from(sample.at_us) * SLICES / (u128::from(end) + 1);
    let mut curves = [("p50", String::new()), ("p99", String::new()), ("max", String::new())];
    for slice in by_time.chunk_by(|a, b| slice(a) == slice(b)) {
        let mut told: Vec<f64> = slice.iter().map(|sample| ms(sample.nanos)).collect();
        told.sort_unstable_by(f64::total_cmp);
        let x = LEFT + WIDTH * slice[0].at_us as f64 / end as f64;
        for ((_, path), quantile) in curves.iter_mut().zip([0.5, 0.99, 1.0]) {
            point(path, x, top + scale.y(at(&told, quantile)));
        }
    }
    for (class, path) in &curves {
        curve(out, class, path);
    }
    for part in 0..=4_u32 {
        let share = f64::from(part) / 4.0;
        let seconds = end as f64 / 1e6 * share;
        text(out, LEFT + WIDTH * share, top + HEIGHT + 18.0, "middle", &format!("{seconds:.2} s"));
    }
}

fn distribution(out: &mut String, top: f64, sorted: &[f64], scale: &Scale) {
    text(out, LEFT, top - 14.0, "start", "distribution: so many of all are at most as slow");
    scale.grid(out, top);
    // As many nines as the samples can tell.
    let nines = (sorted.len().max(10) as f64).log10();
    let mut path = String::new();
    for n in 0..=POINTS {
        let share = n as f64 / POINTS as f64;
        let quantile = 1.0 - 10_f64.powf(-share * nines);
        point(&mut path, LEFT + WIDTH * share, top + scale.y(at(sorted, quantile)));
    }
    curve(out, "curve", &path);
    for (quantile, label) in [
        (0.0, "0"),
        (0.5, "50%"),
        (0.9, "90%"),
        (0.99, "99%"),
        (0.999, "99.9%"),
        (0.9999, "99.99%"),
        (0.99999, "99.999%"),
    ] {
        let share = -(1.0_f64 - quantile).log10() / nines;
        if share <= 1.0 {
            let x = LEFT + WIDTH * share;
            line(out, x, top, x, top + HEIGHT);
            text(out, x, top + HEIGHT + 18.0, "middle", label);
        }
    }
}

/// The nearest rank; 0 where there are none.
fn at(sorted: &[f64], quantile: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank within the samples")]
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

// Writing to a string cannot fail.

fn point(path: &mut String, x: f64, y: f64) {
    let step = if path.is_empty() { 'M' } else { 'L' };
    let _ = write!(path, "{step}{x:.1} {y:.1}");
}

fn curve(out: &mut String, class: &str, path: &str) {
    let _ = writeln!(out, r#"<path class="{class}" d="{path}"/>"#);
}

fn line(out: &mut String, x1: f64, y1: f64, x2: f64, y2: f64) {
    let _ = writeln!(out, r#"<line class="grid" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = writeln!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Given a run of a thousand, one of them slow, the picture reaches from the fastest to the slowest.
    #[test]
    fn every_sample_has_its_place_in_the_picture() {
        let samples: Vec<Sample> = (1..=1_000)
            .map(|n| Sample { at_us: n * 10, nanos: if n == 500 { 40_000_000 } else { 200_000 + n } })
            .collect();
        let picture = svg(&[("top-ups".to_owned(), &samples)]);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("<path ").count(), 4);
        assert!(picture.contains(">0.1 ms<") && picture.contains(">100 ms<"), "{picture}");
        assert!(picture.contains(">99.9%<") && !picture.contains(">99.99%<"), "no more nines than samples tell");
        assert!(!picture.contains("NaN") && !picture.contains("inf"));
        let both = svg(&[("top-ups".to_owned(), &samples), ("authorizations".to_owned(), &samples[..10])]);
        assert_eq!(both.matches("<path ").count(), 8);
        assert!(both.contains("authorizations: latency over time"));
    }

    #[test]
    fn nothing_measured_is_an_empty_picture() {
        assert!(!svg(&[("nothing".to_owned(), &[])]).contains("NaN"));
    }
}
