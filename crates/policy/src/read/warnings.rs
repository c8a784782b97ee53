//! What an author should know about a document that is valid.

use std::ops::Range;

use super::reader::Reader;
use crate::document::{Node, Pointer};
use crate::model::{HidePattern, Section};
use crate::pattern::{Pattern, is_pattern};

/// How many pairs of patterns are compared at most.
const MAX_PAIRS: usize = 200_000;

impl Reader<'_> {
    /// Warns of patterns that match the same names equally well, so that such a call is denied.
    pub(super) fn warn_about_ties(&mut self, section: &Section, what: &str, root: &Node) {
        let Some(node) = root.get(what) else { return };
        let at = Pointer::root().key(what);
        let mut pairs = 0;
        for (index, (pattern, rule)) in section.patterns.iter().enumerate() {
            let later = section.patterns.iter().skip(index + 1);
            let equals = later.take_while(|(other, _)| other.literals() == pattern.literals());
            for (other, other_rule) in equals {
                pairs += 1;
                if pairs > MAX_PAIRS {
                    return;
                }
                if pattern.meets(other) {
                    let message = format!(
                        "`{}` and `{}` can match the same name equally well, and then neither decides: the call is denied",
                        last_step(&rule.pointer),
                        last_step(&other_rule.pointer)
                    );
                    let help = "make one of them longer, or list the names in question exactly";
                    self.warn(&at, key_span(node, &last_step(&other_rule.pointer)), message, help);
                }
            }
        }
    }

    /// Warns of rules for tools that `hide` hides.
    pub(super) fn warn_about_hidden_rules(&mut self, root: &Node, hide: &[HidePattern]) {
        let at = Pointer::root().key("tools");
        let tools = root.get("tools").and_then(Node::as_map).unwrap_or_default();
        for entry in tools {
            let hidden = hide.iter().find(|hidden| covers(&hidden.pattern, &entry.key));
            if let Some(hidden) = hidden {
                let message = format!("the rule for `{}` never applies: {} hides it", entry.key, hidden.pointer);
                self.warn(&at.key(&entry.key), entry.key_span.clone(), message, "remove the rule, or do not hide it");
            }
        }
    }
}

/// Whether everything that a key of `tools` stands for is matched by a pattern of `hide`.
fn covers(hidden: &Pattern, key: &str) -> bool {
    if is_pattern(key) {
        // A pattern's own text stands in for what it matches: its stars can only be taken up by stars.
        return hidden.matches(&key.replace('*', "\u{0}"));
    }
    hidden.matches(key)
}

/// Where a key of an object stands.
fn key_span(node: &Node, key: &str) -> Range<usize> {
    let entry = node.as_map().unwrap_or_default().iter().find(|entry| entry.key == key);
    entry.map_or(node.span.clone(), |entry| entry.key_span.clone())
}

fn last_step(pointer: &str) -> String {
    pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~")
}
