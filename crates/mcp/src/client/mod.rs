//! The upstream side: child processes over stdio, and Streamable HTTP.
