//! Documents as trees that remember where in the text each value stands.
//!
//! JSON and YAML give the same tree. Numbers stay text, so nothing is rounded; a plain YAML scalar becomes what the
//! core schema of YAML 1.2 says and nothing else (`no` is text, not false).

mod json;
mod places;
mod plain;
mod pointer;
mod yaml;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

pub use pointer::Pointer;

use crate::problem::{Lines, Problem, Severity};

/// How deep lists and objects may be nested in a document.
pub const MAX_DEPTH: usize = 128;
/// How long a document may be, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// How many values a document may hold once its YAML aliases are written out.
pub const MAX_NODES: usize = 1_000_000;

/// The language that a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON (RFC 8259).
    Json,
    /// YAML 1.2, core schema.
    Yaml,
}

impl Format {
    /// The format that a file's name suggests: JSON if it ends in `.json`, YAML otherwise.
    #[must_use]
    pub fn of_file_name(name: &str) -> Self {
        let ending = name.len().checked_sub(5).and_then(|start| name.get(start..));
        if ending.is_some_and(|ending| ending.eq_ignore_ascii_case(".json")) { Self::Json } else { Self::Yaml }
    }

    /// What the format is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        }
    }
}

/// A document that could be read, with what is wrong with it all the same.
#[derive(Debug, Clone)]
pub struct Document {
    /// The outermost value.
    pub root: Node,
    /// Duplicate keys and the like. The tree is complete, so that everything else can be reported as well; but a
    /// document with an error here must not be used.
    pub problems: Vec<Problem>,
}

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value itself.
    pub kind: NodeKind,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// The value of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as JSON would write it, unrounded.
    Number(String),
    /// Text, escapes resolved.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// An object, in the order of the document, duplicates included.
    Map(Vec<Entry>),
}

/// One key of an object with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key, escapes resolved.
    pub key: String,
    /// Where the key stands, in bytes.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The text, if the node is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(text),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::List(_) | NodeKind::Map(_) => None,
        }
    }

    /// The entries, if the node is an object.
    #[must_use]
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::List(_) | NodeKind::String(_) => None,
        }
    }

    /// The members, if the node is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::List(members) => Some(members),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::Map(_) | NodeKind::String(_) => None,
        }
    }

    /// The value of a key, if the node is an object that has it; the first one if it has it twice.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    fn has_children(&self) -> bool {
        matches!(self.kind, NodeKind::List(_) | NodeKind::Map(_))
    }

    /// What the value is, with its article: "a list".
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "null",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Number(_) => "a number",
            NodeKind::String(_) => "a string",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "an object",
        }
    }
}

/// Reads a document into a tree.
///
/// # Errors
/// If the text cannot be read at all; problems that leave the tree intact are in [`Document::problems`].
pub fn parse(text: &str, format: Format) -> Result<Document, Vec<Problem>> {
    let lines = Lines::new(text);
    if text.len() > MAX_BYTES {
        let message = format!("the document has {} bytes, more than the {MAX_BYTES} that are allowed", text.len());
        let help = "split it into several documents".to_owned();
        return Err(vec![lines.problem(Severity::Error, String::new(), 0..0, message, help)]);
    }
    let (root, mut problems) = match format {
        Format::Json => (json::read(text, &lines)?, Vec::new()),
        Format::Yaml => yaml::read(text, &lines)?,
    };
    problems.extend(duplicates(&root, &Pointer::default(), &lines));
    Ok(Document { root, problems })
}

/// Reports every key that an object has twice, once for each place in the text.
pub(crate) fn duplicates(root: &Node, at: &Pointer, lines: &Lines<'_>) -> Vec<Problem> {
    let mut search = Duplicates { lines, reported: HashSet::new(), problems: Vec::new() };
    search.visit(root, at);
    search.problems
}

struct Duplicates<'a> {
    lines: &'a Lines<'a>,
    reported: HashSet<usize>,
    problems: Vec<Problem>,
}

impl Duplicates<'_> {
    fn visit(&mut self, node: &Node, at: &Pointer) {
        match &node.kind {
            NodeKind::List(members) => {
                for (index, member) in members.iter().enumerate().filter(|(_, member)| member.has_children()) {
                    self.visit(member, &at.index(index));
                }
            }
            NodeKind::Map(entries) => self.visit_entries(entries, at),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::String(_) => {}
        }
    }

    fn visit_entries(&mut self, entries: &[Entry], at: &Pointer) {
        let mut seen = HashMap::with_capacity(entries.len());
        for entry in entries {
            if let Some(first) = seen.get(entry.key.as_str()).copied() {
                if self.reported.insert(entry.key_span.start) {
                    self.report(entry, first, at);
                }
            } else {
                seen.insert(entry.key.as_str(), entry.key_span.start);
            }
            if entry.value.has_children() {
                self.visit(&entry.value, &at.key(&entry.key));
            }
        }
    }

    fn report(&mut self, entry: &Entry, first: usize, at: &Pointer) {
        let (line, _) = self.lines.place(first);
        let message = format!("duplicate key `{}`: it is already on line {line}", entry.key);
        let help = "keep one of the two; readers differ in which one they would take".to_owned();
        let pointer = at.key(&entry.key).as_str().to_owned();
        let span = entry.key_span.clone();
        self.problems.push(self.lines.problem(Severity::Error, pointer, span, message, help));
    }
}
