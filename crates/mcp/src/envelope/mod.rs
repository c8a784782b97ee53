//! Reads JSON-RPC envelopes in one pass.
//!
//! What an agent sends is read strictly: whatever two readers could understand differently is refused, never
//! repaired. What an upstream sends is read for its envelope only. In both directions the bytes stay as they
//! were; rewriting replaces one id and nothing else.

pub mod answer;
mod id;
pub mod list;
mod message;
mod rejected;
mod revision;
mod text;

pub use id::{Id, IdKey};
pub use message::{Kind, Message, Notification, Outcome, Params, Reference, Request, Response};
pub use rejected::Rejected;
pub use revision::Revision;
pub use text::{string, without_line_breaks};

/// How much of a message is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The length of the whole message in bytes.
    pub bytes: usize,
    /// How deep objects and arrays nest; the outermost counts as 1. At most [`Bounds::DEEPEST`].
    pub depth: usize,
}

impl Bounds {
    /// What an agent may send: 4 MiB, 64 deep.
    pub const REQUEST: Self = Self { bytes: 4 * 1024 * 1024, depth: 64 };
    /// What an upstream may answer: 64 MiB, 512 deep.
    pub const REPLY: Self = Self { bytes: 64 * 1024 * 1024, depth: Self::DEEPEST };
    /// No depth beyond this is read, because reading nests as the message does.
    pub const DEEPEST: usize = 512;
}

impl Default for Bounds {
    fn default() -> Self {
        Self::REQUEST
    }
}

/// Reads one message from an agent.
///
/// # Errors
/// When any part of it cannot be read safely.
pub fn read_request<'a>(bytes: &'a [u8], bounds: &Bounds) -> Result<Message<'a>, Rejected> {
    let _ = (bytes, bounds);
    todo!()
}

/// Reads a batch, or one message, from an agent that speaks a revision with batches.
///
/// # Errors
/// When any element cannot be read safely, when it is empty or has more than `max_elements`, and when `initialize` is among several.
pub fn read_batch<'a>(
    bytes: &'a [u8],
    bounds: &Bounds,
    max_elements: usize,
) -> Result<Vec<Message<'a>>, Rejected> {
    let _ = (bytes, bounds, max_elements);
    todo!()
}

/// Reads one message from an upstream: its envelope strictly; duplicates inside `result`, `error` and `params` are its own business.
///
/// # Errors
/// When it is not JSON, is too large or too deep, or its envelope is none.
pub fn read_reply<'a>(bytes: &'a [u8], bounds: &Bounds) -> Result<Message<'a>, Rejected> {
    let _ = (bytes, bounds);
    todo!()
}

/// The raw value of a member of a well-formed object; of duplicates the last. `None` when there is none, or it is no object.
#[must_use]
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let _ = (object, key);
    todo!()
}
