//! What every backend promises: one body per promise, run for each of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

#[path = "../support/mod.rs"]
mod support;

mod approvals;
mod audit;
mod calls;
mod directory;
mod grants;
mod policies;

/// Runs each promise for every backend.
macro_rules! for_every_backend {
    ($($promise:ident),* $(,)?) => {
        mod exclusive {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$promise(crate::support::House::new(crate::support::Backend::Exclusive)).await;
            })*
        }
        mod shared {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$promise(crate::support::House::new(crate::support::Backend::Shared)).await;
            })*
        }
    };
}
pub(crate) use for_every_backend;
