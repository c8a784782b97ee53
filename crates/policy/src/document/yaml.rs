//! Reads YAML 1.2 (core schema) into a tree with spans.
//!
//! What other readers quietly turn into something else is a problem here: octal and hexadecimal numbers, numbers with
//! leading zeros, infinities, merge keys, keys that are not text. Aliases are written out, within [`MAX_NODES`].

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Entry, MAX_DEPTH, MAX_NODES, Node, NodeKind, Pointer, json};
use crate::problem::{Lines, Problem, Severity};

/// The text cannot be read any further.
struct Stop {
    span: Range<usize>,
    message: String,
    help: &'static str,
}

struct Anchor {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// A node, how many nodes it consists of and how deep it is.
type Built = (Node, usize, usize);

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    places: Places<'a>,
    lines: &'a Lines<'a>,
    anchors: HashMap<usize, Anchor>,
    nodes: usize,
    problems: Vec<Problem>,
}

pub(super) fn read(text: &str, lines: &Lines<'_>) -> Result<(Node, Vec<Problem>), Vec<Problem>> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(body),
        places: Places::new(text, text.len() - body.len()),
        lines,
        anchors: HashMap::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    match reader.stream() {
        Ok(root) => Ok((root, reader.problems)),
        Err(stop) => {
            let message = format!("not valid YAML: {}", stop.message);
            let mut problems = reader.problems;
            problems.push(lines.problem(
                Severity::Error,
                String::new(),
                stop.span,
                message,
                stop.help.to_owned(),
            ));
            Err(problems)
        }
    }
}

