//! Reads JSON-RPC envelopes in one pass.
//!
//! What an agent sends is read strictly: whatever two readers could understand differently is refused, never
//! repaired. What an upstream sends is read for its envelope only. In both directions the bytes stay as they
//! were; rewriting replaces one id and nothing else.

pub mod answer;
mod fault;
mod fold;
mod id;
mod keys;
pub mod list;
mod message;
mod method;
mod read;
mod rejected;
mod revision;
mod scan;
mod text;

use fault::{Fault, What};
use scan::Scanner;

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
    let text = decode(bytes, bounds).map_err(|fault| fault.by_agent(""))?;
    read::only_message(&mut Scanner::strict(text, bounds.depth), text)
}

/// Reads a batch, or one message, from an agent that speaks a revision with batches.
///
/// # Errors
/// When any element cannot be read safely, when it is empty or has more than `max_elements`, and when `initialize` is among several.
pub fn read_batch<'a>(bytes: &'a [u8], bounds: &Bounds, max_elements: usize) -> Result<Vec<Message<'a>>, Rejected> {
    let text = decode(bytes, bounds).map_err(|fault| fault.by_agent(""))?;
    let mut scanner = Scanner::strict(text, bounds.depth);
    scanner.white_space();
    if scanner.peek() != Some(b'[') {
        return read::only_message(&mut scanner, text).map(|message| vec![message]);
    }
    let mut messages = Vec::new();
    let mut refused = None;
    let read = scanner.elements(|scanner| {
        let at = scanner.at();
        if messages.len() >= max_elements {
            return Err(What::from(fault::Envelope::BatchTooLong(max_elements)).at(at));
        }
        if scanner.peek() == Some(b'[') {
            return Err(What::from(fault::Envelope::NotAnObject).at(at));
        }
        let message = read::next_message(scanner, text).map_err(|rejected| {
            refused = Some(Rejected { id: None, ..rejected });
            What::from(fault::Envelope::Batch).at(at)
        })?;
        if message.method() == Some("initialize") {
            return Err(What::from(fault::Envelope::InitializeInBatch).at(at));
        }
        messages.push(message);
        Ok(())
    });
    if let Some(rejected) = refused {
        return Err(rejected);
    }
    read.and_then(|()| scanner.end()).map_err(|fault| fault.by_agent(text))?;
    if messages.is_empty() {
        return Err(What::from(fault::Envelope::EmptyBatch).at(0).by_agent(text));
    }
    Ok(messages)
}

/// Reads one message from an upstream: its envelope strictly; duplicates inside `result`, `error` and `params` are its own business.
///
/// # Errors
/// When it is not JSON, is too large or too deep, or its envelope is none.
pub fn read_reply<'a>(bytes: &'a [u8], bounds: &Bounds) -> Result<Message<'a>, Rejected> {
    let text = decode(bytes, bounds).map_err(|fault| fault.by_upstream(""))?;
    read::only_message(&mut Scanner::lenient(text, bounds.depth), text)
}

/// The raw value of a member of a well-formed object; of duplicates the last. `None` when there is none, or it is no object.
#[must_use]
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut scanner = Scanner::lenient(object, Bounds::DEEPEST);
    scanner.white_space();
    read::member(&mut scanner, key).ok().flatten().map(|value| value.raw)
}

/// The text of a message that is not too large.
fn decode<'a>(bytes: &'a [u8], bounds: &Bounds) -> Result<&'a str, Fault> {
    if bytes.len() > bounds.bytes {
        return Err(What::TooLarge(bounds.bytes).at(bytes.len()));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(What::ByteOrderMark.at(0));
    }
    simdutf8::compat::from_utf8(bytes).map_err(|error| What::NotUtf8.at(error.valid_up_to()))
}
