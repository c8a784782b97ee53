//! Runs the cases of the contract, and our own, through the judge with the arithmetic of limits.
//!
//! Cases are data, one JSON object a line, in `tests/cases/`; where `TOOLGATE_CONTRACT_DIR` names a directory, the
//! cases there are run too. Numbers are never read as anything but text.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod ledger;
mod policy_cases;
mod problem_cases;

use std::path::{Path, PathBuf};

use policy::document::{Format, Node, parse};

/// One line of a file of cases.
struct Case {
    root: Node,
    line: String,
}

impl Case {
    fn text(&self, key: &str) -> &str {
        self.root.get(key).and_then(Node::as_str).unwrap_or_else(|| panic!("no `{key}` in {}", self.line))
    }

    /// The text of a part, as the file has it.
    fn raw(&self, node: &Node) -> &str {
        &self.line[node.span.clone()]
    }
}

fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let document = parse(line, Format::Json).unwrap_or_else(|problems| panic!("{line}: {problems:?}"));
            Case { root: document.root, line: line.to_owned() }
        })
        .collect()
}

/// The files of one kind of cases: those kept here, and those of the contract if it is at hand.
fn files(kept: &[&str], shared: &str) -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> = kept.iter().map(|name| here.join(name)).collect();
    if let Some(directory) = std::env::var_os("TOOLGATE_CONTRACT_DIR") {
        files.push(PathBuf::from(directory).join(shared));
    }
    files
}

/// Runs every case of some files and reports all that fail.
fn run(files: &[PathBuf], check: impl Fn(&Case) -> Result<(), String>) {
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files {
        for case in cases(file) {
            count += 1;
            if let Err(why) = check(&case) {
                failures.push(format!("{}: {why}", case.text("name")));
            }
        }
    }
    assert!(count > 0, "there are no cases");
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
}
