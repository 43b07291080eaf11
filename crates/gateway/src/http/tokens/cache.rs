//! Tokens that were verified a short while ago, known by their hash, so that a busy client pays for one signature only.
//!
//! Bounded: [`SHARDS`] of two generations of [`GENERATION`] tokens each. A full young generation becomes the old one, and what
//! the old one still held is forgotten; a token that is used again moves to the young. Nothing here outlives the keys: a new
//! [`super::Tokens`] starts with none, so a removed key's tokens are gone with it.

use std::{
    collections::HashMap,
    mem,
    sync::{PoisonError, RwLock},
};

use super::Bearer;

/// Parts with a lock each.
const SHARDS: usize = 16;
/// Tokens of one generation of one shard.
const GENERATION: usize = 2_048;

/// A token that was verified.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) bearer: Bearer,
    /// The last second in which it is good, leeway included.
    pub(super) until_s: u64,
}

#[derive(Default)]
struct Shard {
    young: HashMap<[u8; 32], Verified>,
    old: HashMap<[u8; 32], Verified>,
}

/// What was verified.
pub(super) struct Cache(Box<[RwLock<Shard>]>);

impl Default for Cache {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| RwLock::default()).collect())
    }
}

impl Cache {
    /// What a token of this hash said, if it was verified and is still good.
    pub(super) fn get(&self, hash: &blake3::Hash, now_s: u64) -> Option<Bearer> {
        let shard = self.shard(hash)?;
        let found = {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            match shard.young.get(hash.as_bytes()) {
                Some(found) => return (now_s <= found.until_s).then(|| found.bearer.clone()),
                None => shard.old.get(hash.as_bytes()).cloned()?,
            }
        };
        if now_s > found.until_s {
            return None;
        }
        let bearer = found.bearer.clone();
        self.put(*hash, found, now_s);
        Some(bearer)
    }

    /// Remembers a token.
    pub(super) fn put(&self, hash: blake3::Hash, verified: Verified, now_s: u64) {
        let Some(shard) = self.shard(&hash) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.young.len() >= GENERATION {
            shard.young.retain(|_, held| now_s <= held.until_s);
        }
        if shard.young.len() >= GENERATION {
            shard.old = mem::take(&mut shard.young);
        }
        shard.young.insert(*hash.as_bytes(), verified);
    }

    fn shard(&self, hash: &blake3::Hash) -> Option<&RwLock<Shard>> {
        let [first, ..] = *hash.as_bytes();
        self.0.get(usize::from(first) % SHARDS)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.read().map_or(0, |shard| shard.young.len() + shard.old.len())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(until_s: u64) -> Verified {
        Verified { bearer: Bearer { company: "acme".into(), subject: None, actor: 1, caller: 1 }, until_s }
    }

    #[test]
    fn a_token_is_known_until_it_expires() {
        let cache = Cache::default();
        let hash = blake3::hash(b"a");
        assert_eq!(cache.get(&hash, 10), None);
        cache.put(hash, verified(20), 10);
        assert!(cache.get(&hash, 20).is_some());
        assert_eq!(cache.get(&hash, 21), None);
        assert_eq!(cache.get(&blake3::hash(b"b"), 10), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let cache = Cache::default();
        let kept = blake3::hash(b"kept");
        cache.put(kept, verified(u64::MAX), 0);
        for n in 0..(3 * SHARDS * GENERATION) as u64 {
            cache.put(blake3::hash(&n.to_le_bytes()), verified(u64::MAX), 0);
            if n % 1_000 == 0 {
                assert!(cache.get(&kept, 0).is_some(), "forgotten after {n}");
            }
        }
        assert!(cache.len() <= 2 * SHARDS * GENERATION, "{}", cache.len());
    }
}
