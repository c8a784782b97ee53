//! Starting the gate: as a gateway for many, or around one server over stdio.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use policy::Policy;

use crate::Clock;
use crate::config::{Bounds, Config, FileProblem, Overrides, ServerKind, Timeouts};
use crate::{lone, running};

/// Looks up an environment variable; kept for as long as the gateway runs, to reload its file.
pub type SharedEnvironment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What `serve` needs.
#[expect(missing_debug_implementations, reason = "holds callbacks")]
pub struct Serve {
    /// The configuration, already loaded and found good.
    pub config: Config,
    /// The file it came from; watched, and applied when it changes.
    pub file: Option<PathBuf>,
    /// What the command line says louder than the file.
    pub overrides: Overrides,
    /// Where `${NAME}` is looked up on a reload.
    pub environment: SharedEnvironment,
    /// Where the time comes from.
    pub clock: Clock,
    /// Told once the gateway listens.
    pub on_ready: Box<dyn FnOnce(&Ready) + Send>,
    /// Told of every reload; an invalid edit leaves the last good configuration in place.
    pub on_reload: Box<dyn Fn(&Reloaded) + Send + Sync>,
}

/// A gateway that listens.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The address it listens on; its port is known even if 0 was asked for.
    pub address: SocketAddr,
    /// The data directory.
    pub data_dir: PathBuf,
}

/// What came of an edit of the configuration file.
#[derive(Debug, Clone)]
pub enum Reloaded {
    /// The edit is in force; these are its warnings.
    Applied(Vec<FileProblem>),
    /// The edit is refused for these problems.
    Refused(Vec<FileProblem>),
    /// The edit is in force except for what needs a restart, named here (`listen`, `data_dir`, …).
    NeedsRestart(Vec<&'static str>, Vec<FileProblem>),
}

/// What `run` needs: one agent on standard input and output, one policy, one server.
#[derive(Debug)]
pub struct Run {
    /// The policy that judges every call.
    pub policy: Arc<Policy>,
    /// The name its counters and records are kept under.
    pub policy_name: String,
    /// The label of the agent's grant.
    pub grant: String,
    /// The configured name of the server, as records show it.
    pub server_name: String,
    /// How the server is reached.
    pub server: ServerKind,
    /// The directory that holds the ledger, shared with other `run` processes.
    pub data_dir: PathBuf,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How large things may be.
    pub bounds: Bounds,
    /// Where the time comes from.
    pub clock: Clock,
    /// Whether the child gets this process's environment, and not just PATH, HOME, LANG and TMPDIR.
    pub inherit_environment: bool,
}

/// Why the gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger could not be opened.
    #[error(transparent)]
    Ledger(#[from] ledger::OpenError),
    /// The address could not be listened on.
    #[error("could not listen on {address}: {source}; another program may hold the port, choose one with `--listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A server of the configuration cannot be addressed.
    #[error("{0}; change it in the configuration")]
    Server(#[from] mcp::client::http::InvalidTarget),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Store(#[from] ledger::LedgerError),
    /// The machine refused something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs the gateway until it is told to stop (SIGTERM or SIGINT), then drains its calls.
///
/// Builds its own runtimes; call it from a plain thread.
///
/// # Errors
///
/// [`StartError`] if it could not start.
pub fn serve(serve: Serve) -> Result<(), StartError> {
    runtime()?.block_on(running::serve(serve))
}

/// Wraps one server over standard input and output until the agent closes its side.
///
/// Builds its own runtime; call it from a plain thread.
///
/// # Errors
///
/// [`StartError`] if it could not start.
pub fn run_stdio(run: Run) -> Result<(), StartError> {
    let runtime = runtime()?;
    let ran = runtime.block_on(lone::run(run));
    // A read of standard input cannot be taken back; nobody waits for it.
    runtime.shutdown_background();
    ran
}

fn runtime() -> Result<tokio::runtime::Runtime, StartError> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|source| StartError::System { what: "could not start a runtime".to_owned(), source })
}
