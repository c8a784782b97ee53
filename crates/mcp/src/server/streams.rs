//! The event streams of one session, which can be resumed where they broke.

use std::task::{Context, Poll};

use bytes::Bytes;

/// How much a session keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events kept for resumption, all streams together.
    pub events: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Streams, finished ones that still keep events included.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events: 256,
            bytes: 1024 * 1024,
            streams: 64,
        }
    }
}

/// Names a stream within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

/// One event as it is sent: `id` and the message. Empty `data` is the event that only makes a stream resumable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `STREAM-NUMBER`, unique in the session.
    pub id: String,
    /// The message.
    pub data: Bytes,
}

/// Why a stream cannot be opened, written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Every stream of the session has a reader or a writer.
    #[error("the session has {limit} open streams; close one first")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// There is no such stream, or no such event in it.
    #[error(
        "no stream of this session has the event `{event}`; start again without `Last-Event-ID`"
    )]
    Unknown {
        /// What was asked for.
        event: String,
    },
    /// Events after it have been dropped.
    #[error("events after `{event}` are no longer kept; start again without `Last-Event-ID`")]
    Gone {
        /// What was asked for.
        event: String,
    },
    /// Nothing can be added to a finished stream.
    #[error("the stream is finished; open another")]
    Finished,
}

/// The streams of one session. Clones share them.
#[derive(Debug, Clone)]
pub struct Streams {}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let _ = limits;
        todo!()
    }

    /// Opens a stream. At the limit the oldest finished stream without a reader makes room.
    ///
    /// # Errors
    /// [`StreamError::TooMany`]
    pub fn open(&self) -> Result<StreamId, StreamError> {
        todo!()
    }

    /// Adds an event, wakes the reader, and drops what exceeds the limits: delivered events first.
    ///
    /// # Errors
    /// [`StreamError::Unknown`], [`StreamError::Finished`]
    pub fn push(&self, stream: StreamId, message: Bytes) -> Result<String, StreamError> {
        let _ = (stream, message);
        todo!()
    }

    /// Waits until a slow reader of the stream has caught up. At once where there is no reader.
    pub async fn room(&self, stream: StreamId) {
        let _ = stream;
        todo!()
    }

    /// Ends the stream; its reader ends after the last event, which stays resumable until it is acknowledged or makes room.
    pub fn finish(&self, stream: StreamId) {
        let _ = stream;
        todo!()
    }

    /// Reads the stream from the first event that no reader has had. An earlier reader of it ends.
    ///
    /// # Errors
    /// [`StreamError::Unknown`]
    pub fn subscribe(&self, stream: StreamId) -> Result<Subscription, StreamError> {
        let _ = stream;
        todo!()
    }

    /// Reads on after an event that the client has had, which acknowledges everything up to it.
    ///
    /// # Errors
    /// [`StreamError::Unknown`], [`StreamError::Gone`]
    pub fn resume(&self, last_event_id: &str) -> Result<Subscription, StreamError> {
        let _ = last_event_id;
        todo!()
    }

    /// Whether somebody reads the stream now.
    #[must_use]
    pub fn has_reader(&self, stream: StreamId) -> bool {
        let _ = stream;
        todo!()
    }

    /// Ends every stream and drops what they kept.
    pub fn close(&self) {
        todo!()
    }
}

/// The one reader of a stream; dropping it leaves the stream to be resumed.
#[derive(Debug)]
pub struct Subscription {}

impl Subscription {
    /// The stream that is read.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        todo!()
    }

    /// The next event; `None` when the stream is finished, or another reader took over.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for those who poll.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let _ = context;
        todo!()
    }
}
