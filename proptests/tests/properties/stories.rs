//! Stories that failed once, shortened: what was found by chance is told from then on in every run.

use florin_engine::{
    command::Class,
    terms::{Change, RevealKind},
};

use crate::{
    policy::{DAY, TIGHT},
    steps::{Said, Step, With},
    table::Table,
};

const AUTHORIZE: Step = Step::Authorize { card: 0, amount: 1, present: false, pin: false };
const ISSUE: Step = Step::Issue { user: 0, amount: 2_500, mobile: false, physical: false, expiry: 0 };
const WRONG: Step = Step::Activate { card: 0, right: false };

fn tell(mut table: Table, steps: &[Step]) {
    for step in steps {
        table.take(step);
    }
    table.world.audit();
}

fn with_card(physical: bool) -> Table {
    let mut table = Table::new();
    table.new_card(0, physical);
    table
}

/// Posted on a card that is not made yet, and that is refused then: the wallet pays.
#[test]
fn a_force_post_on_a_card_that_is_never_made() {
    let mut steps = vec![ISSUE, Step::ForcePost { card: 0, amount: 1 }];
    steps.extend([AUTHORIZE; 15]);
    steps.extend([Step::Settle { card: 0, said: Said::Refused }, AUTHORIZE, AUTHORIZE]);
    tell(Table::new(), &steps);
}

#[test]
fn a_reversal_of_more_than_is_held() {
    let settle = Step::Settle { card: 0, said: Said::Done };
    tell(Table::new(), &[ISSUE, settle, AUTHORIZE, AUTHORIZE, Step::Reverse { auth: 0, amount: Some(2) }]);
}

#[test]
fn an_issuance_that_lapses_twice() {
    tell(Table::new(), &[ISSUE, Step::Wait(1_200_000), Step::Lapse { card: 0 }, Step::Lapse { card: 0 }]);
}

/// Each is refused, and what it had overtaken is asked for again.
#[test]
fn stronger_changes_are_refused_one_after_the_other() {
    let by_ops = |change| Step::Change { card: 0, change, class: Class::Ops };
    let refused = Step::Settle { card: 0, said: Said::Refused };
    let steps =
        [by_ops(Change::Block), by_ops(Change::Cancel), by_ops(Change::BlockForFraud), refused.clone(), refused];
    tell(with_card(false), &steps);
}

/// As many keys as there may be are all past their time, and nothing has moved the clock since: there is room again.
#[test]
fn keys_past_their_time_take_no_room() {
    let mut table = Table::under(TIGHT);
    table.new_card(0, true);
    let mut steps = vec![WRONG; 20];
    steps.extend([Step::Wait(31 * DAY), WRONG]);
    tell(table, &steps);
}

/// The same of purchases.
#[test]
fn purchases_past_their_time_take_no_room() {
    let mut table = Table::under(TIGHT);
    table.new_card(0, false);
    let mut steps = vec![];
    for _ in 0..6 {
        steps.extend([AUTHORIZE, Step::Reverse { auth: 0, amount: None }]);
    }
    steps.extend([Step::Wait(20 * DAY - 1), AUTHORIZE, Step::Wait(1), AUTHORIZE]);
    tell(table, &steps);
}

/// Its key is forgotten, the appeal is not.
#[test]
fn an_appeal_that_comes_again_when_its_key_is_forgotten() {
    let block = Step::Change { card: 0, change: Change::Block, class: Class::Ops };
    let steps = [
        block,
        Step::Settle { card: 0, said: Said::Done },
        Step::Appeal { card: 0, empty: false },
        Step::DecideAppeal { appeal: 0, granted: false },
        Step::Wait(31 * DAY),
        Step::Again { sent: 1, with: With::Nothing },
    ];
    tell(with_card(false), &steps);
}

/// What may be seen of a card in each of its states.
#[test]
fn reveals_of_a_card_from_its_order_to_its_end() {
    use RevealKind::{ByNumber, Cvv, Details, OneTimeCode, Page, Pin};
    let settle = || Step::Settle { card: 0, said: Said::Done };
    let change = |change, class| Step::Change { card: 0, change, class };
    let life = [
        Step::Issue { user: 0, amount: 20_000, mobile: false, physical: true, expiry: 2 },
        settle(),
        Step::Activate { card: 0, right: true },
        change(Change::Freeze, Class::User),
        settle(),
        change(Change::Block, Class::Ops),
        settle(),
        change(Change::Cancel, Class::Ops),
        settle(),
    ];
    let mut steps = vec![];
    for step in life {
        steps.push(step);
        steps.extend([Details, Cvv, Pin, OneTimeCode, Page, ByNumber].map(|kind| Step::Reveal {
            card: 0,
            kind,
            ops: false,
            long: false,
        }));
    }
    tell(Table::new(), &steps);
}
