//! Which directory a command's ledger is in.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use gateway::config;

/// The configuration that `serve` reads unless told otherwise.
pub(crate) const DEFAULT_CONFIG: &str = "toolgate.yaml";

/// Where the ledger is, for the commands that manage one.
#[derive(Debug, Args)]
pub(crate) struct LedgerPlace {
    /// Directory that holds the ledger [default: `data_dir` of the configuration, if there is one, otherwise toolgate's own in the user's state directory]
    #[arg(long, value_name = "DIR", env = "TOOLGATE_DATA_DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,

    /// Configuration whose ledger is meant [default: `toolgate.yaml`, if there is one]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl LedgerPlace {
    /// The directory; it need not exist.
    pub(crate) fn resolve(&self) -> anyhow::Result<PathBuf> {
        if let Some(directory) = &self.data_dir {
            return Ok(directory.clone());
        }
        if let Some(file) = &self.config {
            return of_configuration(file);
        }
        let file = Path::new(DEFAULT_CONFIG);
        if file.exists() { of_configuration(file) } else { of_user() }
    }
}

fn of_configuration(file: &Path) -> anyhow::Result<PathBuf> {
    config::data_dir_of(file, &|name| env::var(name).ok())
        .map_err(|why| anyhow::anyhow!("{why}; name the ledger's directory with `--data-dir`"))
}

/// Toolgate's directory in the user's state directory: `$XDG_STATE_HOME/toolgate`, or
/// `~/.local/state/toolgate` (XDG Base Directory Specification).
pub(crate) fn of_user() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(state) = absolute("XDG_STATE_HOME") {
        return Ok(state.join("toolgate"));
    }
    let home =
        absolute("HOME").context("neither XDG_STATE_HOME nor HOME is set: name a directory with `--data-dir`")?;
    Ok(home.join(".local/state/toolgate"))
}

/// Makes the directory, for the owner alone, if it is not there.
pub(crate) fn create(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if directory.is_file() {
        bail!("`{}` is a file: name a directory with `--data-dir`", directory.display());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("could not make the directory `{}`", directory.display()))
}
