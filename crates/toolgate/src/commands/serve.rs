//! `toolgate serve`: the gateway for many agents and servers.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use gateway::config::{Config, FileProblem, Loaded, Overrides};
use gateway::{Clock, Ready, Reloaded};
use tracing::{info, warn};
use tracing_subscriber::filter::LevelFilter;

use crate::data_dir::DEFAULT_CONFIG;
use crate::exit::Ended;
use crate::output::say;
use crate::{diagnostics, logging};

/// Run the gateway: MCP endpoints, API
///
/// Reads the configuration, opens its ledger and serves `/mcp/SERVER` for each server in it. The configuration is watched: a valid edit is applied, an invalid one is refused with its problems. Stops on SIGTERM and SIGINT, after its running calls.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration to serve
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,

    /// Address to listen on, in place of `listen`
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Directory that holds the ledger, in place of `data_dir`
    #[arg(long, value_name = "DIR", env = "TOOLGATE_DATA_DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn execute(self) -> anyhow::Result<Ended> {
        logging::start(LevelFilter::INFO);
        if !self.config.exists() {
            anyhow::bail!(
                "there is no configuration `{}`: write one, or name it with `-c FILE`",
                self.config.display()
            );
        }
        let environment = |name: &str| env::var(name).ok();
        let loaded = match Config::load(&self.config, &environment) {
            Ok(loaded) => loaded,
            Err(problems) => return refuse(&self.config, &problems),
        };
        let Loaded { config, warnings } = loaded;
        diagnostics::draw(&warnings);
        let overrides = Overrides { listen: self.listen, data_dir: self.data_dir };
        gateway::serve(gateway::Serve {
            config: config.overridden(&overrides),
            file: Some(self.config),
            overrides,
            environment: Arc::new(environment),
            clock: Clock::System,
            on_ready: Box::new(announce),
            on_reload: Box::new(report_reload),
        })?;
        Ok(Ended::Fine)
    }
}

fn refuse(file: &std::path::Path, problems: &[FileProblem]) -> anyhow::Result<Ended> {
    diagnostics::draw(problems);
    say(&format!("error: `{}` cannot be used", file.display()));
    Ok(Ended::Found)
}

fn announce(ready: &Ready) {
    info!(address = %ready.address, data_dir = %ready.data_dir.display(), "toolgate listens");
}

fn report_reload(reloaded: &Reloaded) {
    match reloaded {
        Reloaded::Applied(warnings) => diagnostics::draw(warnings),
        Reloaded::Refused(problems) => {
            diagnostics::draw(problems);
            warn!(problems = problems.len(), "refused the edited configuration, the last good one stays");
        }
        Reloaded::NeedsRestart(settings, warnings) => {
            diagnostics::draw(warnings);
            let settings = settings.join(", ");
            warn!(settings, "applied the edited configuration, except for settings that need a restart");
        }
    }
}
