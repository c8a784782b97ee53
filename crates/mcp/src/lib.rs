//! Speaks the Model Context Protocol: envelopes, framing and transports.
//!
//! It decides what is a message and what cannot be read safely, and moves messages between an agent's side and an
//! upstream's. It knows no policy, no grants and no ledger, and it never turns `params`, `result` or `error` into types:
//! their bytes go on as they came.
//!
//! Invariants:
//! - What [`envelope::read_request`] accepts means the same to every JSON reader: no duplicate keys, no keys or methods
//!   that differ only in case from those the gate judges by, exact grammar, exact UTF-8.
//! - Rewriting a message replaces one id, or removes line breaks between tokens. It is never parsed and written anew.
//! - Every frame, depth, queue and store has a bound with a name.

pub mod client;
pub mod envelope;
pub mod server;
pub mod sse;
pub mod stdio;
