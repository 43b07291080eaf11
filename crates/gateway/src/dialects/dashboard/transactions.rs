//! `GET /users/{userId}/cards/{cardId}/transactions`: a card's statement, newest first, page by page.

use axum::{
    extract::Query,
    http::{StatusCode, Uri},
};
use florin_projector::{Cursor, TransactionKind, TransactionRow, TransactionStatus};

use super::{
    Answer,
    call::Call,
    wire::{Transaction, Transactions},
};
use crate::http::{
    amount::Money,
    plain::json,
    position::AS_OF,
    problem::{Fault, Problem},
    time::Time,
};

/// Most transactions of a page.
const LIMIT_MAX: usize = 100;
/// Transactions of a page when nothing is said.
const LIMIT: usize = 20;

pub(super) async fn transactions(call: Call) -> Answer {
    let (limit, cursor) = page(&call.uri).map_err(|problem| call.of_known_user(problem))?;
    let at = call.see().await?;
    let row = call.card_row()?;
    let views = &call.gateway.ports().views;
    let page = views.transactions_of_card(row.card, limit, cursor);
    let page = page.map_err(|error| Problem::internal("the views cannot be read", &error))?;
    let body = Transactions {
        transactions: page.rows.iter().map(|row| transaction(row, call.decimals(row.currency))).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    let mut response = json(StatusCode::OK, &body);
    response.headers_mut().insert(AS_OF, at.header());
    Ok(response)
}

/// How many are asked for, and from where.
fn page(uri: &Uri) -> Result<(usize, Option<Cursor>), Problem> {
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
    let limit = match one("limit")? {
        None => LIMIT,
        Some(text) => {
            text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit) && !text.starts_with('+')).ok_or_else(
                || {
                    let (minimum, maximum) = (1, 100);
                    Problem::field("limit", Fault::OutOfRange { minimum, maximum })
                },
            )?
        }
    };
    let cursor = one("cursor")?
        .map(str::parse)
        .transpose()
        .map_err(|_| Problem::field("cursor", Fault::Form("a nextCursor as an answer gave it")))?;
    Ok((limit, cursor))
}

fn transaction(row: &TransactionRow, decimals: u8) -> Transaction {
    let merchant = row.merchant.as_ref().map(|merchant| merchant.name.clone());
    Transaction {
        transaction_id: row.id.to_string(),
        kind: row.kind.word(),
        amount: Money::new(row.amount, decimals),
        currency: row.currency.to_string(),
        direction: row.direction.word(),
        status: row.status.word(),
        description: description(row),
        merchant,
        created_at: Time(row.created_ms),
    }
}

fn description(row: &TransactionRow) -> String {
    let what = match row.kind {
        TransactionKind::Issue => "Initial balance",
        TransactionKind::TopUp => "Top-up from the wallet",
        TransactionKind::Unload => "Unload to the wallet",
        TransactionKind::Purchase => "Purchase",
        TransactionKind::Refund => "Refund",
        TransactionKind::Fee => "Fee, paid from the wallet",
        TransactionKind::Sweep => "Rest of a closed card, to the wallet",
        TransactionKind::Deposit => "Deposit",
        TransactionKind::Withdrawal => "Withdrawal",
        TransactionKind::WriteOff => "Debt written off",
    };
    match (&row.decline, row.status) {
        (Some(decline), _) => format!("{what} declined: {}", decline.reason.word()),
        (None, TransactionStatus::Failed) => format!("{what} not completed"),
        _ => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<usize, Problem> {
        let uri = format!("/x?{query}").parse().unwrap();
        page(&uri).map(|(limit, _)| limit)
    }

    #[test]
    fn a_page_has_1_to_100_transactions() {
        for (query, limit) in [("", 20), ("limit=1", 1), ("limit=100", 100), ("other=7", 20)] {
            assert_eq!(of(query), Ok(limit), "{query}");
        }
        for query in ["limit=0", "limit=101", "limit=-1", "limit=+1", "limit=x", "limit=", "limit=1&limit=2"] {
            assert!(matches!(of(query), Err(Problem::Field { .. })), "{query}");
        }
    }

    #[test]
    fn a_cursor_is_one_that_an_answer_gave() {
        for query in ["cursor=", "cursor=x", "cursor=00000000000000000000000g"] {
            assert!(matches!(of(query), Err(Problem::Field { .. })), "{query}");
        }
    }
}
