//! Verification, invoices and issue as the documents tell them, in plain maps.

use std::collections::BTreeMap;

use florin_engine::reject::Reason;

use super::steps::What;
use crate::policy::{Figures, TOKENS};

#[derive(Clone, Debug)]
pub struct Invoice {
    pub user: usize,
    pub token: usize,
    pub what: What,
    /// Order and delivery, cents.
    pub fees: [i128; 2],
    pub units: i128,
    pub until: u64,
    pub used: bool,
}

#[derive(Clone, Debug, Default)]
pub struct User {
    pub country: usize,
    pub bdd: bool,
    pub sdd: bool,
    pub balance: [i128; 3],
    /// Cards that are neither refused nor gone.
    pub cards: usize,
}

#[derive(Clone, Debug)]
pub struct Orders {
    pub figures: &'static Figures,
    pub users: Vec<User>,
    pub invoices: BTreeMap<u64, Invoice>,
    /// Cents earned by orders and by deliveries.
    pub earned: [i128; 2],
}

const GB: usize = 0;
const DE: usize = 1;

/// A token amount for cents: to the cent of a token, half up.
fn quote(token: usize, cents: i128, rate: i128) -> i128 {
    // cents ÷ 100 ÷ (rate ÷ 10⁸) tokens, in hundredths
    let hundredths = (2 * cents * 100_000_000 + rate) / (2 * rate);
    hundredths * 10_i128.pow(TOKENS[token].1 - 2)
}

impl Orders {
    /// Virtual cards in GB and DE from BDD on; plastic ones in GB and FR, from SDD on, where a virtual one may be had: so in GB. The
    /// higher level satisfies the lower.
    fn capable(&self, user: usize, physical: bool) -> bool {
        let user = &self.users[user];
        let may_virtual = (user.bdd || user.sdd) && (user.country == GB || user.country == DE);
        may_virtual && (!physical || (user.sdd && user.country == GB))
    }

    /// Order and delivery, if there is such a card and such a way.
    fn fees(&self, what: What) -> Option<[i128; 2]> {
        let [virtual_gb, virtual_de, plastic_gb] = self.figures.order_fees;
        let delivery = |provider: usize| (1..3).contains(&provider).then(|| self.figures.deliveries[provider - 1]);
        match (what.physical, what.country) {
            (false, GB) => Some([virtual_gb, 0]),
            (false, DE) => Some([virtual_de, 0]),
            (true, GB) => Some([plastic_gb, delivery(what.provider)?]),
            _ => None,
        }
    }

    /// The invoice that is made, or why none is.
    pub fn quote(&self, now: u64, user: usize, token: usize, what: What) -> Result<Invoice, Reason> {
        if !what.physical && what.provider != 0 {
            return Err(Reason::InvalidField);
        }
        if token >= TOKENS.len() {
            return Err(Reason::AssetUnknown);
        }
        let fees = self.fees(what).ok_or(Reason::FeesUnknown)?;
        let units = quote(token, fees[0] + fees[1], self.figures.rates[token]);
        Ok(Invoice { user, token, what, fees, units, until: now + self.figures.invoice_ms, used: false })
    }

    /// Whether a card is issued by an invoice; 0: none is named.
    pub fn order(&mut self, now: u64, user: usize, number: u64, what: What) -> Result<(), Reason> {
        if !self.capable(user, what.physical) {
            return Err(Reason::CapabilityInactive);
        }
        if self.users[user].cards >= self.figures.cards_max {
            return Err(Reason::CardLimitReached);
        }
        if number == 0 {
            return Err(Reason::InvoiceRequired);
        }
        let country = if what.physical { what.country } else { self.users[user].country };
        let invoice = self.invoices.get_mut(&number).filter(|invoice| {
            invoice.user == user
                && !invoice.used
                && now < invoice.until
                && (invoice.what.physical, invoice.what.country) == (what.physical, country)
        });
        let invoice = invoice.ok_or(Reason::InvoiceInvalid)?;
        if what.provider != 0 && what.provider != invoice.what.provider {
            return Err(Reason::ProviderMismatch);
        }
        let user = &mut self.users[user];
        if user.balance[invoice.token] < invoice.units {
            return Err(Reason::InsufficientBalance);
        }
        user.balance[invoice.token] -= invoice.units;
        user.cards += 1;
        invoice.used = true;
        self.earned[0] += invoice.fees[0];
        self.earned[1] += invoice.fees[1];
        Ok(())
    }

    /// The issuer refused: everything taken is returned, and the invoice can be used again while it lasts.
    pub fn refused(&mut self, user: usize, paid: &Invoice, number: u64) {
        let user = &mut self.users[user];
        user.balance[paid.token] += paid.units;
        user.cards -= 1;
        self.earned[0] -= paid.fees[0];
        self.earned[1] -= paid.fees[1];
        if let Some(invoice) = self.invoices.get_mut(&number) {
            invoice.used = false;
        }
    }

    pub fn expire(&mut self, now: u64, user: usize, number: u64) -> Result<(), Reason> {
        let invoice = self.invoices.get(&number).filter(|invoice| invoice.user == user);
        let invoice = invoice.ok_or(Reason::InvoiceInvalid)?;
        if now < invoice.until {
            return Err(Reason::NotDue);
        }
        self.invoices.remove(&number);
        Ok(())
    }
}
