//! Remembers what the gate let through and what it refused.
//!
//! The ledger takes quota, spends approvals and writes the intent of a call in one atomic step, *before* anything is
//! forwarded ([`Ledger::reserve`]); afterwards it records what came of it ([`Ledger::settle`]). It also keeps grants,
//! approvals and policies made at run time, because revoking a grant or spending an approval must be part of that step.
//!
//! It deliberately knows no MCP and no policy documents: a call is an [`Intent`], a limit is a [`Charge`]. It reads no
//! clock: every operation that needs the time is told it.
//!
//! Invariants:
//!
//! 1. A [`Ticket`] exists only if its entry, with all its charges, was written.
//! 2. No counter exceeds its maximum, at any concurrency, across `kill -9`, and with a clock that runs backwards.
//! 3. Every record is a link of one hash chain; [`Ledger::verify`] finds any edit, removal or reordering.
//! 4. What cannot be written is refused: an error from `reserve` means that nothing was taken.
//!
//! One directory is held either by one process (`serve`: [`Ledger::open_exclusive`], an append-only log with SQLite
//! filled behind it) or by any number of them (`run` and the command line: [`Ledger::open_shared`], SQLite transactions).
//! Both leave the same database behind.

mod approvals;
mod audit;
mod bytes;
mod call;
mod chain;
mod change;
mod charge;
mod directory;
mod entry;
mod error;
mod export;
mod facts;
mod frame;
mod grants;
mod ledger;
mod log;
mod options;
mod orphans;
mod owned;
mod policies;
mod record;
mod shared;
mod sqlite;

pub use approvals::{Approval, ApprovalFilter, ApprovalState, ApprovalUse, AskApproval, Decision};
pub use charge::{Charge, CounterKey};
pub use entry::{Ending, Entry, EntryFilter, EntryId, Intent, InvalidEntryId, Outcome, Settlement, UpstreamResult};
pub use error::{ApprovalGone, LedgerError, OpenError};
pub use export::EXPORT_COLUMNS;
pub use grants::{Access, FileGrant, Grant, GrantCheck, NewGrant, Origin, Token};
pub use ledger::{EntryStream, Ledger, Reserved, Ticket, Verified};
pub use options::{Options, Synchronous};
pub use policies::StoredPolicy;
