//! The server side of Streamable HTTP, without sockets: what headers are acceptable, and streams that can be resumed.

pub mod headers;
pub mod streams;
