//! Limits and their windows.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "limit-reached-declines",
        says: "what meets a limit exactly is declined",
        file: "crates/engine/src/authorizations.rs",
        old: "is_none_or(|sum| sum > limit)",
        new: "is_none_or(|sum| sum >= limit)",
    },
    Mutation {
        name: "limit-of-zero-is-none",
        says: "a limit of 0 lets a check pass",
        file: "crates/engine/src/authorizations.rs",
        old: "limit.is_zero() || used.plus",
        new: "used.plus",
    },
    Mutation {
        name: "limit-of-each-increment",
        says: "an increment is held to the limit by itself",
        file: "crates/engine/src/authorizations.rs",
        old: "&Ask { amount, total, without_pin: false }",
        new: "&Ask { amount, total: amount, without_pin: false }",
    },
    Mutation {
        name: "limit-raised-at-once",
        says: "a higher limit binds before it is settled",
        file: "crates/engine/src/lifecycle.rs",
        old: "binding: card.limits.lower(target),",
        new: "binding: target,",
    },
    Mutation {
        name: "limit-no-pin-always",
        says: "the no-PIN amount binds with a PIN too",
        file: "crates/engine/src/authorizations.rs",
        old: "filter(|limit| ask.without_pin && ask.total > *limit)",
        new: "filter(|limit| ask.total > *limit)",
    },
    Mutation {
        name: "limit-day-in-another-zone",
        says: "the day begins an hour early",
        file: "crates/engine/src/limits.rs",
        old: "u32::try_from(time_ms / 86_400_000)",
        new: "u32::try_from((time_ms + 3_600_000) / 86_400_000)",
    },
    Mutation {
        name: "limit-month-off-by-a-day",
        says: "the month begins a day early",
        file: "crates/engine/src/limits.rs",
        old: "let (year, month) = civil(day);",
        new: "let (year, month) = civil(day.saturating_add(1));",
    },
    Mutation {
        name: "limit-month-of-30-days",
        says: "the month is 30 days",
        file: "crates/engine/src/limits.rs",
        old: "u16::try_from(months).unwrap_or(u16::MAX)",
        new: "u16::try_from(u64::from(day) / 30 + u64::from(months) * 0).unwrap_or(u16::MAX)",
    },
    Mutation {
        name: "limit-day-never-ends",
        says: "a day that is over still counts",
        file: "crates/engine/src/limits.rs",
        old: "if self.at.day != at.day {",
        new: "if self.at.month != at.month {",
    },
    Mutation {
        name: "limit-given-back-to-another-day",
        says: "what was used yesterday is given back today",
        file: "crates/engine/src/limits.rs",
        old: "if used.at.day == now.day {",
        new: "if used.at.month == now.month {",
    },
    Mutation {
        name: "limit-lifetime-kept",
        says: "what is given back stays used for ever",
        file: "crates/engine/src/limits.rs",
        old: r"        self.lifetime = self.lifetime.fold_minus(used.amount);
",
        new: "",
    },
    Mutation {
        name: "limit-counted-again-at-clearing",
        says: "a clearing counts what its hold has counted",
        file: "crates/engine/src/apply.rs",
        old: "let excess = billing(&event.excess);",
        new: "let excess = billing(&event.excess).fold_plus(billing(&event.held));",
    },
    Mutation {
        name: "limit-oldest-given-back",
        says: "the oldest use is given back first",
        file: "crates/engine/src/apply.rs",
        old: r"                && let Some(last) = authorization.used.last_mut()
",
        new: r"                && let Some(last) = authorization.used.iter_mut().find(|used| !used.amount.is_zero())
",
    },
    Mutation {
        name: "limit-kept-by-released-holds",
        says: "a released hold stays used",
        file: "crates/engine/src/apply.rs",
        old: r"                        authorization.close(at);
                    }
                });
                self.give_back(event.card, event.authorization, now_ms, back);",
        new: r"                        authorization.close(at);
                    }
                });",
    },
    Mutation {
        name: "limit-told-without-its-use",
        says: "a decline does not say how much of the limit is used",
        file: "crates/engine/src/authorizations.rs",
        old: "figures.extend(used.map(|used| (Figure::Used, used.0)));",
        new: "figures.extend(used.filter(|used| used.is_negative()).map(|used| (Figure::Used, used.0)));",
    },
];
