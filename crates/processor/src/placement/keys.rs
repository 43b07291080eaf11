//! The keys and values of the bucket, as text.

use super::MEMBERS_MAX;

/// A key of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Member(u16),
    Slot(u16),
}

impl Key {
    pub(super) fn text(self, group: &str) -> String {
        match self {
            Self::Member(place) => format!("{group}.member.{place}"),
            Self::Slot(slot) => format!("{group}.slot.{slot}"),
        }
    }

    /// What a key says; `None` for one that this version does not write.
    pub(super) fn parse(text: &str, group: &str) -> Option<Self> {
        let (kind, number) = text.strip_prefix(group)?.strip_prefix('.')?.split_once('.')?;
        let number: u16 = number.parse().ok()?;
        match kind {
            "member" if number < MEMBERS_MAX => Some(Self::Member(number)),
            "slot" => Some(Self::Slot(number)),
            _ => None,
        }
    }
}

/// The value of a member's key.
pub(super) fn beat(id: &str, beat: u64, label: &str) -> String {
    format!("{id} {beat} {label}")
}

/// The id that a value begins with.
pub(super) fn id(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split(' ').next().unwrap_or_default().to_owned()
}

/// The number of the beat in a member's value.
pub(super) fn beat_of(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_documented() {
        assert_eq!(Key::Member(3).text("processor"), "processor.member.3");
        assert_eq!(Key::Slot(12).text("processor"), "processor.slot.12");
        for key in [Key::Member(255), Key::Slot(4_095)] {
            assert_eq!(Key::parse(&key.text("clock"), "clock"), Some(key));
        }
        for text in ["clock.member.256", "clock.member.x", "clocks.slot.1", "clock.other.1", "clock", ""] {
            assert_eq!(Key::parse(text, "clock"), None, "{text}");
        }
    }

    #[test]
    fn a_value_begins_with_the_id() {
        assert_eq!(id(beat("abc", 7, "host:12").as_bytes()), "abc");
        assert_eq!(beat_of(beat("abc", 7, "host:12").as_bytes()), Some(7));
        assert_eq!(beat_of(b"abc"), None);
        assert_eq!(id(b"abc"), "abc");
        assert_eq!(id(&[0xFF, b' ']), "\u{FFFD}");
    }
}
