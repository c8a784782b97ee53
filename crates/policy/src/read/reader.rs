//! What all parts of a document have in common: collecting problems, and reading simple values.

use std::collections::HashMap;
use std::ops::Range;

use super::limit::Site;
use super::suggest;
use crate::document::{Entry, Node, NodeKind, Pointer};
use crate::model::Scope;
use crate::problem::{Lines, Problem, Severity};

/// How much of a value is repeated in a message.
const LONGEST_SHOWN: usize = 60;

/// Reads one document, and remembers everything that is wrong with it.
pub(super) struct Reader<'a> {
    lines: Lines<'a>,
    /// Where in a larger document the policy stands.
    base: Pointer,
    problems: Vec<Problem>,
    /// The limits seen so far, by their counters; compared once all of them are known.
    pub(super) sites: HashMap<(Scope, String), Vec<Site>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, base: Pointer, problems: Vec<Problem>) -> Self {
        Self { lines: Lines::new(text), base, problems, sites: HashMap::new() }
    }

    pub(super) fn finish(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn error(&mut self, at: &Pointer, span: Range<usize>, message: String, help: impl Into<String>) {
        self.report(Severity::Error, at, span, message, help.into());
    }

    pub(super) fn warn(&mut self, at: &Pointer, span: Range<usize>, message: String, help: impl Into<String>) {
        self.report(Severity::Warning, at, span, message, help.into());
    }

    fn report(&mut self, severity: Severity, at: &Pointer, span: Range<usize>, message: String, help: String) {
        let pointer = format!("{}{at}", self.base);
        self.problems.push(self.lines.problem(severity, pointer, span, message, help));
    }

    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.place(at).0
    }

    /// The entries of an object that must be one.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, at: &Pointer, what: &str, help: &str) -> Option<&'n [Entry]> {
        let entries = node.as_map();
        if entries.is_none() {
            self.error(at, node.span.clone(), format!("{what} must be an object, not {}", node.kind_name()), help);
        }
        entries
    }

    pub(super) fn missing(&mut self, node: &Node, at: &Pointer, field: &str, what: &str, help: &str) {
        if node.get(field).is_none() {
            self.error(at, node.span.clone(), format!("{what} has no `{field}`"), help);
        }
    }

    pub(super) fn unknown_field(&mut self, entry: &Entry, at: &Pointer, what: &str, known: &[&str]) {
        let message = format!("{what} has no field `{}`", cut(&entry.key));
        let help = match suggest::field(&entry.key, known) {
            Some(meant) => format!("did you mean `{meant}`? Otherwise remove it"),
            None => format!("remove it; there are {}", suggest::listed(known)),
        };
        self.error(at, entry.key_span.clone(), message, help);
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, at: &Pointer, field: &str) -> Option<&'n str> {
        let text = node.as_str();
        if text.is_none() {
            let message = format!("`{field}` must be a string, not {}", shown(node));
            self.error(at, node.span.clone(), message, "write text in quotes");
        }
        text
    }

    /// Text that must not be empty.
    pub(super) fn filled_text<'n>(&mut self, node: &'n Node, at: &Pointer, what: &str) -> Option<&'n str> {
        match node.as_str() {
            Some("") => {
                self.error(at, node.span.clone(), format!("{what} is empty"), "write a name");
                None
            }
            None => {
                let message = format!("{what} must be a string, not {}", shown(node));
                self.error(at, node.span.clone(), message, "write a name in quotes");
                None
            }
            text => text,
        }
    }

    /// One of several words.
    pub(super) fn choice<'c>(&mut self, node: &Node, at: &Pointer, field: &str, words: &[&'c str]) -> Option<&'c str> {
        let found = node.as_str().and_then(|text| words.iter().find(|word| **word == text));
        if found.is_none() {
            let message = format!("`{field}` cannot be {}", shown(node));
            let listed = suggest::listed(words);
            let help = match node.as_str().and_then(|text| suggest::word(text, words)) {
                Some(meant) => format!("did you mean `{meant}`? It can be {listed}"),
                None => format!("it can be {listed}"),
            };
            self.error(at, node.span.clone(), message, help);
        }
        found.copied()
    }

    /// The members of a list; none, after a problem, if it is not one.
    pub(super) fn list<'n>(&mut self, node: &'n Node, at: &Pointer, field: &str, of: &str) -> &'n [Node] {
        if node.as_list().is_none() {
            let message = format!("`{field}` must be a list of {of}, not {}", node.kind_name());
            self.error(at, node.span.clone(), message, "put it in brackets: `[ … ]`");
        }
        node.as_list().unwrap_or_default()
    }
}

/// A value as messages repeat it.
pub(super) fn shown(node: &Node) -> String {
    match &node.kind {
        NodeKind::Null => "null".to_owned(),
        NodeKind::Bool(value) => format!("`{value}`"),
        NodeKind::Number(number) => format!("the number `{}`", cut(number)),
        NodeKind::String(text) => format!("`{}`", cut(text)),
        NodeKind::List(_) | NodeKind::Map(_) => node.kind_name().to_owned(),
    }
}

/// The beginning of a text that may be long.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
