//! The `webhook-id`: stable, derived from where the event stands, so that a receiver can tell a repetition.
//!
//! `msg_<ledger, 8 hex digits>_<partition 4 · position 16 · number 8 hex digits>`: 41 characters.

use std::fmt;
use std::str::FromStr;

use florin_engine::ids::Position;
use florin_journal::LedgerId;

use super::delivery::Mark;

/// A webhook's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// The first bytes of the ledger's id.
    pub ledger: [u8; 4],
    /// The partition.
    pub partition: u16,
    /// Where it stands there.
    pub mark: Mark,
}

impl MessageId {
    /// The id of what stands at `mark`.
    pub const fn new(ledger: LedgerId, partition: u16, mark: Mark) -> Self {
        let [a, b, c, d, ..] = ledger.0;
        Self { ledger: [a, b, c, d], partition, mark }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ledger, mark) = (u32::from_be_bytes(self.ledger), self.mark);
        write!(f, "msg_{ledger:08x}_{:04x}{:016x}{:08x}", self.partition, mark.position.0, mark.number)
    }
}

/// Text that names no webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook is named by msg_, 8 hex digits, _ and 28 hex digits")]
pub struct NotAnId;

impl FromStr for MessageId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (ledger, place) = text.strip_prefix("msg_").and_then(|rest| rest.split_once('_')).ok_or(NotAnId)?;
        let hex =
            |text: &str| ledger.len() == 8 && place.len() == 28 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !hex(ledger) || !hex(place) {
            return Err(NotAnId);
        }
        let number = |text: &str| u64::from_str_radix(text, 16).map_err(|_| NotAnId);
        let small = |text: &str| u32::from_str_radix(text, 16).map_err(|_| NotAnId);
        Ok(Self {
            ledger: small(ledger)?.to_be_bytes(),
            partition: u16::from_str_radix(&place[..4], 16).map_err(|_| NotAnId)?,
            mark: Mark { position: Position(number(&place[4..20])?), number: small(&place[20..])? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_stable_and_reads_back() {
        let mark = Mark { position: Position(0x0102_0304_0506), number: 9 };
        let id = MessageId::new(LedgerId([0xA1; 16]), 3, mark);
        assert_eq!(id.to_string(), "msg_a1a1a1a1_0003000001020304050600000009");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(!id.to_string().contains('.'), "a dot would end it in what is signed");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "msg_",
            "msg_a1a1a1a1_",
            "msg_a1a1a1a1_000300000102030405060000000",
            "msg_+1a1a1a1_0003000001020304050600000009",
            "msg_a1a1a1a1_ä03000001020304050600000009",
        ] {
            assert_eq!(text.parse::<MessageId>(), Err(NotAnId), "{text}");
        }
    }
}
