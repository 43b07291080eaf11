//! An item of work: one thing to bring to the issuer, and its stored form.
//!
//! ```text
//! slot := version u8 = 1 · kind u8 · partition u16 · account [16] · card [16] · request [16] · change u32 · position u64
//!         · since_ms u64 · tries u32 · died_ms u64 (0: alive) · again u8 · note (UTF-8, the rest)   (integers little-endian)
//! ```
//!
//! An item says only what is to be looked at: what is to be done is asked of the engine when the item is taken, so that an
//! old item cannot do an old thing.

use std::fmt;
use std::str::FromStr;

use florin_engine::{
    agenda::{Task, Work},
    ids::{AccountId, CardId, Position, RequestId},
};
use uuid::Uuid;

/// Version of the stored form.
const VERSION: u8 = 1;
/// Bytes before the note.
const HEAD_BYTES: usize = 1 + 1 + 2 + 16 + 16 + 16 + 4 + 8 + 8 + 4 + 8 + 1;
/// Most bytes of a note that are kept.
pub(crate) const NOTE_BYTES_MAX: usize = 512;

/// What kind of work it is. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Make a card.
    Issue = 1,
    /// Give an issuance up.
    Abandon = 2,
    /// Set a status.
    Status = 3,
    /// Set limits.
    Limits = 4,
    /// Assert a card's state, then confirm.
    Assert = 5,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Issue, Self::Abandon, Self::Status, Self::Limits, Self::Assert];

    /// The kind of a task.
    pub const fn of(task: &Task) -> Self {
        match task {
            Task::Issue => Self::Issue,
            Task::Abandon => Self::Abandon,
            Task::SetStatus(_) => Self::Status,
            Task::SetLimits { .. } => Self::Limits,
            Task::Assert { .. } => Self::Assert,
        }
    }

    /// The stable word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Abandon => "abandon",
            Self::Status => "status",
            Self::Limits => "limits",
            Self::Assert => "assert",
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// An item's id: its request and kind, so that the same work is never in the queue twice. Shown as `request:kind`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// The request.
    pub request: RequestId,
    /// The kind of work.
    pub kind: Kind,
}

impl ItemId {
    /// After every other.
    pub(crate) const LAST: Self = Self { request: RequestId([0xFF; 16]), kind: Kind::Assert };

    pub(crate) fn bytes(&self) -> [u8; 17] {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&self.request.0);
        bytes[16] = self.kind as u8;
        bytes
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.request, self.kind.word())
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that names no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an item is named by its request id, a colon, and issue, abandon, status, limits or assert")]
pub struct NotAnId;

impl FromStr for ItemId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (request, word) = text.split_once(':').ok_or(NotAnId)?;
        let request = Uuid::try_parse(request).map_err(|_| NotAnId)?.into();
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word).ok_or(NotAnId)?;
        Ok(Self { request, kind })
    }
}

/// One thing to bring to the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// What kind of work it is.
    pub kind: Kind,
    /// The partition of its account.
    pub partition: u16,
    /// Whose card it is.
    pub account: AccountId,
    /// Which card.
    pub card: CardId,
    /// The request: the idempotency key at the issuer.
    pub request: RequestId,
    /// The card's change number; orders the items of a card.
    pub change: u32,
    /// Where it was asked for; zero if not known.
    pub position: Position,
    /// When it was asked for, ms since 1970.
    pub since_ms: u64,
}

impl Item {
    /// Its id.
    pub const fn id(&self) -> ItemId {
        ItemId { request: self.request, kind: self.kind }
    }

    /// The item of what the engine lists.
    pub const fn of_work(partition: u16, work: &Work) -> Self {
        Self {
            kind: Kind::of(&work.task),
            partition,
            account: work.account,
            card: work.card,
            request: work.request,
            change: work.change,
            position: work.position,
            since_ms: work.since_ms,
        }
    }

    /// Whether the engine's listing is this item's.
    pub fn is(&self, work: &Work) -> bool {
        self.request == work.request && self.kind == Kind::of(&work.task)
    }
}

/// Why and since when an item is a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Since when, ms since 1970.
    pub died_ms: u64,
    /// Why, in words; at most 512 bytes.
    pub reason: String,
    /// Whether it is still tried, slowly: work that must arrive some day.
    pub again: bool,
}

/// An item with its history, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) item: Item,
    pub(crate) tries: u32,
    pub(crate) death: Option<Death>,
}

