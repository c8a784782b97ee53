//! Policies, calls in order, and what must come of them, through a whole gateway.
//!
//! One gateway runs all cases: each has a policy and servers of its own, and steps of all cases are taken in the order
//! of time, so that the one clock never goes back. Counters belong to a policy, so no case sees another one's.
//!
//! A configuration cannot say that there is no policy, because its references must resolve. It happens to a grant that
//! was made by the API when its policy goes away later; such a grant is put into the ledger before the gateway starts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use ledger::{Access, Ledger, NewGrant, Options};
use policy::Timestamp;
use policy::document::{Node, NodeKind};

use crate::agent::{REVISION, Session, outcome};
use crate::case::{Case, cases, text};
use crate::configuration::{Configuration, token};
use crate::gateway::{Gateway, START, data_dir};
use crate::http::Response;
use crate::upstream::{Reply, Server, Upstream};

/// How long a server has that will not answer. Only silence is ever so long.
const CALL_TIMEOUT: &str = "1s";
/// What passes whatever the policy says, and is not recorded.
const UNGOVERNED: [&str; 9] = [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "resources/list",
    "prompts/list",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/progress",
];

#[test]
fn every_call_of_every_case_comes_out_as_it_says() {
    let kept = ["policy/tests/cases/policy.jsonl", "policy/tests/cases/policy-own.jsonl"];
    let cases = cases(&kept, "policy-cases.jsonl");
    let mut world = World::of(&cases);
    let mut steps: Vec<Step<'_>> = cases.iter().enumerate().flat_map(|(number, case)| steps(number, case)).collect();
    steps.sort_by_key(|step| step.at);
    let mut failures = Vec::new();
    for step in &steps {
        if let Err(why) = world.take(step) {
            failures.push(format!("{}, step {}: {why}", step.case.name(), step.index));
        }
    }
    world.gateway.verify();
    assert!(failures.is_empty(), "{} of {} steps fail:\n{}", failures.len(), steps.len(), failures.join("\n"));
}

/// One step of a case.
struct Step<'c> {
    case: &'c Case,
    number: usize,
    index: usize,
    node: &'c Node,
    /// Microseconds after the beginning.
    at: i64,
}

fn steps(number: usize, case: &Case) -> Vec<Step<'_>> {
    let nodes = case.root.get("steps").and_then(Node::as_list).expect("steps");
    nodes.iter().enumerate().map(|(index, node)| Step { case, number, index, node, at: moment(node) }).collect()
}

/// The moment of a step, whose seconds may have decimals.
fn moment(step: &Node) -> i64 {
    let Some(NodeKind::Number(text)) = step.get("at").map(|at| &at.kind) else { panic!("a step has a moment") };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: i64 = seconds.parse().expect("whole seconds");
    let micros: i64 = format!("{fraction:0<6}").parse().expect("at most microseconds");
    seconds * 1_000_000 + micros
}

