//! `toolgate audit`, directly on a ledger.

use ledger::{Ending, EntryId, GrantCheck, Intent, Ledger, Options, Outcome, Reserved, Settlement};
use policy::Timestamp;

use crate::support::Place;

/// 2026-07-28T10:00:00Z
const START: i64 = 1_785_232_800_000_000;

/// A ledger with an answered call, a denied one and one whose end nobody knows, a minute apart.
fn recorded() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("data")).unwrap();
    let ledger = Ledger::open_shared(&place.path("data"), Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        allow(&ledger, intent(0, "read_file"), true).await;
        let reason = "not for \"you\", =SUM(A1)";
        ledger.refuse(intent(1, "delete_all"), Outcome::Deny, reason).await.unwrap();
        allow(&ledger, intent(2, "write_file"), false).await;
        ledger.close().await.unwrap();
    });
    place
}

fn intent(minute: i64, tool: &'static str) -> Intent<'static> {
    let at = Timestamp::from_micros(START + minute * 60_000_000);
    Intent {
        id: EntryId::generate(at),
        at,
        grant: "alice-laptop",
        client: Some("tests"),
        session: "s1",
        server: "files",
        method: "tools/call",
        tool: Some(tool),
        category: None,
        policy: Some("read-only"),
        policy_version: Some("0123456789abcdef"),
        rule: Some("/tools/x"),
        argument_keys: &["path"],
        arguments_hmac: None,
        request_id: Some("1"),
        trace_id: None,
    }
}

async fn allow(ledger: &Ledger, intent: Intent<'_>, answered: bool) {
    let reserved = ledger.reserve(intent, &[], GrantCheck::Implicit, None).await.unwrap();
    let Reserved::Open(ticket) = reserved else { panic!("{reserved:?}") };
    if answered {
        let ending = Ending::Answered { is_error: false, status: None };
        ledger.settle(ticket, Settlement { at: intent.at, ending, gateway_us: 30, upstream_us: 2000 }).await;
    }
}

fn tools(place: &Place, arguments: &[&str]) -> Vec<String> {
    let all = [&["audit", "list", "--json", "--data-dir", "data"], arguments].concat();
    let objects = place.run(&all).ends_with(0).objects();
    objects.iter().map(|entry| entry["tool"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn entries_are_listed_newest_first() {
    let place = recorded();
    assert_eq!(tools(&place, &[]), ["write_file", "delete_all", "read_file"]);
    assert_eq!(tools(&place, &["--limit", "1"]), ["write_file"]);
}

#[test]
fn entries_are_filtered() {
    let place = recorded();
    assert_eq!(tools(&place, &["--outcome", "deny"]), ["delete_all"]);
    assert_eq!(tools(&place, &["--tool", "read_file"]), ["read_file"]);
    assert_eq!(tools(&place, &["--since", "2026-07-28T10:01:00Z", "--until", "2026-07-28T10:02:00Z"]), ["delete_all"]);
    assert_eq!(tools(&place, &["--grant", "bob"]), Vec::<String>::new());
    assert_eq!(tools(&place, &["--server", "files", "--rule", "/tools/x"]).len(), 3);
    place.run(&["audit", "list", "--outcome", "maybe", "--data-dir", "data"]).ends_with(2);
    place.run(&["audit", "list", "--since", "yesterday", "--data-dir", "data"]).ends_with(2);
    place.run(&["audit", "list", "--limit", "0", "--data-dir", "data"]).ends_with(2);
}

#[test]
fn an_entry_tells_what_was_decided_and_what_came_of_it() {
    let place = recorded();
    let all = place.run(&["audit", "list", "--json", "--data-dir", "data"]).ends_with(0).objects();
    let [unknown, denied, answered] = all.try_into().unwrap();
    assert_eq!(answered["at"], "2026-07-28T10:00:00Z");
    assert_eq!(answered["outcome"], "allow");
    assert_eq!(answered["settled"], "answered");
    assert_eq!(answered["upstream_us"], 2000);
    assert_eq!(answered["argument_keys"][0], "path");
    assert_eq!(denied["outcome"], "deny");
    assert_eq!(denied["reason"], "not for \"you\", =SUM(A1)");
    assert_eq!(denied["policy"], "read-only");
    assert_eq!(unknown["settled"], "unknown");
}

#[test]
fn people_get_a_table() {
    let place = recorded();
    let ran = place.run(&["audit", "list", "--data-dir", "data"]).ends_with(0);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.stdout);
    assert!(lines[0].starts_with("TIME"), "{}", ran.stdout);
    assert!(lines[3].contains("read_file") && lines[3].ends_with("answered in 2 ms"), "{}", ran.stdout);
}

#[test]
fn an_untouched_chain_is_intact_and_has_an_anchor() {
    let place = recorded();
    let ran = place.run(&["audit", "verify", "--json", "--data-dir", "data"]).ends_with(0);
    let [verified] = ran.objects().try_into().unwrap();
    assert_eq!(verified["intact"], true);
    let (records, head) = (verified["records"].to_string(), verified["head"].as_str().unwrap());
    let verify = ["audit", "verify", "--data-dir", "data", "--records", &records, "--head"];
    place.run(&[&verify[..], &[head]].concat()).ends_with(0);
    let other = "0".repeat(64);
    let ran = place.run(&[&verify[..], &[&other]].concat()).ends_with(1);
    assert!(ran.stdout.starts_with("broken: record "), "{}", ran.stdout);
    let beyond = ["audit", "verify", "--data-dir", "data", "--records", "1000", "--head", head];
    let ran = place.run(&beyond).ends_with(1);
    assert!(ran.stdout.contains("record 1000: it is missing"), "{}", ran.stdout);
    place.run(&["audit", "verify", "--data-dir", "data", "--head", head]).ends_with(2);
}

#[test]
fn an_edited_record_is_named() {
    let place = recorded();
    edit(&place, "UPDATE entries SET tool = 'read_file' WHERE tool = 'delete_all'");
    let ran = place.run(&["audit", "verify", "--data-dir", "data"]).ends_with(1);
    assert!(ran.stdout.starts_with("broken: record "), "{}", ran.stdout);
}

/// Changes the database behind the ledger's back.
fn edit(place: &Place, statement: &str) {
    let files = std::fs::read_dir(place.path("data")).unwrap();
    let database = files
        .map(|file| file.unwrap().path())
        .find(|file| std::fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0")))
        .unwrap();
    rusqlite::Connection::open(database).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn an_export_holds_everything_oldest_first() {
    let place = recorded();
    let ran = place.run(&["audit", "export", "--data-dir", "data"]).ends_with(0);
    let tools: Vec<_> = ran.objects().iter().map(|entry| entry["tool"].to_string()).collect();
    assert_eq!(tools, ["\"read_file\"", "\"delete_all\"", "\"write_file\""]);
    let one = place.run(&["audit", "export", "--limit", "1", "--data-dir", "data"]).ends_with(0);
    assert_eq!(one.objects().len(), 1);
}

#[test]
fn a_csv_export_has_a_header_and_quotes_what_it_must() {
    let place = recorded();
    let csv = ["audit", "export", "--format", "csv", "--data-dir", "data"];
    let ran = place.run(&csv).ends_with(0);
    let lines: Vec<_> = ran.stdout.split("\r\n").collect();
    assert_eq!(lines.len(), 5, "{}", ran.stdout);
    assert!(lines[0].starts_with("seq,id,at,grant,"), "{}", lines[0]);
    assert!(lines[2].contains(r#","not for ""you"", =SUM(A1)","#), "{}", lines[2]);

    let saved = place.run(&[&csv[..], &["--output", "out.csv"]].concat()).ends_with(0);
    assert_eq!(saved.stdout, "");
    assert_eq!(std::fs::read_to_string(place.path("out.csv")).unwrap(), ran.stdout);
    place.run(&[&csv[..], &["--output", "out.csv"]].concat()).ends_with(3);
}

#[test]
fn a_reader_that_had_enough_is_no_failure() {
    use std::process::Stdio;
    let place = recorded();
    let mut command = place.command(&["audit", "export", "--data-dir", "data"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_tail_begins_with_the_latest_entries_oldest_first() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let place = recorded();
    let mut command = place.command(&["audit", "tail", "--limit", "2", "--json", "--data-dir", "data"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let tools: Vec<_> = lines
        .take(2)
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap()["tool"].to_string())
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(tools, ["\"delete_all\"", "\"write_file\""]);
}
