//! What people do beside a running gate: grants, approvals, edits of the configuration.

use blackbox::agent::{Agent, outcome, text};
use blackbox::eventually;
use blackbox::gate::{Gate, Setup, cli};
use blackbox::http_upstream::HttpUpstream;
use blackbox::lines::LineAgent;
use blackbox::place::Place;
use serde_json::{Value, json};

use crate::stdio_gate;

async fn create(gate: &Gate, label: &str) -> String {
    let created = gate.cli_json(&["grant", "create", label, "--access", "up=p"]).await;
    let token = created[0]["token"].as_str().unwrap_or_else(|| panic!("no token in {created:?}"));
    assert!(token.starts_with("tg_") && token.len() > 40, "{token}");
    token.to_owned()
}

#[tokio::test]
async fn a_revoked_grant_ends_with_its_next_call() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let token = create(&gate, "bob").await;
    let bob = Agent::new(gate.address(), "up", &token).open().await;
    assert_eq!(outcome(&bob.call("echo", json!({})).await), "allow");
    let revoked = gate.cli(&["grant", "revoke", "bob"]).await;
    assert!(revoked.status.success(), "{revoked:?}");
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo" } });
    let reply = bob.post(call.to_string()).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    assert_eq!(bob.initialize().await.status, 401);
    assert_eq!(upstream.received_of("tools/call").len(), 1);
}

#[tokio::test]
async fn a_rotated_token_replaces_the_old_one() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let old = create(&gate, "bob").await;
    let rotated = gate.cli_json(&["grant", "rotate", "bob"]).await;
    let new = rotated[0]["token"].as_str().expect("a token is printed");
    assert_eq!(Agent::new(gate.address(), "up", &old).initialize().await.status, 401);
    Agent::new(gate.address(), "up", new).open().await;
    let listed = gate.cli(&["grant", "list", "--json"]).await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("\"bob\"") && !listed.contains(new), "{listed}");
}

#[tokio::test]
async fn without_a_good_token_there_is_no_session_and_no_record() {
    let upstream = HttpUpstream::start().await;
    let setup = Setup::open(upstream.server()).server("other", upstream.server());
    let gate = setup.serve().await;
    for token in ["", "no-such-token-0123456789abcdef0123456789abcdef"] {
        assert_eq!(Agent::new(gate.address(), "up", token).initialize().await.status, 401);
    }
    let reply = gate.agent("alice", "other").initialize().await;
    assert!(reply.status == 403 || reply.status == 404, "alice has no access to `other`: {reply:?}");
    assert_eq!(upstream.received().len(), 0);
    assert_eq!(gate.records().await.len(), 0);
}

fn approving() -> Value {
    let rule = json!({ "conditions": [{ "path": "args.amount", "op": "gt", "value": 100 }] });
    json!({ "version": "1", "default": "deny", "tools": { "refund": { "approve_if": [rule] } } })
}

fn approval_id(answer: &Value) -> String {
    assert_eq!(outcome(answer), "approve", "{answer}");
    assert!(text(answer).starts_with("[APPROVAL REQUIRED]"), "{answer}");
    let decision = &answer["result"]["_meta"]["dev.toolgate/decision"];
    let approval = &decision["approval"];
    let id = approval.as_str().or_else(|| approval["id"].as_str()).unwrap_or_else(|| panic!("no id in {decision}"));
    assert!(id.starts_with("apr_"), "{id}");
    id.to_owned()
}

#[tokio::test]
async fn an_approved_call_passes_exactly_once() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::judged(upstream.server(), approving()).serve().await;
    let agent = gate.session("alice").await;
    assert_eq!(outcome(&agent.call("refund", json!({ "amount": 5 })).await), "allow");
    let id = approval_id(&agent.call("refund", json!({ "amount": 500, "to": "x" })).await);
    assert_eq!(approval_id(&agent.call("refund", json!({ "to": "x", "amount": 500.0 })).await), id, "the same call");
    assert_ne!(approval_id(&agent.call("refund", json!({ "amount": 501, "to": "x" })).await), id, "another call");
    let pending = gate.cli_json(&["approval", "list"]).await;
    assert_eq!(pending.len(), 2, "{pending:?}");
    let approved = gate.cli(&["approval", "approve", &id]).await;
    assert!(approved.status.success(), "{approved:?}");
    assert_eq!(outcome(&agent.call("refund", json!({ "amount": 500, "to": "x" })).await), "allow");
    assert_ne!(approval_id(&agent.call("refund", json!({ "amount": 500, "to": "x" })).await), id, "it is spent");
    assert_eq!(upstream.received_of("tools/call").len(), 2);
}

#[tokio::test]
async fn a_denied_approval_denies_the_call() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::judged(upstream.server(), approving()).serve().await;
    let agent = gate.session("alice").await;
    let id = approval_id(&agent.call("refund", json!({ "amount": 500 })).await);
    let denied = gate.cli(&["approval", "deny", &id, "--reason", "not today"]).await;
    assert!(denied.status.success(), "{denied:?}");
    let answer = agent.call("refund", json!({ "amount": 500 })).await;
    assert_eq!(outcome(&answer), "deny", "{answer}");
    assert_eq!(upstream.received_of("tools/call").len(), 0);
}

#[tokio::test]
async fn an_approval_for_run_is_given_beside_it() {
    let place = Place::new();
    let record = place.join("record");
    let mut agent = LineAgent::open(stdio_gate::judged(&place, &record, &approving().to_string())).await;
    let id = approval_id(&agent.call("refund", json!({ "amount": 500 })).await);
    let approved = cli(&place.join("data"), &["approval", "approve", &id]).await;
    assert!(approved.status.success(), "{approved:?}");
    assert_eq!(outcome(&agent.call("refund", json!({ "amount": 500 })).await), "allow");
    approval_id(&agent.call("refund", json!({ "amount": 500 })).await);
    assert_eq!(agent.close().await, Some(0));
}

#[tokio::test]
async fn an_invalid_edit_is_refused_and_a_valid_one_applies() {
    let upstream = HttpUpstream::start().await;
    let setup = Setup::open(upstream.server());
    let gate = setup.serve().await;
    let agent = gate.session("alice").await;
    let invalid = json!({ "version": "1", "default": "allow", "tools": { "echo": { "acton": "deny" } } });
    gate.edit(&setup.clone().policy("p", invalid).text());
    eventually("the edit is refused", async || gate.log().contains("refused the edited configuration").then_some(()))
        .await;
    assert!(gate.log().contains("acton"), "the log names the problem");
    assert_eq!(outcome(&agent.call("echo", json!({})).await), "allow", "the last good configuration stays");
    let valid = json!({ "version": "1", "default": "allow", "tools": { "echo": { "action": "deny" } } });
    gate.edit(&setup.policy("p", valid).text());
    eventually("the edit applies", async || (outcome(&agent.call("echo", json!({})).await) == "deny").then_some(()))
        .await;
}
