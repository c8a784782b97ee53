//! Reads JSON-RPC envelopes strictly, in one pass.
