//! An agent: MCP over HTTP, written by hand so that nothing is tidied up on the way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::configuration::token;
use crate::http::{Connection, Response};

/// The revision that agents speak unless a test says otherwise.
pub(crate) const REVISION: &str = "2025-06-18";
/// The first revision whose clients name it in a header (MCP 2025-06-18, "Protocol Version Header").
const FIRST_WITH_HEADER: &str = "2025-06-18";

/// Agents on one connection.
#[derive(Clone)]
pub(crate) struct Agents {
    connection: Arc<Mutex<Connection>>,
}

/// One session of one agent with one server.
pub(crate) struct Session {
    connection: Arc<Mutex<Connection>>,
    path: String,
    token: String,
    revision: String,
    pub(crate) id: String,
}

impl Agents {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self { connection: Arc::new(Mutex::new(Connection::open(address))) }
    }

    /// Opens a session with the token that the configuration gives to `grant`.
    pub(crate) fn open(&self, grant: &str, server: &str) -> Session {
        self.open_as(&token(grant), server, None, REVISION)
    }

    pub(crate) fn open_as(&self, token: &str, server: &str, client: Option<&str>, revision: &str) -> Session {
        let mut session = Session {
            connection: Arc::clone(&self.connection),
            path: format!("/mcp/{server}"),
            token: token.to_owned(),
            revision: revision.to_owned(),
            id: String::new(),
        };
        let info =
            client.map_or_else(String::new, |name| format!(r#","clientInfo":{{"name":"{name}","version":"1"}}"#));
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{}}{info}}}}}"#
        );
        let answer = session.post(initialize);
        assert_eq!(answer.status, 200, "{}", answer.text());
        session.id = answer.header("mcp-session-id").expect("a session id").to_owned();
        let initialized = session.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(initialized.status, 202, "{}", initialized.text());
        session
    }
}

impl Session {
    /// The same session, claimed by whoever has `token`.
    pub(crate) fn claimed_by(&self, token: &str) -> Self {
        Self {
            connection: Arc::clone(&self.connection),
            path: self.path.clone(),
            token: token.to_owned(),
            revision: self.revision.clone(),
            id: self.id.clone(),
        }
    }

    /// The same session on a connection of its own.
    pub(crate) fn on_its_own_connection(&self, address: SocketAddr) -> Self {
        Self { connection: Arc::new(Mutex::new(Connection::open(address))), ..self.claimed_by(&self.token) }
    }

    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Response {
        self.send(body);
        self.receive()
    }

    pub(crate) fn send(&self, body: impl AsRef<[u8]>) {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("cookie", "crumb=1"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if !self.id.is_empty() {
            headers.push(("mcp-session-id", &self.id));
            if self.revision.as_str() >= FIRST_WITH_HEADER {
                headers.push(("mcp-protocol-version", &self.revision));
            }
        }
        self.connection.lock().unwrap().send("POST", &self.path, &headers, body.as_ref());
    }

    pub(crate) fn receive(&self) -> Response {
        self.connection.lock().unwrap().receive()
    }

    /// Calls a tool and gives the answer as it came.
    pub(crate) fn call(&self, id: u64, tool: &str, arguments: &str) -> Response {
        self.post(call(id, tool, arguments))
    }
}

/// The message of a call; `arguments` is raw JSON.
pub(crate) fn call(id: u64, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}

/// What the gate did with a request, as the agent was told; `allow` if the gate kept out of the answer.
pub(crate) fn outcome(answer: &Value) -> (String, String) {
    let (meta, text) = if answer.get("result").is_some() {
        (&answer["result"]["_meta"], &answer["result"]["content"][0]["text"])
    } else {
        (&answer["error"]["data"]["_meta"], &answer["error"]["message"])
    };
    let Some(decision) = meta.get("dev.toolgate/decision") else {
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        let is_hidden = [("Unknown tool: ", -32602), ("Unknown prompt: ", -32602), ("Resource not found: ", -32002)]
            .iter()
            .any(|(beginning, code)| message.starts_with(beginning) && answer["error"]["code"] == *code);
        return (if is_hidden { "hide" } else { "allow" }.to_owned(), String::new());
    };
    let outcome = decision["outcome"].as_str().expect("an outcome");
    let prefix = match outcome {
        "deny" => "[POLICY DENIED] ",
        "limit" => "[RATE LIMITED] ",
        "approve" => "[APPROVAL REQUIRED] ",
        other => panic!("no such outcome: {other}"),
    };
    assert!(text.as_str().expect("a reason").starts_with(prefix), "{answer}");
    assert!(answer.get("result").is_none_or(|result| result["isError"] == true), "{answer}");
    (outcome.to_owned(), decision["rule"].as_str().expect("a rule").to_owned())
}

/// The outcome of a call that was just answered.
pub(crate) fn told(answer: &Response) -> String {
    outcome(&answer.json()).0
}
