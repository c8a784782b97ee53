use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use tokio::io::AsyncRead;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::pending::{Pending, Ticket};
use super::process::{Exit, Group, ended};
use crate::client::reply::{self, Inbound};
use crate::client::{Incoming, UpstreamError};
use crate::stdio::{FrameError, LineWriter, Lines};

/// How long what a child wrote before its end may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a child that closed its standard output may take to end by itself.
const SILENT_END: Duration = Duration::from_secs(2);

/// After so many lines in a row that are no messages, the child is no MCP server.
pub(super) const NONSENSE_LINES: u32 = 100;

const STDERR_LINE_BYTES: usize = 4096;
const STDERR_LINES_PER_SECOND: u32 = 200;

/// One message on its way to a child.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) body: Bytes,
    /// The request it is; `None` for notifications and responses.
    pub(super) ticket: Option<Ticket>,
}

/// Writes what is queued, then closes the child's standard input.
pub(super) async fn write(stdin: ChildStdin, mut queue: mpsc::Receiver<Frame>, pending: Arc<Pending>) {
    let mut writer = LineWriter::new(stdin);
    while let Some(frame) = queue.recv().await {
        if frame.ticket.as_ref().is_some_and(|ticket| !pending.writing(ticket)) {
            continue;
        }
        let Err(error) = writer.write(&frame.body).await else {
            continue;
        };
        if let Some(ticket) = frame.ticket.as_ref().filter(|_| error.nothing_written) {
            pending.not_written(ticket);
        }
        // A child that is about to end is not read from its pipe but from its exit, which drops this future.
        sleep(SILENT_END).await;
        let words = format!("the upstream does not read any more: {}", error.cause);
        if let Some(ticket) = &frame.ticket {
            pending.fail(
                ticket,
                if error.nothing_written { UpstreamError::NotSent(words) } else { UpstreamError::Unknown(words) },
            );
        }
        break;
    }
    queue.close();
    while let Some(frame) = queue.recv().await {
        if let Some(ticket) = &frame.ticket {
            pending.fail(ticket, UpstreamError::NotSent("the upstream does not read any more".to_owned()));
        }
    }
}

/// Reads what a child says until it ends; then fails what is still under way and says so.
pub(super) struct Listener {
    pub(super) pending: Arc<Pending>,
    pub(super) incoming: mpsc::Sender<Incoming>,
    pub(super) exit: watch::Receiver<Option<Exit>>,
    pub(super) group: Group,
    pub(super) message_bytes: usize,
}

impl Listener {
    pub(super) async fn listen(mut self, stdout: ChildStdout) {
        let mut exit = self.exit.clone();
        let stopped = tokio::select! {
            stopped = self.read(stdout) => Some(stopped),
            () = async { ended(&mut exit).await; sleep(LAST_WORDS).await } => None,
        };
        let reason = self.reason(stopped).await;
        let reason = self.pending.close(&reason);
        let _ = self.incoming.send(Incoming::Closed(reason)).await;
    }

    /// Waits for the child's end, hastens it if need be, and puts it into words.
    async fn reason(&mut self, stopped: Option<Stopped>) -> String {
        let patience = if matches!(stopped, Some(Stopped::Nonsense)) { Duration::ZERO } else { SILENT_END };
        let by_itself = timeout(patience, ended(&mut self.exit)).await;
        self.group.signal(Signal::KILL);
        match (stopped, by_itself) {
            (Some(Stopped::Nonsense), _) => {
                format!(
                    "the upstream process was ended: it wrote {NONSENSE_LINES} lines in a row that are no JSON-RPC messages"
                )
            }
            (_, Ok(exit)) => format!("the upstream process {exit}"),
            (Some(Stopped::Failed(error)), Err(_)) => {
                format!("the upstream process was ended: reading from it failed: {error}")
            }
            (_, Err(_)) => "the upstream process was ended: it closed its standard output".to_owned(),
        }
    }

    async fn read(&self, stdout: ChildStdout) -> Stopped {
        let mut lines = Lines::new(stdout, self.message_bytes);
        let mut nonsense = 0;
        loop {
            let sensible = match lines.next().await {
                Ok(Some(line)) => self.take(line).await,
                Ok(None) => return Stopped::Ended,
                Err(FrameError::TooLong { limit, .. }) => {
                    // Which request it would have answered cannot be told, so each may be the one.
                    self.pending.fail_written(&UpstreamError::TooLarge { limit });
                    true
                }
                Err(FrameError::Io(error)) => return Stopped::Failed(error),
            };
            nonsense = if sensible { 0 } else { nonsense + 1 };
            if nonsense >= NONSENSE_LINES {
                return Stopped::Nonsense;
            }
        }
    }

    /// Passes one line on; `false` if it is no message.
    async fn take(&self, line: Bytes) -> bool {
        match reply::read(&line, self.message_bytes) {
            Ok(Inbound::Reply(Some(id), reply)) => {
                if !self.pending.settle(&id, Ok(reply)) {
                    debug!(id = %id.to_raw(), "passed over a reply that nobody waits for");
                }
                true
            }
            Ok(Inbound::Reply(None, _)) => {
                debug!("passed over an error that answers no request");
                true
            }
            Ok(Inbound::Message(message)) => {
                let _ = self.incoming.send(Incoming::Message(message)).await;
                true
            }
            Err((id, error)) => {
                debug!(%error, bytes = line.len(), "passed over a line on standard output");
                id.is_some_and(|id| self.pending.settle(&id, Err(error)))
            }
        }
    }
}

impl Drop for Listener {
    /// Also when the runtime ends before the child does, nobody waits for ever.
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
        self.pending.close("the connection to the upstream process was given up");
    }
}

/// Why nothing more is read from a child.
#[derive(Debug)]
enum Stopped {
    Ended,
    Failed(std::io::Error),
    Nonsense,
}

/// Does `work` until the child has ended and a little longer: what it left running may hold its streams for ever.
pub(super) async fn until_ended(mut exit: watch::Receiver<Option<Exit>>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = async { ended(&mut exit).await; sleep(LAST_WORDS).await } => {}
    }
}

/// Hands on the lines of a child's standard error.
pub(super) async fn relay_stderr(stderr: impl AsyncRead + Unpin, mut on_line: impl FnMut(&str)) {
    let mut lines = Lines::new(stderr, STDERR_LINE_BYTES);
    let mut second = Instant::now();
    let (mut said, mut unsaid) = (0_u32, 0_u64);
    loop {
        let (line, cut) = match lines.next().await {
            Ok(Some(line)) => (line, ""),
            Err(FrameError::TooLong { start, .. }) => (start, "…"),
            Ok(None) | Err(FrameError::Io(_)) => break,
        };
        if second.elapsed() >= Duration::from_secs(1) {
            report_unsaid(std::mem::take(&mut unsaid), &mut on_line);
            (second, said) = (Instant::now(), 0);
        }
        if said == STDERR_LINES_PER_SECOND {
            unsaid += 1;
            continue;
        }
        said += 1;
        on_line(&format!("{}{cut}", printable(&line)));
    }
    report_unsaid(unsaid, &mut on_line);
}

fn report_unsaid(unsaid: u64, on_line: &mut impl FnMut(&str)) {
    if unsaid > 0 {
        on_line(&format!("({unsaid} lines left out: more than {STDERR_LINES_PER_SECOND} a second)"));
    }
}

fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().filter(|character| *character == '\t' || !character.is_control()).collect()
}
