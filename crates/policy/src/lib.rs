//! Judges what an agent may do: policy documents, decisions, the arithmetic of limits and the states of approvals.
//!
//! Everything in this crate is a pure function of its arguments. It opens no files, reads no clock, starts no threads
//! and knows neither MCP nor storage: text comes in, verdicts and numbers come out.
//!
//! Invariants:
//!
//! - A document with even one error never becomes a [`Policy`]; all of its problems are reported at once.
//! - Judging is total: no document and no arguments make it panic, and what cannot be judged is denied and says so.
//! - Numbers are exact. Nothing here is ever a binary fraction.
//! - A counter never exceeds the maximum of the limit that was asked, in whatever order calls arrive, also when the
//!   clock that is handed in runs backwards.

pub mod approvals;
mod arguments;
mod canonical;
mod charges;
mod condition;
mod decimal;
pub mod document;
mod judge;
pub mod limits;
mod model;
mod observer;
mod path;
mod pattern;
mod problem;
mod raw_text;
mod read;
mod scan;
mod time;
mod uri;
mod verdict;

pub use canonical::{NotCanonical, argument_keys, canonical_json};
pub use decimal::{Decimal, NotExact};
pub use limits::{Window, WindowKind};
pub use model::{Checked, Count, Limit, Listed, Policy, Scope};
pub use problem::{Problem, Severity};
pub use time::Timestamp;
pub use verdict::{Call, Charge, Explanation, Step, Target, Verdict};