impl Stored {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (item, death) = (&self.item, self.death.as_ref());
        let note = death.map_or("", |death| death.reason.as_str());
        let mut out = Vec::with_capacity(HEAD_BYTES + note.len());
        out.extend_from_slice(&[VERSION, item.kind as u8]);
        out.extend_from_slice(&item.partition.to_le_bytes());
        out.extend_from_slice(&item.account.0);
        out.extend_from_slice(&item.card.0);
        out.extend_from_slice(&item.request.0);
        out.extend_from_slice(&item.change.to_le_bytes());
        out.extend_from_slice(&item.position.0.to_le_bytes());
        out.extend_from_slice(&item.since_ms.to_le_bytes());
        out.extend_from_slice(&self.tries.to_le_bytes());
        out.extend_from_slice(&death.map_or(0, |death| death.died_ms.max(1)).to_le_bytes());
        out.push(u8::from(death.is_some_and(|death| death.again)));
        out.extend_from_slice(shortened(note).as_bytes());
        out
    }

    /// Reads a stored item; `None` if it is not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let [version, kind] = input.array()?;
        if version != VERSION {
            return None;
        }
        let item = Item {
            kind: Kind::from_code(kind)?,
            partition: u16::from_le_bytes(input.array()?),
            account: AccountId(input.array()?),
            card: CardId(input.array()?),
            request: RequestId(input.array()?),
            change: u32::from_le_bytes(input.array()?),
            position: Position(u64::from_le_bytes(input.array()?)),
            since_ms: u64::from_le_bytes(input.array()?),
        };
        let tries = u32::from_le_bytes(input.array()?);
        let died_ms = u64::from_le_bytes(input.array()?);
        let [again] = input.array()?;
        let reason = str::from_utf8(input.0).ok()?.to_owned();
        let death = (died_ms != 0).then_some(Death { died_ms, reason, again: again != 0 });
        Some(Self { item, tries, death })
    }
}

/// At most [`NOTE_BYTES_MAX`] bytes of a note, cut between characters.
pub(crate) fn shortened(note: &str) -> &str {
    &note[..note.floor_char_boundary(NOTE_BYTES_MAX)]
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        Stored {
            item: Item {
                kind: Kind::Status,
                partition: 0x0102,
                account: AccountId([0xAA; 16]),
                card: CardId([0xCC; 16]),
                request: RequestId([0x11; 16]),
                change: 7,
                position: Position::new(3, 2),
                since_ms: 1_800_000_000_000,
            },
            tries: 4,
            death: Some(Death { died_ms: 1_800_000_001_000, reason: "no".into(), again: true }),
        }
    }

    #[test]
    fn the_stored_form_is_what_it_always_was() {
        let golden: Vec<u8> = [
            &[1, 3, 0x02, 0x01][..],
            &[0xAA; 16],
            &[0xCC; 16],
            &[0x11; 16],
            &[7, 0, 0, 0],
            &[2, 0, 0x30, 0, 0, 0, 0, 0],
            &[0x00, 0x50, 0x5C, 0x18, 0xA3, 0x01, 0, 0],
            &[4, 0, 0, 0],
            &[0xE8, 0x53, 0x5C, 0x18, 0xA3, 0x01, 0, 0],
            &[1],
            b"no",
        ]
        .concat();
        assert_eq!(stored().encode(), golden);
        assert_eq!(Stored::decode(&golden), Some(stored()));
    }

    #[test]
    fn what_is_no_stored_item_is_refused() {
        let bytes = stored().encode();
        for cut in 0..HEAD_BYTES {
            assert_eq!(Stored::decode(&bytes[..cut]), None, "{cut} bytes");
        }
        assert_eq!(Stored::decode(&[&[2][..], &bytes[1..]].concat()), None, "another version");
        assert_eq!(Stored::decode(&[&[1, 9][..], &bytes[2..]].concat()), None, "another kind");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut long = stored();
        long.death.as_mut().unwrap().reason = format!("x{}", "é".repeat(400));
        let read = Stored::decode(&long.encode()).unwrap();
        assert_eq!(read.death.unwrap().reason.len(), 511);
    }

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        for kind in Kind::ALL {
            let id = ItemId { request: RequestId([0x11; 16]), kind };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "issue", "11111111-1111-1111-1111-111111111111", "11111111-1111-1111-1111-111111111111:x"] {
            assert_eq!(text.parse::<ItemId>(), Err(NotAnId), "{text}");
        }
    }
}
