//! Views of the ledger: cards, wallets, statements, ledger accounts and what else is read, in sled.
//!
//! Shape: [`Views`] reads; [`Projector`](projector::Projector) follows every partition of a journal and folds its events into rows. One
//! tree holds all rows under prefixed big-endian keys, one file per view: its key, its row, their round trip.
//!
//! Bounds: a batch has a few thousand rows; what batches changed in the last second is in memory (`store.rs`) and comes to the store
//! with the checkpoint it is of (`behind.rs`), as a whole (`redo.rs`), so a crash never leaves the views ahead of or behind their
//! position. How many rows that are, and the store's cache, are bounded by [`Options`](open::Options).
//!
//! Absent on purpose: any decision (events say what happened, the views only add it up), any way to write truth, and any care for old rows:
//! views are disposable and are rebuilt from the journal.

pub mod accounts;
pub mod appeals;
mod applier;
pub mod authorizations;
mod batch;
mod behind;
pub mod card_requests;
pub mod cards;
pub mod checkpoint;
pub mod due;
pub mod error;
mod fold;
pub mod history;
pub mod invoices;
mod key;
pub mod ledger;
mod lines;
pub mod open;
mod pace;
mod policies;
pub mod projector;
mod redo;
mod row;
mod statements;
mod store;
pub mod transactions;
pub mod views;
pub mod wallets;

pub use accounts::AccountRow;
pub use appeals::{AppealRow, Decision};
pub use authorizations::{AuthorizationRow, SourceRow};
pub use card_requests::CardRequestRow;
pub use cards::{CardRow, PendingCard, PendingKind, PendingRow};
pub use checkpoint::SCHEMA;
pub use due::{DueKeep, DueKind, DueMark, DueRow};
pub use error::{Error, Late};
pub use history::HistoryRow;
pub use invoices::{InvoiceRow, InvoiceStatus};
pub use ledger::{AssetBalance, LedgerBalance, LedgerKind, TrialBalance};
pub use open::{Options, Rebuild};
pub use projector::{Progress, Projector};
pub use transactions::{BadCursor, Cursor, Direction, Page, TransactionKind, TransactionRow, TransactionStatus};
pub use views::{PAGE_ROWS_MAX, Views};
pub use wallets::WalletRow;
