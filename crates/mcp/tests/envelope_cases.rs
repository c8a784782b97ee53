//! The envelope reader against cases kept as data: those of the contract, and our own with what a refusal says.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use base64::Engine as _;
use mcp::envelope::{Bounds, Message, Rejected, Revision, member, read_batch, read_request, string};
use serde_json::Value;

const BATCH: usize = 100;

#[test]
fn the_contracts_cases() {
    assert_eq!(run(include_str!("cases/envelope-contract.jsonl")), 78);
}

#[test]
fn our_own_cases() {
    assert!(run(include_str!("cases/envelope-own.jsonl")) > 60);
}

/// Runs every line and gives their number.
fn run(cases: &str) -> usize {
    let mut failures = Vec::new();
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if let Err(failure) = check(&case) {
            failures.push(format!("{}: {failure}", case["name"].as_str().unwrap()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    cases.lines().count()
}

fn check(case: &Value) -> Result<(), String> {
    let body = body(case);
    let read = read(&body, case);
    match (case["expect"].as_str().unwrap(), read) {
        ("forward", Ok(messages)) => check_forwarded(case, &body, &messages),
        ("reject", Err(rejected)) => check_rejected(case, &rejected),
        ("forward", Err(rejected)) => Err(format!("was refused: {rejected}")),
        (_, Ok(_)) => Err("was not refused".to_owned()),
        (_, Err(rejected)) => Err(format!("does not say what is expected; was refused: {rejected}")),
    }
}

fn body(case: &Value) -> Vec<u8> {
    let mut body = match case["body_base64"].as_str() {
        Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
        None => case["body"].as_str().unwrap().as_bytes().to_vec(),
    };
    if let Some(length) = case["pad_to"].as_u64() {
        body.resize(usize::try_from(length).unwrap(), b' ');
    }
    body
}

fn read<'a>(body: &'a [u8], case: &Value) -> Result<Vec<Message<'a>>, Rejected> {
    let revision = case["revision"].as_str().unwrap_or("2025-06-18");
    if Revision::parse(revision).unwrap().has_batches() {
        read_batch(body, &Bounds::REQUEST, BATCH)
    } else {
        read_request(body, &Bounds::REQUEST).map(|message| vec![message])
    }
}

fn check_forwarded(case: &Value, body: &[u8], messages: &[Message<'_>]) -> Result<(), String> {
    let text = std::str::from_utf8(body).unwrap();
    let is_one = messages.len() == 1;
    for message in messages {
        if is_one && message.raw() != text.trim_matches([' ', '\n', '\r', '\t']) {
            return Err("the message is not the body".to_owned());
        }
        let raw_params = message.params().map(|params| params.raw);
        if raw_params != member(message.raw(), "params") {
            return Err(format!("params were {raw_params:?}"));
        }
        let spliced = message.with_id("\"other\"");
        let Some(id) = message.id() else { continue };
        if spliced.replacen("\"other\"", id.raw(), 1) != message.raw() {
            return Err(format!("with another id it was {spliced}"));
        }
        if raw_params != member(&spliced, "params") || member(&spliced, "id") != Some("\"other\"") {
            return Err(format!("with another id the rest changed: {spliced}"));
        }
    }
    let reads = &case["reads"];
    let message = messages.first().unwrap();
    if reads["method"].is_string() && reads["method"].as_str() != message.method() {
        return Err(format!("the method was read as {:?}", message.method()));
    }
    let name = message.params().and_then(|params| params.name.as_deref());
    if reads["name"].is_string() && reads["name"].as_str() != name {
        return Err(format!("the name was read as {name:?}"));
    }
    Ok(())
}

fn check_rejected(case: &Value, rejected: &Rejected) -> Result<(), String> {
    if ![400, 413].contains(&rejected.status) {
        return Err(format!("the status was {}", rejected.status));
    }
    let answer: Value = serde_json::from_str(&rejected.answer()).map_err(|error| error.to_string())?;
    if answer["jsonrpc"] != "2.0" || answer["error"]["message"] != rejected.message || answer.get("id").is_none() {
        return Err(format!("the answer was {answer}"));
    }
    if !rejected.message.starts_with(|first: char| first.is_lowercase() || first == '`') {
        return Err(format!("the message does not start in lower case: {rejected}"));
    }
    if let Some(says) = case["says"].as_str()
        && says != rejected.message
    {
        return Err(format!("it said: {rejected}"));
    }
    if let Some(code) = case["code"].as_i64()
        && code != rejected.code
    {
        return Err(format!("the code was {}", rejected.code));
    }
    if let Some(id) = case.get("id")
        && id.as_str() != rejected.id.as_deref()
    {
        return Err(format!("the id was {:?}", rejected.id));
    }
    if let Some(names) = case["names"].as_str()
        && Some(names) != rejected.name.as_deref()
    {
        return Err(format!("the name was {:?}", rejected.name));
    }
    Ok(())
}

#[test]
fn a_string_is_read_or_it_is_none() {
    assert_eq!(string(r#""a\u0062""#).as_deref(), Some("ab"));
    assert_eq!(string("1"), None);
}
