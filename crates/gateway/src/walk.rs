//! The walk of one request that wants an answer, in one straight line.
//!
//! ```text
//! hidden? -> judge -> approval? -> reserve -> forward
//! ```
//!
//! Whoever calls has authenticated the agent, routed the request to a session and read its envelope;
//! [`Relay`] inspects what comes back and settles. Every refusal is recorded before it is told.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use ledger::{EntryId, Intent, Outcome};
use mcp::envelope::{IdKey, Message, Request};
use policy::{Call, Charge, Listed, Target, Verdict};
use tokio::time::Instant;

use crate::approval::{self, Approved};
use crate::decision::{self, Decision, Origin, Stopped};
use crate::gate::Gate;
use crate::hold::Hold;
use crate::identity::Caller;
use crate::intent;
use crate::metrics::Counted;
use crate::permit::{NotReserved, Pass, Permit};
use crate::relay::{Account, Filter, Forwarded, Passage, Relay, Sending, failure_answer};
use crate::session::Session;
use crate::snapshot::NamedPolicy;
use crate::subject;

/// Longest method, tool, prompt or URI that is judged, in bytes.
const NAME_BYTES: usize = 4096;

/// One request and everything that is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) session: &'a Arc<Session>,
    pub(crate) caller: &'a Caller,
    pub(crate) policy: Option<&'a Arc<NamedPolicy>>,
    /// The bytes that `message` was read from.
    pub(crate) body: &'a Bytes,
    pub(crate) message: &'a Message<'a>,
    pub(crate) request: &'a Request<'a>,
    pub(crate) trace_id: Option<&'a str>,
    pub(crate) started: Instant,
    /// Whether the answer may wait for a person, as the policy's `hold` says.
    pub(crate) may_hold: bool,
}

/// What the agent gets.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The gate's own answer.
    Now(String),
    /// What comes back, from upstream or after a person has decided.
    Later(Relay),
}

/// A request that goes no further.
pub(crate) enum Stop {
    Told(String),
    Held(Box<Hold>),
}

/// A verdict that lets the request go on.
pub(crate) struct Allowed<'p> {
    pub(crate) rule: &'p str,
    pub(crate) charges: Vec<Charge<'p>>,
    pub(crate) asks: Option<Asks<'p>>,
    /// Set for requests that no policy governs.
    passes: Option<Permit>,
}

/// What a rule wants a person to decide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks<'p> {
    pub(crate) reason: Option<&'p str>,
    pub(crate) timeout: std::time::Duration,
    pub(crate) hold: std::time::Duration,
}

/// Takes a request from its envelope to the upstream, or to the reason why it does not get there.
pub(crate) async fn request(turn: Turn<'_>) -> Answer {
    match walk(turn).await {
        Ok(forwarded) => Answer::Later(Relay::Forwarded(Box::new(forwarded))),
        Err(Stop::Told(answer)) => Answer::Now(answer),
        Err(Stop::Held(hold)) => Answer::Later(Relay::Held(hold)),
    }
}

async fn walk(turn: Turn<'_>) -> Result<Forwarded, Stop> {
    let target = subject::target(&turn.request.method, turn.request.params.as_ref());
    turn.stop_overlong(&target).await?;
    turn.stop_hidden(&target).await?;
    let mut allowed = turn.judge(&target).await?;
    let approved = approval::obtain(&turn, &target, &allowed).await?;
    let permit = turn.reserve(&target, &mut allowed, approved).await?;
    turn.forward(permit).await
}

impl<'a> Turn<'a> {
    /// Refuses names that are too long to be kept: counters and records would grow by them.
    async fn stop_overlong(&self, target: &Target<'a>) -> Result<(), Stop> {
        let longest = subject::named(target).map_or(0, str::len).max(self.request.method.len());
        if longest <= NAME_BYTES {
            return Ok(());
        }
        let reason = format!("the name of what is asked for is longer than {NAME_BYTES} bytes");
        let none = Target::Method("");
        Err(match self.refuse(&none, Outcome::Reject, None, &reason).await {
            Ok(_) => Stop::Told(mcp::envelope::answer::error(self.raw_id(), decision::INVALID_PARAMS, &reason, None)),
            Err(stop) => stop,
        })
    }

