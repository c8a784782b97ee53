//! `toolgate run`: one agent on standard input and output.

use std::sync::Arc;

use bytes::Bytes;
use mcp::envelope::{Bounds, Kind, Message, Rejected, answer, read_batch, read_request};
use mcp::stdio::{FrameError, LineWriter, Lines};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::gate::{Gate, Loose};
use crate::identity::Caller;
use crate::opening::Newcomer;
use crate::refusal;
use crate::relay::{Relay, Step};
use crate::session::{Agent, Session};
use crate::snapshot::{NamedPolicy, Server};
use crate::telling;
use crate::walk::{self, Answer, Turn};

/// How many messages wait to be written.
const WAITING_MESSAGES: usize = 256;
/// How many requests are worked on at a time; further ones wait on standard input.
const REQUESTS: usize = 1024;
/// How many messages one batch may have.
const BATCH_MESSAGES: usize = 100;

/// Everything between one agent's two streams.
#[derive(Debug)]
pub(crate) struct StdioFront {
    pub(crate) gate: Arc<Gate>,
    pub(crate) server: Arc<Server>,
    pub(crate) policy: Arc<NamedPolicy>,
    pub(crate) caller: Caller,
}

/// The agent's session, once there is one, and the way back to it.
struct Conversation {
    front: Arc<StdioFront>,
    session: Option<Arc<Session>>,
    output: mpsc::Sender<Bytes>,
    room: Arc<Semaphore>,
    bounds: Bounds,
}

impl StdioFront {
    /// Serves until the agent closes its side, then lets running requests finish.
    pub(crate) async fn serve(self, input: impl AsyncRead + Unpin, output: impl AsyncWrite + Unpin + Send + 'static) {
        let bounds = self.gate.snapshot.load().config.bounds;
        let bounds = Bounds { bytes: bounds.request_bytes, depth: bounds.request_depth };
        let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
        let writer = tokio::spawn(write(output, receiver));
        let mut conversation = Conversation {
            front: Arc::new(self),
            session: None,
            output: sender,
            room: Arc::new(Semaphore::new(REQUESTS)),
            bounds,
        };
        conversation.read(input).await;
        conversation.finish().await;
        drop(conversation);
        // The writer ends when nobody can write any more.
        let _ = writer.await;
    }
}

async fn write(output: impl AsyncWrite + Unpin, mut messages: mpsc::Receiver<Bytes>) {
    let mut writer = LineWriter::new(output);
    while let Some(message) = messages.recv().await {
        let text = std::str::from_utf8(&message).unwrap_or_default();
        let line = mcp::envelope::without_line_breaks(text);
        if let Err(error) = writer.write(line.as_bytes()).await {
            debug!(%error, "the agent reads no more");
            return;
        }
    }
}

impl Conversation {
    async fn read(&mut self, input: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(input, self.bounds.bytes);
        let patience = self.front.gate.snapshot.load().config.timeouts.drain;
        let mut next = lines.next().await;
        loop {
            next = match next {
                Ok(Some(line)) => {
                    let work = self.take(line);
                    tokio::pin!(work);
                    tokio::select! {
                        biased;
                        () = &mut work => lines.next().await,
                        // A server may take its time to start; an agent that has gone does not wait as long.
                        after = lines.next() => {
                            let has_gone = matches!(after, Ok(None));
                            if has_gone && tokio::time::timeout(patience, &mut work).await.is_err() {
                                return;
                            }
                            if !has_gone {
                                work.await;
                            }
                            after
                        }
                    }
                }
                Ok(None) => return,
                Err(FrameError::TooLong { limit, .. }) => {
                    self.reject(&refusal::too_large(limit)).await;
                    lines.next().await
                }
                Err(FrameError::Io(error)) => {
                    warn!(%error, "standard input failed");
                    return;
                }
            };
        }
    }

    async fn take(&mut self, line: Bytes) {
        let has_batches = self.session.as_ref().is_some_and(|session| session.revision().has_batches());
        let read = if has_batches {
            read_batch(&line, &self.bounds, BATCH_MESSAGES)
        } else {
            read_request(&line, &self.bounds).map(|message| vec![message])
        };
        match read {
            Ok(messages) => {
                for message in &messages {
                    self.one(message, &line).await;
                }
            }
            Err(rejected) => self.reject(&rejected).await,
        }
    }

