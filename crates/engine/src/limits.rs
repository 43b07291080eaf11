//! Limits: what a card may spend, and how much of it is used.
//!
//! Limits are in the card's currency. No limit is absence; a limit of 0 declines everything. Windows are UTC calendar
//! day and month. Usage belongs to the day and month in which it began; it is given back to those windows while they
//! are current, and to the lifetime always (lifecycle.md, Authorizations).

use serde::{Deserialize, Serialize};

use crate::money::Minor;

/// The spending limits of a card; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Per transaction.
    pub transaction: Option<Minor>,
    /// Per UTC day.
    pub daily: Option<Minor>,
    /// Per UTC month.
    pub monthly: Option<Minor>,
    /// In all.
    pub lifetime: Option<Minor>,
}

/// What to do with each limit: `None` leaves it, `Some(None)` clears it, `Some(Some(amount))` sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LimitsUpdate {
    /// Per transaction.
    #[serde(default, deserialize_with = "crate::human::update::deserialize")]
    pub transaction: Option<Option<Minor>>,
    /// Per UTC day.
    #[serde(default, deserialize_with = "crate::human::update::deserialize")]
    pub daily: Option<Option<Minor>>,
    /// Per UTC month.
    #[serde(default, deserialize_with = "crate::human::update::deserialize")]
    pub monthly: Option<Option<Minor>>,
    /// In all.
    #[serde(default, deserialize_with = "crate::human::update::deserialize")]
    pub lifetime: Option<Option<Minor>>,
}

fn lower(one: Option<Minor>, other: Option<Minor>) -> Option<Minor> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Limits {
    /// These limits with an update applied.
    #[must_use]
    pub fn updated(self, update: LimitsUpdate) -> Self {
        Self {
            transaction: update.transaction.unwrap_or(self.transaction),
            daily: update.daily.unwrap_or(self.daily),
            monthly: update.monthly.unwrap_or(self.monthly),
            lifetime: update.lifetime.unwrap_or(self.lifetime),
        }
    }

    /// The lower of both, limit by limit: what binds while a change is pending.
    #[must_use]
    pub fn lower(self, other: Self) -> Self {
        Self {
            transaction: lower(self.transaction, other.transaction),
            daily: lower(self.daily, other.daily),
            monthly: lower(self.monthly, other.monthly),
            lifetime: lower(self.lifetime, other.lifetime),
        }
    }
}

impl LimitsUpdate {
    /// Whether any amount in it is negative.
    pub fn any_negative(&self) -> bool {
        [self.transaction, self.daily, self.monthly, self.lifetime]
            .into_iter()
            .flatten()
            .flatten()
            .any(Minor::is_negative)
    }
}

/// A UTC day, counted from 1970-01-01, and the month it lies in (`year × 12 + month − 1`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Day {
    /// Days since 1970-01-01.
    pub day: u32,
    /// Months since year 0.
    pub month: u16,
}

impl Day {
    /// The day of a time in ms since 1970.
    pub fn of(time_ms: u64) -> Self {
        let day = u32::try_from(time_ms / 86_400_000).unwrap_or(u32::MAX);
        let (year, month) = civil(day);
        let months = year.saturating_mul(12).saturating_add(month - 1);
        Self { day, month: u16::try_from(months).unwrap_or(u16::MAX) }
    }
}

/// Year and month (1–12) of a day since 1970 (Howard Hinnant's `civil_from_days`, for days from 1970 on).
fn civil(day: u32) -> (u32, u32) {
    let z = u64::from(day) + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (u32::try_from(year).unwrap_or(u32::MAX), u32::try_from(month).unwrap_or(1))
}

/// First millisecond after a month given as `year × 12 + month − 1`.
pub fn month_end_ms(month: u16) -> u64 {
    let next = u64::from(month) + 1;
    let (year, month) = (next / 12, next % 12 + 1);
    // `days_from_civil` for the first of a month; years before 1970 end at 0.
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_468) * 86_400_000
}

/// How much of the limits is used, as of the last day something was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// The day and month that the first two sums belong to.
    pub at: Day,
    /// Spent on that day.
    pub daily: Minor,
    /// Spent in that month.
    pub monthly: Minor,
    /// Spent ever.
    pub lifetime: Minor,
}

/// A part of what an authorization used, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// When.
    pub at: Day,
    /// How much.
    pub amount: Minor,
}

impl Usage {
    /// The sums as they stand on `at`: a window that is over counts nothing.
    #[must_use]
    pub fn on(mut self, at: Day) -> Self {
        if self.at.day != at.day {
            self.daily = Minor::ZERO;
        }
        if self.at.month != at.month {
            self.monthly = Minor::ZERO;
        }
        self.at = at;
        self
    }

    /// Counts `amount` on `at`.
    pub fn take(&mut self, at: Day, amount: Minor) {
        *self = self.on(at);
        self.daily = self.daily.fold_plus(amount);
        self.monthly = self.monthly.fold_plus(amount);
        self.lifetime = self.lifetime.fold_plus(amount);
    }

    /// Gives back what was used: to its day and month where these are still the current ones on `now`, to the
    /// lifetime always.
    pub fn give_back(&mut self, now: Day, used: Used) {
        *self = self.on(now);
        if used.at.day == now.day {
            self.daily = self.daily.fold_minus(used.amount);
        }
        if used.at.month == now.month {
            self.monthly = self.monthly.fold_minus(used.amount);
        }
        self.lifetime = self.lifetime.fold_minus(used.amount);
    }
}
