//! A request that was forwarded: what comes back for it, inspected, and settled when it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use ledger::{Ending, Settlement, Ticket};
use mcp::client::{Event, Exchange, Reply, ReplyKind, UpstreamError};
use mcp::envelope::{Bounds, list, read_reply};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::decision::{self, Origin};
use crate::gate::Gate;
use crate::hold::Hold;
use crate::metrics::seconds;
use crate::session::{Place, Session};
use crate::snapshot::NamedPolicy;
use crate::subject::List;

/// How long a cancelled request may still be answered.
const CANCELLED_GRACE: Duration = Duration::from_secs(5);
/// JSON-RPC error code that MCP clients use for a request that took too long.
const TIMED_OUT: i64 = -32001;
/// JSON-RPC error code that MCP clients use for a connection that broke.
const CONNECTION_CLOSED: i64 = -32000;
/// JSON-RPC error code that language servers use for a cancelled request.
const CANCELLED: i64 = -32800;

/// What comes next for a request.
#[derive(Debug)]
pub(crate) enum Step {
    /// A request or notification of the server that belongs to this request.
    Message(Bytes),
    /// The answer; nothing follows.
    Done(Bytes),
}

/// A request whose answer is still to come: on its way upstream, or held for a person's decision.
#[derive(Debug)]
pub(crate) enum Relay {
    Forwarded(Box<Forwarded>),
    Held(Box<Hold>),
}

impl Relay {
    /// Waits for what comes next, but gives up waiting at `until`. May be called again after that.
    pub(crate) async fn next(&mut self, until: Option<Instant>) -> Option<Step> {
        loop {
            let held = match self {
                Self::Forwarded(forwarded) => return forwarded.next(until).await,
                Self::Held(hold) => hold.next(until).await?,
            };
            match held {
                crate::hold::Held::Step(step) => return Some(step),
                crate::hold::Held::GoesOn(relay) => *self = relay,
            }
        }
    }
}

/// How the answer to a list is filtered.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) list: List,
    pub(crate) policy: Arc<NamedPolicy>,
}

/// What is owed to the ledger for a forwarded request.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) ticket: Ticket,
    pub(crate) gateway: Duration,
}

/// A request being sent. Over HTTP this lasts until the head of the answer is there.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Result<Exchange, UpstreamError>> + Send + Sync>>;

/// A request's way to the server and back.
pub(crate) enum Passage {
    Sending(Sending),
    Open(Exchange),
}

impl Passage {
    /// Begins to send. Towards a child it waits, until `deadline`, so that what is said first arrives first.
    ///
    /// # Errors
    ///
    /// If it fails at once.
    pub(crate) async fn begin(mut sending: Sending, is_child: bool, deadline: Instant) -> Result<Self, UpstreamError> {
        let sent = if is_child {
            timeout_at(deadline, &mut sending).await.ok()
        } else {
            let polled = std::future::poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await;
            match polled {
                Poll::Ready(sent) => Some(sent),
                Poll::Pending => None,
            }
        };
        match sent {
            Some(sent) => sent.map(Self::Open),
            None => Ok(Self::Sending(sending)),
        }
    }

    /// What comes next; may be given up and called again.
    async fn next(&mut self) -> Result<Event, UpstreamError> {
        loop {
            match self {
                Self::Sending(sending) => *self = Self::Open(sending.as_mut().await?),
                Self::Open(exchange) => return exchange.next().await,
            }
        }
    }
}

impl std::fmt::Debug for Passage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Sending(_) => "Sending",
            Self::Open(_) => "Open",
        })
    }
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) gate: Arc<Gate>,
    pub(crate) session: Arc<Session>,
    /// The agent's id, as JSON text.
    pub(crate) raw_id: String,
    pub(crate) place: Place,
    pub(crate) passage: Passage,
    pub(crate) account: Option<Account>,
    pub(crate) filter: Option<Filter>,
    pub(crate) sent_at: Instant,
    pub(crate) deadline: Instant,
    pub(crate) patience: Duration,
    pub(crate) is_cancelled: bool,
    /// A child's reply that waits for what the child said before it.
    pub(crate) reply: Option<Sorted>,
}

