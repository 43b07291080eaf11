//! What the commands of a run are: `--mix top-up=90,authorize=7,unload=2,freeze=1`.

use std::fmt;
use std::str::FromStr;

/// A kind of command in the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Wallet → card, with a fee.
    TopUp,
    /// A merchant asks for a dollar; a card that runs dry or is frozen declines, which is an answer like another.
    Authorize,
    /// Card → wallet, a cent.
    Unload,
    /// Freezes a card that is active, thaws one that is frozen: the issuer has to be told.
    Freeze,
}

const ALL: [(What, &str); 4] =
    [(What::TopUp, "top-up"), (What::Authorize, "authorize"), (What::Unload, "unload"), (What::Freeze, "freeze")];

/// Shares of kinds; at least one is above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mix([u32; ALL.len()]);

/// The greatest share.
const SHARE_MAX: u32 = 1_000_000;

impl Mix {
    pub(crate) const TOP_UPS: Self = Self([1, 0, 0, 0]);

    /// Whether commands of a kind are among them.
    pub(crate) fn has(&self, what: What) -> bool {
        self.share(what) > 0
    }

    fn share(&self, what: What) -> u64 {
        ALL.iter().zip(self.0).find(|((is, _), _)| *is == what).map_or(0, |(_, share)| u64::from(share))
    }

    fn all(&self) -> u64 {
        self.0.iter().map(|share| u64::from(*share)).sum::<u64>().max(1)
    }

    /// What the `n`-th command of a partition is, with a random number for it.
    ///
    /// Freezes come at even distances and the others by chance between them, so that from `n` alone it follows how many
    /// freezes came before it, and with that which card's turn it is, and whether to freeze or to thaw.
    pub(crate) fn draw(&self, n: u64, random: u64) -> What {
        if self.has(What::Freeze) && self.freezes(n + 1) > self.freezes(n) {
            return What::Freeze;
        }
        let mut at = random % (self.all() - self.share(What::Freeze)).max(1);
        for ((what, _), share) in ALL.iter().zip(self.0).filter(|((what, _), _)| *what != What::Freeze) {
            match at.checked_sub(u64::from(share)) {
                Some(rest) => at = rest,
                None => return *what,
            }
        }
        What::TopUp
    }

    /// How many of a partition's first `n` commands are freezes.
    pub(crate) fn freezes(&self, n: u64) -> u64 {
        // Nothing saturates: a share is at most a million, and a run has some billion commands at most.
        n.saturating_mul(self.share(What::Freeze)) / self.all()
    }

    /// Most freezes among any `n` commands of a partition that follow one another.
    pub(crate) fn freezes_max(&self, n: u64) -> u64 {
        n.saturating_mul(self.share(What::Freeze)).div_ceil(self.all())
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = [0; ALL.len()];
        for part in text.split(',') {
            let (name, share) = part.split_once('=').ok_or_else(|| format!("{part:?} is not KIND=SHARE"))?;
            let at = ALL.iter().position(|(_, known)| *known == name.trim());
            let at = at.ok_or_else(|| format!("{name:?} is none of {}", ALL.map(|(_, name)| name).join(", ")))?;
            let share = share.trim().parse().ok().filter(|share| *share <= SHARE_MAX);
            shares[at] = share.ok_or_else(|| format!("the share of {name} must be 0 to {SHARE_MAX}"))?;
        }
        if shares == [0; ALL.len()] {
            return Err("every share is 0".to_owned());
        }
        Ok(Self(shares))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares = ALL.iter().zip(self.0).filter(|(_, share)| *share > 0);
        let told: Vec<String> = shares.map(|((_, name), share)| format!("{name}={share}")).collect();
        f.write_str(&told.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_drawn_as_they_are_given() {
        let mix: Mix = "top-up=90, authorize=8,unload=2".parse().expect("a mix");
        assert_eq!(mix.to_string(), "top-up=90,authorize=8,unload=2");
        let drawn = |what| (0..1_000).filter(|n| mix.draw(7, *n) == what).count();
        assert_eq!([What::TopUp, What::Authorize, What::Unload].map(drawn), [900, 80, 20]);
        assert_eq!(Mix::TOP_UPS.draw(0, u64::MAX), What::TopUp);
    }

    /// Given a mix with freezes, then any stretch has its share of them and never more than is said, whatever chance draws.
    #[test]
    fn freezes_come_at_even_distances() {
        for (text, share, all) in [("top-up=97,freeze=3", 3, 100), ("freeze=5", 1, 1), ("unload=1,freeze=2", 2, 3)] {
            let mix: Mix = text.parse().expect(text);
            let freezes: Vec<bool> = (0..3_000).map(|n| mix.draw(n, n * 77) == What::Freeze).collect();
            for (n, stretch) in freezes.windows(100).enumerate() {
                let found = stretch.iter().filter(|freeze| **freeze).count() as u64;
                assert_eq!(found, mix.freezes(n as u64 + 100) - mix.freezes(n as u64), "{text} from {n}");
                assert!((100 * share / all..=mix.freezes_max(100)).contains(&found), "{text} from {n}: {found}");
            }
        }
    }

    #[test]
    fn what_is_no_mix_says_why() {
        for (text, why) in [
            ("top-up", "is not KIND=SHARE"),
            ("sale=1", "is none of top-up, authorize, unload, freeze"),
            ("top-up=-1", "must be 0 to 1000000"),
            ("top-up=0", "every share is 0"),
        ] {
            let refused = text.parse::<Mix>().expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
