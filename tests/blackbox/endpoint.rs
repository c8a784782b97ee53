//! The endpoint itself: sessions, streams, batches, and who may speak to it.

use blackbox::answers::{ANNOUNCEMENT, member};
use blackbox::eventually;
use blackbox::gate::{Gate, Setup};
use blackbox::http_upstream::HttpUpstream;
use blackbox::place::Place;
use blackbox::wire;
use serde_json::{Value, json};

use crate::stdio_gate;

fn call(tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": tool, "method": "tools/call", "params": { "name": tool } })
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let agent = gate.session("alice").await;
    upstream.forget_received();
    for header in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")] {
        let reply = agent.send_with("POST", call("echo").to_string(), &[header]).await.expect("the gate answers");
        assert_eq!(reply.status, 403, "{header:?}: {reply:?}");
    }
    let own = format!("http://{}", gate.address());
    let reply = agent.send_with("POST", call("echo").to_string(), &[("origin", &own)]).await;
    assert_eq!(reply.expect("the gate answers").status, 200);
    assert_eq!(upstream.received_of("tools/call").len(), 1);
}

#[tokio::test]
async fn each_element_of_a_batch_is_judged() {
    let upstream = HttpUpstream::start().await;
    let policy = json!({ "version": "1", "default": "deny", "tools": { "echo": {} } });
    let gate = Setup::judged(upstream.server(), policy).serve().await;
    let agent = gate.agent("alice", "up").speaking("2025-03-26").open().await;
    let reply = agent.post(json!([call("echo"), call("delete_all"), call("echo2")]).to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let mut answers: Vec<Value> = Vec::new();
    for message in reply.messages() {
        match serde_json::from_str(&message).expect("it is JSON") {
            Value::Array(several) => answers.extend(several),
            one => answers.push(one),
        }
    }
    let outcome = |id: &str| {
        let answer = answers.iter().find(|answer| answer["id"] == id);
        blackbox::agent::outcome(answer.unwrap_or_else(|| panic!("no answer to {id} in {answers:?}")))
    };
    assert_eq!([outcome("echo"), outcome("delete_all"), outcome("echo2")], ["allow", "deny", "deny"]);
    assert_eq!(upstream.received_of("tools/call").len(), 1);
}

#[tokio::test]
async fn what_the_server_says_unasked_arrives_and_is_not_lost_with_a_connection() {
    let place = Place::new();
    let gate = Setup::open(stdio_gate::raw_server(&place.join("record"))).serve().await;
    let agent = gate.session("alice").await;
    let mut stream = agent.listen(None).await;
    assert_eq!(stream.status, 200);
    agent.call("announce", json!({})).await;
    let cue = place.write("record.announce", "");
    let (id, message) = stream.event().await;
    assert_eq!(member(&message, "params"), member(ANNOUNCEMENT, "params"));
    assert!(!id.is_empty(), "an event has an id to go on from");
    agent.call("announce", json!({})).await;
    drop(stream);
    place.write("record.announce", "");
    eventually("it is said while nobody listens", async || (!cue.exists()).then_some(())).await;
    let mut stream = agent.listen(Some(&id)).await;
    let (second, message) = stream.event().await;
    assert_eq!(member(&message, "params"), member(ANNOUNCEMENT, "params"));
    assert_ne!(id, second);
}

async fn is_known(agent: &blackbox::agent::Agent) -> bool {
    let reply = agent.post(call("echo").to_string()).await;
    assert!(reply.status == 200 || reply.status == 404, "{reply:?}");
    reply.status == 200
}

#[tokio::test]
async fn sessions_end_when_they_are_closed_or_idle_and_are_bounded() {
    let upstream = HttpUpstream::start().await;
    let setup = Setup::open(upstream.server()).with("bounds", json!({ "sessions": 2 }));
    let gate = setup.clone().with("timeouts", json!({ "session_idle": "2s" })).serve().await;
    let (first, second) = (gate.session("alice").await, gate.session("alice").await);
    let refused = gate.agent("alice", "up").initialize().await;
    assert!(refused.status.is_server_error() || refused.status == 429, "{refused:?}");
    assert!(refused.json()["error"]["message"].as_str().is_some_and(|message| message.contains("session")));
    assert!(is_known(&first).await && is_known(&second).await);
    first.close().await;
    assert!(!is_known(&first).await, "it is closed");
    gate.session("alice").await;
    let address = gate.address();
    eventually("the idle sessions end", async || {
        let metrics = wire::send(address, "GET", "/metrics", &[], "").await.ok()?;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        text.lines().any(|line| line.contains("sessions") && line.ends_with(" 0")).then_some(())
    })
    .await;
    assert!(!is_known(&second).await, "it was idle");
}

async fn get(gate: &Gate, path: &str) -> wire::Reply {
    wire::send(gate.address(), "GET", path, &[], "").await.expect("the gate answers")
}

#[tokio::test]
async fn health_and_metrics_are_there() {
    let upstream = HttpUpstream::start().await;
    let policy = json!({ "version": "1", "default": "deny", "tools": { "echo": {} } });
    let gate = Setup::judged(upstream.server(), policy).serve().await;
    let agent = gate.session("alice").await;
    agent.call("echo", json!({})).await;
    agent.call("delete_all", json!({})).await;
    assert_eq!(get(&gate, "/healthz").await.status, 200);
    assert_eq!(get(&gate, "/readyz").await.status, 200);
    let metrics = get(&gate, "/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body);
    for outcome in ["allow", "deny"] {
        let line = text.lines().find(|line| line.contains(&format!("outcome=\"{outcome}\"")) && line.ends_with(" 1"));
        assert!(line.is_some(), "no `{outcome}` in {text}");
    }
    assert_eq!(get(&gate, "/api/v1/grants").await.status, 401, "the API needs the admin's token");
    assert_eq!(get(&gate, "/mcp/none").await.status, 401, "a stranger does not learn which servers there are");
}
