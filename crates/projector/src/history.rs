//! History of a card: why it is in this state. What led there, in order; movements of money are on its statement instead.

use florin_engine::{
    command::Class,
    ids::{CardId, Position},
};
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// One step of a card's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The entry.
    pub position: Position,
    /// When, ms since 1970.
    pub time_ms: u64,
    /// By which class of sender.
    pub class: Class,
    /// Tag of the credential that was used; 0: none.
    pub actor: u64,
    /// The event's name.
    pub event: String,
    /// What happened, in words without anything personal.
    pub words: String,
}

impl Row for HistoryRow {
    const NAME: &'static str = "history";
}

pub(crate) fn of_card(card: CardId) -> Key {
    Key::of(Table::History).bytes(&card.0)
}

pub(crate) fn key(card: CardId, position: Position, event: u32) -> Key {
    of_card(card).u64(position.0).u32(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{decode, encode};

    #[test]
    fn a_step_reads_back_as_written() {
        let row = HistoryRow {
            position: Position::new(1, 2),
            time_ms: 3,
            class: Class::Ops,
            actor: 4,
            event: "StatusChanged".into(),
            words: "Active to Frozen by Ops".into(),
        };
        assert_eq!(decode::<HistoryRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
    }

    #[test]
    fn steps_sort_oldest_first() {
        let card = CardId([1; 16]);
        let keys = [(1, 0, 1), (1, 1, 0), (2, 0, 0)]
            .map(|(index, entry, event)| key(card, Position::new(index, entry), event).as_slice().to_vec());
        assert!(keys.is_sorted());
    }
}
