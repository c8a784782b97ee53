//! `toolgate check`: are these policies and configurations fit for use?

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use gateway::config::{self, Config, FileProblem, Loaded, Source};
use policy::document::{self, Format};
use policy::{Checked, Policy, Problem};

use crate::diagnostics;
use crate::exit::Ended;
use crate::output::{Output, say};

/// Validate policies and configurations
///
/// A file is a configuration if it has fields such as `servers` or `grants`, and a policy otherwise. All problems of all files are shown, each with its place and what to write instead. Warnings do not make a file invalid.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Files to validate, JSON or YAML
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print problems as JSON objects, one a line, on standard output
    #[arg(long)]
    json: bool,
}

/// What a file turned out to be.
enum Kind {
    Policy { version: Option<String> },
    Configuration { servers: usize, policies: usize, grants: usize },
}

struct Report {
    kind: Kind,
    problems: Vec<FileProblem>,
}

impl Check {
    pub(crate) fn execute(self) -> anyhow::Result<Ended> {
        let mut out = Output::new();
        let mut found = false;
        let mut unreadable = 0;
        for file in &self.files {
            let text = match read(file) {
                Ok(text) => text,
                Err(why) => {
                    say(&format!("error: could not read `{}`: {why}", file.display()));
                    unreadable += 1;
                    continue;
                }
            };
            let report = check(file, &text);
            found |= report.problems.iter().any(FileProblem::is_error);
            self.show(&mut out, file, &report)?;
        }
        out.finish()?;
        if unreadable > 0 {
            anyhow::bail!("{unreadable} of {} files could not be read", self.files.len());
        }
        Ok(if found { Ended::Found } else { Ended::Fine })
    }

    fn show(&self, out: &mut Output, file: &Path, report: &Report) -> anyhow::Result<()> {
        if self.json {
            for problem in &report.problems {
                out.json(&diagnostics::as_json(problem))?;
            }
            return Ok(());
        }
        diagnostics::draw(&report.problems);
        out.line(&format!("{}: {}", file.display(), sentence(report)))?;
        out.flush()?;
        Ok(())
    }
}

/// Reads a file as text; the bytes themselves are the problem if they are not UTF-8.
fn read(file: &Path) -> Result<String, String> {
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    String::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 text (byte {} is wrong)", error.utf8_error().valid_up_to() + 1))
}

fn check(file: &Path, text: &str) -> Report {
    let format = Format::of_file_name(&file.to_string_lossy());
    let configuration = document::parse(text, format).is_ok_and(|document| config::is_configuration(&document.root));
    if configuration { check_configuration(file) } else { check_policy(file, text, format) }
}

fn check_configuration(file: &Path) -> Report {
    match Config::load(file, &|name| env::var(name).ok()) {
        Ok(Loaded { config, warnings }) => Report {
            kind: Kind::Configuration {
                servers: config.servers.len(),
                policies: config.policies.len(),
                grants: config.grants.len(),
            },
            problems: warnings,
        },
        Err(problems) => Report { kind: Kind::Configuration { servers: 0, policies: 0, grants: 0 }, problems },
    }
}

fn check_policy(file: &Path, text: &str, format: Format) -> Report {
    let (version, problems) = match Policy::parse(text, format) {
        Ok(Checked { policy, warnings }) => (Some(policy.version().to_owned()), warnings),
        Err(problems) => (None, problems),
    };
    Report { kind: Kind::Policy { version }, problems: in_file(file, text, problems) }
}

/// Problems of a policy, with the file that they stand in.
pub(super) fn in_file(file: &Path, text: &str, problems: Vec<Problem>) -> Vec<FileProblem> {
    let source = Arc::new(Source { file: file.to_owned(), text: text.to_owned() });
    let with_source = |problem| FileProblem { source: Arc::clone(&source), problem };
    problems.into_iter().map(with_source).collect()
}

fn sentence(report: &Report) -> String {
    let errors = report.problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = report.problems.len() - errors;
    let counted = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let warned = match warnings {
        0 => String::new(),
        _ => format!(", {}", counted(warnings, "warning", "warnings")),
    };
    if errors > 0 {
        return format!("{}{warned}", counted(errors, "error", "errors"));
    }
    match &report.kind {
        Kind::Policy { version } => {
            let version = version.as_deref().unwrap_or_default();
            format!("valid policy, version {version}{warned}")
        }
        Kind::Configuration { servers, policies, grants } => format!(
            "valid configuration, {}, {}, {}{warned}",
            counted(*servers, "server", "servers"),
            counted(*policies, "policy", "policies"),
            counted(*grants, "grant", "grants"),
        ),
    }
}
