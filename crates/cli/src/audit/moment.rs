//! Times and positions as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Reads RFC 3339, a date, or ms since 1970.
pub(super) fn parse(text: &str) -> Result<u64, Failure> {
    if let Ok(time_ms) = text.parse() {
        return Ok(time_ms);
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let since =
        humantime::parse_rfc3339_weak(&whole).ok().and_then(|time: SystemTime| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{text} is no time"))
            .advise("write 2026-07-01T12:00:00Z, 2026-07-01 or ms since 1970")
    })
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