impl<'a> Reader<'a> {
    fn stream(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                _ if root.is_some() => {
                    return Err(Stop {
                        span,
                        message: "there is a second document".to_owned(),
                        help: "keep one document per file, and remove the `---` between them",
                    });
                }
                event => root = Some(self.node(event, span, &Pointer::root(), 0)?.0),
            }
        }
        Ok(root.unwrap_or(Node {
            kind: NodeKind::Null,
            span: 0..0,
        }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.places.range(span))),
            Some(Err(error)) => {
                let at = self
                    .places
                    .offset(error.marker().line(), error.marker().col());
                Err(Stop {
                    span: at..at,
                    message: error.info().to_owned(),
                    help: "check indentation, quotes and brackets around here",
                })
            }
            None => Ok((Event::StreamEnd, 0..0)),
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        span: Range<usize>,
        at: &Pointer,
        depth: usize,
    ) -> Result<Built, Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop {
                span,
                message: format!("it is nested more than {MAX_DEPTH} deep"),
                help: "make it flatter",
            });
        }
        self.count(1, &span)?;
        let (built, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = self.scalar(&text, style, tag.as_deref(), &span, at);
                ((Node { kind, span }, 1, 0), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", &span, at);
                (self.list(span, at, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", &span, at);
                (self.map(span, at, depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                return Err(Stop {
                    span,
                    message: "a value is missing here".to_owned(),
                    help: "write one",
                });
            }
        };
        if anchor != 0 {
            let (node, nodes, depth) = (built.0.clone(), built.1, built.2);
            self.anchors.insert(anchor, Anchor { node, nodes, depth });
        }
        Ok(built)
    }

    fn list(&mut self, span: Range<usize>, at: &Pointer, depth: usize) -> Result<Built, Stop> {
        let (mut members, mut nodes, mut height, mut end) = (Vec::new(), 1, 0, span.end);
        loop {
            let (event, here) = self.next()?;
            if event == Event::SequenceEnd {
                end = end.max(closing(&here, end));
                return Ok((
                    Node {
                        kind: NodeKind::List(members),
                        span: span.start..end,
                    },
                    nodes,
                    height,
                ));
            }
            let (member, size, depth_below) =
                self.node(event, here, &at.index(members.len()), depth + 1)?;
            (nodes, height) = (nodes + size, height.max(depth_below + 1));
            end = end.max(member.span.end);
            members.push(member);
        }
    }

    fn map(&mut self, span: Range<usize>, at: &Pointer, depth: usize) -> Result<Built, Stop> {
        let (mut entries, mut nodes, mut height, mut end) = (Vec::new(), 1, 0, span.end);
        loop {
            let (event, key_span) = self.next()?;
            if event == Event::MappingEnd {
                end = end.max(closing(&key_span, end));
                return Ok((
                    Node {
                        kind: NodeKind::Map(entries),
                        span: span.start..end,
                    },
                    nodes,
                    height,
                ));
            }
            let key = self.key(event, &key_span, at, depth)?;
            let (event, here) = self.next()?;
            let here = if here.is_empty() {
                key_span.end..key_span.end
            } else {
                here
            };
            let below = key.as_deref().map_or_else(|| at.clone(), |key| at.key(key));
            let (value, size, depth_below) = self.node(event, here, &below, depth + 1)?;
            (nodes, height) = (nodes + size, height.max(depth_below + 1));
            end = end.max(value.span.end).max(key_span.end);
            if let Some(key) = key {
                entries.push(Entry {
                    key,
                    key_span,
                    value,
                });
            }
        }
    }

    /// The text of a key; nothing, after a problem, if the entry must not be read.
    fn key(
        &mut self,
        event: Event<'a>,
        span: &Range<usize>,
        at: &Pointer,
        depth: usize,
    ) -> Result<Option<String>, Stop> {
        match event {
            Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<" => {
                self.problem(
                    at.key("<<"),
                    span,
                    "merge keys (`<<`) are not supported",
                    "write the fields out, or quote the key if it is a name",
                );
                Ok(None)
            }
            Event::Scalar(text, ScalarStyle::Plain, _, None) if text.is_empty() => {
                self.problem(
                    at.clone(),
                    span,
                    "a key is empty",
                    "write a name before the `:`",
                );
                Ok(None)
            }
            Event::Scalar(text, _, _, tag) => {
                self.refuse_tag(tag.as_deref(), "str", span, at);
                self.count(1, span)?;
                Ok(Some(text.into_owned()))
            }
            other => {
                self.problem(
                    at.clone(),
                    span,
                    "a key is not plain text",
                    "write it as text",
                );
                if matches!(other, Event::SequenceStart(..) | Event::MappingStart(..)) {
                    self.node(other, span.clone(), at, depth + 1)?;
                }
                Ok(None)
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Range<usize>, depth: usize) -> Result<Built, Stop> {
        let Some(Anchor {
            node,
            nodes,
            depth: below,
        }) = self.anchors.get(&anchor)
        else {
            return Err(Stop {
                span,
                message: "an alias stands inside of what it refers to".to_owned(),
                help: "write the value out",
            });
        };
        let (nodes, below) = (*nodes, *below);
        if depth + below > MAX_DEPTH {
            return Err(Stop {
                span,
                message: format!("it is nested more than {MAX_DEPTH} deep"),
                help: "make it flatter",
            });
        }
        let node = node.clone();
        self.count(nodes, &span)?;
        Ok((node, nodes, below))
    }

    fn count(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(Stop {
                span: span.clone(),
                message: format!(
                    "with its aliases written out the document has more than {MAX_NODES} values"
                ),
                help: "use fewer aliases",
            });
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Range<usize>,
        at: &Pointer,
    ) -> NodeKind {
        let quoted = style != ScalarStyle::Plain;
        if tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str") || quoted {
            self.refuse_tag(tag, "str", span, at);
            return NodeKind::String(text.to_owned());
        }
        self.refuse_tag(tag, "str", span, at);
        match plain(text) {
            Plain::Value(kind) => {
                if let NodeKind::String(word) = &kind {
                    self.warn_about_word(word, span, at);
                }
                kind
            }
            Plain::Refused(message) => {
                self.problem(
                    at.clone(),
                    span,
                    &format!("`{text}` {message}"),
                    "write it as a plain decimal number, or in quotes if it is text",
                );
                NodeKind::Number("0".to_owned())
            }
        }
    }

    fn warn_about_word(&mut self, word: &str, span: &Range<usize>, at: &Pointer) {
        let old = ["yes", "no", "on", "off"]
            .iter()
            .any(|old| old.eq_ignore_ascii_case(word));
        if old {
            let message = format!("`{word}` without quotes is text in YAML 1.2, not true or false");
            let help = format!("write `true` or `false`, or `\"{word}\"` if text is meant");
            self.problems.push(self.lines.problem(
                Severity::Warning,
                at.as_str().to_owned(),
                span.clone(),
                message,
                help,
            ));
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, fitting: &str, span: &Range<usize>, at: &Pointer) {
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == fitting)) {
            let message = format!(
                "the YAML tag `{}{}` is not supported here",
                tag.handle, tag.suffix
            );
            self.problem(at.clone(), span, &message, "remove the tag");
        }
    }

    fn problem(&mut self, at: Pointer, span: &Range<usize>, message: &str, help: &str) {
        let pointer = at.as_str().to_owned();
        self.problems.push(self.lines.problem(
            Severity::Error,
            pointer,
            span.clone(),
            message.to_owned(),
            help.to_owned(),
        ));
    }
}

/// The end of a collection: its closing bracket, or for block style, which has none, what ended before it.
fn closing(end_event: &Range<usize>, so_far: usize) -> usize {
    if end_event.is_empty() {
        so_far
    } else {
        end_event.end
    }
}

enum Plain {
    Value(NodeKind),
    Refused(&'static str),
}

/// What a plain scalar is by the core schema.
fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(NodeKind::Null),
        "true" | "True" | "TRUE" => return Plain::Value(NodeKind::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Value(NodeKind::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Plain::Refused("is not a number"),
        _ => {}
    }
    let (sign, size) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..).unwrap_or_default()),
        Some(b'+') => ("", text.get(1..).unwrap_or_default()),
        _ => ("", text),
    };
    if matches!(size, ".inf" | ".Inf" | ".INF") {
        return Plain::Refused("is not a finite number");
    }
    let based = |prefix, digit: fn(&u8) -> bool| {
        text.strip_prefix(prefix)
            .is_some_and(|digits: &str| !digits.is_empty() && digits.as_bytes().iter().all(digit))
    };
    if based("0o", |byte| matches!(byte, b'0'..=b'7')) || based("0x", u8::is_ascii_hexdigit) {
        return Plain::Refused("is an octal or hexadecimal number");
    }
    match decimal(size) {
        Some(number) if json::is_number(&number) => {
            Plain::Value(NodeKind::Number(format!("{sign}{number}")))
        }
        Some(_) => Plain::Refused("has leading zeros, which some readers take for octal"),
        None => Plain::Value(NodeKind::String(text.to_owned())),
    }
}

