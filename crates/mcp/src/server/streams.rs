//! The event streams of one session, which can be resumed where they broke.
//!
//! Every message that goes to the client in an event gets an id, is handed to the stream's one reader, and is kept for a
//! while in case the connection broke before it arrived. Invariants: events leave a stream in order and without gaps, or
//! the client is told that some are gone; what is kept is bounded, whoever reads slowly or not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::sse;

mod kept;

use kept::{Reader, Stream};

/// How much a session keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events kept for resumption, all streams together.
    pub events: usize,
    /// Their bytes. A single event may exceed them until it was handed to a reader.
    pub bytes: usize,
    /// Streams, those included that are finished and still keep events.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 256, bytes: 1024 * 1024, streams: 64 }
    }
}

impl Limits {
    /// A reader that is behind by more than this share of the limits is waited for.
    const SHARE: usize = 4;

    fn leaves_room(&self, stream: &Stream) -> bool {
        stream.backlog() < (self.events / Self::SHARE).max(1) && stream.backlog_bytes() <= self.bytes / Self::SHARE
    }
}

/// Names a stream within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

/// One event as it is sent. Empty `data` is the event that only makes a stream resumable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `STREAM-NUMBER`, unique in the session.
    pub id: String,
    /// The message.
    pub data: Bytes,
}

impl From<Event> for sse::Event {
    fn from(event: Event) -> Self {
        Self { id: Some(event.id), data: event.data, ..Self::default() }
    }
}

/// Why a stream cannot be opened, written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Every stream of the session is in use.
    #[error("the session has {limit} open streams; wait for one of its calls to end")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// There is no such stream, or no such event in it.
    #[error("this session has no event `{event}`; connect again without `Last-Event-ID`")]
    Unknown {
        /// What was asked for.
        event: String,
    },
    /// Events after it have been dropped.
    #[error("the events after `{event}` are no longer kept; connect again without `Last-Event-ID`")]
    Gone {
        /// What was asked for.
        event: String,
    },
    /// Nothing can be added.
    #[error("the stream has ended; open another")]
    Ended,
}