    /// Answers what is hidden, and what the server does not have, with the same bytes.
    async fn stop_hidden(&self, target: &Target<'a>) -> Result<(), Stop> {
        let Some(policy) = self.policy else { return Ok(()) };
        let Some((what, name)) = subject::listed_name(target) else { return Ok(()) };
        if !policy.policy.hides_anything(what) {
            return Ok(());
        }
        let hidden = policy.policy.hides(target);
        match self.session.shows(self.gate, what, name, hidden.is_some()).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let rule = hidden.unwrap_or_default();
                let reason = if hidden.is_some() { "hidden" } else { "the server lists no such name" };
                self.refuse(target, Outcome::Hide, Some(rule), reason).await?;
                Err(Stop::Told(match what {
                    Listed::Prompts => decision::unknown_prompt(self.raw_id(), name),
                    Listed::Tools | Listed::Resources => decision::unknown_tool(self.raw_id(), name),
                }))
            }
            Err(error) => Err(Stop::Told(failure_answer(self.raw_id(), self.session.server.name(), &error, None))),
        }
    }

    async fn judge(&self, target: &Target<'a>) -> Result<Allowed<'a>, Stop> {
        let Some(policy) = self.policy else {
            let reason = "No policy covers this server for this grant";
            return Err(self.deny(target, "", reason).await);
        };
        let call = Call {
            target: *target,
            arguments: self.request.params.as_ref().and_then(|params| params.arguments),
            grant_label: self.caller.label(),
            client_name: self.session.client_name.as_deref(),
        };
        let verdict = policy.policy.judge(&call);
        let passes = Permit::ungoverned(&verdict);
        match verdict {
            Verdict::Allow { rule, charges } => Ok(Allowed { rule, charges, asks: None, passes }),
            Verdict::Approve { rule, reason, timeout, hold, charges } => {
                Ok(Allowed { rule, charges, asks: Some(Asks { reason, timeout, hold }), passes: None })
            }
            Verdict::Deny { rule, reason } => Err(self.deny(target, rule, &reason).await),
            Verdict::Hide { rule } => {
                self.refuse(target, Outcome::Hide, Some(rule), "hidden").await?;
                let name = subject::named(target).unwrap_or_default();
                Err(Stop::Told(match target {
                    Target::Resource(_) | Target::CompleteResource(_) => {
                        decision::unknown_resource(self.raw_id(), name)
                    }
                    Target::Prompt(_) | Target::CompletePrompt(_) => decision::unknown_prompt(self.raw_id(), name),
                    Target::Tool(_) | Target::Method(_) => decision::unknown_tool(self.raw_id(), name),
                }))
            }
        }
    }

    async fn reserve(
        &self,
        target: &Target<'a>,
        allowed: &mut Allowed<'a>,
        approved: Option<Approved>,
    ) -> Result<Permit, Stop> {
        if let Some(permit) = allowed.passes.take() {
            self.session.server.metrics.count(Counted::Passed);
            return Ok(permit);
        }
        let facts = Facts::of(self);
        let keys = facts.keys();
        let intent = self.intent(target, Some(allowed.rule), &keys, facts.hmac);
        let charges: Vec<_> = allowed.charges.iter().map(|charge| self.charge(charge)).collect();
        let fail_mode = self.gate.snapshot.load().config.fail_mode;
        let approval = approved.as_ref().map(Approved::as_use);
        let reserved =
            Permit::reserve(&self.gate.ledger, fail_mode, intent, &charges, self.caller.check(), approval).await;
        match reserved {
            Ok(permit) => {
                self.session.server.metrics.count(Counted::Allow);
                Ok(permit)
            }
            Err(refused) => Err(Stop::Told(self.tell_not_reserved(target, allowed, refused))),
        }
    }

    fn charge<'c>(&'c self, charge: &'c Charge<'_>) -> ledger::Charge<'c> {
        let limit = charge.limit;
        let subject = match limit.scope {
            policy::Scope::Grant => self.caller.id(),
            policy::Scope::Session => &self.session.id,
            policy::Scope::Server => self.session.server.name(),
            policy::Scope::Gateway => "",
        };
        let policy = self.policy.map_or("", |policy| &policy.name);
        ledger::Charge {
            key: ledger::CounterKey { policy, scope: limit.scope, subject, counter: &charge.counter },
            window: limit.window,
            kind: limit.kind,
            max: &limit.max,
            cost: &charge.cost,
            count: limit.count,
            rule: &limit.rule,
            on_deny: limit.on_deny.as_deref().unwrap_or("a limit is reached"),
        }
    }

    fn tell_not_reserved(&self, target: &Target<'_>, allowed: &Allowed<'_>, refused: NotReserved) -> String {
        let metrics = &self.session.server.metrics;
        match refused {
            NotReserved::Limited { index, retry_after, record } => {
                metrics.count(Counted::Limit);
                let limit = allowed.charges.get(index).map(|charge| charge.limit);
                let rule = limit.map_or("", |limit| &limit.rule);
                let reason = limit.and_then(|limit| limit.on_deny.clone()).unwrap_or_else(|| limit_reason(retry_after));
                self.told(target, Stopped::Limited, rule, reason.into(), record, retry_after)
            }
            NotReserved::GrantGone { record } => {
                metrics.count(Counted::Deny);
                self.told(
                    target,
                    Stopped::Denied,
                    "",
                    "The grant has been taken back or has changed".into(),
                    record,
                    None,
                )
            }
            NotReserved::ApprovalGone { why, record } => {
                metrics.count(Counted::Deny);
                let reason = format!("This call needs an approval, but {}", why.as_str());
                self.told(target, Stopped::Denied, allowed.rule, reason.into(), record, None)
            }
            NotReserved::Unwritten(error) => {
                metrics.count(Counted::Deny);
                unwritten(self.raw_id(), &error)
            }
        }
    }

    /// Sends the request upstream. It takes the permit, and there is no other way there.
    async fn forward(&self, permit: Permit) -> Result<Forwarded, Stop> {
        let relates = self.session.agent.sorts_messages() && self.session.server.is_child();
        let token = self.request.params.as_ref().and_then(|params| params.progress_token);
        let place = self.session.running.enter(self.request.id, token, relates, || self.session.fresh_id());
        let place = match place {
            Ok(place) => place,
            Err(no_place) => return Err(Stop::Told(self.return_permit(permit, &no_place.to_string()).await)),
        };
        let method = self.request.method.as_ref();
        let (body, id) = self.outgoing(place.replaced.as_deref());
        let patience = self.session.server.config.call_timeout;
        let (pass, ticket) = permit.use_up();
        let account = ticket.map(|ticket| Account { ticket, gateway: self.started.elapsed() });
        let sent_at = Instant::now();
        let deadline = sent_at + patience;
        let begun = Passage::begin(self.sending(pass, body, id), self.session.server.is_child(), deadline).await;
        let passage = match begun {
            Ok(passage) => passage,
            Err(error) => return Err(Stop::Told(self.not_sent(account, sent_at, &error).await)),
        };
        Ok(Forwarded {
            gate: Arc::clone(self.gate),
            session: Arc::clone(self.session),
            raw_id: self.raw_id().to_owned(),
            place,
            passage,
            account,
            filter: self.filter(method),
            sent_at,
            deadline,
            patience,
            is_cancelled: false,
            reply: None,
        })
    }

    /// Sends the request, once it is polled, and takes note of what a new connection would have to be told.
    fn sending(&self, pass: Pass, body: Bytes, id: IdKey) -> Sending {
        let (gate, session) = (Arc::clone(self.gate), Arc::clone(self.session));
        let method = self.request.method.as_ref().to_owned();
        let uri = self.request.params.as_ref().and_then(|params| params.uri.as_deref()).map(ToOwned::to_owned);
        let own = self.own_bytes();
        Box::pin(async move {
            let exchange = session.request(&gate, pass, body, id, &method).await?;
            session.remember(&method, uri.as_deref(), &own);
            Ok(exchange)
        })
    }

    /// The bytes that go upstream: the agent's own, but for an id that would not come back as it is
    /// and for line breaks that the transport has no room for.
    fn outgoing(&self, replaced: Option<&str>) -> (Bytes, IdKey) {
        let own = self.request.id.key();
        let Some(raw_id) = replaced else {
            let body =
                if self.session.server.is_child() { one_line(self.message, self.body) } else { self.own_bytes() };
            return (body, own);
        };
        let body = self.message.with_id(raw_id);
        let body = mcp::envelope::without_line_breaks(&body).into_owned();
        (body.into(), IdKey::from_raw(raw_id).unwrap_or(own))
    }

    /// The message as it came, without the rest of a batch.
    pub(crate) fn own_bytes(&self) -> Bytes {
        self.body.slice_ref(self.message.raw().as_bytes())
    }

    fn filter(&self, method: &str) -> Option<Filter> {
        let list = subject::list(method)?;
        let policy = self.policy?;
        policy.policy.hides_anything(list.what).then(|| Filter { list, policy: Arc::clone(policy) })
    }

    async fn not_sent(&self, account: Option<Account>, sent_at: Instant, error: &mcp::client::UpstreamError) -> String {
        let mut record = None;
        if let Some(Account { ticket, gateway }) = account {
            record = Some(ticket.id().to_string());
            let ending = if error.nothing_was_sent() { ledger::Ending::NotSent } else { ledger::Ending::Failed };
            let settlement = ledger::Settlement {
                at: self.gate.clock.now(),
                ending,
                gateway_us: crate::relay::micros(gateway),
                upstream_us: crate::relay::micros(sent_at.elapsed()),
            };
            self.gate.ledger.settle(ticket, settlement).await;
        }
        failure_answer(self.raw_id(), self.session.server.name(), error, record.as_deref())
    }

    async fn return_permit(&self, permit: Permit, why: &str) -> String {
        let error = mcp::client::UpstreamError::NotSent(why.to_owned());
        let account = permit.use_up().1.map(|ticket| Account { ticket, gateway: self.started.elapsed() });
        self.not_sent(account, Instant::now(), &error).await;
        decision::failure(self.raw_id(), decision::INVALID_REQUEST, why, Origin::Gate, true, None)
    }

    pub(crate) fn raw_id(&self) -> &'a str {
        self.request.id.raw()
    }

    /// Records a denial and tells it.
    pub(crate) async fn deny(&self, target: &Target<'_>, rule: &str, reason: &str) -> Stop {
        match self.refuse(target, Outcome::Deny, Some(rule), reason).await {
            Ok(record) => Stop::Told(self.told(target, Stopped::Denied, rule, reason.into(), record, None)),
            Err(stop) => stop,
        }
    }

    /// Records a request that goes no further.
    pub(crate) async fn refuse(
        &self,
        target: &Target<'_>,
        outcome: Outcome,
        rule: Option<&str>,
        reason: &str,
    ) -> Result<EntryId, Stop> {
        self.session.server.metrics.count(match outcome {
            Outcome::Hide => Counted::Hide,
            Outcome::Approve => Counted::Approve,
            Outcome::Reject => Counted::Reject,
            Outcome::Allow | Outcome::Deny | Outcome::Limit => Counted::Deny,
        });
        let facts = Facts::of(self);
        let keys = facts.keys();
        let intent = self.intent(target, rule, &keys, facts.hmac);
        let refused = self.gate.ledger.refuse(intent, outcome, reason).await;
        refused.map_err(|error| Stop::Told(unwritten(self.raw_id(), &error)))
    }

    fn intent<'i>(
        &'i self,
        target: &Target<'i>,
        rule: Option<&'i str>,
        argument_keys: &'i [&'i str],
        arguments_hmac: Option<[u8; 32]>,
    ) -> Intent<'i> {
        let policy = self.policy.map(AsRef::as_ref);
        let session = self.session.as_ref();
        Intent {
            method: if self.request.method.len() <= NAME_BYTES { &self.request.method } else { "" },
            tool: subject::named(target),
            rule: rule.filter(|rule| !rule.is_empty()),
            argument_keys,
            arguments_hmac,
            request_id: Some(self.raw_id()),
            trace_id: self.trace_id,
            ..intent::of(self.gate, &session.server, self.caller, policy, Some(session))
        }
    }

    /// The answer for a request that was stopped.
    fn told(
        &self,
        target: &Target<'_>,
        stopped: Stopped,
        rule: &str,
        reason: std::borrow::Cow<'_, str>,
        record: EntryId,
        retry_after: Option<std::time::Duration>,
    ) -> String {
        self.tell(
            target,
            &Decision {
                stopped,
                reason,
                rule,
                policy: self.policy.map_or("", |policy| &policy.name),
                record: record.to_string(),
                retry_after,
                approval: None,
            },
        )
    }

    /// A result for tools, an error for everything else.
    pub(crate) fn tell(&self, target: &Target<'_>, decision: &Decision<'_>) -> String {
        if matches!(target, Target::Tool(_)) {
            return decision.as_tool_result(self.raw_id());
        }
        decision.as_error(self.raw_id())
    }
}

