//! Raw bodies that are rejected or forwarded, through a whole gateway.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use policy::document::NodeKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::agent::{REVISION, Session};
use crate::case::{Case, cases, text};
use crate::configuration::{Configuration, token};
use crate::gateway::Gateway;
use crate::http::Response;
use crate::upstream::{Received, Server, Upstream};

/// What passes unrecorded, among the methods of the cases.
const UNGOVERNED: [&str; 4] = ["ping", "tools/list", "notifications/cancelled", "notifications/initialized"];

#[test]
fn every_body_is_rejected_or_forwarded_as_its_case_says() {
    let kept = ["mcp/tests/cases/envelope-contract.jsonl", "mcp/tests/cases/envelope-own.jsonl"];
    let cases = cases(&kept, "envelope-cases.jsonl");
    let mut world = World::new();
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(why) = world.take(case) {
            failures.push(format!("{}: {why}", case.name()));
        }
    }
    world.gateway.verify();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

struct World {
    gateway: Gateway,
    upstream: Upstream,
    sessions: HashMap<String, Session>,
    last_entry: u64,
}

/// The parts of a message, read by another reader than the gate's.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

impl World {
    fn new() -> Self {
        let upstream = Upstream::start();
        upstream.server("s");
        let configuration = Configuration::default()
            .server("s", &upstream.url("s"))
            .policy("p", r#"{"version":"1","default":"allow"}"#)
            .grant("a", "s", "p");
        Self { gateway: Gateway::start(&configuration), upstream, sessions: HashMap::new(), last_entry: 0 }
    }

    fn take(&mut self, case: &Case) -> Result<(), String> {
        let revision = text(&case.root, "revision").unwrap_or(REVISION);
        if !self.sessions.contains_key(revision) {
            let session = self.gateway.agents.open_as(&token("a"), "s", None, revision);
            self.sessions.insert(revision.to_owned(), session);
        }
        let server = self.upstream.server("s");
        let before = server.count();
        let body = body(case);
        let answer = self.sessions[revision].post(&body);
        let received = server.received_after(before);
        let entries = self.gateway.entries_after(self.last_entry);
        self.last_entry = entries.last().and_then(|entry| entry["seq"].as_u64()).unwrap_or(self.last_entry);
        match text(&case.root, "expect") {
            Some("reject") => check_rejected(case, &answer, &received, &entries),
            Some("forward") => check_forwarded(case, &body, &answer, &server, &received, &entries),
            other => panic!("no such expectation: {other:?}"),
        }
    }
}

fn body(case: &Case) -> Vec<u8> {
    let mut body = match text(&case.root, "body_base64") {
        Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
        None => text(&case.root, "body").expect("a body").as_bytes().to_vec(),
    };
    if let Some(NodeKind::Number(length)) = case.root.get("pad_to").map(|node| &node.kind) {
        body.resize(length.parse().unwrap(), b' ');
    }
    body
}

fn check_rejected(
    case: &Case,
    answer: &Response,
    received: &[Received],
    entries: &[serde_json::Value],
) -> Result<(), String> {
    if !received.is_empty() {
        return Err(format!("there came {received:?}"));
    }
    let told = answer.json();
    let is_error = told["jsonrpc"] == "2.0" && told.get("id").is_some() && told["error"]["message"].is_string();
    if !matches!(answer.status, 400 | 413) || !is_error {
        return Err(format!("answered {} {told}", answer.status));
    }
    if let Some(id) = case.root.get("id") {
        let id = id.as_str().map_or(serde_json::Value::Null, |raw| serde_json::from_str(raw).unwrap());
        if told["id"] != id {
            return Err(format!("answered {told}"));
        }
    }
    if let Some(NodeKind::Number(code)) = case.root.get("code").map(|code| &code.kind)
        && told["error"]["code"].as_i64() != code.parse().ok()
    {
        return Err(format!("answered {told}"));
    }
    let [entry] = entries else { return Err(format!("recorded {entries:?}")) };
    let names = text(&case.root, "names");
    let right = entry["outcome"] == "reject" && entry["reason"] == told["error"]["message"];
    if right && names.is_none_or(|names| entry["tool"] == names) { Ok(()) } else { Err(format!("recorded {entry}")) }
}

fn check_forwarded(
    case: &Case,
    body: &[u8],
    answer: &Response,
    server: &Server,
    received: &[Received],
    entries: &[serde_json::Value],
) -> Result<(), String> {
    let is_batch = body.trim_ascii_start().starts_with(b"[");
    let messages: Vec<Parts<'_>> =
        if is_batch { serde_json::from_slice(body).unwrap() } else { vec![serde_json::from_slice(body).unwrap()] };
    let mut ids = BTreeSet::new();
    // An answer that no server has asked for ends at the gate, and so does an id that is in use.
    let passing: Vec<_> = messages
        .iter()
        .filter(|message| message.method.is_some() && message.id.is_none_or(|id| ids.insert(id.get())))
        .collect();
    let sent: Vec<_> = passing.iter().map(|message| message.params.map(RawValue::get)).collect();
    let came: Vec<_> = received.iter().map(|message| message.params.as_deref()).collect();
    if sent != came {
        return Err(format!("answered {:?}, there came {came:?}", answer.text()));
    }
    check_replied(&messages, answer, server)?;
    let governed = |message: &&&Parts<'_>| !UNGOVERNED.contains(&message.method.as_deref().unwrap_or_default());
    if entries.len() != passing.iter().filter(governed).count()
        || entries.iter().any(|entry| entry["outcome"] != "allow")
    {
        return Err(format!("recorded {entries:?}"));
    }
    let Some(reads) = case.root.get("reads") else { return Ok(()) };
    let entry = entries.first().ok_or("nothing was recorded")?;
    let right = text(reads, "method").is_none_or(|method| entry["method"] == method)
        && text(reads, "name").is_none_or(|name| entry["tool"] == name);
    if right { Ok(()) } else { Err(format!("recorded {entry}")) }
}

/// The agent gets the server's answer under the id that it gave, as it wrote it.
fn check_replied(messages: &[Parts<'_>], answer: &Response, server: &Server) -> Result<(), String> {
    let wants_answer = messages.iter().any(|message| message.method.is_some() && message.id.is_some());
    let status = if wants_answer { 200 } else { 202 };
    if answer.status != status {
        return Err(format!("answered {} {}", answer.status, answer.text()));
    }
    let [Parts { id: Some(id), method: Some(_), .. }] = messages else { return Ok(()) };
    let reply: Parts<'_> = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let rest = |text: &str| text.split_once(" ,\"x\"").map(|(_, rest)| rest.to_owned());
    if reply.id.map(RawValue::get) == Some(id.get()) && rest(answer.text()) == rest(&server.last_answer()) {
        return Ok(());
    }
    Err(format!("the server said {}, the agent got {}", server.last_answer(), answer.text()))
}
