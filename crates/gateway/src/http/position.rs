//! Positions in headers: where a write stands, and as of where a read is.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use florin_engine::ids::Position;

use super::problem::{Fault, Problem};

/// In answers to writes: where the entry stands. In requests: what a read must have seen.
pub const POSITION: HeaderName = HeaderName::from_static("x-florin-position");
/// In answers to reads: what the answer has seen.
pub const AS_OF: HeaderName = HeaderName::from_static("x-florin-as-of");

/// `<partition>-<index>.<entry>`, such as `3-120.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Which partition.
    pub partition: u16,
    /// Where in it.
    pub position: Position,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.position)
    }
}

impl At {
    /// As a header's value.
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).unwrap_or(HeaderValue::from_static("0-0.0"))
    }

    /// What a request says it must see, if it says so.
    pub fn asked(headers: &HeaderMap, partitions: u16) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(POSITION) else {
            return Ok(None);
        };
        value
            .to_str()
            .ok()
            .and_then(Self::parse)
            .filter(|at| at.partition < partitions)
            .map(Some)
            .ok_or_else(|| Problem::field("X-Florin-Position", Fault::Form("a position as an answer gave it")))
    }

    /// Reads `<partition>-<index>.<entry>`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(());
        let (partition, rest) = text.split_once('-')?;
        let (index, entry) = rest.split_once('.')?;
        [partition, index, entry].into_iter().try_for_each(digits)?;
        let index = index.parse().ok().filter(|index: &u64| *index < 1 << 44)?;
        let entry = entry.parse().ok().filter(|entry: &u32| *entry < 1 << 20)?;
        Some(Self { partition: partition.parse().ok()?, position: Position::new(index, entry) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let at = At { partition: 3, position: Position::new(120, 7) };
        let headers = HeaderMap::from_iter([(POSITION, at.header())]);
        assert_eq!(at.header(), "3-120.7");
        assert_eq!(At::asked(&headers, 4), Ok(Some(at)));
        assert!(At::asked(&headers, 3).is_err());
        assert_eq!(At::asked(&HeaderMap::new(), 4), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "1", "1-2", "-1.2", "1-+2.3", "1-2.1048576", "1-17592186044416.0", "x-1.2", "1-2.3.4"] {
            let headers = HeaderMap::from_iter([(POSITION, HeaderValue::from_str(text).unwrap())]);
            assert!(At::asked(&headers, 4096).is_err(), "{text}");
        }
    }
}
