//! Reads YAML 1.2 (core schema) into a tree with spans.
//!
//! What other readers quietly turn into something else is a problem here: octal and hexadecimal numbers, numbers with
//! leading zeros, infinities, merge keys, keys that are not text. Aliases are written out, within [`MAX_NODES`].

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::places::Places;
use super::plain::{Plain, plain};
use super::{Entry, MAX_DEPTH, MAX_NODES, Node, NodeKind, Pointer};
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
            problems.push(lines.problem(Severity::Error, String::new(), stop.span, message, stop.help.to_owned()));
            Err(problems)
        }
    }
}

impl<'a> Reader<'a> {
    fn stream(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            if event == Event::StreamEnd {
                break;
            }
            let between =
                matches!(event, Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing);
            if between {
                continue;
            }
            if root.is_some() {
                return Err(Stop {
                    span,
                    message: "there is a second document".to_owned(),
                    help: "keep one document per file, and remove the `---` between them",
                });
            }
            root = Some(self.node(event, span, &Pointer::root(), 0)?.0);
        }
        Ok(root.unwrap_or(Node { kind: NodeKind::Null, span: 0..0 }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.places.range(span))),
            Some(Err(error)) => {
                let at = self.places.offset(error.marker().line(), error.marker().col());
                Err(Stop {
                    span: at..at,
                    message: error.info().to_owned(),
                    help: "check indentation, quotes and brackets around here",
                })
            }
            None => Ok((Event::StreamEnd, 0..0)),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Range<usize>, at: &Pointer, depth: usize) -> Result<Built, Stop> {
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
                return Err(Stop { span, message: "a value is missing here".to_owned(), help: "write one" });
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
                return Ok((Node { kind: NodeKind::List(members), span: span.start..end }, nodes, height));
            }
            let (member, size, depth_below) = self.node(event, here, &at.index(members.len()), depth + 1)?;
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
                return Ok((Node { kind: NodeKind::Map(entries), span: span.start..end }, nodes, height));
            }
            let key = self.key(event, &key_span, at, depth)?;
            let (event, here) = self.next()?;
            let here = if here.is_empty() { key_span.end..key_span.end } else { here };
            let below = key.as_deref().map_or_else(|| at.clone(), |key| at.key(key));
            let (value, size, depth_below) = self.node(event, here, &below, depth + 1)?;
            (nodes, height) = (nodes + size, height.max(depth_below + 1));
            end = end.max(value.span.end).max(key_span.end);
            if let Some(key) = key {
                entries.push(Entry { key, key_span, value });
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
                self.problem(at.clone(), span, "a key is empty", "write a name before the `:`");
                Ok(None)
            }
            Event::Scalar(text, _, _, tag) => {
                self.refuse_tag(tag.as_deref(), "str", span, at);
                self.count(1, span)?;
                Ok(Some(text.into_owned()))
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                self.problem(at.clone(), span, "a key is not plain text", "write it as text");
                self.node(event, span.clone(), at, depth + 1)?;
                Ok(None)
            }
            Event::Alias(_)
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                self.problem(at.clone(), span, "a key is not plain text", "write it as text");
                Ok(None)
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Range<usize>, depth: usize) -> Result<Built, Stop> {
        let Some(Anchor { node, nodes, depth: below }) = self.anchors.get(&anchor) else {
            return Err(Stop {
                span,
                message: "an alias refers to a key, or to what it stands in itself".to_owned(),
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
                message: format!("with its aliases written out the document has more than {MAX_NODES} values"),
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
        let old = ["yes", "no", "on", "off"].iter().any(|old| old.eq_ignore_ascii_case(word));
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
            let message = format!("the YAML tag `{}{}` is not supported here", tag.handle, tag.suffix);
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
    if end_event.is_empty() { so_far } else { end_event.end }
}
