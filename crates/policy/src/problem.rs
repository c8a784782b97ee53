//! What is wrong with a document, and what to write instead.

use std::ops::Range;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, but probably does not do what its author thinks.
    Warning,
}

/// Something wrong with a document: where, what, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the document can be used all the same.
    pub severity: Severity,
    /// The JSON pointer of the value at fault; empty for the document as a whole.
    pub pointer: String,
    /// What is wrong, in one lowercase sentence that names the thing.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// The bytes of the document that are at fault.
    pub span: Range<usize>,
    /// The line on which the span starts, from 1.
    pub line: usize,
    /// The column at which the span starts, from 1, in characters.
    pub column: usize,
}

impl Problem {
    /// Whether the document cannot be used because of this.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error)
    }
}

/// Finds lines and columns in a text.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Self { text, starts }
    }

    /// The line and column of a byte, both from 1, the column in characters.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..at.min(self.text.len())).unwrap_or_default();
        // Every byte that does not continue a character begins one.
        let column = before.iter().filter(|byte| (**byte & 0xC0) != 0x80).count() + 1;
        (line, column)
    }

    pub(crate) fn problem(
        &self,
        severity: Severity,
        pointer: String,
        span: Range<usize>,
        message: String,
        help: String,
    ) -> Problem {
        let (line, column) = self.place(span.start);
        Problem { severity, pointer, message, help, span, line, column }
    }
}
