//! One spelling for each JSON value.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use crate::arguments;
use crate::decimal::{Decimal, NotExact};
use crate::document::{Node, NodeKind};
use crate::raw_text::RawText;
use crate::scan::{scalar_end, skip_space, string_end};

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
    let mut writer = Writer { text: raw, at: 0, out: String::with_capacity(raw.len()) };
    writer.value(0)?;
    writer.skip_space();
    if writer.at < raw.len() {
        return Err(NOT_JSON);
    }
    Ok(writer.out)
}

/// The keys of the outermost object, in the order of the text; none if the text is not an object.
#[must_use]
pub fn argument_keys(raw: &str) -> Vec<String> {
    arguments::keys(raw)
}

const NOT_JSON: NotCanonical = NotCanonical("it is not JSON");

/// Writes the canonical form while it reads, in one pass; only objects whose keys are out of order are moved about.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

impl<'a> Writer<'a> {
    fn value(&mut self, depth: usize) -> Result<(), NotCanonical> {
        if depth > MAX_DEPTH {
            return Err(NotCanonical("it is nested too deeply"));
        }
        self.skip_space();
        match self.peek().ok_or(NOT_JSON)? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => {
                let text = self.string()?;
                write_text(&mut self.out, &text);
                Ok(())
            }
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<(), NotCanonical> {
        let end = scalar_end(self.text.as_bytes(), self.at).ok_or(NOT_JSON)?;
        let raw = self.text.get(self.at..end).ok_or(NOT_JSON)?;
        self.at = end;
        match Decimal::parse(raw) {
            _ if matches!(raw, "true" | "false" | "null") => self.out.push_str(raw),
            Err(NotExact::NotANumber) => return Err(NOT_JSON),
            number => write_number(&mut self.out, raw, number),
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        self.out.push('[');
        self.skip_space();
        if !self.take(b']') {
            loop {
                self.value(depth + 1)?;
                self.skip_space();
                if self.take(b']') {
                    break;
                }
                self.expect(b',')?;
                self.out.push(',');
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        self.out.push('{');
        let start = self.out.len();
        let mut members: Vec<(Cow<'a, str>, Range<usize>)> = Vec::new();
        self.skip_space();
        if !self.take(b'}') {
            loop {
                self.skip_space();
                let key = self.string()?;
                self.skip_space();
                self.expect(b':')?;
                let begins = self.out.len();
                write_text(&mut self.out, &key);
                self.out.push(':');
                self.value(depth + 1)?;
                members.push((key, begins - start..self.out.len() - start));
                self.skip_space();
                self.out.push(',');
                if self.take(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
            self.out.pop();
        }
        self.sort(start, &mut members)?;
        self.out.push('}');
        Ok(())
    }

    /// Puts the members of an object, written from `start` on, in the order of their keys.
    fn sort(&mut self, start: usize, members: &mut [(Cow<'a, str>, Range<usize>)]) -> Result<(), NotCanonical> {
        let in_order = |pair: &[(Cow<'a, str>, Range<usize>)]| matches!(pair, [left, right] if left.0 < right.0);
        if members.windows(2).all(in_order) {
            return Ok(());
        }
        members.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        if !members.windows(2).all(in_order) {
            return Err(NotCanonical("an object has the same key twice"));
        }
        let written = self.out.split_off(start);
        for (index, (_, range)) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.out.push_str(written.get(range.clone()).unwrap_or_default());
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, NotCanonical> {
        let end = string_end(self.text.as_bytes(), self.at).ok_or(NOT_JSON)?;
        let inside = self.text.get(self.at + 1..end - 1).ok_or(NOT_JSON)?;
        self.at = end;
        Ok(RawText(inside).resolved())
    }

    fn skip_space(&mut self) {
        self.at = skip_space(self.text.as_bytes(), self.at);
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotCanonical> {
        if self.take(byte) { Ok(()) } else { Err(NOT_JSON) }
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
        NodeKind::Number(number) => write_number(out, number, Decimal::parse(number)),
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

fn write_number(out: &mut String, raw: &str, number: Result<Decimal, NotExact>) {
    // Writing to a string cannot fail.
    let _ = match number {
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
