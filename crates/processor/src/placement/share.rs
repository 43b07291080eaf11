//! How slots are shared out: a pure function that every member computes alike.

use std::collections::{BTreeMap, BTreeSet};

/// Who should hold each slot, given who is alive and who holds what.
///
/// Every member gets as many as every other, or one more; who has no more than its share keeps what it has, so that
/// nothing moves without need. `held` may name members that are not alive: their slots are free.
pub fn share<M: Clone + Ord>(members: &BTreeSet<M>, slots: u16, held: &BTreeMap<u16, M>) -> BTreeMap<u16, M> {
    let mut shares = BTreeMap::new();
    if members.is_empty() {
        return shares;
    }
    let mut has: BTreeMap<&M, Vec<u16>> = members.iter().map(|member| (member, Vec::new())).collect();
    for (slot, member) in held.iter().filter(|(slot, _)| **slot < slots) {
        if let Some(has) = has.get_mut(member) {
            has.push(*slot);
        }
    }
    let count = members.len();
    let (least, more) = (usize::from(slots) / count, usize::from(slots) % count);
    // Who has most may keep one more; among equals, the first.
    let mut order: Vec<(&M, Vec<u16>)> = has.into_iter().collect();
    order.sort_by_key(|(_, has)| std::cmp::Reverse(has.len()));
    let mut short = Vec::new();
    for (n, (member, has)) in order.into_iter().enumerate() {
        let quota = least + usize::from(n < more);
        for slot in has.iter().take(quota) {
            shares.insert(*slot, member.clone());
        }
        short.extend(std::iter::repeat_n(member, quota.saturating_sub(has.len())));
    }
    let free: Vec<u16> = (0..slots).filter(|slot| !shares.contains_key(slot)).collect();
    shares.extend(free.into_iter().zip(short.into_iter().cloned()));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(members: &[u8], slots: u16, held: &[(u16, u8)]) -> BTreeMap<u16, u8> {
        share(&members.iter().copied().collect(), slots, &held.iter().copied().collect())
    }

    fn counts(shares: &BTreeMap<u16, u8>) -> Vec<usize> {
        let mut counts = BTreeMap::new();
        for member in shares.values() {
            *counts.entry(member).or_insert(0) += 1;
        }
        counts.into_values().collect()
    }

    #[test]
    fn every_slot_has_one_holder_and_shares_differ_by_one_at_most() {
        for members in 1..=9_u8 {
            for slots in 0..=40_u16 {
                let all: Vec<u8> = (0..members).collect();
                // Whatever is held by whom, among them somebody who is dead,
                let held: Vec<(u16, u8)> =
                    (0..slots).filter(|n| n % 3 != 0).map(|n| (n, u8::try_from(n * 7 % 11).unwrap())).collect();
                let shares = shares(&all, slots, &held);
                // every slot is given out, evenly.
                assert_eq!(shares.len(), usize::from(slots));
                let per = counts(&shares);
                let (min, max) = (per.iter().min().unwrap_or(&0), per.iter().max().unwrap_or(&0));
                assert!(max - min <= 1 || (per.len() < all.len() && *max <= 1), "{shares:?}");
            }
        }
    }

    #[test]
    fn what_is_even_does_not_move() {
        let held = [(0, 1), (1, 2), (2, 2), (3, 1), (4, 2)];
        assert_eq!(shares(&[1, 2], 5, &held), held.into());
    }

    #[test]
    fn who_joins_gets_its_share_and_nothing_else_moves() {
        let held = [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2)];
        let shares = shares(&[1, 2, 3], 6, &held);
        assert_eq!(shares, [(0, 1), (1, 1), (2, 3), (3, 2), (4, 2), (5, 3)].into());
    }

    #[test]
    fn what_the_dead_held_goes_to_the_living() {
        let shares = shares(&[1, 3], 4, &[(0, 1), (1, 2), (2, 2), (3, 3)]);
        assert_eq!(shares, [(0, 1), (1, 1), (2, 3), (3, 3)].into());
    }

    #[test]
    fn without_members_nobody_holds_anything() {
        assert_eq!(shares(&[], 4, &[(0, 1)]), BTreeMap::new());
    }
}
