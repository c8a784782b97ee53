//! One stream: the events it keeps, and how far its reader is.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;

/// Tells readers of a stream apart.
pub(super) type Reader = u64;

/// Events are numbered from 1. Those up to `delivered` were handed out; a prefix of them, or of all when nobody reads,
/// may have been dropped.
#[derive(Debug, Default)]
pub(super) struct Stream {
    events: VecDeque<Kept>,
    pushed: u64,
    delivered: u64,
    bytes: usize,
    backlog_bytes: usize,
    finished: bool,
    reader: Option<Reader>,
    reader_waker: Option<Waker>,
    writers: Vec<Waker>,
}

#[derive(Debug)]
struct Kept {
    /// Its place among all events of the session.
    order: u64,
    data: Bytes,
}

impl Stream {
    /// Adds an event and gives its number; `None` when the stream is finished.
    pub(super) fn push(&mut self, order: u64, data: Bytes) -> Option<u64> {
        if self.finished {
            return None;
        }
        self.bytes += data.len();
        self.backlog_bytes += data.len();
        self.events.push_back(Kept { order, data });
        self.pushed += 1;
        self.wake_reader();
        Some(self.pushed)
    }

    /// Hands out the next event.
    pub(super) fn take(&mut self) -> Option<(u64, Bytes)> {
        let index = usize::try_from(self.delivered - self.dropped()).ok()?;
        let data = self.events.get(index)?.data.clone();
        self.delivered += 1;
        self.backlog_bytes -= data.len();
        self.wake_writers();
        Some((self.delivered, data))
    }

    /// Goes back to just after an event, dropping all up to it; false when later ones are gone.
    pub(super) fn rewind(&mut self, number: u64) -> bool {
        if number < self.dropped() {
            return false;
        }
        while self.dropped() < number {
            self.drop_front();
        }
        self.delivered = number;
        self.backlog_bytes = self.bytes;
        true
    }

    pub(super) fn drop_front(&mut self) {
        let Some(event) = self.events.pop_front() else {
            return;
        };
        self.bytes -= event.data.len();
        if self.delivered < self.dropped() {
            self.delivered = self.dropped();
            self.backlog_bytes -= event.data.len();
        }
    }

    /// The order of the oldest event, if it was handed out.
    pub(super) fn oldest_delivered(&self) -> Option<u64> {
        self.events.front().filter(|_| self.dropped() < self.delivered).map(|event| event.order)
    }

    /// The order of the oldest event, if nobody reads the stream.
    pub(super) fn oldest_unread(&self) -> Option<u64> {
        self.events.front().filter(|_| !self.has_reader()).map(|event| event.order)
    }

    /// The number that the next event will have.
    pub(super) fn next_number(&self) -> u64 {
        self.pushed + 1
    }

    /// How many events are kept.
    pub(super) fn kept(&self) -> usize {
        self.events.len()
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.bytes
    }

    /// How many kept events were not handed out.
    pub(super) fn backlog(&self) -> usize {
        usize::try_from(self.pushed - self.delivered).unwrap_or(usize::MAX)
    }

    pub(super) fn backlog_bytes(&self) -> usize {
        self.backlog_bytes
    }

    /// Finished, and read by nobody.
    pub(super) fn is_idle(&self) -> bool {
        self.finished && !self.has_reader()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.wake_reader();
    }

    pub(super) fn has_reader(&self) -> bool {
        self.reader.is_some()
    }

    pub(super) fn is_read_by(&self, reader: Reader) -> bool {
        self.reader == Some(reader)
    }

    pub(super) fn attach(&mut self, reader: Reader) {
        self.reader = Some(reader);
        self.wake_reader();
    }

    pub(super) fn detach(&mut self) {
        self.reader = None;
        self.wake_reader();
        self.wake_writers();
    }

    pub(super) fn wake_for_event(&mut self, waker: &Waker) {
        self.reader_waker = Some(waker.clone());
    }

    pub(super) fn wake_for_room(&mut self, waker: &Waker) {
        super::remember(&mut self.writers, waker);
    }

    /// The number of the last event that is not kept any more.
    fn dropped(&self) -> u64 {
        self.pushed - self.events.len() as u64
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader_waker.take() {
            waker.wake();
        }
    }

    fn wake_writers(&mut self) {
        for waker in self.writers.drain(..) {
            waker.wake();
        }
    }
}

impl Drop for Stream {
    /// Whoever waits for the stream learns that it is gone.
    fn drop(&mut self) {
        self.wake_reader();
        self.wake_writers();
    }
}
