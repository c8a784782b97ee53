//! The built `toolgate`, in front of real MCP servers and of ones made to be awkward.

mod bytes_through;
mod envelope;
mod stdio_gate;
