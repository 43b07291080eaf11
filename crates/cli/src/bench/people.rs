//! Who there is, and the commands that make them: a policy for each partition, and users with a wallet and cards.

use florin_engine::{
    command::{AdoptPolicy, Class, Command, Deposit, Envelope, IssueCard, Issued, Outcome, RegisterUser, Settle},
    ids::{AccountId, CardId, Digest, Key, Kind, mint, request_id},
    money::{Asset, Country, Sealed},
    policy::{CardKind, ProgrammeCode},
};
use florin_issuer::{PROFILE_CONTEXT, Profile};

use super::script::{COMPANY, Script};
use crate::causes;
use crate::failure::{Exit, Failure};

/// A user's account.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) number: u32,
    pub(super) account: AccountId,
    /// The first card. It is kept, as making an id takes longer than making the rest of a command.
    card: CardId,
}

impl User {
    pub(super) fn new(number: u32, account: AccountId) -> Self {
        Self { number, account, card: CardId(mint(account, Key::default(), Kind::Card)) }
    }

    /// One of the user's cards.
    pub(super) fn card(&self, number: u8) -> CardId {
        if number == 0 {
            return self.card;
        }
        CardId(mint(self.account, Key::of(self.account, &[number]), Kind::Card))
    }
}

/// The id by which the company knows a user.
pub(super) fn name(number: u32) -> String {
    format!("u{number}")
}

/// What a card is where no issuer made it.
pub(super) fn unmade() -> Issued {
    Issued { issuer_card: String::new(), first4: 4000, last4: 1234, expiry: 2090 * 12 }
}

impl Script {
    /// Commands that make one user.
    pub(super) fn commands_per_user(&self) -> u64 {
        2 + 2 * u64::from(self.cards)
    }

    /// The command that gives a partition its policy.
    pub(super) fn adopt(&self, partition: u16) -> Envelope {
        let policy = Box::new(self.policy.clone());
        let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy };
        self.set_up(AccountId::of_partition(partition), Class::Ops, &[0xEE], adopt.into())
    }

    /// The commands that make a user: registered, funded, with active cards that are what `made` says.
    pub(super) fn user(&self, user: &User, made: impl Fn(CardId) -> Issued) -> Result<Vec<Envelope>, Failure> {
        let account = user.account;
        let country = Country::parse("GB").unwrap_or_default();
        let register = RegisterUser { company: COMPANY.into(), country };
        let deposit = Deposit { asset: Asset::USD, amount: self.funds.deposit, reference: Sealed::NONE };
        let mut commands = vec![
            self.set_up(account, Class::Ops, &[0xE0], register.into()),
            self.set_up(account, Class::Ops, &[0xE1], deposit.into()),
        ];
        for number in 0..self.cards {
            let card = user.card(number);
            let issue = IssueCard {
                card,
                programme: ProgrammeCode::Dashboard,
                kind: CardKind::Virtual,
                initial: self.funds.initial,
                invoice: 0,
                provider: String::new(),
                country,
                profile: self.profile(user)?,
            };
            let settle = Settle { card, request: request_id(card, 1), outcome: Outcome::Issued(made(card)) };
            commands.push(self.set_up(account, Class::User, &[0xE2, number], issue.into()));
            commands.push(self.set_up(account, Class::Settlement, &[0xE3, number], settle.into()));
        }
        Ok(commands)
    }

    /// The sealed name of a user's card; without a vault something as long, which nobody asks for.
    fn profile(&self, user: &User) -> Result<Sealed, Failure> {
        let Some(vault) = &self.vault else { return Ok(Sealed(vec![7; 64])) };
        let profile = Profile { card_name: Some("Travel".to_owned()), ..Profile::default() };
        let text = serde_json::to_vec(&profile)
            .map_err(|cause| Failure::new(Exit::Other, "a card's name is no JSON").because(cause))?;
        vault.seal(user.account.0, PROFILE_CONTEXT, &text).map(Sealed).map_err(causes::vault)
    }

    fn set_up(&self, account: AccountId, class: Class, key: &[u8], command: Command) -> Envelope {
        let key = Key::of(account, key);
        Envelope { account, class, actor: 1, key, digest: Digest([key.0[0]; 16]), dated_ms: self.now_ms, command }
    }
}
