//! Speaks the Model Context Protocol: envelopes, framing and transports. Knows no policy.

pub mod client;
pub mod envelope;
pub mod server;
pub mod sse;
pub mod stdio;
