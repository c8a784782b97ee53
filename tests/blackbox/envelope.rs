//! What cannot be read safely is refused, recorded, and never reaches the server.

use base64::Engine as _;
use blackbox::answers::member;
use blackbox::gate::{Gate, Setup};
use blackbox::http_upstream::HttpUpstream;
use blackbox::wire::Reply;
use serde_json::Value;

fn cases() -> Vec<Value> {
    let text = include_str!("../cases/envelope.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn body(case: &Value) -> Vec<u8> {
    let mut body = match case["body_base64"].as_str() {
        Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).expect("it is Base64"),
        None => case["body"].as_str().expect("a case has a body").as_bytes().to_vec(),
    };
    if let Some(length) = case["pad_to"].as_u64() {
        body.resize(usize::try_from(length).expect("it fits"), b' ');
    }
    body
}

/// What reached the upstream, besides the opening of sessions.
fn reached(upstream: &HttpUpstream) -> Vec<String> {
    let received = upstream.received();
    let opening = |text: &str| text.is_empty() || text.contains("\"initialize\"") || text.contains("/initialized\"");
    received.iter().map(|one| one.text().to_owned()).filter(|text| !opening(text)).collect()
}

fn assert_refused(reply: &Reply, name: &str) {
    assert!(reply.status == 400 || reply.status == 413, "{name}: {reply:?}");
    let answer = reply.json();
    assert_eq!(answer["jsonrpc"], "2.0", "{name}");
    assert!(answer["error"]["code"].is_i64() && answer.get("id").is_some(), "{name}: {answer}");
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.len() > 10, "{name}: the message says nothing: {answer}");
}

async fn rejections(gate: &Gate) -> usize {
    gate.records().await.iter().filter(|record| record["outcome"] == "reject").count()
}

#[tokio::test]
async fn every_case_of_the_contract_holds_at_the_endpoint() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let mut refused = 0;
    for case in cases() {
        let name = case["name"].as_str().expect("a case has a name");
        let revision = case["revision"].as_str().unwrap_or("2025-06-18");
        let agent = gate.agent("alice", "up").speaking(revision).open().await;
        assert_eq!(agent.revision(), revision, "{name}");
        upstream.forget_received();
        let sent = body(&case);
        let reply = agent.post(sent.clone()).await;
        if case["expect"] == "reject" {
            assert_refused(&reply, name);
            assert_eq!(reached(&upstream), Vec::<String>::new(), "{name}");
            refused += 1;
        } else {
            assert!(reply.status.is_success(), "{name}: {reply:?}");
            assert_forwarded(&upstream, name, std::str::from_utf8(&sent).expect("what is forwarded is UTF-8"));
        }
        agent.close().await;
    }
    assert!(refused > 40, "only {refused} cases are refused");
    assert_eq!(rejections(&gate).await, refused);
}

fn assert_forwarded(upstream: &HttpUpstream, name: &str, sent: &str) {
    // A ping may be answered by the gate itself, and a cancellation of nothing goes nowhere.
    if sent.contains("\"ping\"") || sent.contains("notifications/cancelled") {
        return;
    }
    let reached = reached(upstream);
    let sent: Vec<&str> = match serde_json::from_str::<Vec<&serde_json::value::RawValue>>(sent) {
        Ok(batch) => batch.into_iter().map(serde_json::value::RawValue::get).collect(),
        Err(_) => vec![sent],
    };
    assert_eq!(reached.len(), sent.len(), "{name}");
    for (reached, sent) in reached.iter().zip(sent) {
        assert_eq!(member(reached, "params"), member(sent, "params"), "{name}");
    }
}

#[tokio::test]
async fn what_is_absurdly_deep_or_large_is_refused() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let agent = gate.session("alice").await;
    upstream.forget_received();
    let around = |arguments: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"t\",\"arguments\":{arguments}}}}}"
        )
    };
    let deep = around(&format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)));
    assert_refused(&agent.post(deep).await, "nesting of 10,000");
    let unclosed = around(&"[".repeat(3_000_000));
    assert_refused(&agent.post(unclosed).await, "nesting of 3,000,000 that does not end");
    let large = around(&format!("{{\"a\":\"{}\"}}", "x".repeat(20 * 1024 * 1024)));
    // The gate may answer and close before it has read all: both are a refusal.
    if let Ok(reply) = agent.try_post(large).await {
        assert_eq!(reply.status, 413, "{reply:?}");
        assert_refused(&reply, "20 MiB");
    }
    assert_eq!(reached(&upstream), Vec::<String>::new());
    assert_eq!(rejections(&gate).await, 3);
    assert_eq!(agent.call("echo", serde_json::json!({})).await["result"]["content"][0]["text"], "ok");
}

#[tokio::test]
async fn a_second_key_in_another_case_does_not_slip_past_a_policy() {
    let upstream = HttpUpstream::start().await;
    let policy = serde_json::json!({ "version": "1", "default": "deny", "tools": { "echo": {} } });
    let gate = Setup::judged(upstream.server(), policy).serve().await;
    let agent = gate.session("alice").await;
    upstream.forget_received();
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","METHOD":"ping","params":{"name":"delete_all","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call","params":{"name":"delete_all","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_all","NAME":"echo","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_all","name":"echo","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"delete_all","arguments":{}}}"#,
    ];
    for body in bodies {
        assert_refused(&agent.post(body).await, body);
    }
    assert_eq!(reached(&upstream), Vec::<String>::new());
    assert_eq!(rejections(&gate).await, bodies.len());
}
