//! Keys of the one tree: a table's byte, then fixed-width big-endian fields, so that byte order is list order.

use std::ops::Bound;

use florin_engine::{ids::Position, money::Asset};
use serde::{Deserialize, Serialize};

/// The tables. A byte here is never used twice within one [`crate::SCHEMA`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    /// What these views are of.
    Meta = 0x01,
    /// How far a partition is applied.
    Checkpoint = 0x02,
    /// Adopted policies.
    Policy = 0x03,
    /// Accounts.
    Account = 0x10,
    /// Wallets of an account.
    Wallet = 0x11,
    /// Cards.
    Card = 0x20,
    /// Cards of an account, newest first.
    CardOfAccount = 0x21,
    /// Cards by numeric id.
    CardByNumber = 0x22,
    /// Cards by the issuer's id.
    CardByIssuer = 0x23,
    /// Cards with a pending change.
    CardPending = 0x24,
    /// Transactions of a card, newest first.
    OfCard = 0x30,
    /// Transactions of a wallet, newest first.
    OfWallet = 0x31,
    /// Authorizations.
    Authorization = 0x40,
    /// Open holds of an account.
    Hold = 0x41,
    /// Ledger accounts.
    Ledger = 0x50,
    /// Appeals.
    Appeal = 0x60,
    /// Appeals by state, newest first.
    AppealByState = 0x61,
    /// Appeals of a card, newest first.
    AppealOfCard = 0x62,
    /// Card requests.
    CardRequest = 0x68,
    /// Card requests by state, newest first.
    CardRequestByState = 0x69,
    /// Card requests of an account, newest first.
    CardRequestOfAccount = 0x6A,
    /// Invoices of an account, newest first.
    Invoice = 0x70,
    /// History of a card.
    History = 0x78,
    /// Webhooks due, by company.
    Due = 0x80,
}

/// Longest key: an issuer's id of 64 bytes behind its table.
const BYTES_MAX: usize = 72;

/// A key, built on the stack. Bytes behind its length are 0, so that of two keys the order is that of their bytes, then of their
/// lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    bytes: [u8; BYTES_MAX],
    len: usize,
}

impl Key {
    pub(crate) const fn of(table: Table) -> Self {
        let mut bytes = [0; BYTES_MAX];
        bytes[0] = table as u8;
        Self { bytes, len: 1 }
    }

    /// A whole key.
    pub(crate) fn stored(key: &[u8]) -> Self {
        Self { bytes: [0; BYTES_MAX], len: 0 }.bytes(key)
    }

    /// The first key that does not begin with this one; a table's byte is never 0xFF.
    pub(crate) fn past_prefix(mut self) -> Bound<Self> {
        while let Some(last) = self.len.checked_sub(1) {
            if self.bytes[last] < 0xFF {
                self.bytes[last] += 1;
                return Bound::Excluded(self);
            }
            (self.bytes[last], self.len) = (0, last);
        }
        Bound::Unbounded
    }

    /// Appends bytes; what would pass the longest key is cut, which only an issuer's id beyond its bound could.
    pub(crate) fn bytes(mut self, field: &[u8]) -> Self {
        let fits = field.len().min(BYTES_MAX - self.len);
        self.bytes[self.len..self.len + fits].copy_from_slice(&field[..fits]);
        self.len += fits;
        self
    }

    pub(crate) fn u8(self, field: u8) -> Self {
        self.bytes(&[field])
    }

    pub(crate) fn u16(self, field: u16) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(crate) fn u32(self, field: u32) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(crate) fn u64(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// Appends a number so that the highest sorts first.
    pub(crate) fn newest(self, field: u64) -> Self {
        self.u64(!field)
    }

    /// Appends an asset's code, padded to 8 bytes.
    pub(crate) fn asset(self, asset: Asset) -> Self {
        let mut code = [0; 8];
        let text = asset.as_str().as_bytes();
        code[..text.len()].copy_from_slice(text);
        self.bytes(&code)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// The last 16 bytes of a key, for index keys that end with the id they lead to.
pub(crate) fn tail16(key: &[u8]) -> Option<[u8; 16]> {
    key.last_chunk().copied()
}

/// A place on a statement: an event of an entry. The latest sorts first. It has a line for the event itself (part 0) and
/// one for each of its fees (part 1 and up).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Position of the entry.
    pub(crate) position: Position,
    /// Event within the entry.
    pub(crate) event: u32,
}

impl Place {
    /// The number that names a line within its entry for [`florin_engine::ids::transaction_id`]: the event's for the
    /// event itself, beyond 2¹⁶ for its fees.
    pub(crate) const fn number(self, part: u8) -> u32 {
        self.event | ((part as u32) << 16)
    }

    pub(crate) fn append(self, key: Key) -> Key {
        key.newest(self.position.0).u32(!self.event)
    }

    /// Reads the place that ends a key.
    pub(crate) fn of_key(key: &[u8]) -> Option<Self> {
        let end: &[u8; 12] = key.last_chunk()?;
        let (position, event) = end.split_at(8);
        Some(Self {
            position: Position(!u64::from_be_bytes(position.try_into().ok()?)),
            event: !u32::from_be_bytes(event.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_places_sort_first_and_read_back() {
        let place = |index, entry, event| Place { position: Position::new(index, entry), event };
        let in_order = [place(9, 0, 0), place(8, 3, 1), place(8, 3, 0), place(8, 2, 7)];
        let keys = in_order.map(|place| place.append(Key::of(Table::OfCard)).as_slice().to_vec());
        assert!(keys.is_sorted(), "byte order is newest first");
        assert_eq!(keys.map(|key| Place::of_key(&key)), in_order.map(Some));
    }

    #[test]
    fn the_event_itself_is_named_by_its_number() {
        let place = Place { position: Position::new(1, 0), event: 3 };
        assert_eq!((place.number(0), place.number(2)), (3, 3 | 2 << 16));
    }

    #[test]
    fn assets_of_any_length_take_eight_bytes() {
        for code in ["USD", "WUSD", "ABCDEFGH"] {
            let asset = Asset::parse(code).expect("a code");
            assert_eq!(Key::of(Table::Wallet).asset(asset).as_slice().len(), 9);
        }
    }
}
