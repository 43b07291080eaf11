//! `GET /api/v1/cards`: the user's cards, newest first, page by page, with filters, search and totals.
//!
//! A user has a few dozen cards at most, closed ones included, so each call reads them all and opens only the names it must.

use axum::{extract::Query, http::Uri};
use florin_engine::policy::CardKind;
use florin_projector::CardRow;

use super::{
    Answer, answer,
    call::Call,
    wire::{self, CANCELLED, Card, Cards, status},
};
use crate::http::{
    json::check_line,
    problem::{Fault, Problem},
};

/// Cards of a page when nothing is said.
const LIMIT: usize = 10;
/// Most cards of a page.
const LIMIT_MAX: i64 = 100;
/// The last page that can be asked for.
const PAGE_MAX: i64 = 1_000_000;
/// Most characters of a search.
const SEARCH_MAX: usize = 100;

pub(super) async fn list(call: Call) -> Answer {
    call.known()?;
    let asked = Asked::of(&call.uri)?;
    let at = call.see().await?;
    let rows = call.gateway.ports().views.cards_of(call.account());
    let mut rows = rows.map_err(|error| Problem::internal("the views cannot be read", &error))?;
    rows.retain(|row| asked.fits(row));
    if let Some(search) = &asked.search {
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            if search.finds(&call, &row)? {
                found.push(row);
            }
        }
        rows = found;
    }
    rows.sort_by_key(|row| (std::cmp::Reverse(row.created_ms), row.number));
    let (limit, total) = (asked.limit, rows.len());
    let page = rows.iter().skip((asked.page - 1).saturating_mul(limit)).take(limit);
    let cards = page.map(|row| Card::of(&call, row)).collect::<Result<Vec<_>, _>>()?;
    let page = Cards { cards, page: asked.page, limit, total, total_pages: total.div_ceil(limit) };
    Ok(answer::read("Cards retrieved successfully", page, at))
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    page: usize,
    limit: usize,
    kind: Option<CardKind>,
    status: Option<&'static str>,
    search: Option<Search>,
}

impl Asked {
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::Malformed("the query is out of form".into()))?;
        let one = |name: &'static str| {
            let mut values = query.iter().filter(|(key, _)| key == name);
            let first = values.next().map(|(_, value)| value.as_str());
            match values.next() {
                Some(_) => Err(Problem::field(name, Fault::Duplicate)),
                None => Ok(first),
            }
        };
        let number = |name: &'static str, default: usize, maximum: i64| {
            let Some(text) = one(name)? else {
                return Ok(default);
            };
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = plain.then(|| text.parse().ok()).flatten().filter(|number| (1..=maximum).contains(number));
            let number = number.and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| Problem::field(name, Fault::OutOfRange { minimum: 1, maximum }))
        };
        let page = number("page", 1, PAGE_MAX)?;
        let limit = number("limit", LIMIT, LIMIT_MAX)?;
        let kind = match one("card_type")? {
            None => None,
            Some(word) => Some(wire::kind_of(word).ok_or_else(|| wire::no_card_type("card_type"))?),
        };
        let status = match one("status")? {
            None => None,
            Some(word) => {
                let known = wire::STATUSES.into_iter().find(|known| *known == word);
                let told = "ACTIVE, FROZEN, BLOCKED, PRE_CANCEL, PROCESSING or CANCELLED";
                Some(known.ok_or_else(|| Problem::field("status", Fault::Form(told)))?)
            }
        };
        let search = match one("search")? {
            None | Some("") => None,
            Some(text) => {
                check_line(text, 1, SEARCH_MAX).map_err(|fault| Problem::field("search", fault))?;
                Some(Search::of(text))
            }
        };
        Ok(Self { page, limit, kind, status, search })
    }

    fn fits(&self, row: &CardRow) -> bool {
        let shown = status(row);
        self.kind.is_none_or(|kind| kind == row.kind) && self.status.map_or(shown != CANCELLED, |asked| asked == shown)
    }
}

/// What is searched for: a part of a name, in any case, or of the last four digits, where they may be seen. Never the number.
#[derive(Debug, PartialEq, Eq)]
struct Search {
    name: String,
    digits: bool,
}

impl Search {
    fn of(text: &str) -> Self {
        let digits = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        Self { name: text.to_lowercase(), digits }
    }

    fn finds(&self, call: &Call, row: &CardRow) -> Result<bool, Problem> {
        if self.digits && wire::last_four(row).is_some_and(|digits| digits.contains(&self.name)) {
            return Ok(true);
        }
        let profile = call.profile(&row.profile)?;
        let mut names = [profile.card_name, profile.name_on_card].into_iter().flatten();
        Ok(names.any(|name| name.to_lowercase().contains(&self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Asked, Problem> {
        Asked::of(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn nothing_said_is_the_first_ten() {
        let asked = of("other=7").unwrap();
        assert_eq!(asked, Asked { page: 1, limit: 10, kind: None, status: None, search: None });
        let asked = of("page=3&limit=100&card_type=PHYSICAL&status=PRE_CANCEL&search=Tra%20vel").unwrap();
        assert_eq!((asked.page, asked.limit, asked.kind), (3, 100, Some(CardKind::Physical)));
        assert_eq!((asked.status, asked.search), (Some("PRE_CANCEL"), Some(Search::of("tra vel"))));
    }

    #[test]
    fn what_is_out_of_bounds_or_unknown_names_its_parameter() {
        for (query, field) in [
            ("page=0", "page"),
            ("page=-1", "page"),
            ("page=1000001", "page"),
            ("page=", "page"),
            ("page=%2B1", "page"),
            ("page=99999999999999999999", "page"),
            ("page=1&page=2", "page"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=1e1", "limit"),
            ("card_type=virtual", "card_type"),
            ("card_type=", "card_type"),
            ("status=active", "status"),
            ("status=EXPIRED", "status"),
            ("search=a%00b", "search"),
        ] {
            let Err(Problem::Field { field: named, .. }) = of(query) else {
                panic!("{query} is refused");
            };
            assert_eq!(named, field, "{query}");
        }
        assert!(of(&format!("search={}", "x".repeat(101))).is_err());
        assert!(of(&format!("search={}", "x".repeat(100))).is_ok());
    }

    #[test]
    fn only_up_to_four_digits_are_looked_for_in_the_last_four() {
        assert!(Search::of("1234").digits && Search::of("2").digits);
        assert!(!Search::of("12345").digits && !Search::of("12a").digits);
    }
}
