//! Problem cases as data, and what a good configuration becomes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use policy::document::{Format, Node, NodeKind, parse};
use tempfile::TempDir;

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn environment(name: &str) -> Option<String> {
    (name == "KEY").then(|| KEY.to_owned())
}

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("policies")).unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("policies/good.yaml", "version: \"1\"\ndefault: deny\ntools: { read_file: {} }\n");
    write("policies/bad.yaml", "version: \"1\"\ndefault: perhaps\n");
    write("token.txt", "fedcba9876543210fedcba9876543210\r\n");
    directory
}

fn load(directory: &TempDir, text: &str) -> Result<Loaded, Vec<FileProblem>> {
    let file = Path::new("toolgate.yaml");
    Config::parse(text, Format::Yaml, file, directory.path(), &environment)
}

fn text<'n>(node: &'n Node, key: &str) -> &'n str {
    node.get(key).and_then(Node::as_str).unwrap_or_default()
}

fn items(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_list).unwrap()
}

/// Whether `problem` is what the case expects.
fn is_expected(problem: &FileProblem, expected: &Node) -> bool {
    let NodeKind::Number(line) = &expected.get("line").unwrap().kind else { panic!("no line") };
    let line = line.parse::<usize>().unwrap();
    let found = &problem.problem;
    let file = expected.get("file").and_then(Node::as_str).unwrap_or("toolgate.yaml");
    let never = expected.get("never").and_then(Node::as_str);
    found.pointer == text(expected, "pointer")
        && found.line == line
        && problem.source.file == Path::new(file)
        && problem.is_error() == expected.get("warning").is_none()
        && found.message.to_lowercase().contains(&text(expected, "about").to_lowercase())
        && found.help.contains(text(expected, "help"))
        && !found.help.is_empty()
        && never.is_none_or(|never| !format!("{found:?}").contains(never))
}

#[test]
fn every_configuration_has_exactly_its_problems() {
    let cases = parse(include_str!("cases/problems.yaml"), Format::Yaml).unwrap();
    assert!(cases.problems.is_empty(), "{:?}", cases.problems);
    let directory = directory();
    for case in cases.root.as_list().unwrap() {
        let name = text(case, "name");
        let mut found = match load(&directory, text(case, "text")) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        for expected in items(case.get("problems")) {
            let at = found.iter().position(|problem| is_expected(problem, expected));
            let Some(at) = at else {
                let pointer = text(expected, "pointer");
                panic!("{name}: not found: {pointer} {}\nin {found:#?}", text(expected, "about"));
            };
            found.remove(at);
        }
        assert!(found.is_empty(), "{name}: unexpected {found:#?}");
    }
}

const WHOLE: &str = r#"
listen: localhost:7411
data_dir: ./data
ledger: sqlite
servers:
  files:
    command: npx
    args: ["-y", "server-files", "/srv"]
    env: { TOKEN: "${KEY}", ROOT: "file:///srv", SECRET: "file:token.txt" }
    timeout: 30s
  here: { command: ./bin/server, cwd: work }
  away: { url: "https://example.test/mcp", headers: { Authorization: "Bearer ${KEY}" } }
policies:
  outside: { file: policies/good.yaml }
  inside:
    version: "1"
    default: deny
    tools:
      "get_*": {}
grants:
  - label: alice-laptop
    token: "file:token.txt"
    access: [ { server: files, policy: outside }, { server: away, policy: inside } ]
    expires: 2027-01-01T00:00:00Z
timeouts: { call: 2m, session_idle: 1h }
bounds: { request_bytes: 1MiB, sessions: 50 }
allowed_origins: ["https://Console.example.test"]
allowed_hosts: ["gate.example.test:8443"]
"#;

fn whole(directory: &TempDir) -> Config {
    let loaded = load(directory, WHOLE).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config
}

#[test]
fn servers_have_their_secrets_filled_in_and_their_paths_made_absolute() {
    let directory = directory();
    let config = whole(&directory);
    let ServerKind::Child(files) = &config.server("files").unwrap().kind else { panic!("a child") };
    assert_eq!(files.command, "npx");
    assert_eq!(files.args, ["-y", "server-files", "/srv"]);
    let env: Vec<_> = files.env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let secret = "fedcba9876543210fedcba9876543210";
    assert_eq!(env, [("TOKEN", KEY), ("ROOT", "file:///srv"), ("SECRET", secret)]);
    assert_eq!(files.cwd, directory.path());
    assert_eq!(config.server("files").unwrap().call_timeout, Duration::from_secs(30));

    let ServerKind::Child(here) = &config.server("here").unwrap().kind else { panic!("a child") };
    assert_eq!(Path::new(&here.command), directory.path().join("bin/server"));
    assert_eq!(here.cwd, directory.path().join("work"));
    assert_eq!(config.server("here").unwrap().call_timeout, Duration::from_secs(120));

    let ServerKind::Http(away) = &config.server("away").unwrap().kind else { panic!("an address") };
    assert_eq!(away.url, "https://example.test/mcp");
    assert_eq!(away.headers, [("authorization".to_owned(), Secret::new(format!("Bearer {KEY}")))]);
    assert!(!format!("{config:?}").contains(KEY), "a secret shows in the debug form");
}

