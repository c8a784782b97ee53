//! Calls that a person decides about.

use serde_json::Value;

use crate::agent::{Session, call, outcome, told};
use crate::configuration::Configuration;
use crate::gateway::Gateway;
use crate::upstream::Upstream;

fn start(rule: &str) -> (Gateway, Upstream, Session) {
    let upstream = Upstream::start();
    upstream.server("s");
    let policy = format!(r#"{{"version":"1","default":"deny","tools":{{"refund":{rule}}}}}"#);
    let configuration =
        Configuration::default().server("s", &upstream.url("s")).policy("p", &policy).grant("a", "s", "p");
    let gateway = Gateway::start(&configuration);
    let session = gateway.agents.open("a", "s");
    (gateway, upstream, session)
}

const ASKS: &str = r#"{"action":"require_approval","timeout":"30m"}"#;

/// The id of the approval that an answer asks for.
fn asked(answer: &Value) -> String {
    assert_eq!(outcome(answer), ("approve".to_owned(), "/tools/refund/action".to_owned()));
    let id = answer["result"]["_meta"]["dev.toolgate/decision"]["approval"].as_str().expect("an approval");
    assert!(id.starts_with("apr_"), "{id}");
    id.to_owned()
}

fn decide(gateway: &Gateway, approval: &str, decision: &str) {
    let decided = gateway.tell(&format!("/api/v1/approvals/{approval}"), &format!(r#"{{"decision":"{decision}"}}"#));
    assert_eq!(decided["state"], if decision == "approve" { "approved" } else { "denied" });
}

#[test]
fn an_approved_call_passes_exactly_once() {
    let (gateway, upstream, session) = start(ASKS);
    let first = asked(&session.call(1, "refund", r#"{"amount":100,"to":"x"}"#).json());
    // Nobody has decided: the same question stands.
    assert_eq!(asked(&session.call(2, "refund", r#"{"amount":100,"to":"x"}"#).json()), first);
    decide(&gateway, &first, "approve");
    // The same call, otherwise written and with another progress token.
    let again = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"_meta":{"progressToken":9},"arguments":{ "to":"x","amount":1.0e2 },"name":"refund"}}"#;
    let passed = session.post(again);
    assert_eq!(passed.text(), upstream.server("s").last_answer());
    let second = asked(&session.call(4, "refund", r#"{"amount":100,"to":"x"}"#).json());
    assert_ne!(second, first);
    assert_eq!(upstream.server("s").calls(), 1);
    assert_eq!(gateway.get(&format!("/api/v1/approvals/{first}"))["state"], "spent");
    let outcomes: Vec<_> = gateway.entries_after(0).iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["approve", "approve", "allow", "approve"]);
    gateway.verify();
}

#[test]
fn an_approval_is_for_one_call_and_no_other() {
    let (gateway, upstream, session) = start(ASKS);
    let approval = asked(&session.call(1, "refund", r#"{"amount":100}"#).json());
    decide(&gateway, &approval, "approve");
    assert_ne!(asked(&session.call(2, "refund", r#"{"amount":101}"#).json()), approval);
    assert_ne!(asked(&session.call(3, "refund", r#"{"amount":100,"note":null}"#).json()), approval);
    assert_ne!(asked(&session.call(4, "refund", r#"{"amount":"100"}"#).json()), approval);
    assert_eq!(upstream.server("s").calls(), 0);
    assert_eq!(told(&session.call(5, "refund", r#"{"amount":100}"#)), "allow");
}

#[test]
fn two_at_once_with_one_approval_are_one_call() {
    let (gateway, upstream, session) = start(ASKS);
    let approval = asked(&session.call(1, "refund", "{}").json());
    decide(&gateway, &approval, "approve");
    let sessions: Vec<_> = (0..8).map(|_| session.on_its_own_connection(gateway.address)).collect();
    for (id, session) in (10..).zip(&sessions) {
        session.send(call(id, "refund", "{}"));
    }
    let outcomes: Vec<_> = sessions.iter().map(|session| told(&session.receive())).collect();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "allow").count(), 1, "{outcomes:?}");
    assert_eq!(upstream.server("s").calls(), 1);
}

#[test]
fn a_refused_call_is_denied() {
    let (gateway, upstream, session) = start(ASKS);
    let approval = asked(&session.call(1, "refund", "{}").json());
    decide(&gateway, &approval, "deny");
    let answer = session.call(2, "refund", "{}").json();
    assert_eq!(outcome(&answer), ("deny".to_owned(), "/tools/refund/action".to_owned()));
    assert_eq!(upstream.server("s").calls(), 0);
}

#[test]
fn an_approval_that_nobody_used_in_time_is_worth_nothing() {
    let (gateway, upstream, session) = start(ASKS);
    let approval = asked(&session.call(1, "refund", "{}").json());
    decide(&gateway, &approval, "approve");
    gateway.set_clock(30 * 60 * 1_000_000);
    assert_ne!(asked(&session.call(2, "refund", "{}").json()), approval);
    assert_eq!(upstream.server("s").calls(), 0);
}

#[test]
fn an_approval_comes_back_if_nothing_was_sent() {
    let (gateway, upstream, session) = start(ASKS);
    let approval = asked(&session.call(1, "refund", "{}").json());
    decide(&gateway, &approval, "approve");
    upstream.leave();
    let failed = session.call(2, "refund", "{}").json();
    upstream.come_back();
    assert_eq!(failed["error"]["code"], -32000, "{failed}");
    assert_eq!(session.call(3, "refund", "{}").text(), upstream.server("s").last_answer());
    assert_eq!(upstream.server("s").calls(), 1);
    asked(&session.call(4, "refund", "{}").json());
}

const HOLDS: &str = r#"{"action":"require_approval","timeout":"30m","hold":"1h"}"#;

/// Waits until a held call has asked, and gives the id of its approval.
fn pending(gateway: &Gateway) -> String {
    loop {
        let pending = gateway.get("/api/v1/approvals?state=pending");
        if let Some(id) = pending["approvals"][0]["id"].as_str() {
            return id.to_owned();
        }
    }
}

#[test]
fn a_held_call_is_answered_by_the_server_once_it_is_approved() {
    let (gateway, upstream, session) = start(HOLDS);
    session.send(call(1, "refund", r#"{"amount":5}"#));
    let approval = pending(&gateway);
    assert_eq!(upstream.server("s").calls(), 0);
    decide(&gateway, &approval, "approve");
    assert_eq!(session.receive().text(), upstream.server("s").last_answer());
    assert_eq!(upstream.server("s").calls(), 1);
    assert_eq!(gateway.get(&format!("/api/v1/approvals/{approval}"))["state"], "spent");
}

#[test]
fn a_held_call_is_denied_once_it_is_refused() {
    let (gateway, upstream, session) = start(HOLDS);
    session.send(call(1, "refund", "{}"));
    decide(&gateway, &pending(&gateway), "deny");
    assert_eq!(told(&session.receive()), "deny");
    assert_eq!(upstream.server("s").calls(), 0);
}

#[test]
fn an_approval_without_a_hold_is_asked_for_at_once() {
    let (_gateway, upstream, session) = start(r#"{"action":"require_approval","hold":"0s"}"#);
    asked(&session.call(1, "refund", "{}").json());
    assert_eq!(upstream.server("s").calls(), 0);
}
