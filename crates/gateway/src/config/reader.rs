//! Walks the document and collects what is wrong with it.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::document::{Entry, Node, NodeKind, Pointer};
use policy::{Problem, Severity};

use super::problem::{FileProblem, Source};
use super::substitute::substitute;
use super::{Environment, suggest};

/// The largest document or secret file that is read.
pub(super) const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A node, the place of its key if it has one, and the pointer that names it.
#[derive(Debug, Clone)]
pub(super) struct Place<'n> {
    pub(super) node: &'n Node,
    pub(super) key_span: Option<Range<usize>>,
    pub(super) pointer: Pointer,
}

impl<'n> Place<'n> {
    pub(super) fn root(node: &'n Node) -> Self {
        Self { node, key_span: None, pointer: Pointer::root() }
    }

    pub(super) fn entry(&self, entry: &'n Entry) -> Self {
        Self { node: &entry.value, key_span: Some(entry.key_span.clone()), pointer: self.pointer.key(&entry.key) }
    }

    fn item(&self, index: usize, node: &'n Node) -> Self {
        Self { node, key_span: None, pointer: self.pointer.index(index) }
    }

    /// What to underline when the element is meant as a whole: its key rather than all its lines.
    fn head(&self) -> Range<usize> {
        match (&self.node.kind, &self.key_span) {
            (NodeKind::Map(_) | NodeKind::List(_) | NodeKind::Null, Some(key)) => key.clone(),
            _ => self.node.span.clone(),
        }
    }
}

/// The fields of a map whose names have been checked.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    pub(super) place: Place<'n>,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, name: &str) -> Option<Place<'n>> {
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        Some(self.place.entry(entry))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name)
    }
}

