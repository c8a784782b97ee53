//! One spelling for each JSON value.

use std::borrow::Cow;
use std::fmt::Write;

use crate::arguments;
use crate::decimal::Decimal;
use crate::document::{Node, NodeKind};
use crate::raw_text::RawText;

/// How deep a value may be nested to have a canonical form.
const MAX_DEPTH: usize = 512;

/// The text has no canonical form: it is not JSON, repeats a key, or is nested too deeply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value has no canonical form: {0}")]
pub struct NotCanonical(&'static str);

/// The one spelling of a JSON value: keys sorted by code point, no spaces, minimal escapes, numbers by value.
///
/// A number too long or too large to be exact stays as it is written, behind a `#` that no JSON value begins with.
///
/// # Errors
/// If the text is not JSON, has an object with the same key twice, or is nested more than 512 deep.
pub fn canonical_json(raw: &str) -> Result<String, NotCanonical> {
    let mut writer = Writer {
        out: String::with_capacity(raw.len()),
    };
    writer.value(raw.trim_ascii(), 0)?;
    Ok(writer.out)
}

/// The keys of the outermost object, in the order of the text; none if the text is not an object.
#[must_use]
pub fn argument_keys(raw: &str) -> Vec<String> {
    arguments::keys(raw)
}

struct Writer {
    out: String,
}

impl Writer {
    fn value(&mut self, raw: &str, depth: usize) -> Result<(), NotCanonical> {
        if depth > MAX_DEPTH {
            return Err(NotCanonical("it is nested too deeply"));
        }
        match raw.as_bytes().first() {
            Some(b'{') => self.object(raw, depth),
            Some(b'[') => self.list(raw, depth),
            Some(b'"') => {
                let inside = raw
                    .get(1..raw.len().saturating_sub(1))
                    .ok_or(NotCanonical("it is not JSON"))?;
                write_text(&mut self.out, &RawText(inside).resolved());
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                write_number(&mut self.out, raw);
                Ok(())
            }
            _ if matches!(raw, "true" | "false" | "null") => {
                self.out.push_str(raw);
                Ok(())
            }
            _ => Err(NotCanonical("it is not JSON")),
        }
    }

    fn list(&mut self, raw: &str, depth: usize) -> Result<(), NotCanonical> {
        self.out.push('[');
        let mut failed = Ok(());
        let mut separator = "";
        let complete = arguments::split(raw, |_, value| {
            self.out.push_str(separator);
            separator = ",";
            if failed.is_ok() {
                failed = self.value(value, depth + 1);
            }
        });
        self.out.push(']');
        failed.and(complete.ok_or(NotCanonical("it is not JSON")))
    }

    fn object(&mut self, raw: &str, depth: usize) -> Result<(), NotCanonical> {
        let mut members: Vec<(Cow<'_, str>, &str)> = Vec::new();
        arguments::split(raw, |key, value| members.push((key.resolved(), value)))
            .ok_or(NotCanonical("it is not JSON"))?;
        members.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        if members
            .windows(2)
            .any(|pair| matches!(pair, [left, right] if left.0 == right.0))
        {
            return Err(NotCanonical("an object has the same key twice"));
        }
        self.out.push('{');
        for (index, (key, value)) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write_text(&mut self.out, key);
            self.out.push(':');
            self.value(value, depth + 1)?;
        }
        self.out.push('}');
        Ok(())
    }
}

/// The canonical JSON of a document; for a key that stands there twice, both, in their order.
pub(crate) fn canonical_node(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node);
    out
}

fn write_node(out: &mut String, node: &Node) {
    match &node.kind {
        NodeKind::Null => out.push_str("null"),
        NodeKind::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        NodeKind::Number(number) => write_number(out, number),
        NodeKind::String(text) => write_text(out, text),
        NodeKind::List(members) => {
            out.push('[');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_node(out, member);
            }
            out.push(']');
        }
        NodeKind::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|left, right| left.key.cmp(&right.key));
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(out, &entry.key);
                out.push(':');
                write_node(out, &entry.value);
            }
            out.push('}');
        }
    }
}

fn write_number(out: &mut String, raw: &str) {
    // Writing to a string cannot fail.
    let _ = match Decimal::parse(raw) {
        Ok(number) => write!(out, "{number}"),
        Err(_) => write!(out, "#{raw}"),
    };
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|character| matches!(character, '"' | '\\' | '\0'..='\u{1f}')) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let special = rest.as_bytes().get(at).copied().unwrap_or_default();
        match special {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            _ => {
                let _ = write!(out, "\\u{special:04x}");
            }
        }
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}
