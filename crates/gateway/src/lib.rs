//! Guards: one request at a time, from who asks to what came of it.
//!
//! ```text
//! authenticate -> route -> read envelope -> judge -> [approval] -> reserve -> forward -> inspect -> settle
//! ```
//!
//! The crate joins what the others know apart: `policy` judges, `mcp` speaks, `ledger` remembers.
//! Invariants: nothing that is governed reaches an upstream without a [`Permit`](permit::Permit),
//! which only judging *and* reserving can make; what cannot be read, judged or recorded is
//! refused; one session is one agent, one server and one upstream connection.

mod api;
pub mod api_types;
mod approval;
mod clock;
pub mod config;
mod decision;
mod front;
mod gate;
mod hold;
mod identity;
mod intent;
mod lone;
mod metrics;
mod opening;
mod permit;
mod presence;
mod refusal;
mod relay;
mod running;
mod service;
mod session;
mod snapshot;
mod start;
mod stdio_front;
mod subject;
mod telling;
mod upstream;
mod walk;
mod watch;

pub use clock::Clock;
pub use start::{Ready, Reloaded, Run, Serve, SharedEnvironment, StartError, run_stdio, serve};
