//! Reads `toolgate.yaml`: servers, policies and grants, with every problem of it at once.
//!
//! A [`Config`] is whole: its references resolve, its secrets are filled in, and its policies are
//! checked. What cannot be used is reported as a list of [`FileProblem`]s, each with its place and
//! its remedy; nothing is guessed and nothing fails open. The environment is an argument.

mod amounts;
mod grants;
mod http_server;
mod model;
mod policies;
mod problem;
mod reader;
mod secret;
mod servers;
mod settings;
mod substitute;
mod suggest;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::document::{self, Entry, Format, Node, NodeKind};
use policy::{Problem, Severity};

pub use grants::is_label;
pub use model::{
    Access, Bounds, ChildServer, Config, DEFAULT_DATA_DIR, DEFAULT_LISTEN, FailMode, GrantConfig, HttpServer,
    LedgerStore, PolicyConfig, PolicyOrigin, ServerConfig, ServerKind, Timeouts,
};
pub use policies::is_policy_name;
pub use problem::{FileProblem, Source};
pub use secret::Secret;

use reader::{Fields, Place, Reader, read_bounded};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

const FIELDS: [&str; 11] = [
    "listen",
    "data_dir",
    "ledger",
    "servers",
    "policies",
    "grants",
    "timeouts",
    "bounds",
    "allowed_origins",
    "allowed_hosts",
    "fail_mode",
];

/// A configuration that can be used, and what is doubtful about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings, in the order of the text.
    pub warnings: Vec<FileProblem>,
}

impl Config {
    /// Reads the configuration in `file`.
    ///
    /// # Errors
    ///
    /// All problems of the file and of the policies that it names, warnings included. A file that
    /// cannot be read is one problem, without a text to point into.
    pub fn load(file: &Path, environment: Environment<'_>) -> Result<Loaded, Vec<FileProblem>> {
        let text = read_bounded(file).map_err(|why| vec![unreadable(file, &why)])?;
        let format = Format::of_file_name(&file.to_string_lossy());
        Self::parse(&text, format, file, &directory_of(file), environment)
    }

    /// Reads a configuration from `text`, which stands in `file`; paths in it start at
    /// `base_dir`.
    ///
    /// # Errors
    ///
    /// All problems of the text and of the policies that it names, warnings included.
    pub fn parse(
        text: &str,
        format: Format,
        file: &Path,
        base_dir: &Path,
        environment: Environment<'_>,
    ) -> Result<Loaded, Vec<FileProblem>> {
        let source = Arc::new(Source { file: file.to_owned(), text: text.to_owned() });
        let in_source = |problem| FileProblem { source: Arc::clone(&source), problem };
        let document = document::parse(text, format)
            .map_err(|problems| problems.into_iter().map(in_source).collect::<Vec<_>>())?;
        let problems = document.problems.into_iter().map(in_source).collect();
        let files = vec![file.to_owned()];
        let mut reader = Reader { source: Arc::clone(&source), base_dir, environment, problems, files };
        let config = read_config(&mut reader, &document.root);
        let problems = in_order(reader.problems, &source);
        match config {
            Some(config) if !problems.iter().any(FileProblem::is_error) => {
                let config = Self { files: reader.files, ..config };
                Ok(Loaded { config, warnings: problems })
            }
            _ => Err(problems),
        }
    }
}

/// Whether a document is a configuration, and not a policy, by what its outermost object has.
#[must_use]
pub fn is_configuration(root: &Node) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| root.get(name).is_some());
    has(&["servers", "policies", "grants", "listen", "data_dir", "ledger", "timeouts", "bounds"])
        && !has(&["version", "default", "tools"])
}

fn read_config(reader: &mut Reader<'_>, root: &Node) -> Option<Config> {
    let empty = Node { kind: NodeKind::Map(Vec::<Entry>::new()), span: root.span.clone() };
    let root = if matches!(root.kind, NodeKind::Null) { &empty } else { root };
    let fields = reader.fields(&Place::root(root), "the configuration", &FIELDS)?;
    let mut config = Config::default();
    read_settings(reader, &fields, &mut config);
    let call_timeout = config.timeouts.call;
    if let Some(at) = fields.get("servers") {
        config.servers = servers::read(reader, &at, call_timeout);
    }
    if let Some(at) = fields.get("policies") {
        config.policies = policies::read(reader, &at);
    }
    if let Some(at) = fields.get("grants") {
        let known = grants::Known { servers: names(root.get("servers")), policies: names(root.get("policies")) };
        config.grants = grants::read(reader, &at, &known);
    }
    if !fields.has("servers") {
        let message = "this configuration has no `servers`".to_owned();
        let help = "add `servers: { NAME: { command: … } }`, or `servers: {}` for none";
        reader.warning(&fields.place, message, help);
    }
    Some(config)
}

