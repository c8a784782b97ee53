//! A limit lets exactly its maximum pass, however many ask at once.

use blackbox::agent::outcome;
use blackbox::gate::{Setup, cli};
use blackbox::http_upstream::HttpUpstream;
use blackbox::is_soak;
use blackbox::lines::LineAgent;
use blackbox::place::Place;
use serde_json::{Value, json};

use crate::stdio_gate;

/// A limit of so many in a window that does not end while the test runs.
fn limited(max: u32) -> Value {
    let limit = json!({ "counter": "calls", "window": "366d", "max": max });
    json!({ "version": "1", "default": "deny", "tools": { "*": { "limits": [limit] } } })
}

fn count(outcomes: &[String], outcome: &str) -> usize {
    outcomes.iter().filter(|one| *one == outcome).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_clients_over_http_exactly_100_pass() {
    for _ in 0..if is_soak() { 20 } else { 1 } {
        let upstream = HttpUpstream::start().await;
        let gate = Setup::judged(upstream.server(), limited(100)).serve().await;
        let mut agents = Vec::new();
        for _ in 0..200 {
            agents.push(gate.session("alice").await);
        }
        let calls =
            agents.into_iter().map(|agent| tokio::spawn(async move { outcome(&agent.call("echo", json!({})).await) }));
        let calls: Vec<_> = calls.collect();
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await.expect("no call panics"));
        }
        assert_eq!((count(&outcomes, "allow"), count(&outcomes, "limit")), (100, 100));
        assert_eq!(upstream.received_of("tools/call").len(), 100);
        let verified = gate.cli(&["audit", "verify"]).await;
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        let allowed = gate.records().await.iter().filter(|record| record["outcome"] == "allow").count();
        assert_eq!(allowed, 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_calls_over_several_processes_exactly_100_pass() {
    let processes = if is_soak() { 20 } else { 8 };
    let each = 200 / processes;
    let place = Place::new();
    let record = place.join("record");
    let mut agents = Vec::new();
    for _ in 0..processes {
        agents.push(LineAgent::open(stdio_gate::judged(&place, &record, &limited(100).to_string())).await);
    }
    let calls: Vec<_> = agents.into_iter().map(|agent| tokio::spawn(call_at_once(agent, each))).collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.extend(call.await.expect("no agent panics"));
    }
    assert_eq!((count(&outcomes, "allow"), count(&outcomes, "limit")), (100, 100), "{outcomes:?}");
    let lines = stdio_gate::recorded_lines(&record);
    assert_eq!(lines.iter().filter(|line| line.contains("\"tools/call\"")).count(), 100);
    let verified = cli(&place.join("data"), &["audit", "verify"]).await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

/// Sends so many calls without waiting for an answer, then reads what came of them.
async fn call_at_once(mut agent: LineAgent, calls: usize) -> Vec<String> {
    for id in 100..100 + calls {
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo" } });
        agent.send(&call.to_string()).await;
    }
    let mut outcomes = Vec::new();
    while outcomes.len() < calls {
        let line = agent.next().await.expect("it answers before it ends");
        let message: Value = serde_json::from_str(&line).expect("it writes JSON and nothing else");
        if message["id"].as_u64().is_some_and(|id| id >= 100) {
            outcomes.push(outcome(&message));
        }
    }
    assert_eq!(agent.close().await, Some(0));
    outcomes
}

#[tokio::test]
async fn failing_calls_are_spent_and_opted_in_ones_are_given_back() {
    let upstream = HttpUpstream::start().await;
    let policy = json!({ "version": "1", "default": "deny", "tools": {
        "fail": { "limits": [{ "counter": "sent", "window": "366d", "max": 2 }] },
        "fail_softly": { "limits": [{ "counter": "good", "window": "366d", "max": 2, "count": "successes" }] },
    } });
    let gate = Setup::judged(upstream.server(), policy).serve().await;
    let agent = gate.session("alice").await;
    for _ in 0..2 {
        assert!(agent.call("fail", json!({})).await.get("error").is_some());
    }
    assert_eq!(outcome(&agent.call("fail", json!({})).await), "limit");
    for _ in 0..5 {
        assert_eq!(agent.call("fail_softly", json!({})).await["result"]["isError"], true);
    }
    assert_eq!(upstream.received_of("tools/call").len(), 7);
}
