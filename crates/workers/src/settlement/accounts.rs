//! Whose card it is, for answers that come unasked and name only the card. Bounded: the latest cards are kept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use florin_engine::ids::{AccountId, CardId};

/// Most cards kept.
const CARDS_MAX: usize = 65_536;

#[derive(Debug, Default)]
struct Kept {
    accounts: HashMap<CardId, AccountId>,
    order: VecDeque<CardId>,
}

/// Cards that were lately worked on.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<Kept>);

impl Accounts {
    pub(crate) fn note(&self, card: CardId, account: AccountId) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.accounts.insert(card, account).is_some() {
            return;
        }
        kept.order.push_back(card);
        if kept.order.len() > CARDS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.accounts.remove(&oldest);
        }
    }

    pub(crate) fn of(&self, card: CardId) -> Option<AccountId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).accounts.get(&card).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_card_makes_room() {
        let accounts = Accounts::default();
        let card = |n: usize| CardId((n as u128).to_be_bytes());
        for n in 0..=CARDS_MAX {
            accounts.note(card(n), AccountId([1; 16]));
        }
        assert_eq!(accounts.of(card(0)), None);
        assert_eq!(accounts.of(card(1)), Some(AccountId([1; 16])));
        assert_eq!(accounts.of(card(CARDS_MAX)), Some(AccountId([1; 16])));
    }
}
