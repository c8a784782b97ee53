//! Server-sent events: the encoding of one event, and a decoder that takes bytes as they come.

use bytes::Bytes;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// `id`; the decoder gives the id of this very event, not the last one seen.
    pub id: Option<String>,
    /// `event`; absent means `message`.
    pub event: Option<String>,
    /// `data`, its lines joined by line feeds.
    pub data: Bytes,
    /// `retry` in milliseconds.
    pub retry: Option<u64>,
}

/// An event that is longer than the decoder's bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {bound} bytes; raise the bound or make the server send less at once")]
pub struct TooLong {
    /// The bound in bytes.
    pub bound: usize,
}

/// Turns the bytes of a `text/event-stream` into events (WHATWG HTML, "Server-sent events").
#[derive(Debug)]
pub struct Decoder {
    max_event_bytes: usize,
}

impl Decoder {
    /// A decoder that holds at most `max_event_bytes` of one event.
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self { max_event_bytes }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// When an event exceeds the bound; the stream cannot be read on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let _ = (bytes, self.max_event_bytes);
        todo!()
    }

    /// The next complete event.
    pub fn next_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// The last id seen, also of a block without data: what a resumption sends as `Last-Event-ID`.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        todo!()
    }

    /// The last `retry` seen, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        todo!()
    }
}

/// The bytes of one event.
#[must_use]
pub fn encode(event: &Event) -> Bytes {
    let _ = event;
    todo!()
}
