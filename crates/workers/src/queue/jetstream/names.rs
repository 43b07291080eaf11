//! What the queue's streams, its consumer and its subjects are called.
//!
//! ```text
//! FLORIN_<name>_SETTLEMENT         work queue   florin.<name>.settlement.item.<card>.<change, 8 hex>.<request>.<kind>
//! FLORIN_<name>_SETTLEMENT_DEAD    letters      florin.<name>.settlement.dead.<request>.<kind>
//! FLORIN_<name>_SETTLEMENT_STATE   the rest     florin.<name>.settlement.card.<card>       leases and tries
//!                                               florin.<name>.settlement.reached.<partition>
//! ```
//!
//! What a process may have to publish to: `florin.<name>.settlement.>`, `$JS.ACK.FLORIN_<name>_SETTLEMENT.settlement.>`, and of the API
//! `$JS.API.STREAM.{INFO,CREATE,MSG.GET,MSG.DELETE}.<stream>` of the three streams and
//! `$JS.API.CONSUMER.{DURABLE.CREATE,INFO,MSG.NEXT}.FLORIN_<name>_SETTLEMENT.settlement`; and to subscribe to: its inboxes. A gateway whose
//! operators look at dead letters needs all but `MSG.NEXT` and `$JS.ACK`.
//!
//! Cards and requests are 32 hexadecimal digits. A request belongs to one card and has one change number, so that an item's id
//! names one subject.

use florin_engine::ids::CardId;

use super::super::{Item, ItemId};

/// The shared consumer of the work queue.
pub(super) const CONSUMER: &str = "settlement";

/// Longest name of a ledger.
const NAME_MAX: usize = 32;

/// The names of one ledger's queue.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The work queue.
    pub(super) items: String,
    /// The dead letters.
    pub(super) dead: String,
    /// Leases, tries and positions.
    pub(super) state: String,
    prefix: String,
}

impl Names {
    /// `None`: not `[a-z0-9-]{1,32}`.
    pub(super) fn of(ledger: &str) -> Option<Self> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if ledger.is_empty() || ledger.len() > NAME_MAX || !ledger.bytes().all(good) {
            return None;
        }
        Some(Self {
            items: format!("FLORIN_{ledger}_SETTLEMENT"),
            dead: format!("FLORIN_{ledger}_SETTLEMENT_DEAD"),
            state: format!("FLORIN_{ledger}_SETTLEMENT_STATE"),
            prefix: format!("florin.{ledger}.settlement"),
        })
    }

    pub(super) fn all_items(&self) -> String {
        format!("{}.item.>", self.prefix)
    }

    pub(super) fn all_dead(&self) -> String {
        format!("{}.dead.>", self.prefix)
    }

    pub(super) fn all_state(&self) -> [String; 2] {
        [format!("{}.card.*", self.prefix), format!("{}.reached.*", self.prefix)]
    }

    pub(super) fn item(&self, item: &Item) -> String {
        let (card, request) = (item.card.uuid().simple(), item.request.uuid().simple());
        format!("{}.item.{card}.{:08x}.{request}.{}", self.prefix, item.change, item.kind.word())
    }

    /// All items of a card.
    pub(super) fn items_of(&self, card: CardId) -> String {
        format!("{}.item.{}.>", self.prefix, card.uuid().simple())
    }

    pub(super) fn letter(&self, id: ItemId) -> String {
        format!("{}.dead.{}.{}", self.prefix, id.request.uuid().simple(), id.kind.word())
    }

    pub(super) fn card(&self, card: CardId) -> String {
        format!("{}.card.{}", self.prefix, card.uuid().simple())
    }

    pub(super) fn reached(&self, partition: u16) -> String {
        format!("{}.reached.{partition}", self.prefix)
    }
}

/// The change number and id that an item's subject names.
pub(super) fn parse_item(subject: &str) -> Option<(u32, ItemId)> {
    let mut parts = subject.rsplit('.');
    let (kind, request, change) = (parts.next()?, parts.next()?, parts.next()?);
    let id = format!("{request}:{kind}").parse().ok()?;
    Some((u32::from_str_radix(change, 16).ok()?, id))
}

#[cfg(test)]
mod tests {
    use super::super::super::Kind;
    use super::*;
    use florin_engine::ids::{AccountId, Position, RequestId};

    #[test]
    fn subjects_stay_what_they_were_and_say_change_and_id() {
        let names = Names::of("main").unwrap();
        let item = Item {
            kind: Kind::Limits,
            partition: 0,
            account: AccountId([1; 16]),
            card: CardId([0xcc; 16]),
            request: RequestId([0x11; 16]),
            change: 0x1f,
            position: Position::new(3, 4),
            since_ms: 5,
        };
        let subject = names.item(&item);
        let (card, request) = ("cc".repeat(16), "11".repeat(16));
        assert_eq!(subject, format!("florin.main.settlement.item.{card}.0000001f.{request}.limits"));
        assert_eq!(parse_item(&subject), Some((0x1f, item.id())));
        assert_eq!(names.letter(item.id()), format!("florin.main.settlement.dead.{request}.limits"));
        assert_eq!(names.card(item.card), format!("florin.main.settlement.card.{card}"));
        assert_eq!(names.items, "FLORIN_main_SETTLEMENT");
    }

    #[test]
    fn a_name_that_would_break_a_subject_is_refused() {
        for name in ["", "Main", "a.b", "a*", "a>", "a b", &"x".repeat(33)] {
            assert!(Names::of(name).is_none(), "{name:?}");
        }
    }
}