/// The streams of one session. Clones share them.
#[derive(Debug, Clone)]
pub struct Streams {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    streams: BTreeMap<u64, Stream>,
    next_stream: u64,
    next_reader: u64,
    pushed: u64,
    closed: bool,
}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let state =
            State { limits, streams: BTreeMap::new(), next_stream: 1, next_reader: 1, pushed: 0, closed: false };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Opens a stream. At the limit the oldest finished stream without a reader makes room.
    ///
    /// # Errors
    /// [`StreamError::TooMany`]; [`StreamError::Ended`] after [`Streams::close`].
    pub fn open(&self) -> Result<StreamId, StreamError> {
        let mut state = self.state();
        if state.closed {
            return Err(StreamError::Ended);
        }
        if state.streams.len() >= state.limits.streams {
            let oldest = state.streams.iter().find(|(_, stream)| stream.is_idle()).map(|(number, _)| *number);
            let Some(oldest) = oldest else {
                return Err(StreamError::TooMany { limit: state.limits.streams });
            };
            state.streams.remove(&oldest);
        }
        let number = state.next_stream;
        state.next_stream += 1;
        state.streams.insert(number, Stream::default());
        Ok(StreamId(number))
    }

    /// Adds an event, wakes the reader, and drops what exceeds the limits: first the oldest events that were handed out,
    /// then those nobody reads. A reader that is too far behind loses its connection and may resume.
    ///
    /// Gives the event's id. Wait for [`Streams::room`] before, so that no reader falls behind.
    ///
    /// # Errors
    /// [`StreamError::Ended`]
    pub fn push(&self, stream: StreamId, message: Bytes) -> Result<String, StreamError> {
        let mut state = self.state();
        state.pushed += 1;
        let order = state.pushed;
        let target = state.streams.get_mut(&stream.0).ok_or(StreamError::Ended)?;
        let number = target.push(order, message).ok_or(StreamError::Ended)?;
        state.drop_excess();
        Ok(event_id(stream.0, number))
    }

    /// Waits until the stream's reader has caught up. At once where there is no reader.
    pub async fn room(&self, stream: StreamId) {
        std::future::poll_fn(|context| {
            let mut state = self.state();
            let limits = state.limits;
            match state.streams.get_mut(&stream.0) {
                Some(stream) if stream.has_reader() && !limits.leaves_room(stream) => {
                    stream.wake_for_room(context.waker());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Ends the stream: its reader ends after the last event. The events stay until they are acknowledged or dropped.
    pub fn finish(&self, stream: StreamId) {
        let mut state = self.state();
        if let Some(target) = state.streams.get_mut(&stream.0) {
            target.finish();
        }
        state.forget_if_empty(stream.0);
    }

    /// Reads the stream from the first event that was not handed out yet. An earlier reader of it ends.
    ///
    /// # Errors
    /// [`StreamError::Ended`] when there is no such stream any more.
    pub fn subscribe(&self, stream: StreamId) -> Result<Subscription, StreamError> {
        let mut state = self.state();
        let reader = state.new_reader();
        let target = state.streams.get_mut(&stream.0).ok_or(StreamError::Ended)?;
        target.attach(reader);
        Ok(Subscription { streams: self.clone(), stream, reader })
    }

    /// Reads on after an event that the client has had, which acknowledges it and everything before it.
    ///
    /// # Errors
    /// [`StreamError::Unknown`], [`StreamError::Gone`]
    pub fn resume(&self, last_event_id: &str) -> Result<Subscription, StreamError> {
        let shown = || last_event_id.chars().take(64).collect::<String>();
        let unknown = || StreamError::Unknown { event: shown() };
        let (stream, number) = read_event_id(last_event_id).ok_or_else(unknown)?;
        let mut state = self.state();
        let reader = state.new_reader();
        let has_been = stream > 0 && stream < state.next_stream;
        let Some(target) = state.streams.get_mut(&stream) else {
            return Err(if has_been { StreamError::Gone { event: shown() } } else { unknown() });
        };
        if number >= target.next_number() {
            return Err(unknown());
        }
        if !target.rewind(number) {
            return Err(StreamError::Gone { event: shown() });
        }
        target.attach(reader);
        Ok(Subscription { streams: self.clone(), stream: StreamId(stream), reader })
    }

    /// Whether somebody reads the stream now.
    #[must_use]
    pub fn has_reader(&self, stream: StreamId) -> bool {
        self.state().streams.get(&stream.0).is_some_and(Stream::has_reader)
    }

    /// Ends every stream, drops what they keep, and opens no more.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.streams.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new_reader(&mut self) -> u64 {
        let reader = self.next_reader;
        self.next_reader += 1;
        reader
    }

    fn exceeds(&self) -> bool {
        let events: usize = self.streams.values().map(Stream::kept).sum();
        let bytes: usize = self.streams.values().map(Stream::kept_bytes).sum();
        events > self.limits.events || bytes > self.limits.bytes
    }

    fn drop_excess(&mut self) {
        while self.exceeds() {
            if !self.drop_oldest(Stream::oldest_delivered)
                && !self.drop_oldest(Stream::oldest_unread)
                && !self.cut_slowest_reader()
            {
                return;
            }
        }
    }

    /// Drops the oldest of the events that `oldest` finds at the front of each stream.
    fn drop_oldest(&mut self, oldest: impl Fn(&Stream) -> Option<u64>) -> bool {
        let candidates = self.streams.iter().filter_map(|(number, stream)| Some((oldest(stream)?, *number)));
        let Some((_, number)) = candidates.min() else {
            return false;
        };
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.drop_front();
        }
        self.forget_if_empty(number);
        true
    }

    /// A reader that has a single event to take is not slow: events of any size reach a reader that keeps up.
    fn cut_slowest_reader(&mut self) -> bool {
        let behind = self.streams.values_mut().filter(|stream| stream.has_reader() && stream.backlog() > 1);
        match behind.max_by_key(|stream| (stream.backlog_bytes(), stream.backlog())) {
            Some(slowest) => {
                slowest.detach();
                true
            }
            None => false,
        }
    }

    fn forget_if_empty(&mut self, number: u64) {
        if self.streams.get(&number).is_some_and(|stream| stream.is_idle() && stream.kept() == 0) {
            self.streams.remove(&number);
        }
    }
}

/// The one reader of a stream; dropping it leaves the stream to be resumed.
#[derive(Debug)]
pub struct Subscription {
    streams: Streams,
    stream: StreamId,
    reader: Reader,
}

impl Subscription {
    /// The stream that is read.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The next event; `None` when the stream has ended, another reader took over, or this one was too slow.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for those who poll.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.streams.state();
        let Some(stream) = state.streams.get_mut(&self.stream.0).filter(|stream| stream.is_read_by(self.reader)) else {
            return Poll::Ready(None);
        };
        if let Some((number, data)) = stream.take() {
            state.drop_excess();
            return Poll::Ready(Some(Event { id: event_id(self.stream.0, number), data }));
        }
        if stream.is_finished() {
            return Poll::Ready(None);
        }
        stream.wake_for_event(context.waker());
        Poll::Pending
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.streams.state();
        if let Some(stream) = state.streams.get_mut(&self.stream.0).filter(|stream| stream.is_read_by(self.reader)) {
            stream.detach();
        }
        state.forget_if_empty(self.stream.0);
    }
}

fn event_id(stream: u64, number: u64) -> String {
    format!("{stream}-{number}")
}

fn read_event_id(id: &str) -> Option<(u64, u64)> {
    let (stream, number) = id.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(stream) || !digits(number) {
        return None;
    }
    Some((stream.parse().ok()?, number.parse().ok()?))
}

/// Remembers a waker once.
fn remember(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