/// Collects problems while a document is read.
pub(super) struct Reader<'a> {
    pub(super) source: Arc<Source>,
    pub(super) base_dir: &'a Path,
    pub(super) environment: Environment<'a>,
    pub(super) problems: Vec<FileProblem>,
    /// Every other file that was looked at, present or not.
    pub(super) files: Vec<PathBuf>,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, place: &Place<'_>, message: String, help: impl Into<String>) {
        self.report(Severity::Error, place.head(), &place.pointer, message, help.into());
    }

    pub(super) fn warning(&mut self, place: &Place<'_>, message: String, help: impl Into<String>) {
        self.report(Severity::Warning, place.head(), &place.pointer, message, help.into());
    }

    fn error_at_key(&mut self, place: &Place<'_>, message: String, help: String) {
        let span = place.key_span.clone().unwrap_or_else(|| place.node.span.clone());
        self.report(Severity::Error, span, &place.pointer, message, help);
    }

    fn report(&mut self, severity: Severity, span: Range<usize>, pointer: &Pointer, message: String, help: String) {
        let (line, column) = line_and_column(&self.source.text, span.start);
        let pointer = pointer.as_str().to_owned();
        let problem = Problem { severity, pointer, message, help, span, line, column };
        self.problems.push(FileProblem { source: Arc::clone(&self.source), problem });
    }

    /// The entries of a map; anything else is a problem.
    pub(super) fn map<'n>(&mut self, place: &Place<'n>, what: &str) -> Option<&'n [Entry]> {
        if let NodeKind::Map(entries) = &place.node.kind {
            return Some(entries);
        }
        let found = place.node.kind_name();
        self.error(place, format!("{what} must be an object, not {found}"), "write `name: value` pairs");
        None
    }

    /// The fields of a map, each of which must be one of `known`.
    pub(super) fn fields<'n>(&mut self, place: &Place<'n>, what: &str, known: &[&str]) -> Option<Fields<'n>> {
        let entries = self.map(place, what)?;
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("unknown field `{}` of {what}", entry.key);
                let help = suggest::instead_of(&entry.key, known, "the fields are");
                self.error_at_key(&place.entry(entry), message, help);
            }
        }
        Some(Fields { place: place.clone(), entries })
    }

    /// The items of a list; anything else is a problem.
    pub(super) fn list<'n>(&mut self, place: &Place<'n>, what: &str, help: &str) -> Option<Vec<Place<'n>>> {
        if let NodeKind::List(items) = &place.node.kind {
            return Some(items.iter().enumerate().map(|(index, item)| place.item(index, item)).collect());
        }
        let found = place.node.kind_name();
        self.error(place, format!("{what} must be a list, not {found}"), help);
        None
    }

    /// A string as it is written.
    pub(super) fn text<'n>(&mut self, place: &Place<'n>, what: &str) -> Option<&'n str> {
        if let NodeKind::String(text) = &place.node.kind {
            return Some(text);
        }
        let found = place.node.kind_name();
        let help = match &place.node.kind {
            NodeKind::Number(written) => format!("put it in quotes: `\"{written}\"`"),
            NodeKind::Bool(value) => format!("put it in quotes: `\"{value}\"`"),
            NodeKind::Null => "write a value, or leave the field out".to_owned(),
            NodeKind::String(_) | NodeKind::List(_) | NodeKind::Map(_) => "write one piece of text".to_owned(),
        };
        self.error(place, format!("{what} must be a string, not {found}"), help);
        None
    }

    /// A string with `${NAME}` and `${file:PATH}` filled in.
    pub(super) fn filled(&mut self, place: &Place<'_>, what: &str) -> Option<String> {
        let text = self.text(place, what)?;
        let result = substitute(text, self.environment, &mut |path| self.read_secret(path));
        match result {
            Ok(filled) => Some(filled),
            Err(unfilled) => {
                for unfilled in unfilled {
                    self.error(place, format!("{what}: {}", unfilled.message), unfilled.help);
                }
                None
            }
        }
    }

    /// A string that may be a credential: as [`Reader::filled`], or the content of `file:PATH`.
    pub(super) fn secret(&mut self, place: &Place<'_>, what: &str) -> Option<String> {
        let text = self.text(place, what)?;
        let Some(path) = text.strip_prefix("file:").filter(|path| !path.starts_with("//")) else {
            return self.filled(place, what);
        };
        match self.read_secret(path) {
            Ok(content) => Some(content),
            Err(why) => {
                let help = "name a file that this user can read; relative paths start at the configuration's directory";
                self.error(place, format!("{what}: {why}"), help);
                None
            }
        }
    }

    fn read_secret(&mut self, path: &str) -> Result<String, String> {
        let file = self.resolve(path);
        let content = read_bounded(&file).map_err(|why| format!("could not read `{path}`: {why}"))?;
        self.remember(file);
        Ok(content.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Makes `path` absolute against the configuration's directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let path = path.strip_prefix("./").unwrap_or(path);
        self.base_dir.join(path)
    }

    pub(super) fn remember(&mut self, file: PathBuf) {
        if !self.files.contains(&file) {
            self.files.push(file);
        }
    }
}

/// Why files usually cannot be read, in words.
const READING_FAILS: [(ErrorKind, &str); 4] = [
    (ErrorKind::NotFound, "there is no such file"),
    (ErrorKind::PermissionDenied, "this user may not read it"),
    (ErrorKind::IsADirectory, "it is a directory"),
    (ErrorKind::InvalidData, "it is not UTF-8 text"),
];

/// Reads a text file that is not larger than [`MAX_FILE_BYTES`].
pub(super) fn read_bounded(file: &Path) -> Result<String, String> {
    let say = |error: std::io::Error| {
        let known = READING_FAILS.iter().find(|(kind, _)| *kind == error.kind());
        known.map_or_else(|| error.to_string(), |(_, why)| (*why).to_owned())
    };
    let length = std::fs::metadata(file).map_err(say)?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!("it has {length} bytes, and at most {MAX_FILE_BYTES} are read"));
    }
    std::fs::read_to_string(file).map_err(say)
}

/// The line and the column, in characters, of the byte `offset`; both from 1.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
