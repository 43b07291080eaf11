//! A small generator (SplitMix64): the same numbers on every machine and for ever, so that a round can be run again.

/// A generator of one round.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of a round of a target.
    pub fn of(seed: u64, target: &str, round: u32) -> Self {
        Self(seed ^ hash(target.as_bytes()) ^ u64::from(round).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Some byte.
    pub fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[7]
    }

    /// A number from 0 to `end`, without it; 0 if `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % (end.max(1) as u64)).unwrap()
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    #[track_caller]
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// FNV-1a: names inputs and tells targets apart.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}