#[test]
fn policies_are_checked_and_keep_their_text() {
    let directory = directory();
    let config = whole(&directory);
    let outside = config.policy("outside").unwrap();
    let file = directory.path().join("policies/good.yaml");
    assert_eq!(outside.origin.file(), Some(file.as_path()));
    let inside = config.policy("inside").unwrap();
    assert_eq!(inside.text, "version: \"1\"\ndefault: deny\ntools:\n  \"get_*\": {}\n");
    let again = policy::Policy::parse(&inside.text, inside.format).unwrap();
    assert_eq!(again.policy.version(), inside.policy.version());
}

#[test]
fn a_grant_keeps_the_digest_of_its_token_and_not_the_token() {
    let directory = directory();
    let config = whole(&directory);
    let [grant] = config.grants.as_slice() else { panic!("one grant") };
    assert_eq!(grant.label, "alice-laptop");
    let digest = crate::api_types::hex(&grant.token_sha256);
    assert_eq!(digest, "4ba68aa8767bde72e8c798ee82d1275291cea73e72ad74d35ecf48e41386eb82");
    assert_eq!(grant.access.len(), 2);
    assert_eq!(grant.expires.unwrap().as_micros(), 1_798_761_600_000_000);
}

#[test]
fn settings_replace_their_defaults_one_by_one() {
    let directory = directory();
    let config = whole(&directory);
    assert_eq!(config.listen.to_string(), "127.0.0.1:7411");
    assert_eq!(config.data_dir, directory.path().join("data"));
    assert_eq!(config.timeouts.session_idle, Duration::from_secs(3600));
    assert_eq!(config.timeouts.start, Timeouts::DEFAULT_START);
    assert_eq!(config.bounds.request_bytes, 1024 * 1024);
    assert_eq!(config.bounds.sessions, 50);
    assert_eq!(config.bounds.children, Bounds::DEFAULT_CHILDREN);
    assert_eq!(config.allowed_origins, ["https://console.example.test"]);
    assert_eq!(config.allowed_hosts, ["gate.example.test:8443"]);
}

#[test]
fn every_file_that_was_read_is_named_for_the_watcher() {
    let directory = directory();
    let config = whole(&directory);
    let here = directory.path();
    let expected = [Path::new("toolgate.yaml").to_owned(), here.join("token.txt"), here.join("policies/good.yaml")];
    assert_eq!(config.files, expected);
}

#[test]
fn a_policy_is_not_taken_for_a_configuration() {
    for (text, expected) in [
        ("servers: {}", true),
        ("grants: []", true),
        ("version: \"1\"\ndefault: deny", false),
        ("tools: {}\nlisten: x", false),
        ("{}", false),
        ("[]", false),
    ] {
        let document = parse(text, Format::Yaml).unwrap();
        assert_eq!(is_configuration(&document.root), expected, "{text}");
    }
}

#[test]
fn the_data_directory_is_found_whatever_else_is_wrong() {
    let directory = directory();
    let file = directory.path().join("broken.yaml");
    fs::write(&file, "servers: { a: { command: \"${MISSING}\" } }\ndata_dir: kept\n").unwrap();
    assert_eq!(data_dir_of(&file, &environment), Ok(directory.path().join("kept")));
    fs::write(&file, "servers: {}\n").unwrap();
    assert_eq!(data_dir_of(&file, &environment), Ok(directory.path().join(DEFAULT_DATA_DIR)));
}

#[test]
fn a_json_configuration_is_read_as_json() {
    let directory = directory();
    let file = directory.path().join("toolgate.json");
    fs::write(&file, r#"{"servers": {"a": {"command": "x"}}}"#).unwrap();
    let loaded = Config::load(&file, &environment).unwrap();
    assert_eq!(loaded.config.servers.len(), 1);
    let problems = Config::load(&directory.path().join("none.yaml"), &environment).unwrap_err();
    assert!(problems.iter().any(|one| one.problem.message.contains("there is no such file")));
}
