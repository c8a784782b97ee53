//! Cases kept as data, one JSON object a line, whose numbers are never read as anything but text.

use std::path::{Path, PathBuf};

use policy::document::{Format, Node, parse};

/// One line of a file of cases.
pub(crate) struct Case {
    pub(crate) root: Node,
    line: String,
}

impl Case {
    pub(crate) fn name(&self) -> &str {
        text(&self.root, "name").expect("a name")
    }

    /// The text of a part, as the file has it.
    pub(crate) fn raw(&self, node: &Node) -> &str {
        &self.line[node.span.clone()]
    }
}

/// A string member of an object.
pub(crate) fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::as_str)
}

/// The cases of some files, named from the directory of crates, and those of the contract if it is at hand.
pub(crate) fn cases(kept: &[&str], shared: &str) -> Vec<Case> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<PathBuf> = kept.iter().map(|name| crates.join(name)).collect();
    if let Some(directory) = std::env::var_os("TOOLGATE_CONTRACT_DIR") {
        files.push(PathBuf::from(directory).join(shared));
    }
    let cases: Vec<Case> = files.iter().flat_map(|file| read(file)).collect();
    assert!(!cases.is_empty(), "there are no cases");
    cases
}

fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let document = parse(line, Format::Json).unwrap_or_else(|problems| panic!("{line}: {problems:?}"));
            Case { root: document.root, line: line.to_owned() }
        })
        .collect()
}
