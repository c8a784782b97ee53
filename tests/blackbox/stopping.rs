//! A graceful stop, a sudden one, and records that nobody changes unnoticed.

use std::path::Path;

use blackbox::agent::outcome;
use blackbox::gate::{Gate, Setup, cli};
use blackbox::http_upstream::HttpUpstream;
use blackbox::place::Place;
use blackbox::{eventually, wire};
use serde_json::json;

#[tokio::test]
async fn a_graceful_stop_lets_running_calls_finish() {
    let upstream = HttpUpstream::start().await;
    let gate = Setup::open(upstream.server()).serve().await;
    let agent = gate.session("alice").await;
    let running = tokio::spawn(async move { agent.call("hold", json!({})).await });
    eventually("the call is with the server", async || (!upstream.received_of("tools/call").is_empty()).then_some(()))
        .await;
    gate.signal("TERM");
    let address = gate.address();
    eventually("it takes no more calls", async || match wire::send(address, "GET", "/readyz", &[], "").await {
        Ok(reply) => (reply.status != 200).then_some(()),
        Err(_) => Some(()),
    })
    .await;
    assert!(!running.is_finished(), "the call is not cut off");
    upstream.release();
    let answer = running.await.expect("the call is answered");
    assert_eq!(answer["result"]["content"][0]["text"], "ok", "{answer}");
    let (code, place) = gate.ended().await;
    assert_eq!(code, Some(0));
    let verified = cli(&place.join("data"), &["audit", "verify"]).await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[tokio::test]
async fn after_a_kill_nothing_is_forgotten_and_the_open_call_is_unknown() {
    let upstream = HttpUpstream::start().await;
    let limit = json!([{ "counter": "c", "window": "366d", "max": 3 }]);
    let policy = json!({ "version": "1", "default": "deny", "tools": { "*": { "limits": limit } } });
    let setup = Setup::judged(upstream.server(), policy);
    let gate = setup.serve().await;
    let agent = gate.session("alice").await;
    assert_eq!(outcome(&agent.call("echo", json!({})).await), "allow");
    let running = tokio::spawn(async move {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "hold" } });
        agent.try_post(call.to_string()).await
    });
    eventually("the call is with the server", async || (upstream.received_of("tools/call").len() == 2).then_some(()))
        .await;
    gate.signal("KILL");
    let (_, place) = gate.ended().await;
    assert!(running.await.expect("it does not panic").is_err(), "nobody answers");
    let gate = Gate::start(place, &setup).await;
    let agent = gate.session("alice").await;
    assert_eq!(outcome(&agent.call("echo", json!({})).await), "allow");
    assert_eq!(outcome(&agent.call("echo", json!({})).await), "limit", "the lost call keeps its quota");
    eventually("the lost call is settled as unknown", async || {
        let records = gate.records().await;
        let held = records.iter().find(|record| record["tool"] == "hold").expect("it is recorded");
        (held["settled"] == "unknown").then_some(())
    })
    .await;
    let verified = gate.cli(&["audit", "verify"]).await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

/// A data directory with ten records in it, of a gate that has stopped.
async fn ten_records() -> Place {
    let upstream = HttpUpstream::start().await;
    let policy = json!({ "version": "1", "default": "deny", "tools": { "echo": {} } });
    let gate = Setup::judged(upstream.server(), policy).serve().await;
    let agent = gate.session("alice").await;
    for number in 0..5 {
        agent.call("echo", json!({ "number": number })).await;
        agent.call("delete_all", json!({ "number": number })).await;
    }
    gate.signal("TERM");
    let (code, place) = gate.ended().await;
    assert_eq!(code, Some(0));
    place
}

async fn verify(data_dir: &Path) -> (Option<i32>, String) {
    let output = cli(data_dir, &["audit", "verify"]).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn copy_directory(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn verify_finds_whatever_is_edited_removed_or_reordered() {
    let place = ten_records().await;
    let data = place.join("data");
    let (code, said) = verify(&data).await;
    assert_eq!(code, Some(0), "{said}");
    let one = "opened_seq = (SELECT opened_seq FROM entries ORDER BY opened_seq LIMIT 1 OFFSET 4)";
    let edits = [
        format!("UPDATE entries SET tool = 'search' WHERE {one}"),
        format!("UPDATE entries SET at = at + 1 WHERE {one}"),
        "UPDATE entries SET outcome = 'allow' WHERE outcome = 'deny'".to_owned(),
        "UPDATE entries SET is_error = 1 WHERE outcome = 'allow'".to_owned(),
        format!("DELETE FROM entries WHERE {one}"),
        "DELETE FROM entries WHERE opened_seq = 1".to_owned(),
        format!("UPDATE entries SET opened_seq = 1000 WHERE {one}"),
    ];
    for edit in edits {
        let copy = place.join("copy");
        copy_directory(&data, &copy).expect("it can be copied");
        let database = rusqlite::Connection::open(copy.join("ledger.db")).expect("it is a database");
        database.execute_batch(&edit).unwrap_or_else(|error| panic!("{edit}: {error}"));
        assert!(database.changes() > 0, "{edit} changes nothing");
        drop(database);
        let (code, said) = verify(&copy).await;
        assert_eq!(code, Some(1), "{edit}: {said}");
        assert!(said.contains("record") || said.contains("entry"), "{edit}: {said}");
        std::fs::remove_dir_all(&copy).expect("it can be removed");
    }
}
