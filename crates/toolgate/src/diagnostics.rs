//! Draws problems as compilers do: the place, the pointer, what is wrong and what to write.

use std::io::{self, IsTerminal};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use gateway::api_types::DocumentProblem;
use gateway::config::FileProblem;
use policy::Severity;

use crate::output;

/// Draws all problems on standard error, in colour if it is a terminal.
pub(crate) fn draw(problems: &[FileProblem]) {
    let stream = io::stderr();
    let coloured = output::colours(&stream);
    for problem in problems {
        output::say(&drawn(problem, coloured, stream.is_terminal()));
        output::say("");
    }
}

/// A problem as a JSON object, with its file.
pub(crate) fn as_json(problem: &FileProblem) -> DocumentProblem {
    let file = Some(problem.source.file.display().to_string());
    DocumentProblem { file, ..DocumentProblem::from(&problem.problem) }
}

fn drawn(problem: &FileProblem, coloured: bool, terminal: bool) -> String {
    let level = match problem.problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(output::shown(&problem.problem.message));
    let help = output::shown(&problem.problem.help);
    let path = problem.source.file.display().to_string();
    let text = &problem.source.text;
    let mut groups = Vec::new();
    if text.is_empty() {
        groups.push(Group::with_title(title));
    } else {
        let span = visible(text, &problem.problem.span);
        let label = output::shown(&problem.problem.pointer);
        let annotation = AnnotationKind::Primary.span(span);
        let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
        groups.push(title.element(Snippet::source(text).path(path).annotation(annotation)));
    }
    if !help.is_empty() {
        groups.push(Group::with_title(Level::HELP.secondary_title(help)));
    }
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let renderer = if terminal { renderer } else { renderer.term_width(FILE_WIDTH) };
    renderer.render(&groups)
}

/// How wide lines may be where there is no terminal.
const FILE_WIDTH: usize = 160;

/// The part of a span that is worth underlining: its first line, within the text, on whole
/// characters, and at least one character if there is one.
fn visible(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = floor(text, span.start.min(text.len()));
    let end = floor(text, span.end.clamp(start, text.len()));
    let first_line = text.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
    let end = start + first_line.trim_end().len();
    if end > start {
        return start..end;
    }
    let next = text.get(start..).unwrap_or_default().chars().next();
    start..start + next.filter(|next| !next.is_control()).map_or(0, char::len_utf8)
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
