//! A running `toolgate serve`, and the command line beside it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::place::Place;
use crate::{eventually, wire};

/// The token of the grant that a [`Setup`] makes under `label`.
pub fn token(label: &str) -> String {
    format!("{label}-0123456789abcdef0123456789abcdef")
}

/// A configuration in the making.
#[derive(Debug, Clone)]
pub struct Setup(Value);

impl Default for Setup {
    fn default() -> Self {
        Self(json!({ "listen": "127.0.0.1:0", "data_dir": "data", "servers": {}, "policies": {}, "grants": [] }))
    }
}

impl Setup {
    /// Everything is allowed at one server, `up`, for one grant, `alice`.
    pub fn open(server: Value) -> Self {
        Self::judged(server, json!({ "version": "1", "default": "allow" }))
    }

    /// One server, `up`, and one grant, `alice`, judged by `policy`.
    pub fn judged(server: Value, policy: Value) -> Self {
        Self::default().server("up", server).policy("p", policy).grant("alice", &[("up", "p")])
    }

    /// Adds a server.
    pub fn server(mut self, name: &str, server: Value) -> Self {
        self.0["servers"][name] = server;
        self
    }

    /// Adds a policy: a document, or `{"file": …}`.
    pub fn policy(mut self, name: &str, policy: Value) -> Self {
        self.0["policies"][name] = policy;
        self
    }

    /// Adds a grant with the token that [`token`] gives.
    pub fn grant(mut self, label: &str, access: &[(&str, &str)]) -> Self {
        let access: Vec<Value> =
            access.iter().map(|(server, policy)| json!({ "server": server, "policy": policy })).collect();
        let grants = self.0["grants"].as_array_mut().expect("it is a list");
        grants.push(json!({ "label": label, "token": token(label), "access": access }));
        self
    }

    /// Sets any other member.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// The document.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Starts a gate with it, and waits until it is ready.
    pub async fn serve(&self) -> Gate {
        Gate::start(Place::new(), self).await
    }
}

/// A running gate. It is killed when dropped.
#[derive(Debug)]
pub struct Gate {
    child: Child,
    address: SocketAddr,
    place: Place,
}

impl Drop for Gate {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gate {
    /// Starts a gate in `place`, whose data may be there already.
    pub async fn start(place: Place, setup: &Setup) -> Self {
        let file = place.write("toolgate.json", &setup.text());
        let log = File::options().create(true).append(true).open(place.join("log")).expect("the log can be written");
        let mut child = Command::new(crate::toolgate())
            .args(["serve", "--config"])
            .arg(&file)
            .env("RUST_LOG", std::env::var("TOOLGATE_TEST_LOG").unwrap_or_else(|_| "info".to_owned()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the gate can be started");
        let presence = place.join("data/gateway.json");
        let pid = u64::from(child.id());
        let address = eventually("the gate is ready", async || {
            let ended = child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the gate ended with {ended:?}: {}", read(&place.join("log")));
            let said: Value = serde_json::from_str(&read(&presence)).ok()?;
            let address: SocketAddr = said["address"].as_str()?.parse().ok()?;
            let reply = wire::send(address, "GET", "/readyz", &[], "").await.ok()?;
            (said["pid"] == pid && reply.status == 200).then_some(address)
        })
        .await;
        Self { child, address, place }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The endpoint of a server.
    pub fn url(&self, server: &str) -> String {
        format!("http://{}/mcp/{server}", self.address)
    }

    /// Where its files are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.place.join("data")
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        read(&self.place.join("log"))
    }

    /// An agent with the token of the grant `label`, its session not yet open.
    pub fn agent(&self, label: &str, server: &str) -> Agent {
        Agent::new(self.address, server, &token(label))
    }

    /// An agent with an open session at the server `up`.
    pub async fn session(&self, label: &str) -> Agent {
        self.agent(label, "up").open().await
    }

    /// Changes the configuration file.
    pub fn edit(&self, text: &str) {
        self.place.write("toolgate.json", text);
    }

    /// Sends a signal, `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits until it has ended; gives its exit code and its place.
    pub async fn ended(mut self) -> (Option<i32>, Place) {
        let status = eventually("the gate ends", async || self.child.try_wait().expect("it is our child")).await;
        let place = std::mem::take(&mut self.place);
        (status.code(), place)
    }

    /// Runs a command of the command line on its ledger.
    pub async fn cli(&self, args: &[&str]) -> Output {
        cli(&self.data_dir(), args).await
    }

    /// The lines of a command with `--json`, oldest first for what is listed newest first.
    pub async fn cli_json(&self, args: &[&str]) -> Vec<Value> {
        cli_json(&self.data_dir(), args).await
    }

    /// All audit records, oldest first.
    pub async fn records(&self) -> Vec<Value> {
        self.cli_json(&["audit", "export"]).await
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, name: &str) {
    let ran = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(ran.expect("kill is installed").success(), "process {pid} is gone");
}

/// Runs a command on the ledger in `data_dir`.
pub async fn cli(data_dir: &Path, args: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(crate::toolgate());
    command.args(args).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    command.output().await.expect("toolgate can be started")
}

/// Runs a command that must succeed with `--json`, and reads its lines.
pub async fn cli_json(data_dir: &Path, args: &[&str]) -> Vec<Value> {
    let output = cli(data_dir, &[args, &["--json"]].concat()).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
