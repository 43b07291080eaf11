//! Who may send what.

use florin_engine::{
    command::{Class, Command},
    terms::Change,
};

/// Who may send what.
pub fn may(class: Class, command: &Command) -> bool {
    use Class::{Clock, Network, Ops, Settlement, User};
    let allowed: &[Class] = match command {
        Command::RegisterUser(_)
        | Command::Deposit(_)
        | Command::Withdraw(_)
        | Command::WriteOff(_)
        | Command::AdoptPolicy(_)
        | Command::DecideAppeal(_)
        | Command::DecideCardRequest(_) => &[Ops],
        Command::OpenAppeal(_) | Command::RequestCard(_) | Command::TopUp(_) | Command::Unload(_) => &[User],
        Command::IssueCard(_)
        | Command::Activate(_)
        | Command::ChangeLimits(_)
        | Command::SetNoPinAmount(_)
        | Command::RecordReveal(_) => &[User, Ops],
        Command::ChangeStatus(c) => match c.change {
            Change::Freeze | Change::Thaw | Change::Cancel => &[User, Ops],
            Change::Block | Change::BlockForFraud => &[Ops, Network],
            Change::Unblock => &[Ops],
        },
        Command::Settle(_) | Command::ConfirmReconcile(_) | Command::RecordAppealEmail(_) => &[Settlement],
        Command::LapseChange(_) | Command::ExpireCard(_) => &[Clock],
        Command::ExpireHold(_) => &[Clock, Network],
        Command::Authorize(_)
        | Command::Increment(_)
        | Command::Clear(_)
        | Command::Reverse(_)
        | Command::Refund(_)
        | Command::ForcePost(_) => &[Network],
        _ => &[],
    };
    allowed.contains(&class)
}
