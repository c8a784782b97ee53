//! What must hold for every document, every call and every order of events.
//!
//! The number of cases is bounded; `PROPTEST_CASES` raises it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

#[path = "../contract/ledger.rs"]
mod ledger;

mod counters;
mod narrowing;
mod numbers;
mod totality;
mod worlds;

use proptest::test_runner::Config;

/// The usual number of cases, and no files written when one fails.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}
