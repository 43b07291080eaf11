//! Unwrapped user keys in memory, bounded: sealing and digesting are on the way of every HTTP write.
//!
//! Shards keep threads apart; in each, two generations make eviction cheap: when the young one is full it becomes the old one
//! and what the old one held is dropped (and wiped). A key that is used again moves back to the young generation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Account;
use crate::keys::UserKeys;

/// The most users whose keys are in memory at once (about 130 bytes each).
pub const CACHED_USERS: usize = SHARDS * GENERATION * 2;

const SHARDS: usize = 64;
const GENERATION: usize = 1024;

#[derive(Default)]
struct Shard {
    young: HashMap<Account, Arc<UserKeys>>,
    old: HashMap<Account, Arc<UserKeys>>,
}

impl Shard {
    fn insert(&mut self, account: Account, keys: Arc<UserKeys>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(account, keys);
    }
}

pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// The account's keys, loaded when they are not in memory.
    ///
    /// The shard stays locked while loading, so that a key read just before its destruction is in the cache before
    /// [`Cache::forget`] looks, never after.
    pub(crate) fn get_or_load<E>(
        &self,
        account: Account,
        load: impl FnOnce() -> Result<UserKeys, E>,
    ) -> Result<Arc<UserKeys>, E> {
        let mut shard = self.shard(account);
        if let Some(keys) = shard.young.get(&account) {
            return Ok(Arc::clone(keys));
        }
        let keys = match shard.old.remove(&account) {
            Some(keys) => keys,
            None => Arc::new(load()?),
        };
        shard.insert(account, Arc::clone(&keys));
        Ok(keys)
    }

    /// The account's keys, if they are there to be had without waiting for anybody.
    pub(crate) fn at_hand(&self, account: Account) -> Option<Arc<UserKeys>> {
        let shard = self.shards[Self::place(account)].try_lock().ok()?;
        shard.young.get(&account).cloned()
    }

    /// Drops the account's keys.
    pub(crate) fn forget(&self, account: Account) {
        let mut shard = self.shard(account);
        shard.young.remove(&account);
        shard.old.remove(&account);
    }

    fn shard(&self, account: Account) -> MutexGuard<'_, Shard> {
        // A panic elsewhere cannot leave a shard half changed, so a poisoned one is as good as any.
        self.shards[Self::place(account)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(account: Account) -> usize {
        let mixed = account.iter().fold(0_u8, |mixed, byte| mixed.rotate_left(3) ^ byte);
        usize::from(mixed) % SHARDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: usize) -> Account {
        (number as u128).to_le_bytes()
    }

    fn load(cache: &Cache, number: usize) -> bool {
        let mut loaded = false;
        let _ = cache.get_or_load(account(number), || {
            loaded = true;
            Ok::<_, ()>(UserKeys::derive(&[1; 32]))
        });
        loaded
    }

    #[test]
    fn a_key_is_loaded_once_and_again_after_it_was_forgotten() {
        let cache = Cache::new();
        assert!(load(&cache, 1));
        assert!(!load(&cache, 1));
        cache.forget(account(1));
        assert!(load(&cache, 1));
    }

    #[test]
    fn a_failed_load_is_not_remembered() {
        let cache = Cache::new();
        assert!(cache.get_or_load(account(1), || Err(())).is_err());
        assert!(load(&cache, 1));
    }

    #[test]
    fn the_cache_never_grows_beyond_its_bound_and_keeps_what_is_used() {
        let cache = Cache::new();
        for number in 0..CACHED_USERS * 2 {
            load(&cache, number);
            load(&cache, 0);
        }
        let held: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock().expect("no panic");
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(held <= CACHED_USERS, "{held} users are held");
        assert!(!load(&cache, 0), "the account in use was evicted");
    }
}
