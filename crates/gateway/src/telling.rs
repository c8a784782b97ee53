//! Messages of the agent that want no answer: notifications, and answers to the server's requests.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{Intent, Outcome};
use mcp::envelope::{Message, Notification, Response};
use policy::{Call, Target, Verdict};
use tracing::debug;

use crate::gate::Gate;
use crate::identity::Caller;
use crate::intent;
use crate::metrics::Counted;
use crate::permit::Permit;
use crate::session::Session;
use crate::snapshot::NamedPolicy;
use crate::walk::one_line;

/// Whose message it is and where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) session: &'a Arc<Session>,
    pub(crate) caller: &'a Caller,
    pub(crate) policy: Option<&'a Arc<NamedPolicy>>,
}

impl Whose<'_> {
    /// Passes a notification on, unless the policy does not know its method.
    pub(crate) async fn notification(&self, message: &Message<'_>, notification: &Notification<'_>, body: &Bytes) {
        let method = notification.method.as_ref();
        match self.judge(method).await {
            Some(permit) => self.pass(permit, message, notification, body).await,
            None => debug!(method, server = self.session.server.name(), "dropped a notification that policy denies"),
        }
    }

    /// Passes the agent's answer to a request of the server on; an answer nobody asked for is dropped.
    pub(crate) async fn response(&self, message: &Message<'_>, response: &Response<'_>, body: &Bytes) {
        let asked = response.id.is_some_and(|id| self.session.answers(&id.key()));
        if asked {
            self.send(self.on_the_wire(message, body)).await;
        } else {
            debug!(server = self.session.server.name(), "dropped an answer that the server did not ask for");
        }
    }

    async fn judge(&self, method: &str) -> Option<Permit> {
        let denied = match self.policy {
            None => ("", "No policy covers this server for this grant".to_owned()),
            Some(policy) => {
                let call = Call {
                    target: Target::Method(method),
                    arguments: None,
                    grant_label: self.caller.label(),
                    client_name: self.session.client_name.as_deref(),
                };
                let verdict = policy.policy.judge(&call);
                if let Some(permit) = Permit::ungoverned(&verdict) {
                    return Some(permit);
                }
                match verdict {
                    Verdict::Allow { rule, .. } => return self.reserve(method, rule).await,
                    Verdict::Deny { rule, reason } => (rule, reason.into_owned()),
                    Verdict::Hide { rule } | Verdict::Approve { rule, .. } => {
                        (rule, "a notification cannot be held".to_owned())
                    }
                }
            }
        };
        self.session.server.metrics.count(Counted::Deny);
        let refused = self.gate.ledger.refuse(self.intent(method, denied.0), Outcome::Deny, &denied.1).await;
        if let Err(error) = refused {
            tracing::error!(%error, "could not record a notification that was denied");
        }
        None
    }

    async fn reserve(&self, method: &str, rule: &str) -> Option<Permit> {
        let fail_mode = self.gate.snapshot.load().config.fail_mode;
        let intent = self.intent(method, rule);
        let reserved = Permit::reserve(&self.gate.ledger, fail_mode, intent, &[], self.caller.check(), None).await;
        reserved.inspect_err(|refused| debug!(?refused, method, "dropped a notification")).ok()
    }

    async fn pass(&self, permit: Permit, message: &Message<'_>, notification: &Notification<'_>, body: &Bytes) {
        let mut outgoing = self.on_the_wire(message, body);
        if notification.method == "notifications/cancelled" {
            let id = notification.params.as_ref().and_then(|params| params.request_id);
            // A request that the gate does not know under way is for the server to pass over.
            if let Some(Some(replaced)) = id.and_then(|id| self.session.running.cancel(&id.key())) {
                let renamed = message.with_request_id(&replaced);
                outgoing = mcp::envelope::without_line_breaks(&renamed).into_owned().into();
            }
        }
        let sent = self.send(outgoing).await;
        if let Some(ticket) = permit.use_up().1 {
            let ending =
                if sent { ledger::Ending::Answered { is_error: false, status: None } } else { ledger::Ending::Failed };
            let at = self.gate.clock.now();
            self.gate.ledger.settle(ticket, ledger::Settlement { at, ending, gateway_us: 0, upstream_us: 0 }).await;
        }
        if notification.method == "notifications/initialized" {
            self.session.initialized();
        }
    }

    async fn send(&self, body: Bytes) -> bool {
        match self.session.send(self.gate, body).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, server = self.session.server.name(), "could not pass a message on");
                false
            }
        }
    }

    fn on_the_wire(&self, message: &Message<'_>, body: &Bytes) -> Bytes {
        if self.session.server.is_child() { one_line(message, body) } else { body.slice_ref(message.raw().as_bytes()) }
    }

    fn intent<'i>(&'i self, method: &'i str, rule: &'i str) -> Intent<'i> {
        let policy = self.policy.map(AsRef::as_ref);
        let session = self.session.as_ref();
        Intent {
            method,
            rule: Some(rule).filter(|rule| !rule.is_empty()),
            ..intent::of(self.gate, &session.server, self.caller, policy, Some(session))
        }
    }
}