/// What a record keeps of the arguments: their names, and a digest that only this ledger can make.
struct Facts<'a> {
    keys: Vec<Cow<'a, str>>,
    hmac: Option<[u8; 32]>,
}

impl<'a> Facts<'a> {
    fn of(turn: &Turn<'a>) -> Self {
        let Some(arguments) = turn.request.params.as_ref().and_then(|params| params.arguments) else {
            return Self { keys: Vec::new(), hmac: None };
        };
        let canonical = policy::canonical_json(arguments);
        let canonical = canonical.as_deref().unwrap_or(arguments);
        Self {
            keys: policy::argument_keys(arguments),
            hmac: Some(turn.gate.ledger.hmac_arguments(canonical.as_bytes())),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.keys.iter().map(AsRef::as_ref).collect()
    }
}

fn limit_reason(retry_after: Option<std::time::Duration>) -> String {
    match retry_after {
        Some(after) => format!("The limit is reached; try again in {} s", after.as_secs().saturating_add(1)),
        None => "The call alone is more than the limit allows".to_owned(),
    }
}

/// The ledger cannot be written, so nothing may pass.
fn unwritten(raw_id: &str, error: &ledger::LedgerError) -> String {
    tracing::error!(%error, "denied a call because the ledger cannot be written");
    let message = "[POLICY DENIED] The gate cannot record calls at the moment, so none may pass";
    decision::failure(raw_id, decision::INTERNAL_ERROR, message, Origin::Gate, true, None)
}

/// The message without line breaks; the same bytes where there are none.
pub(crate) fn one_line(message: &Message<'_>, body: &Bytes) -> Bytes {
    match message.without_line_breaks() {
        std::borrow::Cow::Borrowed(line) => body.slice_ref(line.as_bytes()),
        std::borrow::Cow::Owned(line) => line.into(),
    }
}