fn read_settings(reader: &mut Reader<'_>, fields: &Fields<'_>, config: &mut Config) {
    if let Some(address) = fields.get("listen").and_then(|at| settings::listen(reader, &at)) {
        config.listen = address;
    }
    let data_dir = fields.get("data_dir").and_then(|at| reader.filled(&at, "`data_dir`"));
    config.data_dir = reader.resolve(data_dir.as_deref().unwrap_or(DEFAULT_DATA_DIR));
    if let Some(store) = fields.get("ledger").and_then(|at| settings::ledger(reader, &at)) {
        config.ledger = store;
    }
    if let Some(mode) = fields.get("fail_mode").and_then(|at| settings::fail_mode(reader, &at)) {
        config.fail_mode = mode;
    }
    if let Some(at) = fields.get("timeouts") {
        config.timeouts = settings::timeouts(reader, &at);
    }
    if let Some(at) = fields.get("bounds") {
        config.bounds = settings::bounds(reader, &at);
    }
    if let Some(at) = fields.get("allowed_origins") {
        config.allowed_origins = settings::origins(reader, &at);
    }
    if let Some(at) = fields.get("allowed_hosts") {
        config.allowed_hosts = settings::hosts(reader, &at);
    } else if let Some(at) = fields.get("listen").filter(|_| config.listen.ip().is_unspecified()) {
        let message = "this listens on all addresses, but only requests to `localhost` are accepted".to_owned();
        let help = "add the names that agents use: `allowed_hosts: [gate.example.com]`";
        reader.warning(&at, message, help);
    }
}

fn names(section: Option<&Node>) -> Vec<&str> {
    let entries = section.and_then(Node::as_map).unwrap_or_default();
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

/// The configuration's own problems in the order of its text, then those of each policy's file;
/// what two readers both saw is kept once.
fn in_order(mut problems: Vec<FileProblem>, own: &Arc<Source>) -> Vec<FileProblem> {
    let mut seen = BTreeSet::new();
    problems.retain(|one| {
        let problem = &one.problem;
        seen.insert((one.source.file.clone(), problem.pointer.clone(), problem.span.start, problem.message.clone()))
    });
    problems.sort_by_key(|one| (one.source.file != own.file, one.source.file.clone(), one.problem.span.start));
    problems
}

fn unreadable(file: &Path, why: &str) -> FileProblem {
    let problem = Problem {
        severity: Severity::Error,
        pointer: String::new(),
        message: format!("could not read `{}`: {why}", file.display()),
        help: "name a configuration file with `-c FILE`".to_owned(),
        span: 0..0,
        line: 1,
        column: 1,
    };
    FileProblem { source: Arc::new(Source { file: file.to_owned(), text: String::new() }), problem }
}

/// The directory that a file stands in, absolute where the machine can tell.
fn directory_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// What the command line says in place of the file, also after the file was edited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// In place of `listen`.
    pub listen: Option<SocketAddr>,
    /// In place of `data_dir`.
    pub data_dir: Option<PathBuf>,
}

impl Config {
    /// The configuration with `overrides` in force.
    #[must_use]
    pub fn overridden(self, overrides: &Overrides) -> Self {
        Self {
            listen: overrides.listen.unwrap_or(self.listen),
            data_dir: overrides.data_dir.clone().unwrap_or(self.data_dir),
            ..self
        }
    }
}

/// Finds the data directory that a configuration names, whatever else is wrong with it.
///
/// # Errors
///
/// A sentence, if the file cannot be read, is not a configuration, or its `data_dir` cannot be
/// filled in.
pub fn data_dir_of(file: &Path, environment: Environment<'_>) -> Result<PathBuf, String> {
    let name = file.display();
    let text = read_bounded(file).map_err(|why| format!("could not read `{name}`: {why}"))?;
    let document = document::parse(&text, Format::of_file_name(&file.to_string_lossy()))
        .map_err(|_| format!("`{name}` cannot be read: `toolgate check {name}` says why"))?;
    let base_dir = directory_of(file);
    let Some(written) = document.root.get("data_dir").and_then(Node::as_str) else {
        return Ok(base_dir.join(DEFAULT_DATA_DIR));
    };
    let no_files = &mut |path: &str| Err(format!("`data_dir` cannot be read from `{path}`"));
    let filled = substitute::substitute(written, environment, no_files)
        .map_err(|unfilled| unfilled.into_iter().map(|one| one.message).collect::<Vec<_>>().join("; "))?;
    Ok(base_dir.join(filled))
}
