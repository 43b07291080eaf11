//! How the lines of one chunk of a statement are written: each as what differs from the line before it.
//!
//! Most lines are top-ups and purchases of one card a moment after the last, so that a line is some twenty bytes. The
//! smaller a chunk, the cheaper it is to write it anew for each line that joins it.

use florin_engine::{
    command::Merchant,
    ids::{AuthorizationId, CardId, Position},
    money::{Asset, Minor, Sealed},
    terms::Decline,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    key::Place,
    transactions::{Direction, TransactionKind, TransactionRow, TransactionStatus},
};

/// A line of a statement and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) place: Place,
    pub(crate) part: u8,
    pub(crate) row: TransactionRow,
}

/// What a line is told from: the line before it.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    place: Place,
    time_ms: u64,
    currency: Option<Asset>,
    card: Option<CardId>,
}

/// A line as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Records since the line before.
    records: u64,
    entry: u32,
    event: u32,
    part: u8,
    kind: TransactionKind,
    direction: Direction,
    status: TransactionStatus,
    amount: Minor,
    /// `None`: as before.
    currency: Option<Asset>,
    card: OfCard,
    /// Milliseconds since the line before; a purchase that was held may be listed after what began later.
    began: i64,
    /// Milliseconds from its beginning to its last change.
    lasted: i64,
    merchant: Option<Merchant>,
    decline: Option<Decline>,
    authorization: Option<AuthorizationId>,
    note: Sealed,
}

#[derive(Serialize, Deserialize)]
enum OfCard {
    AsBefore,
    Another(Option<CardId>),
}

/// The lines of one chunk, oldest first, packed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    count: usize,
    first: Place,
    last: Before,
}

impl Packed {
    /// Packs lines, oldest first.
    pub(crate) fn of(lines: impl IntoIterator<Item = Line>) -> postcard::Result<Self> {
        let mut packed = Self::default();
        lines.into_iter().try_for_each(|line| packed.push(&line))?;
        Ok(packed)
    }

    /// Number of lines.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Place of the oldest line; of an empty chunk the very first place.
    pub(crate) const fn first(&self) -> Place {
        self.first
    }

    /// Place of the newest line; of an empty chunk the very first place.
    pub(crate) const fn last(&self) -> Place {
        self.last.place
    }

    /// Appends a line no older than the last.
    pub(crate) fn push(&mut self, line: &Line) -> postcard::Result<()> {
        let Line { place, part, row } = line;
        let before = &self.last;
        let stored = Stored {
            records: place.position.index().wrapping_sub(before.place.position.index()),
            entry: place.position.entry(),
            event: place.event,
            part: *part,
            kind: row.kind,
            direction: row.direction,
            status: row.status,
            amount: row.amount,
            currency: (before.currency != Some(row.currency)).then_some(row.currency),
            card: if before.card == row.card { OfCard::AsBefore } else { OfCard::Another(row.card) },
            began: row.created_ms.wrapping_sub(before.time_ms).cast_signed(),
            lasted: row.updated_ms.wrapping_sub(row.created_ms).cast_signed(),
            merchant: row.merchant.clone(),
            decline: row.decline.clone(),
            authorization: row.authorization,
            note: row.note.clone(),
        };
        self.bytes = postcard::to_extend(&stored, std::mem::take(&mut self.bytes))?;
        if self.count == 0 {
            self.first = *place;
        }
        self.count += 1;
        self.last = Before { place: *place, time_ms: row.created_ms, currency: Some(row.currency), card: row.card };
        Ok(())
    }

    /// The lines, oldest first. What they are packed in was read whole before: nothing of it is missing.
    pub(crate) fn lines(&self) -> postcard::Result<Vec<Line>> {
        Ok(unpack(&self.bytes)?.0)
    }
}

