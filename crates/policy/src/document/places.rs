//! Places in a YAML text.

use std::ops::Range;

use saphyr_parser::Span;

/// Turns the parser's lines and columns into bytes.
pub(super) struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The last answer: line, column and byte. Most questions are a little further on the same line.
    last: (usize, usize, usize),
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str, skipped: usize) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![skipped];
        for (at, byte) in bytes.iter().enumerate() {
            let ends_line = *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
            if ends_line {
                starts.push(at + 1);
            }
        }
        Self { text, starts, last: (0, 0, 0) }
    }

    pub(super) fn range(&mut self, span: Span) -> Range<usize> {
        let start = self.offset(span.start.line(), span.start.col());
        start..self.offset(span.end.line(), span.end.col()).max(start)
    }

    pub(super) fn offset(&mut self, line: usize, column: usize) -> usize {
        let Some(line_start) = self.starts.get(line.saturating_sub(1)) else {
            return self.text.len();
        };
        let (passed, start) = match self.last {
            (known_line, known_column, at) if known_line == line && known_column <= column => (known_column, at),
            _ => (0, *line_start),
        };
        let rest = self.text.get(start..).unwrap_or_default();
        let at = rest.char_indices().nth(column - passed).map_or(self.text.len(), |(at, _)| start + at);
        self.last = (line, column, at);
        at
    }
}
