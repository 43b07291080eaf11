//! What wallets and cards are given, so that every command of a run can be accepted however chance spreads them.

use florin_engine::money::Minor;

use super::args::Bench;
use super::mix::What;

/// What each wallet is given at least, in cents: enough for 38 million top-ups with their fees.
const DEPOSIT_MIN: i64 = 400_000_000_000;
/// All wallets together: well within what a sum can hold.
const DEPOSITS_MAX: i64 = 8_000_000_000_000_000_000;
/// One wallet: what the engine lets it hold.
const DEPOSIT_MAX: i64 = 2_000_000_000_000_000_000;
/// What each card is issued with at least: 100.00.
const INITIAL_MIN: i64 = 10_000;
/// The largest top-up with its fee, in cents.
const TOP_UP_MAX: i64 = 10_400;
/// An authorization, in cents.
pub(super) const AUTHORIZED: Minor = Minor(100);
/// An unload, in cents.
pub(super) const UNLOADED: Minor = Minor(1);
/// Longer than the issuer's authorizations go on.
const AUTHORIZED_S: i64 = 4 * 3_600;

/// What one wallet and one card begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Funds {
    /// Paid into the wallet.
    pub(super) deposit: Minor,
    /// Of that, what each card is issued with.
    pub(super) initial: Minor,
}

impl Funds {
    /// Enough for everything that the run might do to one account and one card, as far as all wallets together can have so
    /// much. Where they cannot, there are so many accounts that none of them has anywhere near all of the commands.
    pub(super) fn of(args: &Bench) -> Self {
        let deposit_max = (DEPOSITS_MAX / i64::from(args.accounts)).min(DEPOSIT_MAX);
        let cards = i64::from(args.cards);
        let commands = i64::try_from(args.end() + 1).unwrap_or(i64::MAX);
        // Only an unload needs something on the card: an authorization that finds nothing there is declined.
        let mut initial = INITIAL_MIN;
        if args.mix.has(What::Unload) {
            let authorized = if args.mix.has(What::Authorize) { commands } else { 0 }
                + args.authorizations.map_or(0, |rate| i64::from(rate) * AUTHORIZED_S);
            initial += commands * UNLOADED.0 + authorized * AUTHORIZED.0;
        }
        let initial = initial.min(deposit_max / cards / 4);
        let deposit = cards * issued(initial) + commands * TOP_UP_MAX;
        Self { deposit: Minor(deposit.clamp(DEPOSIT_MIN, deposit_max)), initial: Minor(initial) }
    }
}

/// The most that issuing a card with so much takes from the wallet, fees included.
fn issued(initial: i64) -> i64 {
    initial + initial / 20 + 1_000
}

#[cfg(test)]
mod tests {
    use super::super::args::parsed;
    use super::*;

    #[test]
    fn without_unloads_every_run_begins_alike() {
        for options in [&[][..], &["--mix", "authorize=1"], &["--accounts", "20000000", "--cards", "5"]] {
            let expected = Funds { deposit: Minor(DEPOSIT_MIN), initial: Minor(INITIAL_MIN) };
            assert_eq!(Funds::of(&parsed(options)), expected, "{options:?}");
        }
    }

    /// Given any number of commands, when all of them meet one card, then it has enough.
    #[test]
    fn cards_are_given_what_the_mix_may_take_from_one_of_them() {
        let funds = Funds::of(&parsed(&["--mix", "authorize=99,unload=1", "--commands", "1000"]));
        assert!(funds.initial >= Minor(1_000 * 100));
        let funds = Funds::of(&parsed(&["--accounts", "1", "--commands", "1000000000"]));
        assert!(funds.deposit >= Minor(1_000_000_000 * TOP_UP_MAX));
    }

    /// Given the most of everything, then no wallet and no sum of wallets is more than can be held, and cards can be paid for.
    #[test]
    fn no_run_overflows() {
        for accounts in ["1", "5000", "20000000"] {
            let options = ["--accounts", accounts, "--cards", "5", "--commands", "1000000000"];
            let more = ["--mix", "top-up=1,authorize=1,unload=1", "--authorizations", "100000"];
            let funds = Funds::of(&parsed(&[&options[..], &more].concat()));
            let accounts: i64 = accounts.parse().expect("a number");
            assert!(funds.deposit.0.checked_mul(accounts).is_some() && funds.deposit.0 <= DEPOSIT_MAX);
            assert!(funds.deposit.0 >= 5 * issued(funds.initial.0) && funds.deposit.0 >= DEPOSIT_MIN);
        }
    }
}