impl Step<'_> {
    fn text(&self, key: &str, default: &'static str) -> &str {
        text(self.node, key).unwrap_or(default)
    }

    fn method(&self) -> &str {
        self.text("method", "tools/call")
    }

    /// What must come of it. What the judge would be asked about in vain never gets past the reader.
    fn expected(&self) -> &str {
        let has_arguments = self.node.get("args").is_none_or(|args| args.as_map().is_some());
        let needs_params = matches!(self.method(), "tools/call" | "prompts/get" | "completion/complete")
            || self.method().starts_with("resources/") && self.method() != "resources/list";
        if has_arguments && (self.params().is_some() || !needs_params) { self.text("expect", "") } else { "reject" }
    }

    /// The rule that must decide, where the case says so.
    fn rule(&self) -> Option<&str> {
        text(self.node, "rule").filter(|_| self.expected() != "reject")
    }

    fn upstream(&self) -> &str {
        self.text("upstream", "ok")
    }

    fn has_policy(&self) -> bool {
        !matches!(self.case.root.get("policy").map(|policy| &policy.kind), Some(NodeKind::Null))
    }

    fn policy(&self) -> String {
        format!("case-{}", self.number)
    }

    /// The configured name of its server.
    fn server(&self) -> String {
        format!("case-{}-{}", self.number, self.text("server", "up"))
    }

    fn message(&self) -> String {
        let method = self.method();
        let params = self.params().map_or_else(String::new, |params| format!(r#","params":{params}"#));
        let id = if method.starts_with("notifications/") { "" } else { r#""id":7,"# };
        format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}"{params}}}"#)
    }

    fn params(&self) -> Option<String> {
        let string = |key: &str| text(self.node, key).map(|text| serde_json::to_string(text).unwrap());
        let arguments =
            self.node.get("args").map_or_else(String::new, |args| format!(r#","arguments":{}"#, self.case.raw(args)));
        Some(match self.method() {
            "tools/call" => format!(r#"{{"name":{}{arguments}}}"#, string("tool")?),
            "prompts/get" => format!(r#"{{"name":{}{arguments}}}"#, string("prompt")?),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                format!(r#"{{"uri":{}{arguments}}}"#, string("uri")?)
            }
            "completion/complete" => {
                let reference = match string("prompt") {
                    Some(prompt) => format!(r#"{{"type":"ref/prompt","name":{prompt}}}"#),
                    None => format!(r#"{{"type":"ref/resource","uri":{}}}"#, string("uri")?),
                };
                format!(r#"{{"ref":{reference},"argument":{{"name":"a","value":""}}}}"#)
            }
            "logging/setLevel" => r#"{"level":"info"}"#.to_owned(),
            "notifications/cancelled" => r#"{"requestId":7}"#.to_owned(),
            "notifications/progress" => r#"{"progressToken":7,"progress":1}"#.to_owned(),
            _ => return None,
        })
    }
}

/// The gateway, its servers, and the sessions that the cases have opened.
struct World {
    gateway: Gateway,
    /// Servers that never leave, by path.
    steady: Upstream,
    /// An address of its own for each server that cannot be connected to at times.
    unsteady: HashMap<String, Upstream>,
    tokens: HashMap<String, String>,
    sessions: HashMap<Vec<String>, Session>,
    last_entry: u64,
}

impl World {
    fn of(cases: &[Case]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let steady = Upstream::start();
        let mut unsteady = HashMap::new();
        let mut configuration = Configuration::default();
        let mut orphans = BTreeMap::<String, Vec<Access>>::new();
        for (number, case) in cases.iter().enumerate() {
            let steps = steps(number, case);
            let mut known = BTreeSet::new();
            for step in steps.iter().filter(|step| known.insert(step.server())) {
                let mine: Vec<_> = steps.iter().filter(|other| other.server() == step.server()).collect();
                let behaves = |how: &str| mine.iter().any(|step| step.upstream() == how);
                let name = step.server();
                if behaves("connect_failed") {
                    unsteady.insert(name.clone(), Upstream::start());
                }
                let upstream = unsteady.get(&name).unwrap_or(&steady);
                let named = |key| steps.iter().filter_map(|step| text(step.node, key)).collect::<BTreeSet<_>>();
                upstream.server(&name).has_tools(named("tool"));
                upstream.server(&name).has_prompts(named("prompt"));
                configuration = match behaves("timeout") {
                    true => configuration.impatient_server(&name, &upstream.url(&name), CALL_TIMEOUT),
                    false => configuration.server(&name, &upstream.url(&name)),
                };
                for grant in mine.iter().map(|step| step.text("grant", "a")).collect::<BTreeSet<_>>() {
                    if step.has_policy() {
                        configuration = configuration.grant(grant, &name, &step.policy());
                    } else {
                        let access = Access { server: name.clone(), policy: "gone".to_owned() };
                        orphans.entry(grant.to_owned()).or_default().push(access);
                    }
                }
            }
            configuration = with_policy(configuration, directory.path(), number, case);
        }
        let tokens = make_orphans(&data_dir(directory.path()), orphans);
        let gateway = Gateway::start_in(directory, &configuration);
        Self { gateway, steady, unsteady, tokens, sessions: HashMap::new(), last_entry: 0 }
    }

    fn take(&mut self, step: &Step<'_>) -> Result<(), String> {
        self.gateway.set_clock(step.at);
        let name = step.server();
        let server = self.unsteady.get(&name).unwrap_or(&self.steady).server(&name);
        if step.method() == "initialize" {
            self.open(step);
            return if server.sessions_opened() > 0 { Ok(()) } else { Err("no session was opened".to_owned()) };
        }
        let session = self.session(step);
        server.replies(match step.upstream() {
            "isError" => Reply::IsError,
            "error" => Reply::Error,
            "timeout" => Reply::Silence,
            _ => Reply::Ok,
        });
        let before = server.count();
        let away = self.unsteady.get(&name).filter(|_| step.upstream() == "connect_failed");
        away.inspect(|upstream| upstream.leave());
        let answer = self.sessions[&session].post(step.message());
        away.inspect(|upstream| upstream.come_back());
        check_answer(step, &answer, &server)?;
        check_received(step, &server, before)?;
        self.check_entry(step)
    }

    fn session(&mut self, step: &Step<'_>) -> Vec<String> {
        let parts = [
            step.server(),
            step.text("grant", "a").into(),
            step.text("session", "s1").into(),
            step.text("client", "").into(),
        ];
        let key = parts.to_vec();
        if !self.sessions.contains_key(&key) {
            let session = self.open(step);
            self.sessions.insert(key.clone(), session);
        }
        key
    }

    fn open(&self, step: &Step<'_>) -> Session {
        let grant = step.text("grant", "a");
        let token = if step.has_policy() { token(grant) } else { self.tokens[grant].clone() };
        self.gateway.agents.open_as(&token, &step.server(), text(step.node, "client"), REVISION)
    }

    /// Compares what the ledger says; it says so in one entry, or in none if the method is not governed.
    fn check_entry(&mut self, step: &Step<'_>) -> Result<(), String> {
        let entries = self.gateway.entries_after(self.last_entry);
        self.last_entry = entries.last().and_then(|entry| entry["seq"].as_u64()).unwrap_or(self.last_entry);
        let entries: Vec<_> = entries.iter().filter(|entry| entry["method"] == step.method()).collect();
        if UNGOVERNED.contains(&step.method()) {
            return if entries.is_empty() { Ok(()) } else { Err(format!("recorded {entries:?}")) };
        }
        let [entry] = entries.as_slice() else { return Err(format!("recorded {entries:?}")) };
        let expected = step.expected();
        let rule = step.rule();
        let right = entry["outcome"] == expected && rule.is_none_or(|rule| entry["rule"] == rule);
        let whose = entry["grant"] == whose(step) && entry["client"].as_str() == text(step.node, "client");
        if !right || !whose || entry["server"] != step.server() {
            return Err(format!("expected {expected} by {rule:?}, recorded {entry}"));
        }
        let settled = match (expected, step.upstream()) {
            ("allow", "timeout") => Some("timed_out"),
            ("allow", "connect_failed") => Some("not_sent"),
            ("allow", _) => Some("answered"),
            _ => None,
        };
        let failed = matches!(step.upstream(), "isError" | "error");
        let is_error = (settled == Some("answered")).then_some(failed);
        if entry["settled"].as_str() == settled && entry["is_error"].as_bool() == is_error {
            return Ok(());
        }
        Err(format!("expected {settled:?}, an error: {is_error:?}; recorded {entry}"))
    }
}

/// The label of the grant that a step's agent has.
fn whose(step: &Step<'_>) -> String {
    let label = step.text("grant", "a");
    if step.has_policy() { label.to_owned() } else { without_policy(label) }
}

fn without_policy(label: &str) -> String {
    format!("{label}-without-policy")
}

/// Adds a case's policy: inside the configuration if it is JSON, in a file of its own if it is YAML.
fn with_policy(configuration: Configuration, directory: &Path, number: usize, case: &Case) -> Configuration {
    let document = case.root.get("policy").expect("a policy");
    let name = format!("case-{number}");
    match &document.kind {
        NodeKind::Null => configuration,
        NodeKind::String(yaml) => {
            std::fs::write(directory.join(format!("{name}.yaml")), yaml).unwrap();
            configuration.policy(&name, &format!(r#"{{"file":"{name}.yaml"}}"#))
        }
        NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::List(_) | NodeKind::Map(_) => {
            configuration.policy(&name, case.raw(document))
        }
    }
}

/// Makes grants whose policy is nowhere, and gives their tokens.
fn make_orphans(directory: &Path, orphans: BTreeMap<String, Vec<Access>>) -> HashMap<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open_exclusive(directory, Options::default()).unwrap();
        let mut tokens = HashMap::new();
        for (label, access) in orphans {
            let new = NewGrant { label: without_policy(&label), access, expires: None };
            let (_, token) = ledger.create_grant(new, Timestamp::from_micros(START)).await.unwrap();
            tokens.insert(label, token.as_str().to_owned());
        }
        ledger.close().await.unwrap();
        tokens
    })
}

/// Compares what the agent got.
fn check_answer(step: &Step<'_>, answer: &Response, server: &Server) -> Result<(), String> {
    let expected = step.expected();
    if step.method().starts_with("notifications/") {
        return if answer.status == 202 { Ok(()) } else { Err(format!("answered {answer:?}")) };
    }
    if expected == "reject" {
        return if answer.status == 400 { Ok(()) } else { Err(format!("answered {answer:?}")) };
    }
    let (outcome, rule) = outcome(&answer.json());
    // The rule that hides must not be told.
    let expected_rule = step.rule().filter(|_| !matches!(expected, "allow" | "hide"));
    if outcome != expected || expected_rule.is_some_and(|expected| expected != rule) {
        return Err(format!("expected {expected} by {expected_rule:?}, answered {}", answer.text()));
    }
    let code = match (expected, step.upstream()) {
        ("allow", "timeout") => -32001,
        ("allow", "connect_failed") => -32000,
        ("allow", _) if answer.text() == server.last_answer() => return Ok(()),
        ("allow", _) => {
            return Err(format!("the server said {}, the agent got {}", server.last_answer(), answer.text()));
        }
        _ => return Ok(()),
    };
    if answer.json()["error"]["code"] == code { Ok(()) } else { Err(format!("answered {}", answer.text())) }
}

/// Compares what reached the server: the call as it was sent if it was to be forwarded, and nothing otherwise.
fn check_received(step: &Step<'_>, server: &Server, before: usize) -> Result<(), String> {
    let is_own = |id: &Option<String>| id.as_deref().is_some_and(|id| id.contains("toolgate-"));
    let received: Vec<_> = server.received_after(before).into_iter().filter(|message| !is_own(&message.id)).collect();
    let (of_step, other): (Vec<_>, Vec<_>) = received.into_iter().partition(|message| message.method == step.method());
    let expected = usize::from(step.expected() == "allow" && step.upstream() != "connect_failed");
    let as_sent = of_step.iter().all(|message| message.params == step.params());
    // A call that took too long is cancelled.
    let only_cancelled = other.iter().all(|message| message.method == "notifications/cancelled");
    let cancelled = usize::from(step.upstream() == "timeout" && expected == 1);
    if of_step.len() == expected && as_sent && only_cancelled && other.len() == cancelled {
        return Ok(());
    }
    Err(format!("{expected} should have reached the server, there came {of_step:?} and {other:?}"))
}
