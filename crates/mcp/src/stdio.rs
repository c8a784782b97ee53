//! Frames messages by lines, as the stdio transport does: one message, one line, nothing else.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest line taken from an upstream, in bytes.
pub const UPSTREAM_LINE_BYTES: usize = 64 << 20;

/// How much of a line that is too long is kept to describe it, in bytes.
pub const KEPT_OF_LONG_LINE: usize = 4096;

const READ_BYTES: usize = 16 << 10;

/// Reads lines of a bounded length. Blank lines are passed over, `\r\n` counts as a line's end, and
/// so does the end of the stream.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    searched: usize,
    limit: usize,
    skipping: bool,
}

/// Why a line could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The line is longer than the limit. Reading may go on: its rest is passed over.
    #[error("a line is longer than {limit} bytes")]
    TooLong {
        /// What a line may have at most.
        limit: usize,
        /// How the line begins, [`KEPT_OF_LONG_LINE`] bytes at most.
        start: Bytes,
    },
    /// The stream failed; nothing more can be read.
    #[error("the stream failed: {0}")]
    Io(#[from] io::Error),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads lines of up to `limit` bytes from `reader`, the line's end not counted.
    pub fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), searched: 0, limit, skipping: false }
    }

    /// Reads the next line, without its end; `None` at the end of the stream.
    ///
    /// May be cancelled and called again without losing anything.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] once for every line beyond the limit, as soon as it is known to be so.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            while let Some(line) = self.take_line() {
                if line.len() > self.limit {
                    return Err(self.too_long(&line));
                }
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.skipping {
                self.buffer.clear();
                self.searched = 0;
            } else if self.buffer.len() > self.limit.saturating_add(1) {
                self.skipping = true;
                let line = self.buffer.split().freeze();
                self.searched = 0;
                return Err(self.too_long(&line));
            }
            self.buffer.reserve(READ_BYTES);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return self.last_line();
            }
        }
    }

    /// Takes a whole line off the buffer, if there is one; the rest of a skipped line comes as empty.
    fn take_line(&mut self) -> Option<Bytes> {
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr(b'\n', unsearched) else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched + found;
        let mut line = self.buffer.split_to(end);
        self.buffer.advance(1);
        self.searched = 0;
        if std::mem::take(&mut self.skipping) {
            return Some(Bytes::new());
        }
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        Some(line.freeze())
    }

    fn last_line(&mut self) -> Result<Option<Bytes>, FrameError> {
        let line = self.buffer.split().freeze();
        self.searched = 0;
        if self.skipping || line.is_empty() {
            return Ok(None);
        }
        if line.len() > self.limit {
            return Err(self.too_long(&line));
        }
        Ok(Some(line))
    }

    fn too_long(&self, line: &Bytes) -> FrameError {
        let kept = line.get(..KEPT_OF_LONG_LINE.min(line.len())).unwrap_or_default();
        FrameError::TooLong { limit: self.limit, start: Bytes::copy_from_slice(kept) }
    }
}

/// Writes messages, each as one line.
#[derive(Debug)]
pub struct LineWriter<W> {
    writer: W,
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Writes one message and its line's end, in one system call where the system allows it.
    ///
    /// A message that was given up half-way leaves a torn line: do not cancel this.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the stream fails or the message holds a line break.
    pub async fn write(&mut self, message: &[u8]) -> Result<(), WriteError> {
        if memchr(b'\n', message).is_some() {
            return Err(WriteError { cause: line_break(), nothing_written: true });
        }
        let mut line = Buf::chain(message, &b"\n"[..]);
        let whole = line.remaining();
        while line.has_remaining() {
            let written = match self.writer.write_buf(&mut line).await {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                other => other,
            };
            if let Err(cause) = written {
                return Err(WriteError { cause, nothing_written: line.remaining() == whole });
            }
        }
        self.writer.flush().await.map_err(|cause| WriteError { cause, nothing_written: false })
    }
}

fn line_break() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a message for stdio must not contain a line break")
}

/// Why a message could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct WriteError {
    /// What the stream said.
    pub cause: io::Error,
    /// Whether provably not a byte of the message left.
    pub nothing_written: bool,
}