/// A child's reply, and when everything that the child said before it has come through.
#[derive(Debug)]
pub(crate) struct Sorted {
    reply: Reply,
    wait: Option<oneshot::Receiver<()>>,
}

/// What was waited for and came.
enum Came {
    Message(Bytes),
    Reply(Reply),
    Failed(UpstreamError),
    Cancelled,
    Nothing,
}

impl Forwarded {
    async fn next(&mut self, until: Option<Instant>) -> Option<Step> {
        loop {
            let wake = until.map_or(self.deadline, |until| until.min(self.deadline));
            match self.wait(wake).await {
                Came::Message(message) => {
                    if let Some(step) = self.pass_on(message) {
                        return Some(step);
                    }
                }
                Came::Reply(reply) if self.session.server.is_child() && self.reply.is_none() => {
                    self.reply = Some(Sorted { reply, wait: Some(self.session.sorted_until_now()) });
                }
                Came::Reply(reply) => return Some(Step::Done(self.answered(reply).await)),
                Came::Failed(error) => return Some(Step::Done(self.failed(&error).await)),
                Came::Cancelled => {
                    self.is_cancelled = true;
                    self.deadline = self.deadline.min(Instant::now() + CANCELLED_GRACE);
                }
                Came::Nothing if Instant::now() >= self.deadline => return Some(Step::Done(self.timed_out().await)),
                Came::Nothing => return None,
            }
        }
    }

