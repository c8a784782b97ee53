//! Reads rules and their entries.

use std::time::Duration;

use super::duration::{self, BadDuration};
use super::reader::{Reader, shown};
use crate::document::{Entry as Field, Node, NodeKind, Pointer};
use crate::model::{Action, Entry, Patience, Rule};
use crate::path::Ground;

const FIELDS: [&str; 9] =
    ["action", "reason", "timeout", "hold", "require", "deny_if", "approve_if", "limits", "rate_limit"];
const ALL_TOOLS_FIELDS: [&str; 4] = ["require", "deny_if", "approve_if", "limits"];
const CHECK_FIELDS: [&str; 2] = ["conditions", "on_deny"];
const APPROVAL_FIELDS: [&str; 3] = ["conditions", "timeout", "hold"];

impl Reader<'_> {
    /// A rule; none, after a problem, if it is not even an object.
    pub(super) fn rule(&mut self, node: &Node, at: &Pointer, ground: Ground) -> Option<Rule> {
        if matches!(node.kind, NodeKind::Null) {
            let message = "this rule is null, which says nothing; an empty rule is `{}`".to_owned();
            self.error(at, node.span.clone(), message, "write `{}` to allow it, or `{ \"action\": \"deny\" }`");
            return None;
        }
        let entries = self.entries(node, at, "a rule", "write `{}` to allow it, or `{ \"action\": \"deny\" }`")?;
        let mut rule = empty_rule(at);
        for field in entries {
            let at = at.key(&field.key);
            match field.key.as_str() {
                "action" => rule.action = self.action(&field.value, &at),
                "reason" => rule.reason = self.text(&field.value, &at, "reason").map(str::to_owned),
                "timeout" | "hold" => self.patience(field, &at, &mut rule.patience),
                "rate_limit" => {
                    let limit = self.rate_limit(field, &at);
                    rule.limits.extend(limit);
                }
                _ => self.shared_field(field, &at, ground, &mut rule, "a rule", &FIELDS),
            }
        }
        // Limits are checked before `rate_limit`, in whatever order the document has them.
        rule.limits.sort_by_key(|limit| limit.counter == crate::model::Counter::PerName);
        Some(rule)
    }

    pub(super) fn all_tools(&mut self, node: &Node, at: &Pointer) -> Rule {
        let mut rule = empty_rule(at);
        let help = "write `{ \"deny_if\": [ … ] }`";
        for field in self.entries(node, at, "`all_tools`", help).unwrap_or_default() {
            let at = at.key(&field.key);
            self.shared_field(field, &at, Ground::Tools, &mut rule, "`all_tools`", &ALL_TOOLS_FIELDS);
        }
        rule
    }

    /// A field that rules and `all_tools` both have.
    fn shared_field(
        &mut self,
        field: &Field,
        at: &Pointer,
        ground: Ground,
        rule: &mut Rule,
        what: &str,
        known: &[&str],
    ) {
        match field.key.as_str() {
            "require" => rule.require = self.checks(field, at, ground, &CHECK_FIELDS),
            "deny_if" => rule.deny_if = self.checks(field, at, ground, &CHECK_FIELDS),
            "approve_if" => rule.approve_if = self.checks(field, at, ground, &APPROVAL_FIELDS),
            "limits" => {
                let limits = self.limits(&field.value, at);
                rule.limits.extend(limits);
            }
            _ => self.unknown_field(field, at, what, known),
        }
    }

    fn action(&mut self, node: &Node, at: &Pointer) -> Action {
        let words = Action::ALL.map(Action::as_str);
        self.choice(node, at, "action", &words).and_then(Action::parse).unwrap_or(Action::Deny)
    }

    fn checks(&mut self, field: &Field, at: &Pointer, ground: Ground, known: &[&str]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (index, member) in self.list(&field.value, at, &field.key, "entries").iter().enumerate() {
            entries.extend(self.check(member, &at.index(index), ground, &field.key, known));
        }
        entries
    }

    fn check(&mut self, node: &Node, at: &Pointer, ground: Ground, list: &str, known: &[&str]) -> Option<Entry> {
        let what = format!("an entry of `{list}`");
        let fields = self.entries(node, at, &what, "write `{ \"conditions\": [ … ] }`")?;
        let mut entry = Entry {
            pointer: at.as_str().to_owned(),
            conditions: Vec::new(),
            on_deny: None,
            patience: Patience::default(),
        };
        for field in fields {
            let at = at.key(&field.key);
            match field.key.as_str() {
                "conditions" => {
                    for (index, member) in self.list(&field.value, &at, "conditions", "conditions").iter().enumerate() {
                        entry.conditions.extend(self.condition(member, &at.index(index), ground));
                    }
                }
                "on_deny" if known.contains(&"on_deny") => {
                    entry.on_deny = self.text(&field.value, &at, "on_deny").map(str::to_owned)
                }
                "timeout" | "hold" if known.contains(&"timeout") => self.patience(field, &at, &mut entry.patience),
                _ => self.unknown_field(field, &at, &what, known),
            }
        }
        self.missing(node, at, "conditions", &what, "add `\"conditions\": [ … ]`; an empty list always matches");
        Some(entry)
    }

    fn patience(&mut self, field: &Field, at: &Pointer, patience: &mut Patience) {
        let Field { key, value, .. } = field;
        let example = "write whole seconds, minutes, hours or days, such as `\"45s\"` or `\"30m\"`";
        let Some(text) = value.as_str() else {
            let message = format!("`{key}` must be a duration in quotes, not {}", shown(value));
            self.error(at, value.span.clone(), message, example);
            return;
        };
        match duration::seconds(text) {
            Ok(0) if key == "timeout" => {
                let message = format!("`timeout` cannot be {}: nobody could decide in time", shown(value));
                self.error(at, value.span.clone(), message, example);
            }
            Ok(seconds) => {
                let duration = Duration::from_secs(u64::from(seconds));
                if key == "timeout" { patience.timeout = duration } else { patience.hold = duration }
            }
            Err(BadDuration::NotADuration) => {
                self.error(
                    at,
                    value.span.clone(),
                    format!("`{key}` must be a duration, not {}", shown(value)),
                    example,
                );
            }
            Err(BadDuration::TooLong) => {
                let message = format!("`{key}` is {}, longer than the 366 days it may be", shown(value));
                self.error(at, value.span.clone(), message, "write at most `\"366d\"`");
            }
        }
    }
}

fn empty_rule(at: &Pointer) -> Rule {
    Rule { pointer: at.as_str().to_owned(), action_pointer: at.key("action").as_str().to_owned(), ..Rule::default() }
}
