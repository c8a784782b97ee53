//! A request that waits a while for a person to decide, with signs of life for the agent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp::envelope::{Bounds, Kind, read_request};
use tokio::time::{Instant, sleep_until};

use crate::gate::Gate;
use crate::identity::Caller;
use crate::relay::{Relay, Step};
use crate::session::Session;
use crate::snapshot::NamedPolicy;
use crate::walk::{self, Answer, Turn};

/// How often a waiting agent hears that its call is still held.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A request on hold, with everything that is needed to take it up again.
#[derive(Debug)]
pub(crate) struct Hold {
    gate: Arc<Gate>,
    session: Arc<Session>,
    caller: Caller,
    policy: Option<Arc<NamedPolicy>>,
    body: Bytes,
    trace_id: Option<String>,
    approval: String,
    /// What the agent gets if nobody decides in time.
    answer: String,
    until: Instant,
    progress_token: Option<String>,
    progress: u32,
    next_progress: Instant,
}

/// What became of a request on hold.
pub(crate) enum Held {
    Step(Step),
    /// Somebody decided, and the request goes on.
    GoesOn(Relay),
}

enum Woken {
    Decided,
    TimeToShowLife,
    HoldIsOver,
    CallerGaveUp,
}

impl Hold {
    pub(crate) fn new(turn: &Turn<'_>, approval: String, answer: String, until: Instant) -> Self {
        let token = turn.request.params.as_ref().and_then(|params| params.progress_token);
        Self {
            gate: Arc::clone(turn.gate),
            session: Arc::clone(turn.session),
            caller: turn.caller.clone(),
            policy: turn.policy.cloned(),
            body: turn.own_bytes(),
            trace_id: turn.trace_id.map(ToOwned::to_owned),
            approval,
            answer,
            until,
            progress_token: token.map(ToOwned::to_owned),
            progress: 0,
            next_progress: Instant::now() + PROGRESS_EVERY,
        }
    }

    pub(crate) async fn next(&mut self, until: Option<Instant>) -> Option<Held> {
        match self.wait(until).await {
            Woken::Decided => Some(self.take_up_again().await),
            Woken::HoldIsOver => Some(Held::Step(Step::Done(std::mem::take(&mut self.answer).into()))),
            Woken::TimeToShowLife => Some(Held::Step(Step::Message(self.sign_of_life()))),
            Woken::CallerGaveUp => None,
        }
    }

    async fn wait(&self, until: Option<Instant>) -> Woken {
        let clock = || self.gate.clock.now();
        let progress = async {
            match self.progress_token {
                Some(_) => sleep_until(self.next_progress).await,
                None => std::future::pending().await,
            }
        };
        let gave_up = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.gate.ledger.decided(&self.approval, clock) => Woken::Decided,
            () = sleep_until(self.until) => Woken::HoldIsOver,
            () = progress => Woken::TimeToShowLife,
            () = gave_up => Woken::CallerGaveUp,
        }
    }

    fn sign_of_life(&mut self) -> Bytes {
        self.progress += 1;
        self.next_progress = Instant::now() + PROGRESS_EVERY;
        let token = self.progress_token.as_deref().unwrap_or("null");
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{},"message":"waiting for approval {}"}}}}"#,
            self.progress, self.approval
        )
        .into()
    }

    /// Judges the request anew: the approval is there now, or the refusal.
    async fn take_up_again(&mut self) -> Held {
        let bounds = Bounds { bytes: self.body.len(), ..Bounds::REQUEST };
        let body = self.body.clone();
        let Ok(message) = read_request(&body, &bounds) else {
            return Held::Step(Step::Done(std::mem::take(&mut self.answer).into()));
        };
        let Kind::Request(request) = &message.kind else {
            return Held::Step(Step::Done(std::mem::take(&mut self.answer).into()));
        };
        let turn = Turn {
            gate: &self.gate,
            session: &self.session,
            caller: &self.caller,
            policy: self.policy.as_ref(),
            body: &body,
            message: &message,
            request,
            trace_id: self.trace_id.as_deref(),
            started: Instant::now(),
            may_hold: false,
        };
        match walk::request(turn).await {
            Answer::Now(answer) => Held::Step(Step::Done(answer.into())),
            Answer::Later(relay) => Held::GoesOn(relay),
        }
    }
}
