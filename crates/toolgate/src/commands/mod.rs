//! The command line: one file per subcommand.

mod approval;
mod audit;
mod check;
mod explain;
mod grant;
mod run;
mod serve;
mod upstream_name;

use clap::{CommandFactory, Parser, Subcommand};
use gateway::config::is_label;

use crate::exit::Ended;
use crate::{output, reference};

/// The gate between AI agents and their tools
///
/// Toolgate speaks MCP. It judges every call against a policy before it can reach an MCP server, counts it against limits, may ask a person, and keeps a record that cannot be quietly changed.
#[derive(Debug, Parser)]
#[command(
    name = "toolgate",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 fine, 1 something was found (an invalid policy, a denied call, a broken chain), 2 usage, 3 could not run."
)]
pub(crate) struct Toolgate {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    Run(run::Run),
    Check(check::Check),
    Explain(explain::Explain),
    Grant(grant::Grant),
    Approval(approval::Approval),
    Audit(audit::Audit),
    /// Print the command line reference in Markdown
    #[command(hide = true)]
    Reference,
}

/// Does what the command line says.
pub(crate) fn execute(command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Serve(serve) => serve.execute(),
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Grant(grant) => grant.execute(),
        Command::Approval(approval) => approval.execute(),
        Command::Audit(audit) => audit.execute(),
        Command::Reference => {
            let mut out = output::Output::new();
            out.bytes(reference::markdown(Toolgate::command()).as_bytes())?;
            out.finish()?;
            Ok(Ended::Fine)
        }
    }
}

/// Reads a name that people give: the label of a grant, or what a server is called in records.
fn label(text: &str) -> Result<String, String> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    Err("use up to 128 characters, without control characters and without spaces around".to_owned())
}
