//! The `policies` section.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use policy::document::{Format, Node, NodeKind};
use policy::{Checked, Policy, Problem};

use super::model::{PolicyConfig, PolicyOrigin};
use super::problem::{FileProblem, Source};
use super::reader::{Place, Reader, read_bounded};
use super::servers::MAX_NAME;

/// Reads all policies; those with problems are left out, the problems are in the reader.
pub(super) fn read(reader: &mut Reader<'_>, place: &Place<'_>) -> Vec<PolicyConfig> {
    let entries = reader.map(place, "`policies`").unwrap_or_default();
    let mut policies = Vec::new();
    for entry in entries {
        let at = place.entry(entry);
        if !is_policy_name(&entry.key) {
            let message = format!("`{}` is not a name for a policy", entry.key);
            let help = format!("use letters, digits, `-`, `_` and `.`, a letter or digit first, at most {MAX_NAME}");
            reader.error(&at, message, help);
        }
        policies.extend(read_policy(reader, &at, &entry.key));
    }
    policies
}

/// Whether `name` can name a policy that is kept in a configuration or in the ledger.
#[must_use]
pub fn is_policy_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn read_policy(reader: &mut Reader<'_>, place: &Place<'_>, name: &str) -> Option<PolicyConfig> {
    if place.node.get("file").is_some() {
        let fields = reader.fields(place, &format!("policy `{name}`, which is in a file,"), &["file"])?;
        let file = fields.get("file")?;
        return read_policy_file(reader, &file, name);
    }
    if matches!(place.node.kind, NodeKind::String(_)) {
        let message = format!("policy `{name}` must be an object, not a string");
        reader.error(place, message, "write `{ file: PATH }` for a policy in a file");
        return None;
    }
    let source = Arc::clone(&reader.source);
    let result = Policy::from_node(place.node, &source.text, &place.pointer);
    let policy = keep_problems(reader, &source, result)?;
    let text = inline_text(&source.text, place);
    Some(PolicyConfig { name: name.to_owned(), policy, text, format: Format::Yaml, origin: PolicyOrigin::Inline })
}

fn read_policy_file(reader: &mut Reader<'_>, place: &Place<'_>, name: &str) -> Option<PolicyConfig> {
    let written = reader.filled(place, "`file`")?;
    let path = reader.resolve(&written);
    reader.remember(path.clone());
    let text = match read_bounded(&path) {
        Ok(text) => text,
        Err(why) => {
            let help = "name a policy file; relative paths start at the configuration's directory";
            reader.error(place, format!("could not read `{written}`: {why}"), help);
            return None;
        }
    };
    let format = Format::of_file_name(&written);
    let source = Arc::new(Source { file: shown(reader, &written), text });
    let result = Policy::parse(&source.text, format);
    let policy = keep_problems(reader, &source, result)?;
    let origin = PolicyOrigin::File(path);
    Some(PolicyConfig { name: name.to_owned(), policy, text: source.text.clone(), format, origin })
}

/// The path of a policy as the user would type it where the configuration's own path holds.
fn shown(reader: &Reader<'_>, written: &str) -> PathBuf {
    let directory = reader.source.file.parent().map(PathBuf::from).unwrap_or_default();
    directory.join(written.strip_prefix("./").unwrap_or(written))
}

fn keep_problems(
    reader: &mut Reader<'_>,
    source: &Arc<Source>,
    result: Result<Checked, Vec<Problem>>,
) -> Option<Arc<Policy>> {
    let (policy, problems) = match result {
        Ok(Checked { policy, warnings }) => (Some(Arc::new(policy)), warnings),
        Err(problems) => (None, problems),
    };
    let problems = problems.into_iter();
    reader.problems.extend(problems.map(|problem| FileProblem { source: Arc::clone(source), problem }));
    policy
}

/// The text of a policy inside a larger one, as a document of its own: a block is moved to the
/// left margin by what its first line is indented.
fn inline_text(text: &str, place: &Place<'_>) -> String {
    let span = span_of(place.node, text);
    let line_start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let margin = text.get(line_start..span.start).unwrap_or_default();
    let body = text.get(span).unwrap_or_default();
    if margin.is_empty() || !margin.chars().all(|character| character == ' ') {
        return body.trim_end().to_owned() + "\n";
    }
    let lines = body.lines().map(|line| line.strip_prefix(margin).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

/// Where a node stands. A block of `key: value` lines begins with its first key, whatever the YAML
/// reader counts as its beginning.
fn span_of(node: &Node, text: &str) -> Range<usize> {
    let span = node.span.clone();
    let is_block = !text.get(span.clone()).unwrap_or_default().starts_with('{');
    match &node.kind {
        NodeKind::Map(entries) if is_block => {
            let start = entries.first().map_or(span.start, |entry| entry.key_span.start);
            start.min(span.end)..span.end
        }
        NodeKind::Map(_)
        | NodeKind::Null
        | NodeKind::Bool(_)
        | NodeKind::Number(_)
        | NodeKind::String(_)
        | NodeKind::List(_) => span,
    }
}
