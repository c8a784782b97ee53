//! Servers that die, hang, flood, talk nonsense or forget: the agent gets a clear error, and the
//! gate goes on.

use blackbox::agent::outcome;
use blackbox::eventually;
use blackbox::gate::{Gate, Setup, signal};
use blackbox::http_upstream::HttpUpstream;
use blackbox::lines::LineAgent;
use blackbox::place::Place;
use serde_json::{Value, json};
use std::path::Path;

use crate::stdio_gate::{self, recorded_processes};

fn message(answer: &Value) -> &str {
    let error = answer["error"]["message"].as_str();
    error.or_else(|| answer["result"]["content"][0]["text"].as_str()).unwrap_or_else(|| panic!("no error in {answer}"))
}

async fn impatient(server: Value) -> Gate {
    let setup = Setup::open(server).with("timeouts", json!({ "call": "1s" }));
    setup.with("bounds", json!({ "reply_bytes": "1MiB" })).serve().await
}

/// An awkward call, what its error speaks of, then an ordinary one.
async fn survives(gate: &Gate, tool: &str, about: &[&str]) {
    let agent = gate.session("alice").await;
    let answer = agent.call(tool, json!({})).await;
    assert!(answer.get("error").is_some() || answer["result"]["isError"] == true, "{tool}: {answer}");
    let said = message(&answer).to_lowercase();
    assert!(about.iter().any(|word| said.contains(word)), "{tool}: `{said}` says nothing of {about:?}");
    let after = agent.call("echo", json!({})).await;
    assert_eq!(after["result"]["content"][0]["text"], "ok", "after {tool}: {after}");
    let records = gate.records().await;
    let record = records.iter().find(|record| record["tool"] == tool).expect("it is recorded");
    assert_eq!(record["outcome"], "allow", "{record}");
    assert!(record["settled"].is_string(), "{record}");
}

const WORDS: [(&str, &[&str]); 4] = [
    ("die", &["ended", "exit", "closed", "broke", "connection"]),
    ("hang", &["time", "within", "1 s"]),
    ("nonsense", &["json", "message", "answer", "time", "within"]),
    ("flood", &["large", "long", "bytes", "mib", "ended", "closed", "time"]),
];

#[tokio::test]
async fn awkward_children_are_survived() {
    let place = Place::new();
    let gate = impatient(stdio_gate::raw_server(&place.join("record"))).await;
    for (tool, about) in WORDS {
        survives(&gate, tool, about).await;
    }
}

#[tokio::test]
async fn awkward_http_servers_are_survived() {
    let upstream = HttpUpstream::start().await;
    let gate = impatient(upstream.server()).await;
    for (tool, about) in WORDS {
        survives(&gate, tool, about).await;
    }
}

#[tokio::test]
async fn a_call_that_was_sent_is_spent_although_it_was_never_answered() {
    let upstream = HttpUpstream::start().await;
    let limit = json!([{ "counter": "c", "window": "366d", "max": 1, "count": "successes" }]);
    let policy = json!({ "version": "1", "default": "deny", "tools": { "hang": { "limits": limit } } });
    let setup = Setup::judged(upstream.server(), policy).with("timeouts", json!({ "call": "1s" }));
    let gate = setup.serve().await;
    let agent = gate.session("alice").await;
    assert!(agent.call("hang", json!({})).await.get("error").is_some());
    assert_eq!(outcome(&agent.call("hang", json!({})).await), "limit");
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_opened_again_unnoticed() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let agent = gate.session("alice").await;
    assert_eq!(outcome(&agent.call("echo", json!({})).await), "allow");
    upstream.forget_sessions();
    let answer = agent.call("echo", json!({ "after": "the loss" })).await;
    assert_eq!(answer["result"]["content"][0]["text"], "ok", "{answer}");
    assert_eq!(upstream.received_of("initialize").len(), 2);
}

#[tokio::test]
async fn inbound_credentials_do_not_travel_upstream() {
    let upstream = HttpUpstream::start().await;
    let mut server = upstream.server();
    server["headers"] = json!({ "X-Api-Key": "the-gate's-own" });
    let gate = Setup::open(server).serve().await;
    gate.session("alice").await.call("echo", json!({})).await;
    for received in upstream.received() {
        assert_eq!(received.headers.get("authorization"), None, "{received:?}");
        assert_eq!(received.headers.get("cookie"), None, "{received:?}");
        assert_eq!(received.headers["x-api-key"], "the-gate's-own");
    }
}

fn is_alive(pid: u32) -> bool {
    // A zombie is one that nobody reaped, and counts as alive.
    Path::new(&format!("/proc/{pid}")).exists()
}

async fn all_end(pids: &[u32]) {
    eventually("all processes end", async || pids.iter().all(|&pid| !is_alive(pid)).then_some(())).await;
}

#[tokio::test]
async fn a_session_s_processes_end_with_it() {
    let place = Place::new();
    let record = place.join("record");
    let gate = Setup::open(stdio_gate::raw_server(&record)).serve().await;
    let (first, second) = (gate.session("alice").await, gate.session("alice").await);
    let answer = first.call("grandchild", json!({})).await;
    second.call("echo", json!({})).await;
    let grandchild: u32 = blackbox::agent::text(&answer).parse().expect("it is a process id");
    let pids = recorded_processes(&record);
    assert_eq!(pids.len(), 2, "each session has a process of its own");
    first.close().await;
    all_end(&[pids[0], grandchild]).await;
    assert!(is_alive(pids[1]), "the other session goes on");
    gate.signal("KILL");
    all_end(&pids[1..]).await;
}

#[tokio::test]
async fn run_takes_its_server_with_it() {
    let place = Place::new();
    let record = place.join("record");
    let agent = LineAgent::open(stdio_gate::open(&place, &record)).await;
    let pids = recorded_processes(&record);
    assert_eq!(pids.len(), 1);
    assert_eq!(agent.close().await, Some(0));
    all_end(&pids).await;
    let mut agent = LineAgent::open(stdio_gate::open(&place, &record)).await;
    agent.call("echo", json!({})).await;
    let pids = recorded_processes(&record);
    signal(agent.pid(), "KILL");
    all_end(&pids).await;
}
