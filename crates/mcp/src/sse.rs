//! Server-sent events: the encoding of one event, and a decoder that takes bytes as they come.
//!
//! The format is the one of WHATWG HTML, "Server-sent events". The decoder knows no sockets and no MCP; it holds at
//! most one event that is not complete, up to a bound, and the complete ones until they are taken.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::{memchr, memchr2};

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

/// Turns the bytes of a `text/event-stream` into events.
#[derive(Debug)]
pub struct Decoder {
    max_event_bytes: usize,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    at_start: bool,
    event: Unfinished,
    complete: VecDeque<Event>,
    last_event_id: Option<String>,
    retry: Option<u64>,
}

/// The fields of the event that is being read.
#[derive(Debug, Default)]
struct Unfinished {
    id: Option<String>,
    event: Option<String>,
    data: Option<Data>,
    retry: Option<u64>,
}

/// The data read so far. A long line is kept where it was gathered, its field name before `start` included.
#[derive(Debug)]
struct Data {
    buffer: Vec<u8>,
    start: usize,
}

impl Data {
    fn len(&self) -> usize {
        self.buffer.len() - self.start
    }
}

impl Decoder {
    /// A decoder that holds at most `max_event_bytes` of one event.
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            line: Vec::new(),
            after_return: false,
            at_start: true,
            event: Unfinished::default(),
            complete: VecDeque::new(),
            last_event_id: None,
            retry: None,
        }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// When an event exceeds the bound; the stream cannot be read on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let mut rest = bytes;
        if self.after_return && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_return = false;
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (line, tail) = rest.split_at(end);
            self.take_line(line)?;
            let is_return = tail.starts_with(b"\r");
            let is_last_byte = tail.len() == 1;
            let tail = tail.get(1..).unwrap_or_default();
            self.after_return = is_return && is_last_byte;
            rest = if is_return { tail.strip_prefix(b"\n").unwrap_or(tail) } else { tail };
        }
        self.check(rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// The next complete event. Blocks without `data` are no events, but count for [`Decoder::last_event_id`].
    pub fn next_event(&mut self) -> Option<Event> {
        self.complete.pop_front()
    }

    /// The last id seen, also of a block without data: what a resumption sends as `Last-Event-ID`.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The last `retry` seen, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    fn check(&self, more: usize) -> Result<(), TooLong> {
        let held = self.line.len() + self.event.data.as_ref().map_or(0, Data::len);
        if held + more > self.max_event_bytes { Err(TooLong { bound: self.max_event_bytes }) } else { Ok(()) }
    }

    /// Takes the end of a line, which is all of it when nothing was held back.
    fn take_line(&mut self, end: &[u8]) -> Result<(), TooLong> {
        self.check(end.len())?;
        if self.line.is_empty() {
            self.field(end);
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        match data_start(&line) {
            Some(start) if self.event.data.is_none() && !self.at_start => {
                self.event.data = Some(Data { buffer: line, start });
            }
            _ => self.field(&line),
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) {
        let mut line = line;
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.finish_event();
            return;
        }
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default()),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.event.add_data(value),
            b"event" => self.event.event = std::str::from_utf8(value).ok().map(str::to_owned),
            b"id" => {
                if let Ok(id) = std::str::from_utf8(value)
                    && !id.contains('\0')
                {
                    self.event.id = Some(id.to_owned());
                }
            }
            b"retry" => {
                let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                if let Some(milliseconds) = digits.and_then(|digits| digits.parse().ok()) {
                    self.event.retry = Some(milliseconds);
                    self.retry = Some(milliseconds);
                }
            }
            _ => {}
        }
    }

    fn finish_event(&mut self) {
        let event = std::mem::take(&mut self.event);
        if let Some(id) = &event.id {
            self.last_event_id = Some(id.clone()).filter(|id| !id.is_empty());
        }
        if let Some(data) = event.data {
            let data = Bytes::from(data.buffer).slice(data.start..);
            let event = Event { id: event.id, event: event.event, data, retry: event.retry };
            self.complete.push_back(event);
        }
    }
}

impl Unfinished {
    fn add_data(&mut self, line: &[u8]) {
        match &mut self.data {
            None => self.data = Some(Data { buffer: line.to_vec(), start: 0 }),
            Some(data) => {
                data.buffer.push(b'\n');
                data.buffer.extend_from_slice(line);
            }
        }
    }
}

