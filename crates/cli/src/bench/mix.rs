//! What the commands of a run are: `--mix top-up=90,authorize=8,unload=2`.

use std::fmt;
use std::str::FromStr;

/// A kind of command in the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Wallet → card, with a fee.
    TopUp,
    /// A merchant asks for a dollar; a card that runs dry declines, which is an answer like another.
    Authorize,
    /// Card → wallet, a cent.
    Unload,
}

const ALL: [(What, &str); 3] = [(What::TopUp, "top-up"), (What::Authorize, "authorize"), (What::Unload, "unload")];

/// Shares of kinds; at least one is above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mix([u32; ALL.len()]);

/// The greatest share.
const SHARE_MAX: u32 = 1_000_000;

impl Mix {
    pub(crate) const TOP_UPS: Self = Self([1, 0, 0]);

    /// The kind that a random number draws.
    pub(crate) fn draw(&self, random: u64) -> What {
        let mut at = random % self.0.iter().map(|share| u64::from(*share)).sum::<u64>().max(1);
        for ((what, _), share) in ALL.iter().zip(self.0) {
            match at.checked_sub(u64::from(share)) {
                Some(rest) => at = rest,
                None => return *what,
            }
        }
        What::TopUp
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
        let drawn = |what| (0..1_000).filter(|n| mix.draw(*n) == what).count();
        assert_eq!([What::TopUp, What::Authorize, What::Unload].map(drawn), [900, 80, 20]);
        assert_eq!(Mix::TOP_UPS.draw(u64::MAX), What::TopUp);
    }

    #[test]
    fn what_is_no_mix_says_why() {
        for (text, why) in [
            ("top-up", "is not KIND=SHARE"),
            ("sale=1", "is none of top-up, authorize, unload"),
            ("top-up=-1", "must be 0 to 1000000"),
            ("top-up=0", "every share is 0"),
        ] {
            let refused = text.parse::<Mix>().expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
