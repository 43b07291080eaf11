//! Errors on their way: what headers say of them, and back.

use async_nats::HeaderMap;
use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE};
use florin_journal::PartitionId;

use super::{ERROR, FIGURES, RETRY_AFTER};
use crate::Error;

/// What a service answers instead of an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Out of form, or of another class than the subject; nothing was decided. Says what and where.
    Malformed(String),
    /// The partition is not (any more) served here: ask again.
    Moved,
    /// What the partition's handle answered.
    Error(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Fault {
    /// Its name in the header `Florin-Error`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Moved => "moved",
            Self::Error(Error::Busy { .. }) => "busy",
            Self::Error(Error::DeadlinePassed) => "deadline_passed",
            Self::Error(Error::ClockRefused { .. }) => "clock_refused",
            Self::Error(Error::Stopped { .. }) => "stopped",
            Self::Error(Error::Misrouted(_)) => "misrouted",
            Self::Error(Error::BatchTooLarge { .. }) => "batch_too_large",
            Self::Error(Error::CommandTooLarge) => "command_too_large",
        }
    }

    /// The number in `Nats-Service-Error-Code`, with the meaning that HTTP gives it.
    pub const fn code(&self) -> usize {
        match self {
            Self::Malformed(_) => 400,
            Self::Error(Error::DeadlinePassed) => 408,
            Self::Error(Error::BatchTooLarge { .. } | Error::CommandTooLarge) => 413,
            Self::Error(Error::Misrouted(_)) => 421,
            Self::Error(Error::Busy { .. }) => 429,
            Self::Moved | Self::Error(Error::ClockRefused { .. } | Error::Stopped { .. }) => 503,
        }
    }

    /// The sentence in `Nats-Service-Error`.
    pub fn text(&self) -> String {
        match self {
            Self::Malformed(what) => what.clone(),
            Self::Moved => "the partition is moving to another process: ask again".into(),
            Self::Error(error) => error.to_string(),
        }
    }

    /// The headers that tell all of it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let clean: String = self.text().chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect();
        headers.insert(NATS_SERVICE_ERROR, clean.as_str());
        headers.insert(NATS_SERVICE_ERROR_CODE, self.code().to_string().as_str());
        headers.insert(ERROR, self.name());
        let figures = match self {
            Self::Error(Error::Busy { retry_after_ms }) => {
                headers.insert(RETRY_AFTER, retry_after_ms.to_string().as_str());
                retry_after_ms.to_string()
            }
            Self::Error(Error::ClockRefused { partition, wall_ms, off_ms }) => {
                format!("{} {wall_ms} {off_ms}", partition.0)
            }
            Self::Error(Error::Misrouted(partition)) => partition.0.to_string(),
            Self::Error(Error::BatchTooLarge { max, found }) => format!("{max} {found}"),
            _ => return headers,
        };
        headers.insert(FIGURES, figures.as_str());
        headers
    }

    /// What headers tell; `None`: no fault.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(NATS_SERVICE_ERROR).map_or("", |text| text.as_str());
        let name = headers.get(ERROR)?.as_str();
        let figures = headers.get(FIGURES).map_or("", |figures| figures.as_str());
        let mut figures = figures.split(' ').map(|figure| figure.parse::<i64>().unwrap_or(0));
        let mut next = || figures.next().unwrap_or(0);
        let partition = |n: i64| PartitionId(u16::try_from(n).unwrap_or(0));
        let positive = |n: i64| u64::try_from(n).unwrap_or(0);
        let size = |n: i64| usize::try_from(n).unwrap_or(0);
        Some(Self::Error(match name {
            "malformed" => return Some(Self::Malformed(text.to_owned())),
            "moved" => return Some(Self::Moved),
            "busy" => Error::Busy { retry_after_ms: positive(next()).clamp(1, 1_000) },
            "deadline_passed" => Error::DeadlinePassed,
            "clock_refused" => {
                Error::ClockRefused { partition: partition(next()), wall_ms: positive(next()), off_ms: next() }
            }
            "misrouted" => Error::Misrouted(partition(next())),
            "batch_too_large" => Error::BatchTooLarge { max: size(next()), found: size(next()) },
            "command_too_large" => Error::CommandTooLarge,
            _ => Error::Stopped { reason: text.to_owned() },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_arrives_as_it_left() {
        let reason = "the processor of the partition has stopped: gone".to_owned();
        for fault in [
            Fault::Malformed("field amount: what it is\nnot".into()),
            Fault::Moved,
            Error::Busy { retry_after_ms: 17 }.into(),
            Error::DeadlinePassed.into(),
            Error::ClockRefused { partition: PartitionId(3), wall_ms: 1_800_000_000_000, off_ms: -6_000 }.into(),
            Error::Misrouted(PartitionId(9)).into(),
            Error::BatchTooLarge { max: 16_384, found: 20_000 }.into(),
            Error::CommandTooLarge.into(),
        ] {
            let told = Fault::of(&fault.headers()).unwrap();
            match (&told, &fault) {
                (Fault::Malformed(told), Fault::Malformed(_)) => assert_eq!(told, "field amount: what it is not"),
                _ => assert_eq!(told, fault),
            }
        }
        let stopped = Fault::Error(Error::Stopped { reason: "gone".into() });
        assert_eq!(Fault::of(&stopped.headers()), Some(Error::Stopped { reason }.into()));
        assert_eq!(Fault::of(&HeaderMap::new()), None);
    }
}
