//! Times and positions as people write them.

use std::time::{Duration, UNIX_EPOCH};

use florin_engine::ids::Position;

use crate::failure::{Exit, Failure};

/// A time in ms since 1970, as RFC 3339.
pub(super) fn show(time_ms: u64) -> String {
    // Beyond year 9999 there is no such form.
    if time_ms > 253_402_300_799_999 {
        return format!("{time_ms} ms");
    }
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(time_ms)).to_string()
}

/// Reads RFC 3339 (UTC where it names no offset), a date, or ms since 1970: 13 digits, or any number with `ms` behind it, since
/// a year or a date without its dashes is a number too.
pub(super) fn parse(text: &str) -> Result<u64, Failure> {
    read(text).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{text} is no time")).advise(
            "write 2026-07-01T12:00:00Z, 2026-07-01T14:00:00+02:00, 2026-07-01, or ms since 1970 as 1782907200000",
        )
    })
}

/// The time from which on, and the one before which; there must be something between.
pub(super) fn range(from: Option<&str>, to: Option<&str>) -> Result<(u64, u64), Failure> {
    let (from_ms, to_ms) = (from.map_or(Ok(0), parse)?, to.map_or(Ok(u64::MAX), parse)?);
    if from_ms < to_ms {
        return Ok((from_ms, to_ms));
    }
    let (from, to) = (from.unwrap_or("the beginning"), to.unwrap_or("the end"));
    Err(Failure::new(Exit::Usage, format!("there is nothing from {from} to {to}"))
        .advise("`to` comes after `from` and is not included: for one day name the day after it"))
}

fn read(text: &str) -> Option<u64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = text.strip_suffix("ms").map(str::trim_end).filter(|number| digits(number)) {
        return number.parse().ok();
    }
    if digits(text) {
        return if text.len() == 13 { text.parse().ok() } else { None };
    }
    let (local, ahead_min) = offset(text)?;
    let whole = if local.len() == 10 { format!("{local}T00:00:00Z") } else { local.to_owned() };
    let since = humantime::parse_rfc3339_weak(&whole).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let time_ms = i64::try_from(since.as_millis()).ok()?.checked_sub(ahead_min * 60_000)?;
    u64::try_from(time_ms).ok()
}

/// Takes `+02:00` off a time, as minutes that it is ahead of UTC.
fn offset(text: &str) -> Option<(&str, i64)> {
    const LOCAL_MIN: usize = "2026-07-01T12:00:00".len();
    let Some(at) = text.len().checked_sub(6).filter(|at| *at >= LOCAL_MIN && text.is_char_boundary(*at)) else {
        return Some((text, 0));
    };
    let (local, offset) = text.split_at(at);
    let (sign, rest) = match offset.as_bytes()[0] {
        b'+' => (1, &offset[1..]),
        b'-' => (-1, &offset[1..]),
        _ => return Some((text, 0)),
    };
    let (hours, minutes) = rest.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60 && !local.ends_with('Z'))
        .then(|| (local, sign * (i64::from(hours) * 60 + i64::from(minutes))))
}

/// Reads `partition.record.entry`.
pub(super) fn position(text: &str) -> Option<(u16, Position)> {
    let mut parts = text.split('.');
    let (partition, index, entry) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (index, entry): (u64, u32) = (index.parse().ok()?, entry.parse().ok()?);
    let fits = index < 1 << 44 && entry < 1 << 20;
    fits.then(|| partition.parse().ok().map(|partition| (partition, Position::new(index, entry)))).flatten()
}

/// [`position`], or why not.
pub(super) fn must_position(text: &str) -> Result<(u16, Position), Failure> {
    position(text).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{text} is no position"))
            .advise("a position is partition.record.entry, such as 0.5120.3")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_782_907_200_000;

    #[test]
    fn a_time_is_read_as_it_was_meant() {
        let cases = [
            ("2026-07-01T12:00:00Z", NOON),
            ("2026-07-01 12:00:00", NOON),
            ("2026-07-01T12:00:00.250Z", NOON + 250),
            ("2026-07-01T14:00:00+02:00", NOON),
            ("2026-07-01T06:30:00.5-05:30", NOON + 500),
            ("2026-07-01T12:00:00+00:00", NOON),
            ("2026-07-01", NOON - 43_200_000),
            ("1782907200000", NOON),
            ("1782907200000ms", NOON),
            ("0 ms", 0),
            ("2026ms", 2_026),
        ];
        for (text, time_ms) in cases {
            assert_eq!(read(text), Some(time_ms), "{text}");
        }
        assert_eq!(read(&show(NOON)), Some(NOON));
        assert_eq!(read(&show(u64::MAX)), Some(u64::MAX));
    }

    /// A number that could be a year or a date is not taken for a moment in 1970.
    #[test]
    fn what_could_be_meant_otherwise_is_refused() {
        for text in [
            "2026",
            "20260701",
            "202607011200",
            "20260701120000",
            "",
            "ms",
            "-1",
            "+1782907200000",
            "2026-07",
            "2026-13-01",
            "2026-07-01T12:00:00+2:00",
            "2026-07-01T12:00:00+24:00",
            "2026-07-01T12:00:00+02:60",
            "2026-07-01T12:00:00Z+02:00",
            "2026-07-01T12:00:00+0200",
            "1969-12-31",
            "1970-01-01T00:00:00+01:00",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_has_its_end_behind_its_beginning() {
        assert_eq!(range(None, None).unwrap(), (0, u64::MAX));
        assert!(range(Some("2026-07-01"), Some("2026-07-02")).is_ok());
        for (from, to) in [("2026-07-02", "2026-07-01"), ("2026-07-01", "2026-07-01")] {
            assert!(range(Some(from), Some(to)).is_err());
        }
    }
}
