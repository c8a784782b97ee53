//! Policies, calls in order, and what must come of them.

use policy::document::{Format, Node, NodeKind};
use policy::{Call, Policy, Target, Timestamp, Verdict};

use crate::ledger::{Caller, Ledger};
use crate::{Case, files, run};

/// 2026-01-01T00:00:00Z, where the clock of the cases begins.
const START_SECONDS: i64 = 1_767_225_600;

#[test]
fn every_call_of_every_case_comes_out_as_it_says() {
    run(&files(&["policy.jsonl", "policy-own.jsonl"], "policy-cases.jsonl"), check);
}

fn check(case: &Case) -> Result<(), String> {
    let document = case.root.get("policy").expect("a policy");
    let policy = match &document.kind {
        NodeKind::Null => None,
        // Our own cases may be YAML, which comes as text.
        NodeKind::String(text) => Some(Policy::parse(text, Format::Yaml)),
        _ => Some(Policy::parse(case.raw(document), Format::Json)),
    };
    let policy = policy.transpose().map_err(|problems| format!("{problems:?}"))?.map(|checked| checked.policy);
    let mut ledger = Ledger::default();
    let steps = case.root.get("steps").and_then(Node::as_list).expect("steps");
    for (index, step) in steps.iter().enumerate() {
        run_step(case, policy.as_ref(), &mut ledger, step).map_err(|why| format!("step {index}: {why}"))?;
    }
    Ok(())
}

fn run_step(case: &Case, policy: Option<&Policy>, ledger: &mut Ledger, step: &Node) -> Result<(), String> {
    let text = |key: &str, default: &'static str| -> String {
        step.get(key).and_then(Node::as_str).unwrap_or(default).to_owned()
    };
    let (grant, session, server) = (text("grant", "a"), text("session", "s1"), text("server", "up"));
    let call = Call {
        target: target(step),
        arguments: step.get("args").map(|args| case.raw(args)),
        grant_label: &grant,
        client_name: step.get("client").and_then(Node::as_str),
    };
    let caller = Caller { grant: &grant, session: &session, server: &server };
    let (outcome, rule) = match policy {
        None => ("deny", String::new()),
        Some(policy) => {
            let explained = policy.explain(&call).verdict;
            let verdict = policy.judge(&call);
            if explained != verdict {
                return Err(format!("explained as {explained:?}, judged as {verdict:?}"));
            }
            settle(verdict, ledger, &caller, moment(step), &text("upstream", "ok"))
        }
    };
    let expected = text("expect", "");
    let expected_rule = step.get("rule").and_then(Node::as_str);
    if outcome != expected || expected_rule.is_some_and(|expected| expected != rule) {
        return Err(format!("expected {expected} by {expected_rule:?}, got {outcome} by {rule:?}"));
    }
    Ok(())
}

fn settle(
    verdict: Verdict<'_>,
    ledger: &mut Ledger,
    caller: &Caller<'_>,
    now: Timestamp,
    upstream: &str,
) -> (&'static str, String) {
    match verdict {
        Verdict::Deny { rule, reason } => {
            assert!(!reason.is_empty(), "a denial says why");
            ("deny", rule.to_owned())
        }
        Verdict::Hide { rule } => ("hide", rule.to_owned()),
        Verdict::Approve { rule, .. } => ("approve", rule.to_owned()),
        Verdict::Allow { rule, charges } => match ledger.reserve(&charges, caller, now) {
            Ok(receipt) => {
                ledger.settle(&receipt, upstream);
                ("allow", rule.to_owned())
            }
            Err(index) => ("limit", charges[index].limit.rule.clone()),
        },
    }
}

fn target(step: &Node) -> Target<'_> {
    let text = |key: &str| step.get(key).and_then(Node::as_str);
    match text("method").unwrap_or("tools/call") {
        "tools/call" => Target::Tool(text("tool").expect("a tool")),
        "resources/read" | "resources/subscribe" => Target::Resource(text("uri").expect("a uri")),
        "prompts/get" => Target::Prompt(text("prompt").expect("a prompt")),
        "completion/complete" => text("uri")
            .map_or_else(|| Target::CompletePrompt(text("prompt").expect("a prompt")), Target::CompleteResource),
        other => Target::Method(other),
    }
}

/// The moment of a step, whose seconds may have decimals.
fn moment(step: &Node) -> Timestamp {
    let Some(NodeKind::Number(text)) = step.get("at").map(|at| &at.kind) else {
        panic!("a step has a moment");
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: i64 = seconds.parse().expect("whole seconds");
    let micros: i64 = format!("{fraction:0<6}").parse().expect("at most microseconds");
    Timestamp::from_micros((START_SECONDS + seconds) * 1_000_000 + micros)
}
