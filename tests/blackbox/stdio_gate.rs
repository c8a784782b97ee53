//! `toolgate run` and `toolgate serve` around the raw upstream over standard input and output.

use std::path::Path;

use blackbox::lines::run_command;
use blackbox::place::Place;
use serde_json::{Value, json};
use tokio::process::Command;

/// The raw upstream, as a command.
pub fn raw_command(record: &Path) -> Vec<String> {
    vec![env!("CARGO_BIN_EXE_raw-upstream").to_owned(), record.to_string_lossy().into_owned()]
}

/// The raw upstream, as a gate's configuration names it.
pub fn raw_server(record: &Path) -> Value {
    json!({ "command": env!("CARGO_BIN_EXE_raw-upstream"), "args": [record] })
}

/// `toolgate run` that allows everything.
pub fn open(place: &Place, record: &Path) -> Command {
    judged(place, record, r#"{"version":"1","default":"allow"}"#)
}

/// `toolgate run` with a policy.
pub fn judged(place: &Place, record: &Path, policy: &str) -> Command {
    let policy = place.write("policy.json", policy);
    run_command(&policy, &place.join("data"), &[], &raw_command(record))
}

/// The lines that reached the raw upstream.
pub fn recorded_lines(record: &Path) -> Vec<String> {
    std::fs::read_to_string(record).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The ids of all processes of the raw upstream that were ever started.
pub fn recorded_processes(record: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("{}.pids", record.display())).unwrap_or_default();
    text.lines().map(|line| line.parse().expect("it writes its process id")).collect()
}
