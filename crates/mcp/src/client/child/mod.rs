//! An upstream that is a child process and speaks over its standard streams.
//!
//! Each child has a thread of its own that starts it, waits for it and reaps it. So no child is left
//! as a zombie whatever happens to the tasks, and the system's parent-death signal, which is bound to
//! the thread that started the child, means the death of the gateway and nothing else.

mod pending;
mod process;
mod streams;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use memchr::memchr;
use rustix::process::Signal;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Exchange, INCOMING_MESSAGES, Incoming, Outgoing, UpstreamError};
use crate::stdio::UPSTREAM_LINE_BYTES;
use pending::Pending;
use process::{Pipes, Process, ended};
use streams::{Frame, Listener, until_ended};

pub(super) use pending::ChildExchange;

/// How many messages wait to be written to a child; further ones wait with their senders.
pub const QUEUED_MESSAGES: usize = 16;

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

/// What a child may send, and how long it may take to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message in bytes.
    pub message_bytes: usize,
    /// How long each step of closing waits for the child to end.
    pub close_step: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: UPSTREAM_LINE_BYTES, close_step: Duration::from_secs(2) }
    }
}

/// One running child and the session with it. Dropping it kills the child's process group.
#[derive(Debug)]
pub struct Connection {
    process: Process,
    pending: Arc<Pending>,
    outbox: Mutex<Option<mpsc::Sender<Frame>>>,
    limits: Limits,
}

impl Connection {
    /// Starts a child in a process group of its own and begins to read what it says.
    ///
    /// `on_stderr` gets the lines of its standard error: cut off at 4 KiB, without control characters, and
    /// at most 200 a second. Nothing here logs them. While the receiver is full the child is made to wait,
    /// its replies included.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::NotSent`] when it cannot be started.
    pub async fn spawn(
        command: Command,
        limits: Limits,
        on_stderr: impl FnMut(&str) + Send + 'static,
    ) -> Result<(Self, mpsc::Receiver<Incoming>), UpstreamError> {
        let (process, pipes) = Process::start(command).await.map_err(UpstreamError::NotSent)?;
        let (stdin, stdout, stderr) = watched(pipes)
            .map_err(|error| UpstreamError::NotSent(format!("could not watch the child's streams: {error}")))?;
        let pending = Arc::new(Pending::default());
        let (outbox, queue) = mpsc::channel(QUEUED_MESSAGES);
        let (incoming, unasked) = mpsc::channel(INCOMING_MESSAGES);
        let listener = Listener {
            pending: Arc::clone(&pending),
            incoming,
            exit: process.watch(),
            group: process.group(),
            message_bytes: limits.message_bytes,
        };
        tokio::spawn(until_ended(process.watch(), streams::write(stdin, queue, Arc::clone(&pending))));
        tokio::spawn(listener.listen(stdout));
        tokio::spawn(until_ended(process.watch(), streams::relay_stderr(stderr, on_stderr)));
        Ok((Self { process, pending, outbox: Mutex::new(Some(outbox)), limits }, unasked))
    }

    /// The process id of the child, which is also that of its group.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(super) async fn request(&self, call: Outgoing<'_>) -> Result<Exchange, UpstreamError> {
        on_one_line(&call.body)?;
        let exchange = self.pending.register(call.id)?;
        self.queue(Frame { body: call.body, ticket: Some(exchange.ticket()) }).await?;
        Ok(Exchange::child(exchange))
    }

    pub(super) async fn send(&self, body: Bytes) -> Result<(), UpstreamError> {
        on_one_line(&body)?;
        self.queue(Frame { body, ticket: None }).await
    }

    pub(super) fn is_closed(&self) -> bool {
        self.process.exit().is_some() || self.pending.closed().is_some()
    }

    pub(super) async fn close(&self) {
        drop(self.outbox.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut exit = self.process.watch();
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let Some(signal) = signal {
                self.process.group().signal(signal);
            }
            if timeout(self.limits.close_step, ended(&mut exit)).await.is_ok() {
                return;
            }
        }
    }

    async fn queue(&self, frame: Frame) -> Result<(), UpstreamError> {
        let outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(outbox) = outbox else {
            return Err(UpstreamError::NotSent("the session with the upstream is closed".to_owned()));
        };
        outbox.send(frame).await.map_err(|_| {
            let reason = self
                .pending
                .closed()
                .or_else(|| self.process.exit().map(|exit| format!("the upstream process {exit}")));
            UpstreamError::NotSent(reason.unwrap_or_else(|| "the upstream does not read any more".to_owned()))
        })
    }
}

fn watched(pipes: Pipes) -> std::io::Result<(ChildStdin, ChildStdout, ChildStderr)> {
    Ok((ChildStdin::from_std(pipes.stdin)?, ChildStdout::from_std(pipes.stdout)?, ChildStderr::from_std(pipes.stderr)?))
}

fn on_one_line(body: &[u8]) -> Result<(), UpstreamError> {
    match memchr(b'\n', body) {
        None => Ok(()),
        Some(_) => Err(UpstreamError::NotSent("a message for stdio must not contain a line break".to_owned())),
    }
}
