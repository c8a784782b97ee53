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
    let mut writer =
        Writer { text: raw, at: 0, out: String::with_capacity(raw.len()), members: Vec::new(), moved: String::new() };
    writer.value(0)?;
    writer.skip_space();
    if writer.at < raw.len() {
        return Err(NOT_JSON);
    }
    Ok(writer.out)
}

/// The keys of the outermost object, in the order of the text; none if the text is not an object.
#[must_use]
pub fn argument_keys(raw: &str) -> Vec<Cow<'_, str>> {
    arguments::keys(raw)
}

/// A number without an exponent and with no more characters than this is exact.
const SHORT_NUMBER: usize = 34;

const NOT_JSON: NotCanonical = NotCanonical("it is not JSON");

/// Writes the canonical form while it reads, in one pass; only objects whose keys are out of order are moved about.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: String,
    /// The members of all objects that are open, those of the innermost last.
    members: Vec<Member<'a>>,
    /// Room for an object that is being put in order.
    moved: String,
}

/// A key, and where it has been written together with its value.
struct Member<'a> {
    key: Cow<'a, str>,
    written: Range<usize>,
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
            b'"' => self.string().map(drop),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<(), NotCanonical> {
        let end = scalar_end(self.text.as_bytes(), self.at).ok_or(NOT_JSON)?;
        let raw = self.text.get(self.at..end).ok_or(NOT_JSON)?;
        self.at = end;
        if let Some(number) = plain_number(raw) {
            self.out.push_str(number);
            return Ok(());
        }
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
        let first = self.members.len();
        self.skip_space();
        if !self.take(b'}') {
            loop {
                self.member(depth)?;
                self.skip_space();
                if self.take(b'}') {
                    break;
                }
                self.expect(b',')?;
                self.out.push(',');
            }
        }
        self.put_in_order(first)?;
        self.members.truncate(first);
        self.out.push('}');
        Ok(())
    }

    fn member(&mut self, depth: usize) -> Result<(), NotCanonical> {
        self.skip_space();
        let start = self.out.len();
        let key = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        self.out.push(':');
        self.value(depth + 1)?;
        self.members.push(Member { key, written: start..self.out.len() });
        Ok(())
    }

    /// Puts the members of the innermost object in the order of their keys.
    fn put_in_order(&mut self, first: usize) -> Result<(), NotCanonical> {
        let members = self.members.get_mut(first..).unwrap_or_default();
        let in_order = |pair: &[Member<'_>]| matches!(pair, [left, right] if left.key < right.key);
        let Some(start) = members.first().map(|member| member.written.start) else {
            return Ok(());
        };
        if members.windows(2).all(in_order) {
            return Ok(());
        }
        members.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        if !members.windows(2).all(in_order) {
            return Err(NotCanonical("an object has the same key twice"));
        }
        self.moved.clear();
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                self.moved.push(',');
            }
            self.moved.push_str(self.out.get(member.written.clone()).unwrap_or_default());
        }
        self.out.truncate(start);
        self.out.push_str(&self.moved);
        Ok(())
    }

    /// Reads and writes a string; one without escapes is canonical as it is.
    fn string(&mut self) -> Result<Cow<'a, str>, NotCanonical> {
        let end = string_end(self.text.as_bytes(), self.at).ok_or(NOT_JSON)?;
        let whole = self.text.get(self.at..end).ok_or(NOT_JSON)?;
        let inside = RawText(self.text.get(self.at + 1..end - 1).ok_or(NOT_JSON)?);
        self.at = end;
        let text = inside.resolved();
        match &text {
            Cow::Borrowed(_) => self.out.push_str(whole),
            Cow::Owned(text) => write_text(&mut self.out, text),
        }
        Ok(text)
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

/// The canonical form of a short number without an exponent: itself, without zeros at the end of its fraction.
fn plain_number(raw: &str) -> Option<&str> {
    let digits = raw.strip_prefix('-').unwrap_or(raw).as_bytes();
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (digits.get(..point)?, digits.get(point + 1..)?),
        None => (digits, b"0".as_slice()),
    };
    let well_formed = matches!(whole, [b'0'] | [b'1'..=b'9', ..]) && !fraction.is_empty();
    let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    if !well_formed || !all_digits || digits.len() > SHORT_NUMBER {
        return None;
    }
    let short = if raw.contains('.') { raw.trim_end_matches('0').trim_end_matches('.') } else { raw };
    Some(if short == "-0" { "0" } else { short })
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
