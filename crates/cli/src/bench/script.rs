//! The commands of a run: which command is the n-th, and whom it is about. All of it follows from the seed.

use std::ops::Range;

use florin_engine::{
    command::{Authorize, ChangeStatus, Class, Command, Envelope, Merchant, TopUp, Unload},
    ids::{AccountId, AuthorizationId, CardId, Digest, Key, Kind, mint},
    money::{Asset, Minor, Sealed},
    policy::{Policy, ProgrammeCode},
    terms::Change,
};
use florin_gateway::{
    http::idempotency::IdempotencyKey,
    issuer_inbound::{self, message::network_key},
    policy_document,
};
use florin_vault::Vault;

use super::args::Bench;
use super::funds::{AUTHORIZED, Funds, UNLOADED};
use super::mix::{Mix, What};
use super::people::{User, name};
use crate::failure::{Exit, Failure};

/// The company whose users are topped up.
pub(super) const COMPANY: &str = "bench";
/// Where the issuer's authorizations are made; those of the load are made nowhere.
pub(super) const MERCHANT: &str = "bench";

/// Everybody, and what they do.
pub(super) struct Script {
    seed: u64,
    batch: u64,
    /// Commands from here on are top-ups, whatever the mix.
    pub(super) end: u64,
    /// Where the users are registered, of a run over HTTP.
    pub(super) vault: Option<Vault>,
    mix: Mix,
    pub(super) now_ms: u64,
    pub(super) policy: Policy,
    pub(super) funds: Funds,
    /// Of each user.
    pub(super) cards: u8,
    /// By partition.
    pub(super) users: Vec<Vec<User>>,
}

/// A command in the words of the run.
#[derive(Clone, Copy)]
pub(super) struct Meant {
    pub(super) user: User,
    pub(super) card: CardId,
    pub(super) does: Does,
}

/// What a command does to its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    TopUp(Minor),
    Authorize(Minor),
    Unload(Minor),
    /// The card's change of this number, from 0 on: even ones freeze, odd ones thaw.
    Change(u32),
}

impl Script {
    /// With a vault the users are those of a company there; without, accounts that nobody can ask about.
    pub(super) fn new(args: &Bench, now_ms: u64, vault: Option<Vault>) -> Result<Self, Failure> {
        let unusable = |cause| Failure::new(Exit::Other, "the demo policy cannot be read").because(cause);
        let mut policy = policy_document::demo_policy().map_err(unusable)?;
        let funds = Funds::of(args);
        // The demo's caps on what an account may have remembered protect a server; here they would end the run.
        policy.remembered_max = u32::MAX;
        policy.authorizations_max = u32::MAX;
        for programme in policy.programmes.iter_mut().filter(|one| one.code == ProgrammeCode::Dashboard) {
            if let Some(bounds) = &mut programme.initial {
                bounds.max = bounds.max.max(funds.initial);
            }
        }
        let mut users = vec![Vec::new(); usize::from(args.partitions)];
        for number in 0..args.accounts {
            let pseudonym = match &vault {
                Some(vault) => vault.pseudonym(COMPANY, &name(number)),
                None => Key::of(AccountId::NIL, &number.to_le_bytes()).0,
            };
            let account = AccountId::from_pseudonym(pseudonym, args.partitions);
            users[usize::from(account.partition())].push(User::new(number, account));
        }
        let (seed, batch, mix, cards) = (args.seed, args.batch(), args.mix, args.cards);
        let script = Self { seed, batch, end: args.end(), vault, mix, now_ms, policy, funds, cards, users };
        script.possible(args)?;
        Ok(script)
    }

    /// Refuses what could not be run to its end.
    fn possible(&self, args: &Bench) -> Result<(), Failure> {
        let least = self.users.iter().map(Vec::len).min().unwrap_or(0);
        if least == 0 {
            let (accounts, partitions) = (args.accounts, args.partitions);
            let what =
                format!("--partitions {partitions} would leave a partition without any of --accounts {accounts}");
            return Err(Failure::new(Exit::Usage, what).advise("give more --accounts, or fewer --partitions"));
        }
        let (cards, changes) = (least as u64 * u64::from(self.cards), self.mix.freezes_max(self.batch));
        if changes > cards {
            // A card waits for the issuer between two changes, and a batch does not wait within itself.
            let what = format!(
                "a batch of {} with --mix {} has up to {changes} freezes, and a partition has {cards} cards",
                self.batch, self.mix
            );
            let advice =
                "a card can be changed once in a batch: give more --accounts, a smaller --batch, or fewer freezes";
            return Err(Failure::new(Exit::Usage, what).advise(advice));
        }
        Ok(())
    }

    pub(super) fn user_count(&self) -> usize {
        self.users.iter().map(Vec::len).sum()
    }

    /// The partition of command `n`: batches go round.
    pub(super) fn partition(&self, n: u64) -> u16 {
        u16::try_from(n / self.batch % self.users.len() as u64).unwrap_or(0)
    }

