//! An upstream that speaks Streamable HTTP, over connections of our own to which no task belongs.

mod answer;
mod connect;
mod events;
mod exchange;
mod heads;
mod listen;
mod pool;
mod session;
mod target;
mod wire;

pub(super) use exchange::HttpExchange;
pub use pool::{IDLE_CONNECTIONS, Options, Pool};
pub use session::Connection;
pub use target::{InvalidTarget, Target};
