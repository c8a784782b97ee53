//! An upstream that is a child process and speaks over its standard streams.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Event, Exchange, Incoming, Outgoing, UpstreamError};
use crate::stdio::UPSTREAM_LINE_BYTES;

/// How many messages wait to be written to a child; further ones wait with their senders.
pub const QUEUED_MESSAGES: usize = 16;

/// How long each step of closing waits for the child to end.
pub const CLOSE_STEP: Duration = Duration::from_secs(2);

/// How to start a child process.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// A path, or a name that is looked up in the `PATH` of `env`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Where it runs; the gateway's own directory if absent.
    pub cwd: Option<PathBuf>,
}

impl std::fmt::Debug for Command {
    /// Leaves out arguments and values of the environment, which may be secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Command")
            .field("program", &self.program)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

/// What a child may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message in bytes.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: UPSTREAM_LINE_BYTES }
    }
}

/// One running child and the session with it. Dropping it kills the child's process group.
#[derive(Debug)]
pub struct Connection {}

impl Connection {
    /// Starts a child in a process group of its own and begins to read what it says.
    ///
    /// `on_stderr` gets every line of its standard error: cut off at 4 KiB, without control characters.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::NotSent`] when it cannot be started.
    pub async fn spawn(
        command: Command,
        limits: Limits,
        on_stderr: impl FnMut(&str) + Send + 'static,
    ) -> Result<(Self, mpsc::Receiver<Incoming>), UpstreamError> {
        let _ = (command, limits, on_stderr);
        todo!()
    }

    /// The process id of the child, which is also that of its group.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        todo!()
    }

    pub(super) async fn request(&self, _: Outgoing<'_>) -> Result<Exchange, UpstreamError> {
        todo!()
    }

    pub(super) async fn send(&self, _: Bytes) -> Result<(), UpstreamError> {
        todo!()
    }

    pub(super) fn is_closed(&self) -> bool {
        todo!()
    }

    pub(super) async fn close(&self) {
        todo!()
    }
}

#[derive(Debug)]
pub(super) struct ChildExchange {}

impl ChildExchange {
    pub(super) async fn next(&mut self) -> Result<Event, UpstreamError> {
        todo!()
    }
}
