//! `toolgate grant`, `approval` and `audit` through a running gateway.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::support::Place;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const CONFIGURATION: &str = r#"
data_dir: data
servers: { files: { command: "no-such-program-is-ever-started" } }
policies: { read-only: { version: "1", default: deny, tools: { read_file: {} } } }
grants:
  - { label: alice-laptop, token: "${TOKEN}", access: [ { server: files, policy: read-only } ] }
"#;

/// A gateway that listens; it ends with the test.
struct Gateway {
    place: Place,
    process: Child,
    address: String,
}

impl Gateway {
    fn start() -> Self {
        let place = Place::new();
        place.write("toolgate.yaml", CONFIGURATION);
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut process = command.env("TOKEN", TOKEN).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let listens = lines.find(|line| line.as_ref().unwrap().contains("toolgate listens"));
        assert!(listens.is_some(), "the gateway ended before it listened");
        // What it logs from now on has to go somewhere, or it would wait.
        std::thread::spawn(move || lines.for_each(drop));
        let presence = std::fs::read(place.path("data/gateway.json")).unwrap();
        let presence: serde_json::Value = serde_json::from_slice(&presence).unwrap();
        let address = presence["address"].as_str().unwrap().to_owned();
        Self { place, process, address }
    }

    /// Sends one body to the server's endpoint, and gives the status of the answer.
    fn send(&self, token: &str, body: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "POST /mcp/files HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A call that cannot be read safely: it is recorded and goes nowhere.
const UNSAFE_CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","METHOD":"ping","params":{"name":"delete_all"}}"#;

#[test]
fn grants_are_managed_while_the_gateway_runs() {
    let gateway = Gateway::start();
    let place = &gateway.place;
    let made = place.run(&["grant", "create", "bob", "--access", "files=read-only"]).ends_with(0);
    let token = made.stdout.trim_end();
    assert!(token.starts_with("tg_"), "{}", made.stdout);
    let endpoint = format!("http://{}/mcp/files", gateway.address);
    assert!(made.stderr.contains(&endpoint), "{}", made.stderr);
    assert_eq!(gateway.send(token, UNSAFE_CALL), 400, "the token is accepted at once");

    let listed = place.run(&["grant", "list", "--json"]).ends_with(0).objects();
    let origins: Vec<_> = listed.iter().map(|grant| (grant["label"].as_str(), grant["origin"].as_str())).collect();
    assert_eq!(origins, [(Some("alice-laptop"), Some("file")), (Some("bob"), Some("api"))]);

    let rotated = place.run(&["grant", "rotate", "bob"]).ends_with(0);
    assert_eq!(gateway.send(token, UNSAFE_CALL), 401, "the old token is worthless at once");
    let token = rotated.stdout.trim_end();
    assert_eq!(gateway.send(token, UNSAFE_CALL), 400);
    place.run(&["grant", "revoke", "bob"]).ends_with(0);
    assert_eq!(gateway.send(token, UNSAFE_CALL), 401);
}

#[test]
fn the_gateway_refuses_with_a_reason() {
    let gateway = Gateway::start();
    let place = &gateway.place;
    for (arguments, part) in [
        (&["grant", "create", "bob", "--access", "files=none"][..], "none"),
        (&["grant", "create", "alice-laptop", "--access", "files=read-only"], "alice-laptop"),
        (&["grant", "revoke", "alice-laptop"], "configuration"),
        (&["grant", "revoke", "a b/c?d"], "a b/c?d"),
        (&["approval", "approve", "apr_none"], "apr_none"),
    ] {
        let ran = place.run(arguments).ends_with(3);
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn the_record_is_read_while_the_gateway_writes_it() {
    let gateway = Gateway::start();
    let place = &gateway.place;
    assert_eq!(gateway.send(TOKEN, UNSAFE_CALL), 400);
    assert_eq!(gateway.send(TOKEN, UNSAFE_CALL), 400);
    let listed = place.run(&["audit", "list", "--json", "--grant", "alice-laptop"]).ends_with(0).objects();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["outcome"], "reject");
    assert_eq!(place.run(&["audit", "list", "--json", "--limit", "1"]).ends_with(0).objects().len(), 1);
    assert_eq!(place.run(&["audit", "list", "--json", "--outcome", "allow"]).ends_with(0).stdout, "");

    let exported = place.run(&["audit", "export"]).ends_with(0).objects();
    assert_eq!(exported.len(), 2);
    let csv = place.run(&["audit", "export", "--format", "csv"]).ends_with(0);
    assert_eq!(csv.stdout.matches("\r\n").count(), 3, "{}", csv.stdout);

    let verified = place.run(&["audit", "verify", "--json"]).ends_with(0).objects();
    assert_eq!(verified[0]["records"], 2);
    let head = verified[0]["head"].as_str().unwrap();
    place.run(&["audit", "verify", "--records", "2", "--head", head]).ends_with(0);
    place.run(&["approval", "list"]).ends_with(0);
}

#[test]
fn the_files_of_a_gateway_that_is_gone_are_not_believed() {
    let mut gateway = Gateway::start();
    gateway.place.run(&["grant", "create", "bob", "--access", "files=read-only"]).ends_with(0);
    gateway.process.kill().unwrap();
    gateway.process.wait().unwrap();
    assert!(gateway.place.path("data/gateway.json").exists(), "it had no time to remove it");
    let listed = gateway.place.run(&["grant", "list", "--json"]).ends_with(0).objects();
    assert_eq!(listed.len(), 2);
}
