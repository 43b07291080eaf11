//! The keys and values of the bucket, as text.

use std::collections::BTreeSet;

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

/// The value of a member's key; `out`: the slots that it sits out.
pub(super) fn beat(id: &str, beat: u64, label: &str, out: &BTreeSet<u16>) -> String {
    let out: Vec<String> = out.iter().map(u16::to_string).collect();
    let out = if out.is_empty() { String::new() } else { format!(" {}", out.join(",")) };
    format!("{id} {beat} {label}{out}")
}

/// The slots that a member's value says it sits out.
pub(super) fn out(value: &str) -> BTreeSet<u16> {
    value.split(' ').nth(3).into_iter().flat_map(|out| out.split(',')).filter_map(|slot| slot.parse().ok()).collect()
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
    fn a_member_says_which_slots_it_sits_out() {
        let none = BTreeSet::new();
        assert_eq!(beat("abc", 7, "host:12", &none), "abc 7 host:12");
        for label in ["host:12", ""] {
            let value = beat("abc", 7, label, &[3, 12].into());
            assert_eq!(value, format!("abc 7 {label} 3,12"));
            assert_eq!(
                (out(&value), id(value.as_bytes()), beat_of(value.as_bytes())),
                ([3, 12].into(), "abc".into(), Some(7))
            );
        }
        for value in ["abc", "abc 7 host", "abc 7 host x,-1"] {
            assert_eq!(out(value), none, "{value}");
        }
    }

    #[test]
    fn a_value_begins_with_the_id() {
        assert_eq!(id(beat("abc", 7, "host:12", &BTreeSet::new()).as_bytes()), "abc");
        assert_eq!(beat_of(beat("abc", 7, "host:12", &BTreeSet::new()).as_bytes()), Some(7));
        assert_eq!(beat_of(b"abc"), None);
        assert_eq!(id(b"abc"), "abc");
        assert_eq!(id(&[0xFF, b' ']), "\u{FFFD}");
    }
}