    /// How many commands of its partition come before command `n`.
    fn before(&self, n: u64) -> u64 {
        n / (self.batch * self.users.len() as u64) * self.batch + n % self.batch
    }

    /// How many changes that the issuer settles are among commands `0..n`.
    pub(super) fn changes(&self, n: u64) -> u64 {
        let n = n.min(self.end);
        let round = self.batch * self.users.len() as u64;
        let in_partition = |partition: u64| {
            let begun = (n % round).saturating_sub(partition * self.batch).min(self.batch);
            self.mix.freezes(n / round * self.batch + begun)
        };
        (0..self.users.len() as u64).map(in_partition).sum()
    }

    /// What command `n` means.
    pub(super) fn meant(&self, n: u64) -> Meant {
        let users = &self.users[usize::from(self.partition(n))];
        let drawn = self.drawn(n);
        let cents = 1_000 + i64::try_from(mix(drawn) % 9_000).unwrap_or(0);
        let user = users[below(drawn, users.len())];
        let card = user.card(self.one_of_cards(drawn));
        let of = |does| Meant { user, card, does };
        let before = self.before(n);
        match self.mix.draw(before, mix(self.seed.wrapping_add(!n))) {
            _ if n >= self.end => of(Does::TopUp(Minor(cents))),
            What::TopUp => of(Does::TopUp(Minor(cents))),
            What::Authorize => of(Does::Authorize(AUTHORIZED)),
            What::Unload => of(Does::Unload(UNLOADED)),
            What::Freeze => {
                // Every card in turn, so that it is long since its last change.
                let (users_count, change) = (users.len() as u64, self.mix.freezes(before));
                let (of_all, turn) = (users_count * u64::from(self.cards), change % users_count);
                let user = users[usize::try_from(turn).unwrap_or(0)];
                let card = user.card(u8::try_from(change % of_all / users_count).unwrap_or(0));
                Meant { user, card, does: Does::Change(u32::try_from(change / of_all).unwrap_or(u32::MAX)) }
            }
        }
    }

    /// Which of a user's cards a random number draws.
    fn one_of_cards(&self, random: u64) -> u8 {
        if self.cards == 1 { 0 } else { u8::try_from(mix(!random) % u64::from(self.cards)).unwrap_or(0) }
    }

    /// Which of so many readers reads in turn `n`.
    pub(super) fn reader(&self, n: u64, readers: usize) -> usize {
        below(self.drawn(n), readers)
    }

    /// The card that is read in turn `n` beside the load, of any partition.
    pub(super) fn read(&self, n: u64) -> CardId {
        let drawn = self.drawn(n.wrapping_add(1 << 63));
        let partition = usize::try_from(n % self.users.len() as u64).unwrap_or(0);
        let users = &self.users[partition];
        users[below(drawn, users.len())].card(self.one_of_cards(drawn))
    }

    /// The account and card that the issuer's authorization `n` is about.
    pub(super) fn cardholder(&self, n: u64) -> (AccountId, CardId) {
        let partition = usize::try_from(n % self.users.len() as u64).unwrap_or(0);
        let (users, drawn) = (&self.users[partition], self.drawn(!n));
        let user = users[below(drawn, users.len())];
        (user.account, user.card(self.one_of_cards(drawn)))
    }

    /// The fingerprint of the issuer's authorization `n`.
    pub(super) fn key_of_authorization(&self, n: u64) -> Key {
        network_key(self.cardholder(n).0, issuer_inbound::API, "authorize", &network_id(n))
    }

