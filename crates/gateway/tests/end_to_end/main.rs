//! A real gateway between a real agent and a real server, in one process.
//!
//! The gateway runs as `serve` runs it, on a free port, with a ledger in a directory of its own and a clock that the
//! test sets. The agent is a small HTTP client that keeps every byte; the server is a small MCP server that remembers
//! what reached it. The cases of the contract run here as they run against the pure judge, so that both must agree.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod agent;
mod approvals;
mod case;
mod configuration;
mod envelope_cases;
mod gateway;
mod grants;
mod hiding;
mod http;
mod limits;
mod policy_cases;
mod reloading;
mod upstream;
mod upstream_sessions;
