//! From a document to a policy, or to everything that is wrong with it.

mod condition;
mod duration;
mod limit;
mod reader;
mod rule;
mod suggest;
mod warnings;

use sha2::{Digest, Sha256};

use crate::canonical::canonical_node;
use crate::document::{self, Document, Entry, Format, Node, NodeKind, Pointer, duplicates};
use crate::model::{Checked, HidePattern, Policy, Rule, Section, Unlisted};
use crate::path::Ground;
use crate::pattern::{Pattern, is_pattern};
use crate::problem::{Lines, Problem};
use reader::{Reader, shown};

const FIELDS: [&str; 9] =
    ["version", "default", "description", "hide", "all_tools", "tools", "resources", "prompts", "categories"];

/// Reads a policy document.
pub(crate) fn document(text: &str, format: Format) -> Result<Checked, Vec<Problem>> {
    let Document { root, problems } = document::parse(text, format)?;
    read(&root, Reader::new(text, Pointer::root(), problems))
}

/// Reads a policy that is part of a larger document.
pub(crate) fn part(node: &Node, text: &str, at: &Pointer) -> Result<Checked, Vec<Problem>> {
    let problems = duplicates(node, at, &Lines::new(text));
    read(node, Reader::new(text, at.clone(), problems))
}

fn read(root: &Node, mut reader: Reader<'_>) -> Result<Checked, Vec<Problem>> {
    let policy = reader.policy(root);
    let mut problems = reader.finish();
    problems.sort_by_key(|problem| (problem.span.start, problem.severity));
    match policy {
        Some(policy) if !problems.iter().any(Problem::is_error) => Ok(Checked { policy, warnings: problems }),
        _ => Err(problems),
    }
}

/// The parts of a document, as far as they could be read.
#[derive(Default)]
struct Parts {
    unlisted: Option<Unlisted>,
    hide: Vec<HidePattern>,
    tools: Section,
    resources: Option<Section>,
    prompts: Section,
    all_tools: Rule,
}

impl Reader<'_> {
    fn policy(&mut self, root: &Node) -> Option<Policy> {
        let at = Pointer::root();
        let Some(entries) = root.as_map() else {
            let message = format!("a policy is an object, not {}", root.kind_name());
            self.error(
                &at,
                root.span.clone(),
                message,
                "write `{\"version\": \"1\", \"default\": \"deny\", \"tools\": {}}`",
            );
            return None;
        };
        let mut parts = Parts::default();
        for entry in entries {
            self.part(entry, &at.key(&entry.key), &mut parts);
        }
        self.missing(root, &at, "version", "the policy", "add `\"version\": \"1\"`");
        self.missing(
            root,
            &at,
            "default",
            "the policy",
            "add `\"default\": \"deny\"`, which denies what the policy does not list",
        );
        self.check_counters();
        self.warn_about_ties(&parts.tools, "tools", root);
        self.warn_about_ties(&parts.prompts, "prompts", root);
        if let Some(resources) = &parts.resources {
            self.warn_about_ties(resources, "resources", root);
        }
        self.warn_about_hidden_rules(root, &parts.hide);
        let digest = Sha256::digest(canonical_node(root));
        let version = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let Parts { unlisted, hide, tools, resources, prompts, all_tools } = parts;
        unlisted.map(|unlisted| Policy { version, unlisted, hide, tools, resources, prompts, all_tools })
    }

    fn part(&mut self, entry: &Entry, at: &Pointer, parts: &mut Parts) {
        let Entry { key, value, .. } = entry;
        match key.as_str() {
            "version" => self.version(value, at),
            "default" => parts.unlisted = self.unlisted(value, at),
            "description" => {
                self.text(value, at, "description");
            }
            "hide" => parts.hide = self.hide(value, at),
            "tools" => parts.tools = self.section(value, at, Ground::Tools),
            "resources" => parts.resources = Some(self.section(value, at, Ground::Resources)),
            "prompts" => parts.prompts = self.section(value, at, Ground::Prompts),
            "all_tools" => parts.all_tools = self.all_tools(value, at),
            "categories" => {
                let message = "`categories` needs the registry, which is not there yet".to_owned();
                self.error(
                    at,
                    entry.key_span.clone(),
                    message,
                    "name the tools under `tools` instead, by exact names or patterns",
                );
            }
            _ => self.unknown_field(entry, at, "a policy", &FIELDS),
        }
    }

    fn version(&mut self, node: &Node, at: &Pointer) {
        if node.as_str() != Some("1") {
            let message = format!("`version` must be the string \"1\", not {}", shown(node));
            let quotes = matches!(&node.kind, NodeKind::Number(number) if number == "1");
            let help = if quotes { "put the 1 in quotes: `\"1\"`" } else { "write `\"1\"`, the only version there is" };
            self.error(at, node.span.clone(), message, help);
        }
    }

    fn unlisted(&mut self, node: &Node, at: &Pointer) -> Option<Unlisted> {
        self.choice(node, at, "default", &["deny", "allow"])
            .map(|word| if word == "allow" { Unlisted::Allow } else { Unlisted::Deny })
    }

    fn hide(&mut self, node: &Node, at: &Pointer) -> Vec<HidePattern> {
        let mut patterns = Vec::new();
        for (index, member) in self.list(node, at, "hide", "names and patterns").iter().enumerate() {
            let at = at.index(index);
            if let Some(name) = self.filled_text(member, &at, "a name in `hide`") {
                patterns.push(HidePattern { pointer: at.as_str().to_owned(), pattern: Pattern::new(name) });
            }
        }
        patterns
    }

    fn section(&mut self, node: &Node, at: &Pointer, ground: Ground) -> Section {
        let mut section = Section::default();
        let what = match ground {
            Ground::Tools => "tools",
            Ground::Resources => "resources",
            Ground::Prompts => "prompts",
        };
        let Some(entries) = node.as_map() else {
            let message = format!("`{what}` must be an object of names and rules, not {}", node.kind_name());
            self.error(at, node.span.clone(), message, "write `{ \"name\": {} }`");
            return section;
        };
        for entry in entries {
            let at = at.key(&entry.key);
            if entry.key.is_empty() {
                self.error(
                    &at,
                    entry.key_span.clone(),
                    format!("a name in `{what}` is empty"),
                    "write a name, or `*` for all",
                );
            }
            let Some(rule) = self.rule(&entry.value, &at, ground) else {
                continue;
            };
            if is_pattern(&entry.key) {
                section.patterns.push((Pattern::new(&entry.key), rule));
            } else {
                section.exact.insert(entry.key.clone(), rule);
            }
        }
        section.patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.literals()));
        section
    }
}
