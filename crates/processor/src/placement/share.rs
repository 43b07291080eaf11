//! How slots are shared out: a pure function that every member computes alike.

use std::collections::{BTreeMap, BTreeSet};

/// Who should hold each slot, given who is alive and who holds what.
///
/// Every member gets as many as every other, or one more; who has no more than its share keeps what it has, so that
/// nothing moves without need. `held` may name members that are not alive: their slots are free.
///
/// `out`: slots that a member cannot run for now, which go to others, evenly or not; where all say so, it counts for nothing.
pub fn share<M: Clone + Ord>(
    members: &BTreeSet<M>,
    slots: u16,
    held: &BTreeMap<u16, M>,
    out: &BTreeMap<M, BTreeSet<u16>>,
) -> BTreeMap<u16, M> {
    let mut shares = BTreeMap::new();
    if members.is_empty() {
        return shares;
    }
    let says = |member: &M, slot: u16| out.get(member).is_some_and(|out| out.contains(&slot));
    let sat_out: BTreeSet<u16> = (0..slots).filter(|slot| members.iter().any(|member| says(member, *slot))).collect();
    let can = |member: &M, slot: u16| !says(member, slot) || members.iter().all(|member| says(member, slot));
    let mut has: BTreeMap<&M, Vec<u16>> = members.iter().map(|member| (member, Vec::new())).collect();
    let kept = |(slot, member): &(&u16, &M)| **slot < slots && can(member, **slot);
    for (slot, member) in held.iter().filter(kept) {
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
    for (n, (member, mut has)) in order.into_iter().enumerate() {
        // What not everybody can run is kept first: the others could not take it.
        has.sort_by_key(|slot| !sat_out.contains(slot));
        let quota = least + usize::from(n < more);
        for slot in has.iter().take(quota) {
            shares.insert(*slot, member.clone());
        }
        short.extend(std::iter::repeat_n(member, quota.saturating_sub(has.len())));
    }
    let free: Vec<u16> = (0..slots).filter(|slot| !shares.contains_key(slot)).collect();
    // What few can run is given out first.
    let (few, all): (Vec<u16>, Vec<u16>) = free.into_iter().partition(|slot| sat_out.contains(slot));
    for slot in few.into_iter().chain(all) {
        let member = if let Some(at) = short.iter().position(|member| can(member, slot)) {
            short.remove(at).clone()
        } else {
            // Beyond its share: whoever has it, or has least.
            let holder = held.get(&slot).filter(|holder| members.contains(*holder) && can(holder, slot));
            let load = |member: &M| shares.values().filter(|holder| **holder == *member).count();
            let least = || members.iter().filter(|member| can(member, slot)).min_by_key(|member| load(member));
            let Some(member) = holder.or_else(least) else { continue };
            member.clone()
        };
        shares.insert(slot, member);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(members: &[u8], slots: u16, held: &[(u16, u8)]) -> BTreeMap<u16, u8> {
        share(&members.iter().copied().collect(), slots, &held.iter().copied().collect(), &BTreeMap::new())
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
    fn what_a_member_sits_out_goes_to_another_and_stays_there() {
        for members in 1..=5_u8 {
            for slots in 0..=12_u16 {
                let all: BTreeSet<u8> = (0..members).collect();
                let out: BTreeMap<u8, BTreeSet<u16>> =
                    (0..members).map(|m| (m, (0..slots).filter(|n| (n + u16::from(m)) % 3 == 0).collect())).collect();
                let mut held: BTreeMap<u16, u8> = (0..slots).map(|n| (n, u8::try_from(n % 6).unwrap())).collect();
                // Everything is given out, nothing to who sits it out unless all do;
                let mut moves = 0;
                loop {
                    let shares = share(&all, slots, &held, &out);
                    assert_eq!(shares.len(), usize::from(slots));
                    for (slot, member) in &shares {
                        let says = |member: &u8| out[member].contains(slot);
                        assert!(!says(member) || all.iter().all(says), "{slot} is {member}'s: {shares:?}");
                    }
                    // and once it has moved, it stays.
                    if shares == held {
                        break;
                    }
                    held = shares;
                    moves += 1;
                    assert!(moves < 4, "{members} members never settle on {slots} slots: {held:?}");
                }
            }
        }
    }

    #[test]
    fn without_members_nobody_holds_anything() {
        assert_eq!(shares(&[], 4, &[(0, 1)]), BTreeMap::new());
    }
}
