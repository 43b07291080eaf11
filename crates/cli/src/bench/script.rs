//! The commands of a run: who there is, and which command is the n-th. All of it follows from the seed.

use std::ops::Range;

use florin_engine::{
    command::{
        AdoptPolicy, Authorize, Class, Command, Deposit, Envelope, IssueCard, Issued, Merchant, Outcome, RegisterUser,
        Settle, TopUp, Unload,
    },
    ids::{AccountId, AuthorizationId, CardId, Digest, Key, Kind, mint, request_id},
    money::{Asset, Country, Minor, Sealed},
    policy::{CardKind, Policy, ProgrammeCode},
};
use florin_gateway::{
    http::idempotency::IdempotencyKey,
    issuer_inbound::{self, message::network_key},
    policy_document,
};
use florin_issuer::{PROFILE_CONTEXT, Profile};
use florin_vault::Vault;

use super::mix::{Mix, What};
use crate::causes;
use crate::failure::{Exit, Failure};

/// The company whose users are topped up.
pub(super) const COMPANY: &str = "bench";
/// What each wallet is given: enough for any number of top-ups, and no overflow for any number of accounts.
pub(super) const DEPOSIT: Minor = Minor(400_000_000_000);
/// What each card is issued with.
const INITIAL: Minor = Minor(10_000);
/// Where the issuer's authorizations are made; those of the load are made nowhere.
pub(super) const MERCHANT: &str = "bench";
/// Commands that make one user.
pub(super) const COMMANDS_PER_USER: u64 = 4;

/// A user's account and card.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) number: u32,
    pub(super) account: AccountId,
    pub(super) card: CardId,
}

/// Everybody, and what they do.
pub(super) struct Script {
    seed: u64,
    batch: u64,
    /// Where the users are registered, of a run over HTTP.
    vault: Option<Vault>,
    mix: Mix,
    now_ms: u64,
    pub(super) policy: Policy,
    /// By partition.
    pub(super) users: Vec<Vec<User>>,
}

/// The id by which the company knows a user.
pub(super) fn name(number: u32) -> String {
    format!("u{number}")
}

impl Script {
    /// With a vault the users are those of a company there; without, accounts that nobody can ask about.
    pub(super) fn new(args: &super::args::Bench, now_ms: u64, vault: Option<Vault>) -> Result<Self, Failure> {
        let unusable = |cause| Failure::new(Exit::Other, "the demo policy cannot be read").because(cause);
        let mut policy = policy_document::demo_policy().map_err(unusable)?;
        // The demo's caps on what an account may have remembered protect a server; here they would end the run.
        policy.remembered_max = u32::MAX;
        policy.authorizations_max = u32::MAX;
        let mut users = vec![Vec::new(); usize::from(args.partitions)];
        for number in 0..args.accounts {
            let pseudonym = match &vault {
                Some(vault) => vault.pseudonym(COMPANY, &name(number)),
                None => Key::of(AccountId::NIL, &number.to_le_bytes()).0,
            };
            let account = AccountId::from_pseudonym(pseudonym, args.partitions);
            let card = CardId(mint(account, Key::default(), Kind::Card));
            users[usize::from(account.partition())].push(User { number, account, card });
        }
        if users.iter().any(Vec::is_empty) {
            return Err(Failure::new(Exit::Usage, "a partition would have no account")
                .advise("give more --accounts, or fewer --partitions"));
        }
        Ok(Self { seed: args.seed, batch: args.batch(), vault, mix: args.mix, now_ms, policy, users })
    }

    pub(super) fn user_count(&self) -> usize {
        self.users.iter().map(Vec::len).sum()
    }

    /// The partition of command `n`: batches go round.
    pub(super) fn partition(&self, n: u64) -> u16 {
        u16::try_from(n / self.batch % self.users.len() as u64).unwrap_or(0)
    }

    /// Who command `n` is about, and by how much it tops up if it does.
    pub(super) fn top_up(&self, n: u64) -> (User, Minor) {
        let users = &self.users[usize::from(self.partition(n))];
        let drawn = self.drawn(n);
        let cents = 1_000 + i64::try_from(mix(drawn) % 9_000).unwrap_or(0);
        (users[below(drawn, users.len())], Minor(cents))
    }

    /// Which of so many readers reads in turn `n`.
    pub(super) fn reader(&self, n: u64, readers: usize) -> usize {
        below(self.drawn(n), readers)
    }

    /// Whose card the issuer's authorization `n` is about.
    pub(super) fn cardholder(&self, n: u64) -> User {
        let partition = usize::try_from(n % self.users.len() as u64).unwrap_or(0);
        let users = &self.users[partition];
        users[below(self.drawn(!n), users.len())]
    }