/// Where the value of a `data` line starts; `None` for other lines.
fn data_start(line: &[u8]) -> Option<usize> {
    let value = line.strip_prefix(b"data:")?;
    let value = value.strip_prefix(b" ").unwrap_or(value);
    Some(line.len() - value.len())
}

/// The bytes of one event. Data of several lines becomes several `data` fields; a carriage return in it reads back as a
/// line feed, which JSON has only between tokens.
#[must_use]
pub fn encode(event: &Event) -> Bytes {
    let mut encoded = Vec::with_capacity(event.data.len() + 64);
    for (name, value) in [("id", &event.id), ("event", &event.event)] {
        if let Some(value) = value {
            push_field(&mut encoded, name, value.as_bytes());
        }
    }
    if let Some(milliseconds) = event.retry {
        push_field(&mut encoded, "retry", milliseconds.to_string().as_bytes());
    }
    let mut rest: &[u8] = &event.data;
    while let Some(end) = memchr2(b'\n', b'\r', rest) {
        let (line, tail) = rest.split_at(end);
        push_field(&mut encoded, "data", line);
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    push_field(&mut encoded, "data", rest);
    encoded.push(b'\n');
    encoded.into()
}

/// Writes one field; a line break in the value would start another, so it ends there.
fn push_field(encoded: &mut Vec<u8>, name: &str, value: &[u8]) {
    let end = memchr2(b'\n', b'\r', value).unwrap_or(value.len());
    encoded.extend_from_slice(name.as_bytes());
    encoded.extend_from_slice(b": ");
    encoded.extend_from_slice(value.get(..end).unwrap_or_default());
    encoded.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::new(1024);
        for chunk in chunks {
            decoder.push(chunk).unwrap();
        }
        std::iter::from_fn(|| decoder.next_event()).collect()
    }

    fn data(text: &'static str) -> Event {
        Event { data: Bytes::from_static(text.as_bytes()), ..Event::default() }
    }

    #[test]
    fn an_event_is_the_same_however_its_bytes_arrive() {
        let stream = "\u{FEFF}: hello\r\nid: 7\r\nevent: message\r\nretry: 20\r\ndata: {\"ä\":\r\ndata:1}\r\n\r\ndata\n\ndata: x\r\rdata: y";
        let whole = decode(&[stream.as_bytes()]);
        let first = Event {
            id: Some("7".to_owned()),
            event: Some("message".to_owned()),
            data: Bytes::from_static("{\"ä\":\n1}".as_bytes()),
            retry: Some(20),
        };
        assert_eq!(whole, [first, data(""), data("x")]);
        for split in 0..=stream.len() {
            let (start, end) = stream.as_bytes().split_at(split);
            assert_eq!(decode(&[start, end]), whole, "split at {split}");
        }
        let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(decode(&single), whole);
    }

    #[test]
    fn an_id_without_data_is_no_event_but_is_remembered() {
        let mut decoder = Decoder::new(1024);
        decoder.push(b"id: 3-1\nretry: 500\n\nid: a\0b\nretry: 1s\n\nid: 3-2\n").unwrap();
        assert_eq!(decoder.next_event(), None);
        assert_eq!(decoder.last_event_id(), Some("3-1"), "an id counts when its block ends, one with NUL never");
        assert_eq!(decoder.retry(), Some(500));
    }

    #[test]
    fn an_event_beyond_the_bound_is_refused_wherever_its_bytes_are() {
        for stream in
            ["data: 0123456789012345\n\n", "data: 0123456789012345", "data: 01234567\ndata: 01234567\ndata: 0"]
        {
            assert_eq!(Decoder::new(16).push(stream.as_bytes()), Err(TooLong { bound: 16 }), "{stream}");
        }
        assert_eq!(Decoder::new(16).push(b"data: 0123456789\n\ndata: 0123456789\n\n"), Ok(()));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["", "{}", "{\n\"a\":1}", "\n", "a\n\nb", " leading", ":colon"] {
            let event = Event { id: Some("1-2".to_owned()), event: Some("message".to_owned()), ..data(text) };
            assert_eq!(decode(&[&encode(&event)]), [event], "{text:?}");
        }
        let event = Event { id: Some("1\ndata: forged".to_owned()), ..data("a\r\nb\rc") };
        assert_eq!(decode(&[&encode(&event)]), [Event { id: Some("1".to_owned()), ..data("a\nb\nc") }]);
    }
}