fn unpack(mut bytes: &[u8]) -> postcard::Result<(Vec<Line>, Before)> {
    let (mut lines, mut before) = (Vec::new(), Before::default());
    while !bytes.is_empty() {
        let (stored, rest) = postcard::take_from_bytes::<Stored>(bytes)?;
        let line = stored.after(&before).ok_or(postcard::Error::DeserializeBadEncoding)?;
        before = Before {
            place: line.place,
            time_ms: line.row.created_ms,
            currency: Some(line.row.currency),
            card: line.row.card,
        };
        lines.push(line);
        bytes = rest;
    }
    Ok((lines, before))
}

impl Stored {
    fn after(self, before: &Before) -> Option<Line> {
        let index = before.place.position.index().wrapping_add(self.records);
        let created_ms = before.time_ms.wrapping_add(self.began.cast_unsigned());
        let currency = self.currency.or(before.currency)?;
        let row = TransactionRow::new(self.kind, self.direction, self.amount, currency, created_ms);
        Some(Line {
            place: Place { position: Position::new(index, self.entry), event: self.event },
            part: self.part,
            row: TransactionRow {
                status: self.status,
                card: match self.card {
                    OfCard::AsBefore => before.card,
                    OfCard::Another(card) => card,
                },
                updated_ms: created_ms.wrapping_add(self.lasted.cast_unsigned()),
                merchant: self.merchant,
                decline: self.decline,
                authorization: self.authorization,
                note: self.note,
                ..row
            },
        })
    }
}

/// As bytes, which are already packed.
impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: &[u8] = Deserialize::deserialize(deserializer)?;
        let (lines, last) = unpack(bytes).map_err(de::Error::custom)?;
        let first = lines.first().map_or(Place::default(), |line| line.place);
        Ok(Self { bytes: bytes.to_vec(), count: lines.len(), first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;
    use crate::statements::Chunk;

    fn line(index: u64, part: u8) -> Line {
        let kind = if part == 0 { TransactionKind::TopUp } else { TransactionKind::Fee };
        let row = TransactionRow {
            card: Some(CardId([7; 16])),
            ..TransactionRow::new(kind, Direction::Credit, Minor(1_000), Asset::USD, 1_700_000_000_000 + index)
        };
        Line { place: Place { position: Position::new(index, 3), event: 0 }, part, row }
    }

    /// Given a line that differs in everything from the one before, and one listed after a later one, all read back.
    #[test]
    fn every_field_reads_back_whatever_came_before() {
        let mut odd = line(9, 2);
        odd.row = TransactionRow {
            id: odd.row.id,
            position: odd.row.position,
            kind: TransactionKind::Purchase,
            amount: Minor(i64::MAX),
            currency: Asset::parse("WUSD").expect("a code"),
            direction: Direction::Debit,
            status: TransactionStatus::Pending,
            merchant: Some(Merchant::default()),
            decline: None,
            authorization: Some(AuthorizationId([9; 16])),
            card: None,
            note: Sealed(vec![1; 200]),
            created_ms: 5,
            updated_ms: u64::MAX,
        };
        let lines = vec![line(1, 0), line(1, 1), odd, line(12, 0)];
        let packed = Packed::of(lines.clone()).expect("packs");
        let back: Chunk = row::decode(&row::encode(&packed).expect("encodes")).expect("decodes");
        assert_eq!((back.len(), back.first(), back.last()), (4, lines[0].place, lines[3].place));
        assert_eq!(back.lines().expect("unpacks"), lines);
    }

    /// The reason for packing: a top-up and its fee, a moment after the last, on the statement of the same card.
    #[test]
    fn a_usual_line_takes_few_bytes() {
        let mut packed = Packed::of([line(1, 0), line(1, 1)]).expect("packs");
        let first = packed.bytes.len();
        packed.push(&line(40, 0)).expect("packs");
        packed.push(&line(40, 1)).expect("packs");
        assert_eq!((first, packed.bytes.len() - first), (60, 34));
    }

    #[test]
    fn what_is_cut_short_is_damage() {
        let bytes = row::encode(&Packed::of([line(1, 0)]).expect("packs")).expect("encodes");
        assert!(row::decode::<Chunk>(&bytes[..bytes.len() - 1]).is_err());
    }
}
