//! Real MCP servers behave through the gate as they do without it, for the official client and for
//! an independent one.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;

use blackbox::gate::{Gate, Setup, token};
use blackbox::lines::run_command;
use blackbox::place::Place;
use blackbox::{eventually, npm_file, tests_file, wire};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

const EVERYTHING: &str = "@modelcontextprotocol/server-everything/dist/index.js";
const FILESYSTEM: &str = "@modelcontextprotocol/server-filesystem/dist/index.js";
const OPEN: &str = r#"{"version":"1","default":"allow"}"#;

/// Runs a script of the official client; gives the lines it prints.
async fn script(name: &str, args: &[String]) -> Vec<String> {
    let mut command = Command::new("node");
    command.arg(tests_file("npm").join(name)).args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(2 * blackbox::PATIENCE, command.output());
    let output = output.await.expect("the script ends in time").expect("node is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name} {args:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(str::to_owned).collect()
}

fn strings(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|&part| part.to_owned()).collect()
}

/// Compares line by line, so that a difference is short.
fn assert_same(direct: &[String], gated: &[String]) {
    for (direct, gated) in direct.iter().zip(gated) {
        assert_eq!(direct, gated);
    }
    assert_eq!(direct.len(), gated.len());
}

/// `toolgate run` that allows everything, as a command line.
fn run_line(place: &Place, upstream: &[String]) -> Vec<String> {
    let policy = place.write("open.json", OPEN);
    let command = run_command(&policy, &place.join("run-data"), &[], upstream);
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

fn http(gate: &Gate) -> Vec<String> {
    strings(&["http", &gate.url("up"), &token("alice")])
}

fn as_server(command: &[String]) -> Value {
    json!({ "command": command[0], "args": command[1..] })
}

/// `server-everything` over Streamable HTTP.
struct EverythingOverHttp {
    address: SocketAddr,
    _child: Child,
}

impl EverythingOverHttp {
    async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it is bound");
        let mut command = Command::new("node");
        command.arg(npm_file(EVERYTHING)).arg("streamableHttp").env("PORT", free.port().to_string());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn();
        let this = Self { address: free, _child: child.expect("node is installed") };
        eventually("the server listens", async || wire::send(this.address, "GET", "/mcp", &[], "").await.ok()).await;
        this
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

#[tokio::test]
async fn the_official_client_finds_every_feature_of_everything_over_stdio() {
    let place = Place::new();
    let server = strings(&["node", &npm_file(EVERYTHING), "stdio"]);
    let direct = script("everything.mjs", &[strings(&["stdio"]), server.clone()].concat()).await;
    let wrapped = script("everything.mjs", &[strings(&["stdio"]), run_line(&place, &server)].concat()).await;
    assert_same(&direct, &wrapped);
    let gate = Setup::open(as_server(&server)).serve().await;
    let served = script("everything.mjs", &http(&gate)).await;
    assert_same(&direct, &served);
}

#[tokio::test]
async fn the_official_client_finds_every_feature_of_everything_over_http() {
    let place = Place::new();
    let server = EverythingOverHttp::start().await;
    let direct = script("everything.mjs", &strings(&["http", &server.url()])).await;
    let gate = Setup::open(json!({ "url": server.url() })).serve().await;
    let served = script("everything.mjs", &http(&gate)).await;
    assert_same(&direct, &served);
    let policy = place.write("open.json", OPEN);
    let run = [
        strings(&["stdio", &blackbox::toolgate().to_string_lossy(), "run", "--policy", &policy.to_string_lossy()]),
        strings(&["--data-dir", &place.join("run-data").to_string_lossy(), "--url", &server.url()]),
    ];
    let wrapped = script("everything.mjs", &run.concat()).await;
    assert_same(&direct, &wrapped);
}

#[tokio::test]
async fn the_official_client_works_with_files_through_the_gate() {
    let place = Place::new();
    let run = async |name: &str, how: &dyn Fn(&Path) -> Vec<String>| {
        let directory = place.join(name);
        std::fs::create_dir(&directory).expect("it can be made");
        script("filesystem.mjs", &[vec![directory.to_string_lossy().into_owned()], how(&directory)].concat()).await
    };
    let server = |directory: &Path| strings(&["node", &npm_file(FILESYSTEM), &directory.to_string_lossy()]);
    let direct = run("direct", &|directory| [strings(&["stdio"]), server(directory)].concat()).await;
    let wrapped =
        run("wrapped", &|directory| [strings(&["stdio"]), run_line(&place, &server(directory))].concat()).await;
    assert_same(&direct, &wrapped);
    let gate = Setup::open(as_server(&server(&place.join("served")))).serve().await;
    let served = run("served", &|_| http(&gate)).await;
    assert_same(&direct, &served);
}