    /// Lets what the child said before its reply come before it here as well.
    async fn wait_sorted(&mut self) -> Option<Came> {
        let sorted = self.reply.as_mut()?;
        if let Some(wait) = &mut sorted.wait {
            let message = async {
                match &mut self.place.messages {
                    Some(messages) => messages.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(message) = message => return Some(Came::Message(message)),
                _ = wait => sorted.wait = None,
            }
        }
        let left = self.place.messages.as_mut().and_then(|messages| messages.try_recv().ok());
        Some(left.map_or_else(|| Came::Reply(sorted.reply.clone()), Came::Message))
    }

    async fn wait(&mut self, until: Instant) -> Came {
        if let Some(came) = self.wait_sorted().await {
            return came;
        }
        let place = &mut self.place;
        let passage = &mut self.passage;
        let message = async {
            match &mut place.messages {
                Some(messages) => messages.recv().await,
                None => std::future::pending().await,
            }
        };
        let came = async {
            tokio::select! {
                biased;
                Some(message) = message => Came::Message(message),
                event = passage.next() => match event {
                    Ok(Event::Reply(reply)) => Came::Reply(reply),
                    Ok(Event::Message(message)) => Came::Message(message),
                    Err(error) => Came::Failed(error),
                },
                () = place.cancelled.notified(), if !self.is_cancelled => Came::Cancelled,
            }
        };
        timeout_at(until, came).await.unwrap_or(Came::Nothing)
    }

    /// Lets a message of the server through to the agent, and counts it as a sign of life.
    fn pass_on(&mut self, message: Bytes) -> Option<Step> {
        if !self.is_cancelled {
            self.deadline = Instant::now() + self.patience;
        }
        if self.place.messages.is_some() {
            // It came through the session, which has taken note of it.
            return Some(Step::Message(message));
        }
        let read = read_reply(&message, &Bounds::REPLY).ok()?;
        self.session.note(&read).then(|| Step::Message(message.clone()))
    }

    async fn answered(&mut self, reply: Reply) -> Bytes {
        let is_error = reply.kind() != ReplyKind::Result;
        self.settle(Ending::Answered { is_error, status: None }).await;
        let answer = self.filtered(&reply);
        answer.unwrap_or_else(|| match self.place.replaced {
            Some(_) => reply.with_id(&self.raw_id),
            None => reply.message().clone(),
        })
    }

    /// The answer without what the policy hides, if it is a list that has to be filtered.
    fn filtered(&self, reply: &Reply) -> Option<Bytes> {
        let filter = self.filter.as_ref()?;
        if reply.kind() != ReplyKind::Result {
            return None;
        }
        let raw = reply.outcome();
        let Ok(result) = std::str::from_utf8(&raw) else { return Some(self.unreadable("it is not UTF-8")) };
        let shown = |name: &str| filter.policy.policy.hides(&filter.list.element(name)).is_none();
        match list::filter(result, filter.list.member, filter.list.key, shown) {
            Ok(std::borrow::Cow::Borrowed(_)) => None,
            Ok(std::borrow::Cow::Owned(result)) => {
                let whole = reply.message();
                let start = (raw.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
                let before = whole.get(..start).unwrap_or_default();
                let after = whole.get(start + raw.len()..).unwrap_or_default();
                let spliced = Bytes::from([before, result.as_bytes(), after].concat());
                let spliced_reply = read_reply(&spliced, &Bounds::REPLY).ok()?;
                Some(match self.place.replaced {
                    Some(_) => spliced_reply.with_id(&self.raw_id).into(),
                    None => spliced.clone(),
                })
            }
            Err(rejected) => Some(self.unreadable(&rejected.message)),
        }
    }

    fn unreadable(&self, why: &str) -> Bytes {
        let server = self.session.server.name();
        let message = format!("the list of `{server}` cannot be filtered safely: {why}");
        decision::failure(&self.raw_id, decision::INTERNAL_ERROR, &message, Origin::Upstream, false, None).into()
    }

    async fn failed(&mut self, error: &UpstreamError) -> Bytes {
        let ending = if error.nothing_was_sent() { Ending::NotSent } else { Ending::Failed };
        let record = self.settle(ending).await;
        failure_answer(&self.raw_id, self.session.server.name(), error, record.as_deref()).into()
    }

    async fn timed_out(&mut self) -> Bytes {
        if self.is_cancelled {
            let record = self.settle(Ending::Unknown).await;
            return decision::failure(
                &self.raw_id,
                CANCELLED,
                "the request was cancelled",
                Origin::Upstream,
                false,
                record.as_deref(),
            )
            .into();
        }
        self.cancel_upstream().await;
        let record = self.settle(Ending::TimedOut).await;
        let message = format!("`{}` did not answer within {:?}", self.session.server.name(), self.patience);
        decision::failure(&self.raw_id, TIMED_OUT, &message, Origin::Upstream, true, record.as_deref()).into()
    }

    async fn cancel_upstream(&self) {
        let id = self.place.replaced.as_deref().unwrap_or(&self.raw_id);
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"took too long"}}}}"#
        );
        // A server that hangs may not take this either; the bound keeps the agent from waiting for it.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.session.send(&self.gate, body.into())).await;
    }

    async fn settle(&mut self, ending: Ending) -> Option<String> {
        let upstream = self.sent_at.elapsed();
        let account = self.account.take()?;
        let record = account.ticket.id().to_string();
        self.gate.metrics.upstream_seconds.observe(seconds(upstream));
        self.gate.metrics.gateway_seconds.observe(seconds(account.gateway));
        let settlement = Settlement {
            at: self.gate.clock.now(),
            ending,
            gateway_us: micros(account.gateway),
            upstream_us: micros(upstream),
        };
        self.gate.ledger.settle(account.ticket, settlement).await;
        Some(record)
    }
}

/// What the agent is told when the upstream failed.
pub(crate) fn failure_answer(raw_id: &str, server: &str, error: &UpstreamError, record: Option<&str>) -> String {
    let is_nonsense = matches!(error, UpstreamError::Nonsense(_) | UpstreamError::TooLarge { .. });
    let code = if is_nonsense { decision::INTERNAL_ERROR } else { CONNECTION_CLOSED };
    let message = format!("`{server}` failed: {error}");
    decision::failure(raw_id, code, &message, Origin::Upstream, error.nothing_was_sent(), record)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
