//! An agent over Streamable HTTP that puts bytes on the wire.

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::wire::{self, Reply, Stream};

/// One session of one agent.
#[derive(Debug, Clone)]
pub struct Agent {
    address: SocketAddr,
    path: String,
    token: String,
    revision: String,
    session: Option<String>,
}

impl Agent {
    /// An agent that has not said anything yet.
    pub fn new(address: SocketAddr, server: &str, token: &str) -> Self {
        let path = format!("/mcp/{server}");
        Self { address, path, token: token.to_owned(), revision: "2025-11-25".to_owned(), session: None }
    }

    /// Speaks another revision.
    pub fn speaking(self, revision: &str) -> Self {
        Self { revision: revision.to_owned(), ..self }
    }

    /// Opens its session.
    pub async fn open(mut self) -> Self {
        let reply = self.initialize().await;
        self.revision = reply.json()["result"]["protocolVersion"].as_str().unwrap_or(&self.revision).to_owned();
        let session = reply.headers.get("mcp-session-id").unwrap_or_else(|| panic!("no session in {reply:?}"));
        self.session = Some(session.to_str().expect("a session id is text").to_owned());
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let reply = self.post(initialized.to_string()).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        self
    }

    /// Sends `initialize` alone.
    pub async fn initialize(&self) -> Reply {
        let params = json!({
            "protocolVersion": self.revision, "capabilities": {}, "clientInfo": { "name": "raw", "version": "1" },
        });
        self.post(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string()).await
    }

    /// The revision that it speaks: the one that was agreed on, once its session is open.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Its session's id.
    pub fn session(&self) -> &str {
        self.session.as_deref().expect("the session is open")
    }

    /// Sends a body as it is.
    pub async fn post(&self, body: impl Into<Bytes>) -> Reply {
        self.try_post(body).await.expect("the gate answers")
    }

    /// Sends a body as it is.
    ///
    /// # Errors
    ///
    /// A connection that could not be made, or broke.
    pub async fn try_post(&self, body: impl Into<Bytes>) -> std::io::Result<Reply> {
        self.send("POST", body).await
    }

    /// Ends its session.
    pub async fn close(&self) -> Reply {
        self.send("DELETE", Bytes::new()).await.expect("the gate answers")
    }

    /// Opens the stream of what the server says unasked, after the event `last` if there was one.
    pub async fn listen(&self, last: Option<&str>) -> Stream {
        let token = format!("Bearer {}", self.token);
        let mut headers = self.headers(&token);
        headers.extend(last.map(|id| ("last-event-id", id)));
        wire::open(self.address, &self.path, &headers).await.expect("the gate answers")
    }

    async fn send(&self, method: &str, body: impl Into<Bytes>) -> std::io::Result<Reply> {
        self.send_with(method, body, &[]).await
    }

    /// Sends a request with further headers.
    ///
    /// # Errors
    ///
    /// A connection that could not be made, or broke.
    pub async fn send_with(
        &self,
        method: &str,
        body: impl Into<Bytes>,
        further: &[(&str, &str)],
    ) -> std::io::Result<Reply> {
        let token = format!("Bearer {}", self.token);
        let mut headers = self.headers(&token);
        headers.extend(further);
        wire::send(self.address, method, &self.path, &headers, body).await
    }

    fn headers<'a>(&'a self, token: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut headers = vec![
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
            ("authorization", token),
        ];
        if let Some(session) = &self.session {
            headers.push(("mcp-session-id", session));
            headers.push(("mcp-protocol-version", &self.revision));
        }
        headers
    }

    /// Sends a request with raw params and reads the answer.
    pub async fn request(&self, method: &str, params: &str) -> Value {
        self.post(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}")).await.json()
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", &json!({ "name": tool, "arguments": arguments }).to_string()).await
    }
}

/// What came of a call, in one word, and which rule decided it.
pub fn outcome(answer: &Value) -> String {
    if answer["error"]["message"].as_str().is_some_and(|message| message.starts_with("Unknown tool: ")) {
        return "hide".to_owned();
    }
    let decision = [&answer["result"]["_meta"], &answer["error"]["data"]["_meta"], &answer["error"]["data"]]
        .into_iter()
        .find_map(|meta| meta.get("dev.toolgate/decision"));
    match decision {
        Some(decision) => decision["outcome"].as_str().unwrap_or("no outcome").to_owned(),
        None if answer.get("error").is_some() => format!("error {}", answer["error"]),
        None => "allow".to_owned(),
    }
}

/// The first text of a result.
pub fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}
