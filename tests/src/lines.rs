//! An agent over standard input and output: lines to a child, lines from it.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{PATIENCE, answers};

/// A process that speaks MCP over its standard input and output.
#[derive(Debug)]
pub struct LineAgent {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    last_id: u64,
}

/// `toolgate run` with a policy in front of a command, on a data directory.
pub fn run_command(policy: &Path, data_dir: &Path, options: &[&str], upstream: &[String]) -> Command {
    let mut command = Command::new(crate::toolgate());
    command.arg("run").arg("--policy").arg(policy).arg("--data-dir").arg(data_dir);
    command.args(options).arg("--").args(upstream);
    command
}

impl LineAgent {
    /// Starts a process and opens a session with it.
    pub async fn open(command: Command) -> Self {
        let mut agent = Self::start(command);
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "raw", "version": "1" },
        });
        let answer = agent.request("initialize", &params.to_string()).await;
        assert!(answer.get("result").is_some(), "{answer}");
        agent.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}").await;
        agent
    }

    /// Starts a process.
    pub fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the command can be started");
        let output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { input: child.stdin.take(), child, output, last_id: 0 }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// Sends a line as it is.
    pub async fn send(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it is open");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }

    /// The next line.
    pub async fn next(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await.expect("it answers in time");
        line.expect("it writes UTF-8")
    }

    /// Sends a request with raw params; gives the line that answers it.
    pub async fn request_raw(&mut self, method: &str, params: &str) -> String {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}")).await;
        loop {
            let line = self.next().await.expect("it answers before it ends");
            assert!(line.starts_with('{') && line.ends_with('}'), "not a message: {line}");
            if answers::member(&line, "id") == Some(&id.to_string()) {
                return line;
            }
        }
    }

    /// Sends a request with raw params and reads the answer.
    pub async fn request(&mut self, method: &str, params: &str) -> Value {
        serde_json::from_str(&self.request_raw(method, params).await).expect("it is JSON")
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", &json!({ "name": tool, "arguments": arguments }).to_string()).await
    }

    /// Closes its input and waits until it has ended; gives its exit code.
    pub async fn close(mut self) -> Option<i32> {
        drop(self.input.take());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time");
        ended.expect("it is our child").code()
    }
}
