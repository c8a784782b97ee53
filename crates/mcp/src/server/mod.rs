//! The server side of Streamable HTTP, without sockets.
