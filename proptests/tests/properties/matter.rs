//! The bytes of a whole state but for what a reject may change: the clock, and which keys are remembered.

use std::collections::BTreeMap;

use florin_engine::{
    ids::{AccountId, AuthorizationId, CardId},
    policy::Policy,
    snapshot,
    state::{Account, Authorization, Phase, State},
};
use postcard::to_allocvec;

/// The head of a snapshot: partition, partitions, clock, policies, counters, and how many accounts and keys there are.
type Head = (u16, u16, u64, Vec<(u32, u64, Policy)>, (u64, u64, u64), u64, u64);

/// The state as it is to be at a time: what is remembered of purchases whose time is over is left out.
pub fn matter(state: &State, purchases: &[AuthorizationId], now: u64) -> Vec<u8> {
    let mut bytes = vec![];
    snapshot::write(state, &mut bytes);
    let (schema, rest) = bytes.split_first_chunk::<4>().unwrap();
    assert_eq!(u32::from_le_bytes(*schema), snapshot::SCHEMA);
    let (head, _) = postcard::take_from_bytes::<Head>(rest).expect("a snapshot begins with its head");
    let (partition, partitions, _, policies, counters, accounts, _) = head;
    let mut matter = to_allocvec(&(partition, partitions, policies, counters, accounts)).unwrap();
    for account in state.all_accounts() {
        matter.extend(account_at(account, purchases, now));
    }
    // What is found by an index is no part of a snapshot.
    let found = |id: CardId| state.account_of_card(id).map_or([0; 16], |AccountId(account)| account);
    let cards = state.all_accounts().iter().flat_map(|account| &account.cards);
    matter.extend(cards.flat_map(|card| found(card.id)));
    matter.extend(state.cards().to_le_bytes());
    matter
}

/// An account's bytes end with its purchases.
pub fn account_at(account: &Account, purchases: &[AuthorizationId], now: u64) -> Vec<u8> {
    let mut account = account.clone();
    account.remembered = 0;
    let known = purchases.iter().filter_map(|id| Some((*id, account.authorization(*id)?)));
    let mut known: BTreeMap<AuthorizationId, &Authorization> = known.collect();
    assert_eq!(known.len(), account.authorizations(), "every purchase was told");
    let whole = to_allocvec(&account).unwrap();
    let mut bytes = whole.strip_suffix(&to_allocvec(&known).unwrap()[..]).expect("purchases come last").to_vec();
    known.retain(|_, purchase| purchase.phase == Phase::Open || purchase.until_ms > now);
    bytes.extend(to_allocvec(&known).unwrap());
    bytes
}