    async fn one(&mut self, message: &Message<'_>, line: &Bytes) {
        let Some(session) = self.session.clone() else { return self.first(message).await };
        let now = self.front.gate.clock.now();
        session.touch(now);
        match &message.kind {
            Kind::Request(request) if request.method == "initialize" => {
                let why = "the session is open already; start another process for another one";
                self.say(answer::error(request.id.raw(), -32600, why, None)).await;
            }
            Kind::Request(_) => self.request(&session, line.slice_ref(message.raw().as_bytes())).await,
            Kind::Notification(notification) => self.whose(&session).notification(message, notification, line).await,
            Kind::Response(response) => self.whose(&session).response(message, response, line).await,
        }
    }

    /// The first message has to be `initialize`; `ping` may come before it (MCP, "lifecycle").
    async fn first(&mut self, message: &Message<'_>) {
        let Kind::Request(request) = &message.kind else {
            debug!("dropped a message that came before `initialize`");
            return;
        };
        match request.method.as_ref() {
            "initialize" => {}
            "ping" => return self.say(answer::result(request.id.raw(), "{}")).await,
            _ => {
                let why = "there is no session yet; send `initialize` first";
                return self.say(answer::error(request.id.raw(), -32600, why, None)).await;
            }
        }
        let agent = Agent::Stdio(self.output.clone());
        let front = &self.front;
        let newcomer = Newcomer { gate: &front.gate, server: &front.server, caller: &front.caller, agent };
        match newcomer.open(message, request).await {
            Ok((session, reply)) => {
                self.session = session;
                self.say(reply).await;
            }
            Err(failed) => self.say(failed.answer).await,
        }
    }

    /// Works on a request beside the others.
    async fn request(&self, session: &Arc<Session>, body: Bytes) {
        // The semaphore is never closed.
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
        let front = Arc::clone(&self.front);
        let session = Arc::clone(session);
        let output = self.output.clone();
        let bounds = self.bounds;
        let guard = Loose::enter(&front.gate);
        let started = Instant::now();
        tokio::spawn(async move {
            if let Some(answer) = front.walk(&session, &body, &bounds, started).await {
                relay(answer, &output).await;
            }
            drop((room, guard));
        });
    }

    async fn reject(&self, rejected: &Rejected) {
        let front = &self.front;
        let session = self.session.as_deref();
        let policy = Some(front.policy.as_ref());
        if let Err(error) = refusal::record(&front.gate, &front.server, &front.caller, policy, session, rejected).await
        {
            tracing::error!(%error, "could not record a rejected request");
        }
        self.say(rejected.answer()).await;
    }

    async fn say(&self, message: impl Into<Bytes>) {
        // An agent that reads no more will soon close its side.
        let _ = self.output.send(message.into()).await;
    }

    fn whose<'a>(&'a self, session: &'a Arc<Session>) -> telling::Whose<'a> {
        telling::Whose { gate: &self.front.gate, session, caller: &self.front.caller, policy: Some(&self.front.policy) }
    }

    async fn finish(&mut self) {
        let gate = &self.front.gate;
        gate.loose.wait(gate.snapshot.load().config.timeouts.drain).await;
        if let Some(session) = self.session.take() {
            gate.sessions.remove(&session.id);
            session.end("the agent closed its side").await;
        }
    }
}

impl StdioFront {
    async fn walk(&self, session: &Arc<Session>, body: &Bytes, bounds: &Bounds, started: Instant) -> Option<Answer> {
        let message = read_request(body, bounds).ok()?;
        let Kind::Request(request) = &message.kind else { return None };
        let turn = Turn {
            gate: &self.gate,
            session,
            caller: &self.caller,
            policy: Some(&self.policy),
            body,
            message: &message,
            request,
            trace_id: None,
            started,
            may_hold: true,
        };
        Some(walk::request(turn).await)
    }
}

async fn relay(answer: Answer, output: &mpsc::Sender<Bytes>) {
    let mut relay: Relay = match answer {
        Answer::Now(answer) => {
            let _ = output.send(answer.into()).await;
            return;
        }
        Answer::Later(relay) => relay,
    };
    while let Some(step) = relay.next(None).await {
        let (message, is_last) = match step {
            Step::Message(message) => (message, false),
            Step::Done(answer) => (answer, true),
        };
        // Even if nobody reads, the request goes on to its end, so that its entry is settled.
        let _ = output.send(message).await;
        if is_last {
            return;
        }
    }
}
