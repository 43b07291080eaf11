//! What operators order in one process and the holder of the partition does in another, and its stored form.
//!
//! ```text
//! order := version u8 = 1 · task u8 · position u64 · number u32 · company (UTF-8, the rest)          (integers little-endian)
//! ```

use florin_engine::ids::Position;

use super::delivery::Mark;

/// Version of the stored form.
const VERSION: u8 = 1;
/// Bytes before the company.
const HEAD_BYTES: usize = 1 + 1 + 8 + 4;

/// What is to be done. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Task {
    /// Send what stands at the mark, at once.
    Resend = 1,
    /// Try the dead letter at the mark again.
    Retry = 2,
    /// Give the dead letter at the mark up.
    Discard = 3,
    /// Send everything from the mark's position on again.
    Replay = 4,
}

/// An order that stands until it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub partition: u16,
    /// The company.
    pub company: String,
    /// What is to be done.
    pub task: Task,
    /// Where.
    pub mark: Mark,
}

impl Standing {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.task as u8];
        bytes.extend_from_slice(&self.mark.position.0.to_le_bytes());
        bytes.extend_from_slice(&self.mark.number.to_le_bytes());
        bytes.extend_from_slice(self.company.as_bytes());
        bytes
    }

    pub(crate) fn decode(partition: u16, bytes: &[u8]) -> Option<Self> {
        let (head, company) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let task = match (head[0], head[1]) {
            (VERSION, 1) => Task::Resend,
            (VERSION, 2) => Task::Retry,
            (VERSION, 3) => Task::Discard,
            (VERSION, 4) => Task::Replay,
            _ => return None,
        };
        let position = Position(u64::from_le_bytes(head[2..10].try_into().ok()?));
        let number = u32::from_le_bytes(head[10..14].try_into().ok()?);
        let company = std::str::from_utf8(company).ok()?.to_owned();
        Some(Self { partition, company, task, mark: Mark { position, number } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_order_is_what_it_always_was() {
        let mark = Mark { position: Position(0x0102), number: 7 };
        let order = Standing { partition: 3, company: "demo".into(), task: Task::Replay, mark };
        let golden = [&[1, 4, 2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0][..], b"demo"].concat();
        assert_eq!(order.encode(), golden);
        assert_eq!(Standing::decode(3, &golden), Some(order));
        assert_eq!(Standing::decode(3, &golden[..13]), None);
    }
}
