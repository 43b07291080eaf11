//! What is stored of a card: which of its items is leased, and how often its items were tried.
//!
//! ```text
//! record := version u8 = 1 · nonce u64 (0: nothing is leased) · id [17] · message u64 · delivery u64
//!           · count u8 · count × (id [17] · tries u32 · ready_at_ms u64)                        (integers little-endian)
//! ```
//!
//! At most [`TRIED_MAX`] items with tries; beyond it the oldest is forgotten, which the contract allows.

use florin_engine::ids::RequestId;

use super::super::{ItemId, Kind};

const VERSION: u8 = 1;
/// Most items of a card whose tries are kept.
const TRIED_MAX: usize = 32;

/// Who works on which item of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// Random; tells leases apart. Never zero.
    pub(super) nonce: u64,
    /// The item.
    pub(super) id: ItemId,
    /// Its sequence in the work queue.
    pub(super) message: u64,
    /// Which delivery of it, from 1.
    pub(super) delivery: u64,
}

/// An item that was tried and given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) id: ItemId,
    pub(super) tries: u32,
    /// Until when it waits, ms since 1970.
    pub(super) ready_at_ms: u64,
}

/// The record of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) holder: Option<Holder>,
    pub(super) tried: Vec<Tried>,
}

impl Card {
    pub(super) fn is_empty(&self) -> bool {
        self.holder.is_none() && self.tried.is_empty()
    }

    pub(super) fn tries(&self, id: ItemId) -> Option<&Tried> {
        self.tried.iter().find(|tried| tried.id == id)
    }

    /// Remembers an item's tries; `None`: nothing.
    pub(super) fn set(&mut self, id: ItemId, tried: Option<(u32, u64)>) {
        self.tried.retain(|tried| tried.id != id);
        if let Some((tries, ready_at_ms)) = tried {
            if self.tried.len() == TRIED_MAX {
                self.tried.remove(0);
            }
            self.tried.push(Tried { id, tries, ready_at_ms });
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let nobody = Holder { nonce: 0, id: ItemId::LAST, message: 0, delivery: 0 };
        let holder = self.holder.unwrap_or(nobody);
        out.extend_from_slice(&holder.nonce.to_le_bytes());
        out.extend_from_slice(&holder.id.bytes());
        out.extend_from_slice(&holder.message.to_le_bytes());
        out.extend_from_slice(&holder.delivery.to_le_bytes());
        out.push(u8::try_from(self.tried.len()).unwrap_or(u8::MAX));
        for tried in &self.tried {
            out.extend_from_slice(&tried.id.bytes());
            out.extend_from_slice(&tried.tries.to_le_bytes());
            out.extend_from_slice(&tried.ready_at_ms.to_le_bytes());
        }
        out
    }

    /// Reads a record; `None` if it is not one.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let input = &mut bytes;
        if array::<1>(input)? != [VERSION] {
            return None;
        }
        let nonce = u64::from_le_bytes(array(input)?);
        let id = id(input)?;
        let (message, delivery) = (u64::from_le_bytes(array(input)?), u64::from_le_bytes(array(input)?));
        let holder = (nonce != 0).then_some(Holder { nonce, id, message, delivery });
        let [count] = array(input)?;
        let mut tried = Vec::with_capacity(count.into());
        for _ in 0..count {
            let id = self::id(input)?;
            let (tries, ready_at_ms) = (u32::from_le_bytes(array(input)?), u64::from_le_bytes(array(input)?));
            tried.push(Tried { id, tries, ready_at_ms });
        }
        input.is_empty().then_some(Self { holder, tried })
    }
}

fn array<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*head)
}

fn id(input: &mut &[u8]) -> Option<ItemId> {
    let request = RequestId(array(input)?);
    let [code] = array(input)?;
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == code)?;
    Some(ItemId { request, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ItemId = ItemId { request: RequestId([0x11; 16]), kind: Kind::Status };

    #[test]
    fn the_record_of_a_card_is_what_it_always_was() {
        let mut card =
            Card { holder: Some(Holder { nonce: 7, id: ID, message: 0x0102, delivery: 3 }), tried: Vec::new() };
        card.set(ItemId { kind: Kind::Issue, ..ID }, Some((4, 0x0506)));
        let golden: Vec<u8> = [
            &[1, 7, 0, 0, 0, 0, 0, 0, 0][..],
            &[0x11; 16],
            &[3, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0x11; 16],
            &[1, 4, 0, 0, 0, 6, 5, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(card.encode(), golden);
        assert_eq!(Card::decode(&golden), Some(card));
        assert_eq!(Card::decode(&Card::default().encode()), Some(Card::default()));
        for cut in 0..golden.len() {
            assert_eq!(Card::decode(&golden[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn the_tries_of_the_oldest_item_make_room() {
        let mut card = Card::default();
        let id = |n: usize| ItemId { request: RequestId([u8::try_from(n).unwrap(); 16]), ..ID };
        for n in 0..=TRIED_MAX {
            card.set(id(n), Some((1, 0)));
        }
        assert_eq!((card.tries(id(0)), card.tried.len()), (None, TRIED_MAX));
        card.set(id(1), None);
        assert_eq!(card.tried.len(), TRIED_MAX - 1);
    }
}
