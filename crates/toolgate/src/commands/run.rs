//! `toolgate run`: a gate around one server, over standard input and output.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{ArgGroup, Args};
use gateway::Clock;
use gateway::config::{Bounds, ChildServer, HttpServer, Secret, ServerKind, Timeouts};
use policy::Policy;
use policy::document::Format;
use tracing_subscriber::filter::LevelFilter;

use super::{check, upstream_name};
use crate::exit::{Ended, Usage};
use crate::output::say;
use crate::{data_dir, diagnostics, logging};

/// Wrap one MCP server over standard input and output
///
/// For a client's `mcpServers` entry: put `toolgate run --policy FILE --` in front of the server's own command. The server inherits this process's environment.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("upstream").required(true).args(["url", "command"]),
    override_usage = "toolgate run [OPTIONS] --policy <FILE> -- <COMMAND>…\n       toolgate run [OPTIONS] --policy <FILE> --url <URL>"
)]
pub(crate) struct Run {
    /// Policy that judges every call
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// Name that the policy's counters and records are kept under [default: its full path]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Label of the agent's grant
    #[arg(long, value_name = "LABEL", default_value = "local", value_parser = super::label)]
    grant: String,

    /// Name of the server in records and server-wide counters [default: made from its command or host]
    #[arg(long, value_name = "NAME", value_parser = super::label)]
    server: Option<String>,

    /// Directory that holds the ledger, shared with other `run` processes [default: `$XDG_STATE_HOME/toolgate` or `~/.local/state/toolgate`]
    #[arg(long, value_name = "DIR", env = "TOOLGATE_DATA_DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,

    /// Wrap the server at this address, over Streamable HTTP
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Send this header to the server; `${NAME}` stands for an environment variable
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "url")]
    headers: Vec<String>,

    /// Wrap the server that this command starts
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Run {
    pub(crate) fn execute(self) -> anyhow::Result<Ended> {
        logging::start(LevelFilter::INFO);
        let Some(policy) = read_policy(&self.policy)? else { return Ok(Ended::Found) };
        let server = self.server_kind()?;
        let data_dir = match &self.data_dir {
            Some(directory) => directory.clone(),
            None => data_dir::of_user()?,
        };
        data_dir::create(&data_dir)?;
        gateway::run_stdio(gateway::Run {
            policy: Arc::new(policy),
            policy_name: self.policy_name()?,
            server_name: self.server_name(),
            grant: self.grant,
            server,
            data_dir,
            timeouts: Timeouts::default(),
            bounds: Bounds::default(),
            clock: Clock::System,
            inherit_environment: true,
        })?;
        Ok(Ended::Fine)
    }

    fn policy_name(&self) -> anyhow::Result<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let path =
            fs::canonicalize(&self.policy).with_context(|| format!("could not resolve `{}`", self.policy.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn server_name(&self) -> String {
        match (&self.server, &self.url) {
            (Some(name), _) => name.clone(),
            (None, Some(url)) => upstream_name::of_url(url),
            (None, None) => upstream_name::of_command(&self.command),
        }
    }

    fn server_kind(&self) -> anyhow::Result<ServerKind> {
        if let Some(url) = &self.url {
            let environment = |name: &str| env::var(name).ok();
            let server = HttpServer::checked(url, &self.headers, &environment).map_err(Usage)?;
            return Ok(ServerKind::Http(server));
        }
        let (program, args) = self.command.split_first().context("there is no command to start")?;
        let cwd = env::current_dir().context("the working directory is gone")?;
        Ok(ServerKind::Child(ChildServer {
            command: program.clone(),
            args: args.to_vec(),
            env: Vec::<(String, Secret)>::new(),
            cwd,
        }))
    }
}

/// Reads the policy in `file`; its problems are drawn, and then there is none.
pub(super) fn read_policy(file: &Path) -> anyhow::Result<Option<Policy>> {
    let text = fs::read_to_string(file).with_context(|| format!("could not read the policy `{}`", file.display()))?;
    let format = Format::of_file_name(&file.to_string_lossy());
    match Policy::parse(&text, format) {
        Ok(checked) => {
            diagnostics::draw(&check::in_file(file, &text, checked.warnings));
            Ok(Some(checked.policy))
        }
        Err(problems) => {
            diagnostics::draw(&check::in_file(file, &text, problems));
            say(&format!("error: the policy `{}` cannot be used", file.display()));
            Ok(None)
        }
    }
}