    fn drawn(&self, n: u64) -> u64 {
        mix(self.seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The fingerprint of command `n`'s idempotency key.
    pub(super) fn key(&self, n: u64) -> Key {
        if self.vault.is_some() {
            let key = http_key(n);
            return IdempotencyKey::Given(key.as_bytes()).fingerprint("dashboard", self.meant(n).user.account);
        }
        let mut key = [0; 16];
        key[..8].copy_from_slice(&mix(self.seed.wrapping_add(n)).to_le_bytes());
        key[8..].copy_from_slice(&n.to_le_bytes());
        Key(key)
    }

    /// The number that a key would have to be of, of a run that does not go over HTTP.
    pub(super) fn number(key: Key) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = key.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Commands `range`, all of one partition.
    pub(super) fn envelopes(&self, range: Range<u64>) -> Vec<Envelope> {
        range.map(|n| self.envelope(n)).collect()
    }

    /// Command `n`.
    pub(super) fn envelope(&self, n: u64) -> Envelope {
        let Meant { user, card, does } = self.meant(n);
        let mut digest = [0; 16];
        digest[..8].copy_from_slice(&mix(n).to_le_bytes());
        let (class, command): (Class, Command) = match does {
            Does::TopUp(amount) => (Class::User, TopUp { card, amount }.into()),
            Does::Unload(amount) => (Class::User, Unload { card, amount }.into()),
            Does::Change(turn) => {
                let change = if turn % 2 == 0 { Change::Freeze } else { Change::Thaw };
                (Class::User, ChangeStatus { card, change, reason: Sealed::NONE }.into())
            }
            Does::Authorize(amount) => {
                let authorization = AuthorizationId(mint(user.account, self.key(n), Kind::Authorization));
                let (merchant, currency) = (Merchant::default(), Asset::USD);
                let (card_present, pin_entered) = (true, true);
                let asked = Authorize { card, authorization, amount, currency, merchant, card_present, pin_entered };
                (Class::Network, asked.into())
            }
        };
        let dated_ms = if class == Class::Network { self.now_ms } else { 0 };
        let digest = Digest(digest);
        Envelope { account: user.account, class, actor: 1, key: self.key(n), digest, dated_ms, command }
    }

    /// A number for what command `n` means, which does not depend on ids: to be added to those of others, for a fingerprint
    /// of all commands in whatever order they came.
    pub(super) fn print(&self, n: u64) -> u64 {
        let meant = self.meant(n);
        let (kind, of) = match meant.does {
            Does::TopUp(amount) => (1, amount.0),
            Does::Authorize(amount) => (2, amount.0),
            Does::Unload(amount) => (3, amount.0),
            Does::Change(turn) => (4, i64::from(turn)),
        };
        let card = (0..self.cards).find(|number| meant.user.card(*number) == meant.card).unwrap_or(u8::MAX);
        let words = [u64::from(meant.user.number), u64::from(card), kind, of.cast_unsigned()];
        words.into_iter().fold(n, |print, word| mix(print.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ word))
    }
}

/// The idempotency key of command `n` as an HTTP client sends it.
pub(super) fn http_key(n: u64) -> String {
    format!("bench-{n}")
}

/// The issuer's id of its authorization `n`, and of the message.
pub(super) fn network_id(n: u64) -> String {
    format!("bench-{n}")
}

/// A random number as one below `end`.
fn below(random: u64, end: usize) -> usize {
    usize::try_from((u128::from(random) * end as u128) >> 64).unwrap_or(0)
}

/// A bijection that leaves nothing to see of its input (the finisher of splitmix64).
const fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::args::parsed;
    use super::*;

    const MIX: [&str; 2] = ["--mix", "top-up=60,authorize=20,unload=10,freeze=10"];

    fn script(options: &[&str]) -> Script {
        Script::new(&parsed(options), 1_790_000_000_000, None).expect("possible options")
    }

    #[test]
    fn the_same_seed_gives_the_same_commands_and_another_one_others() {
        let of = |seed| {
            let options =
                ["--accounts", "40", "--partitions", "2", "--batch", "7", "--commands", "300", "--seed", seed];
            let script = script(&[&options[..], &MIX].concat());
            let print = (0..300).fold(0_u64, |print, n| print.wrapping_add(script.print(n)));
            ((0..300).map(|n| script.envelope(n)).collect::<Vec<_>>(), print)
        };
        assert_eq!(of("5"), of("5"));
        let (others, print) = of("6");
        assert!(others != of("5").0 && print != of("5").1);
    }

    /// Given cards that take turns, then each card is frozen, thawed, frozen …, and never twice in one batch.
    #[test]
    fn changes_of_a_card_alternate_and_a_batch_has_one_of_them() {
        let options = ["--accounts", "12", "--cards", "2", "--partitions", "2", "--batch", "20", "--commands", "2000"];
        let script = script(&[&options[..], &["--mix", "top-up=3,freeze=1"]].concat());
        let mut next: HashMap<CardId, u32> = HashMap::new();
        let mut last: HashMap<CardId, u64> = HashMap::new();
        for n in 0..script.end {
            assert_eq!(
                script.changes(n + 1) - script.changes(n),
                u64::from(matches!(script.meant(n).does, Does::Change(_)))
            );
            let Meant { card, does: Does::Change(turn), .. } = script.meant(n) else { continue };
            assert_eq!(card.partition(), script.partition(n));
            let expected = next.entry(card).or_default();
            assert_eq!(turn, *expected, "the turns of {card} at {n}");
            *expected += 1;
            assert_ne!(last.insert(card, n / 20), Some(n / 20), "{card} is changed twice in a batch");
        }
        assert_eq!(next.len(), 24, "every card has its turn");
        assert!(next.values().all(|turns| *turns >= 2));
    }

    #[test]
    fn after_the_end_there_are_only_top_ups() {
        let script = script(&["--mix", "freeze=1", "--batch", "1", "--commands", "10"]);
        assert!(matches!(script.meant(script.end - 1).does, Does::Change(_)));
        assert!(matches!(script.meant(script.end).does, Does::TopUp(_)));
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_bound() {
        for (options, told) in [
            (&["--accounts", "1", "--partitions", "2"][..], "--partitions 2 would leave a partition without any"),
            (
                &["--accounts", "10", "--mix", "top-up=1,freeze=1", "--batch", "100"],
                "a batch of 100 with --mix top-up=1,freeze=1 has up to 50 freezes, and a partition has 10 cards",
            ),
        ] {
            let refused = Script::new(&parsed(options), 0, None).err().expect("impossible options").to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
