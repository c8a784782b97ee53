//! The built `toolgate`, in front of real MCP servers and of ones made to be awkward.

mod bytes_through;
mod endpoint;
mod envelope;
mod hiding;
mod independent_client;
mod limits;
mod people;
mod playwright;
mod real_servers;
mod stdio_gate;
mod stopping;
mod upstreams;
