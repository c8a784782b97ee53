//! The built binary, as its users run it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on has failed")]

mod approval;
mod audit;
mod check;
mod documents;
mod explain;
mod gateway;
mod grant;
mod reference;
mod start;
mod support;