/// An unsigned decimal number of the core schema as JSON would write it, but for leading zeros.
fn decimal(text: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at_checked(digits(text))?;
    let (fraction, exponent) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(digits(rest))?,
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if let Some(power) = exponent.strip_prefix(['e', 'E']) {
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        if power.is_empty() || digits(power) != power.len() {
            return None;
        }
    } else if !exponent.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{whole}{point}{fraction}{exponent}"))
}

/// Turns the parser's lines and columns into bytes.
struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The last answer: line, column and byte. Most questions are a little further on the same line.
    last: (usize, usize, usize),
}

impl<'a> Places<'a> {
    fn new(text: &'a str, skipped: usize) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![skipped];
        for (at, byte) in bytes.iter().enumerate() {
            let ends_line = *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
            if ends_line {
                starts.push(at + 1);
            }
        }
        Self {
            text,
            starts,
            last: (0, 0, 0),
        }
    }

    fn range(&mut self, span: Span) -> Range<usize> {
        let start = self.offset(span.start.line(), span.start.col());
        start..self.offset(span.end.line(), span.end.col()).max(start)
    }

    fn offset(&mut self, line: usize, column: usize) -> usize {
        let Some(line_start) = self.starts.get(line.saturating_sub(1)) else {
            return self.text.len();
        };
        let (passed, start) = match self.last {
            (known_line, known_column, at) if known_line == line && known_column <= column => {
                (known_column, at)
            }
            _ => (0, *line_start),
        };
        let rest = self.text.get(start..).unwrap_or_default();
        let at = rest
            .char_indices()
            .nth(column - passed)
            .map_or(self.text.len(), |(at, _)| start + at);
        self.last = (line, column, at);
        at
    }
}
