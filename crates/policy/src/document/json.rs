//! Reads JSON (RFC 8259) into a tree with spans, strictly.

use super::{Entry, MAX_DEPTH, Node, NodeKind};
use crate::problem::{Lines, Problem, Severity};

/// Where reading stopped, and why.
struct Stop {
    at: usize,
    message: String,
    help: &'static str,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

pub(super) fn read(text: &str, lines: &Lines<'_>) -> Result<Node, Vec<Problem>> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    reader.document().map_err(|stop| {
        let end =
            text.get(stop.at..).and_then(|rest| rest.chars().next()).map_or(stop.at, |next| stop.at + next.len_utf8());
        let message = format!("not valid JSON: {}", stop.message);
        vec![lines.problem(Severity::Error, String::new(), stop.at..end, message, stop.help.to_owned())]
    })
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node, Stop> {
        self.skip_space();
        let root = self.value()?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.stop("there is more text after the end of the document", "remove it"));
        }
        Ok(root)
    }

    fn value(&mut self) -> Result<Node, Stop> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => NodeKind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", NodeKind::Bool(true))?,
            Some(b'f') => self.word("false", NodeKind::Bool(false))?,
            Some(b'n') => self.word("null", NodeKind::Null)?,
            Some(b'\'') => {
                return Err(self.stop("text stands in single quotes", "use double quotes"));
            }
            Some(b'/' | b'#') => {
                return Err(self.stop("JSON has no comments", "remove the comment, or write the document in YAML"));
            }
            Some(b'}' | b']' | b',' | b':') => {
                return Err(self.stop("a value is missing here", "write one, or remove the comma before it"));
            }
            Some(_) => return Err(self.stop("this is no value", "put text in double quotes")),
            None => {
                return Err(self.stop("the document ends where a value should be", "complete it"));
            }
        };
        Ok(Node { kind, span: start..self.at })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<NodeKind, Stop>) -> Result<NodeKind, Stop> {
        if self.depth == MAX_DEPTH {
            return Err(self.stop(&format!("it is nested more than {MAX_DEPTH} deep"), "make it flatter"));
        }
        self.depth += 1;
        self.at += 1;
        let kind = read(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<NodeKind, Stop> {
        let mut entries = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(NodeKind::Map(entries));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(
                    self.stop("a key in double quotes is missing here", "write one, or remove the comma before it")
                );
            }
            let start = self.at;
            let key = self.string()?;
            let key_span = start..self.at;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.stop("a `:` is missing after the key", "write `\"key\": value`"));
            }
            self.skip_space();
            entries.push(Entry { key, key_span, value: self.value()? });
            self.skip_space();
            if self.take(b'}') {
                return Ok(NodeKind::Map(entries));
            }
            if !self.take(b',') {
                return Err(
                    self.stop("a `,` or `}` is missing here", "separate entries by `,` and close the object with `}`")
                );
            }
        }
    }

    fn list(&mut self) -> Result<NodeKind, Stop> {
        let mut members = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(NodeKind::List(members));
        }
        loop {
            self.skip_space();
            members.push(self.value()?);
            self.skip_space();
            if self.take(b']') {
                return Ok(NodeKind::List(members));
            }
            if !self.take(b',') {
                return Err(
                    self.stop("a `,` or `]` is missing here", "separate members by `,` and close the list with `]`")
                );
            }
        }
    }

    fn string(&mut self) -> Result<String, Stop> {
        let opening = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => {
                    return Err(self.stop("text has a control character", "write it as an escape such as `\\n`"));
                }
                None => {
                    self.at = opening;
                    return Err(self.stop("text that begins here has no end", "close it with `\"`"));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Stop> {
        let start = self.at;
        let letter = self.text.as_bytes().get(start + 1).copied();
        self.at += 2;
        let plain = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => {
                self.at = start;
                return Err(self.stop("an escape is not one that JSON has", "write a backslash as `\\\\`"));
            }
        };
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Stop> {
        let decoded = self.hex().and_then(|unit| match unit {
            0xD800..=0xDBFF => {
                let paired = self.text.get(self.at..self.at + 2) == Some("\\u");
                self.at += 2;
                let low = if paired { self.hex() } else { None }?;
                let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                char::from_u32(0x10000 + ((unit - 0xD800) << 10) + low)
            }
            other => char::from_u32(other),
        });
        decoded.ok_or_else(|| {
            self.at = start;
            self.stop(
                "a `\\u` escape is not a character",
                "write four hexadecimal digits, and surrogates only in pairs",
            )
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<NodeKind, Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length =
            rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let text = rest.get(..length).unwrap_or_default();
        if !is_number(text) {
            return Err(
                self.stop(&format!("`{text}` is no number"), "write digits, without leading zeros or a leading `+`")
            );
        }
        self.at += length;
        Ok(NodeKind::Number(text.to_owned()))
    }

    fn word(&mut self, word: &str, kind: NodeKind) -> Result<NodeKind, Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if rest.get(..length) != Some(word) {
            return Err(self.stop("this is no value", "put text in double quotes"));
        }
        self.at += length;
        Ok(kind)
    }

    fn skip_space(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn stop(&self, message: &str, help: &'static str) -> Stop {
        Stop { at: self.at, message: message.to_owned(), help }
    }
}

/// Whether a text follows the grammar of JSON numbers, whatever its size.
pub(super) fn is_number(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix('.') {
        let places = digits(fraction);
        if places == 0 {
            return false;
        }
        rest = fraction.get(places..).unwrap_or_default();
    }
    match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        None => rest.is_empty(),
    }
}