    /// The fingerprint of the issuer's authorization `n`.
    pub(super) fn key_of_authorization(&self, n: u64) -> Key {
        network_key(self.cardholder(n).account, issuer_inbound::API, "authorize", &network_id(n))
    }

    fn drawn(&self, n: u64) -> u64 {
        mix(self.seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The fingerprint of command `n`'s idempotency key.
    pub(super) fn key(&self, n: u64) -> Key {
        if self.vault.is_some() {
            let key = http_key(n);
            return IdempotencyKey::Given(key.as_bytes()).fingerprint("dashboard", self.top_up(n).0.account);
        }
        let mut key = [0; 16];
        key[..8].copy_from_slice(&mix(self.seed.wrapping_add(n)).to_le_bytes());
        key[8..].copy_from_slice(&n.to_le_bytes());
        Key(key)
    }

    /// Commands `range`, all of one partition.
    pub(super) fn envelopes(&self, range: Range<u64>) -> Vec<Envelope> {
        range.map(|n| self.envelope(n)).collect()
    }

    /// Command `n`.
    pub(super) fn envelope(&self, n: u64) -> Envelope {
        let (user, amount) = self.top_up(n);
        let mut digest = [0; 16];
        digest[..8].copy_from_slice(&mix(n).to_le_bytes());
        let card = user.card;
        let (class, command): (Class, Command) = match self.what(n) {
            What::TopUp => (Class::User, TopUp { card, amount }.into()),
            What::Unload => (Class::User, Unload { card, amount: Minor(1) }.into()),
            What::Authorize => {
                let authorization = AuthorizationId(mint(user.account, self.key(n), Kind::Authorization));
                let merchant = Merchant::default();
                let (amount, currency) = (Minor(100), Asset::USD);
                let asked = Authorize {
                    card,
                    authorization,
                    amount,
                    currency,
                    merchant,
                    card_present: true,
                    pin_entered: true,
                };
                (Class::Network, asked.into())
            }
        };
        let dated_ms = if class == Class::Network { self.now_ms } else { 0 };
        let digest = Digest(digest);
        Envelope { account: user.account, class, actor: 1, key: self.key(n), digest, dated_ms, command }
    }

    /// What command `n` is.
    fn what(&self, n: u64) -> What {
        self.mix.draw(mix(self.seed.wrapping_add(!n)))
    }

    /// The command that gives a partition its policy.
    pub(super) fn adopt(&self, partition: u16) -> Envelope {
        let policy = Box::new(self.policy.clone());
        let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy };
        self.set_up(AccountId::of_partition(partition), Class::Ops, 0xEE, adopt.into())
    }

    /// The commands that make a user: registered, funded, with an active card.
    pub(super) fn user(&self, user: &User) -> Result<[Envelope; 4], Failure> {
        let User { account, card, number: _ } = *user;
        let country = Country::parse("GB").unwrap_or_default();
        let register = RegisterUser { company: COMPANY.into(), country };
        let deposit = Deposit { asset: Asset::USD, amount: DEPOSIT, reference: Sealed::NONE };
        let issue = IssueCard {
            card,
            programme: ProgrammeCode::Dashboard,
            kind: CardKind::Virtual,
            initial: INITIAL,
            invoice: 0,
            provider: String::new(),
            country,
            profile: self.profile(user)?,
        };
        let issued = Issued { issuer_card: String::new(), first4: 4000, last4: 1234, expiry: 2090 * 12 };
        let settle = Settle { card, request: request_id(card, 1), outcome: Outcome::Issued(issued) };
        Ok([
            self.set_up(account, Class::Ops, 0xE0, register.into()),
            self.set_up(account, Class::Ops, 0xE1, deposit.into()),
            self.set_up(account, Class::User, 0xE2, issue.into()),
            self.set_up(account, Class::Settlement, 0xE3, settle.into()),
        ])
    }

    /// The sealed name of a user's card; without a vault something as long, which nobody asks for.
    fn profile(&self, user: &User) -> Result<Sealed, Failure> {
        let Some(vault) = &self.vault else { return Ok(Sealed(vec![7; 64])) };
        let profile = Profile { card_name: Some("Travel".to_owned()), ..Profile::default() };
        let text = serde_json::to_vec(&profile)
            .map_err(|cause| Failure::new(Exit::Other, "a card's name is no JSON").because(cause))?;
        vault.seal(user.account.0, PROFILE_CONTEXT, &text).map(Sealed).map_err(causes::vault)
    }

    fn set_up(&self, account: AccountId, class: Class, key: u8, command: Command) -> Envelope {
        let key = Key::of(account, &[key]);
        Envelope { account, class, actor: 1, key, digest: Digest([key.0[0]; 16]), dated_ms: self.now_ms, command }
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
