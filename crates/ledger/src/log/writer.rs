//! The end of the log: a buffer, and the file it goes to.

use std::io;
use std::sync::Arc;

use super::disk::{Disk, LogFile};
use crate::LedgerError;
use crate::bytes::Malformed;

/// Appends frames. What was not written stays in the buffer and goes first next time.
#[derive(Debug)]
pub(crate) struct Writer {
    disk: Box<dyn Disk>,
    file: Arc<dyn LogFile>,
    file_start: u64,
    /// Bytes of the file that are whole frames.
    written: u64,
    buffer: Vec<u8>,
    file_bytes: u64,
    /// Whether a finished file is synced before the next one is begun.
    durable: bool,
}

impl Writer {
    /// Begins a new file at `position`.
    pub(crate) fn begin(disk: Box<dyn Disk>, position: u64, file_bytes: u64, durable: bool) -> io::Result<Self> {
        let file = disk.create(position)?;
        Ok(Self { disk, file, file_start: position, written: 0, buffer: Vec::new(), file_bytes, durable })
    }

    /// Where the next frame begins.
    pub(crate) fn position(&self) -> u64 {
        self.written_position() + self.buffer.len() as u64
    }

    /// Everything before this position is in a file.
    pub(crate) fn written_position(&self) -> u64 {
        self.file_start + self.written
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn file(&self) -> Arc<dyn LogFile> {
        Arc::clone(&self.file)
    }

    /// Adds the frame that `build` writes, told its position, to the buffer; it is written with the next [`Writer::write_out`].
    pub(crate) fn push(
        &mut self,
        build: impl FnOnce(&mut Vec<u8>, u64) -> Result<(), Malformed>,
    ) -> Result<(), LedgerError> {
        let (length, position) = (self.buffer.len(), self.position());
        let ended = build(&mut self.buffer, position).map_err(|error| LedgerError::Damaged(error.to_string()));
        if ended.is_err() {
            self.buffer.truncate(length);
        }
        ended
    }

    /// Takes back what was pushed since the buffer was this long.
    pub(crate) fn truncate(&mut self, buffered: usize) {
        self.buffer.truncate(buffered);
    }

    /// Hands the buffer to the operating system.
    ///
    /// # Errors
    /// The disk is full or broken: the file ends where it ended before, and the buffer keeps its contents.
    pub(crate) fn write_out(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_at(&self.buffer, self.written) {
            // If this fails too, the remains are overwritten by the next frame, or refused by their checksum.
            let _shortened = self.file.truncate(self.written);
            return Err(error);
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written >= self.file_bytes {
            // Failing to begin a new file is no reason to refuse the call: the old one takes more.
            let _begun = self.begin_file();
        }
        Ok(())
    }

    /// Continues in a new file; the buffer must be empty.
    pub(crate) fn begin_file(&mut self) -> io::Result<()> {
        if self.written == 0 {
            return Ok(());
        }
        if self.durable {
            self.file.sync()?;
        }
        let position = self.written_position();
        self.file = self.disk.create(position)?;
        (self.file_start, self.written) = (position, 0);
        Ok(())
    }
}
