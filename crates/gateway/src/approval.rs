//! Asking a person: the same call, made again after a yes, passes exactly once.

use std::collections::BTreeMap;

use ledger::{ApprovalState, ApprovalUse, AskApproval, Outcome};
use policy::Target;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::decision::{Decision, Stopped};
use crate::hold::Hold;
use crate::subject;
use crate::walk::{Allowed, Asks, Stop, Turn};

/// Members of `_meta` that differ between two makings of the same call (MCP, "progress"; OpenTelemetry's trace context).
const NOT_PART_OF_THE_CALL: [&str; 4] = ["progressToken", "traceparent", "tracestate", "baggage"];
/// How much of a call the person who decides is shown, in bytes.
const SUMMARY_BYTES: usize = 4096;

/// An approval that a reservation will spend.
#[derive(Debug)]
pub(crate) struct Approved {
    id: String,
    fingerprint: [u8; 32],
}

impl Approved {
    pub(crate) fn as_use(&self) -> ApprovalUse<'_> {
        ApprovalUse { id: &self.id, fingerprint: &self.fingerprint }
    }
}

/// Finds the approval that the rule wants, or asks for it and stops the request.
pub(crate) async fn obtain<'a>(
    turn: &Turn<'a>,
    target: &Target<'a>,
    allowed: &Allowed<'a>,
) -> Result<Option<Approved>, Stop> {
    let Some(asks) = allowed.asks else { return Ok(None) };
    let now = turn.gate.clock.now();
    let fingerprint = fingerprint(turn, target, allowed.rule);
    let policy = turn.policy.map_or("", |policy| &policy.name);
    let version = turn.policy.map_or("", |policy| policy.policy.version());
    let summary = summary(turn, target);
    let ask = AskApproval {
        grant: turn.caller.id(),
        server: turn.session.server.name(),
        tool: subject::named(target).unwrap_or(&turn.request.method),
        policy,
        policy_version: version,
        rule: allowed.rule,
        fingerprint,
        summary: &summary,
        expires_at: now.saturating_add(asks.timeout),
    };
    let approval = match turn.gate.ledger.ask(ask, now).await {
        Ok(approval) => approval,
        Err(error) => {
            let reason = format!("This call needs an approval that cannot be asked for: {error}");
            return Err(turn.deny(target, allowed.rule, &reason).await);
        }
    };
    match approval.state {
        ApprovalState::Approved => Ok(Some(Approved { id: approval.id, fingerprint })),
        ApprovalState::Denied => {
            let said = approval.decision_reason.map_or_else(String::new, |reason| format!(": {reason}"));
            Err(turn.deny(target, allowed.rule, &format!("A person has refused this call{said}")).await)
        }
        ApprovalState::Pending | ApprovalState::Spent | ApprovalState::Expired => {
            Err(wait(turn, target, allowed.rule, asks, approval.id).await)
        }
    }
}

/// Tells the agent to come again, or holds the request for a while.
async fn wait(turn: &Turn<'_>, target: &Target<'_>, rule: &str, asks: Asks<'_>, approval: String) -> Stop {
    let reason = asks.reason.unwrap_or("A person has to approve this call");
    let text = format!("{reason}; approval `{approval}` is asked for. Make the same call again once it is given");
    let record = match turn.refuse(target, Outcome::Approve, Some(rule), reason).await {
        Ok(record) => record,
        Err(stop) => return stop,
    };
    let answer = turn.tell(
        target,
        &Decision {
            stopped: Stopped::Waiting,
            reason: text.into(),
            rule,
            policy: turn.policy.map_or("", |policy| &policy.name),
            record: record.to_string(),
            retry_after: None,
            approval: Some(approval.clone()),
        },
    );
    if !turn.may_hold || asks.hold.is_zero() {
        return Stop::Told(answer);
    }
    Stop::Held(Box::new(Hold::new(turn, approval, answer, Instant::now() + asks.hold)))
}

/// A keyed digest of everything that makes two calls the same.
fn fingerprint(turn: &Turn<'_>, target: &Target<'_>, rule: &str) -> [u8; 32] {
    let raw = turn.request.params.as_ref().map_or("{}", |params| params.raw);
    let params = without_transient_members(raw).unwrap_or_else(|| raw.to_owned());
    // What has no canonical form is compared as it is written.
    let params = policy::canonical_json(&params).unwrap_or(params);
    let parts = [
        "approval",
        turn.caller.id(),
        turn.session.server.name(),
        &turn.request.method,
        subject::named(target).unwrap_or_default(),
        turn.policy.map_or("", |policy| &policy.name),
        turn.policy.map_or("", |policy| policy.policy.version()),
        rule,
        &params,
    ];
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    turn.gate.ledger.hmac_arguments(&bytes)
}

fn without_transient_members(params: &str) -> Option<String> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(params).ok()?;
    let Some(meta) = members.get("_meta") else { return Some(params.to_owned()) };
    let mut meta: BTreeMap<String, &RawValue> = serde_json::from_str(meta.get()).ok()?;
    for name in NOT_PART_OF_THE_CALL {
        meta.remove(name);
    }
    let kept = if meta.is_empty() { None } else { Some(serde_json::value::to_raw_value(&meta).ok()?) };
    members.remove("_meta");
    if let Some(kept) = &kept {
        members.insert("_meta".to_owned(), kept);
    }
    serde_json::to_string(&members).ok()
}

fn summary(turn: &Turn<'_>, target: &Target<'_>) -> String {
    let arguments = turn.request.params.as_ref().and_then(|params| params.arguments).unwrap_or("{}");
    let mut summary = format!("{} {arguments}", subject::named(target).unwrap_or(&turn.request.method));
    if summary.len() > SUMMARY_BYTES {
        let end = (0..=SUMMARY_BYTES).rev().find(|end| summary.is_char_boundary(*end)).unwrap_or(0);
        summary.truncate(end);
        summary.push('…');
    }
    summary
}
