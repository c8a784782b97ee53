//! Reaching servers: starting children and opening HTTP sessions, within the configured bounds.

use std::sync::Arc;

use mcp::client::child::{self, Command};
use mcp::client::http::{self, InvalidTarget, Pool, Target};
use mcp::client::{Incoming, Upstream, UpstreamError};
use tokio::sync::mpsc;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tracing::info;

use crate::config::{ChildServer, Config, ServerConfig, ServerKind};
use crate::gate::Gate;
use crate::snapshot::Server;

/// What a child of the gateway gets of the gateway's own environment.
const PASSED_ON: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// A connection just made: nothing has been said on it yet.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) upstream: Upstream,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    /// The place among the running children, given back when this is dropped.
    pub(crate) child: Option<ChildPlace>,
}

/// One of the places for running children.
#[derive(Debug)]
pub(crate) struct ChildPlace {
    _permit: OwnedSemaphorePermit,
    running: prometheus_client::metrics::gauge::Gauge,
}

impl Drop for ChildPlace {
    fn drop(&mut self) {
        self.running.dec();
    }
}

/// Prepares the TCP connections to an HTTP server.
///
/// # Errors
///
/// If its URL or headers cannot be used.
pub(crate) fn pool(server: &ServerConfig, config: &Config) -> Result<Option<Pool>, InvalidTarget> {
    let ServerKind::Http(http) = &server.kind else { return Ok(None) };
    let headers = http.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
    let target = Target::parse(&http.url, headers)?;
    let options = http::Options {
        message_bytes: config.bounds.reply_bytes,
        connect_timeout: config.timeouts.connect,
        ..http::Options::default()
    };
    Pool::new(target, options).map(Some)
}

/// Opens a session with a server.
///
/// # Errors
///
/// [`UpstreamError::NotSent`] if a child cannot be started or as many as allowed are running.
pub(crate) async fn connect(gate: &Gate, server: &Arc<Server>) -> Result<Connected, UpstreamError> {
    match &server.config.kind {
        ServerKind::Child(command) => start_child(gate, server, command).await,
        ServerKind::Http(_) => {
            let pool =
                server.pool.clone().ok_or_else(|| UpstreamError::NotSent("the server has no address".to_owned()))?;
            let (connection, incoming) = http::Connection::open(pool);
            Ok(Connected { upstream: Upstream::Http(connection), incoming, child: None })
        }
    }
}

async fn start_child(gate: &Gate, server: &Arc<Server>, command: &ChildServer) -> Result<Connected, UpstreamError> {
    let place = take_place(gate, server.name())?;
    let name = server.name().to_owned();
    let message_bytes = gate.snapshot.load().config.bounds.reply_bytes;
    let limits = child::Limits { message_bytes, ..child::Limits::default() };
    let command = Command {
        program: command.command.clone(),
        args: command.args.clone(),
        env: environment(command, gate.inherit_environment),
        cwd: Some(command.cwd.clone()),
    };
    let on_stderr = move |line: &str| info!(target: "toolgate::stderr", server = %name, "{line}");
    let (connection, incoming) = child::Connection::spawn(command, limits, on_stderr).await?;
    info!(server = server.name(), pid = connection.process_id(), "started a server");
    Ok(Connected { upstream: Upstream::Child(connection), incoming, child: Some(place) })
}

fn take_place(gate: &Gate, server: &str) -> Result<ChildPlace, UpstreamError> {
    match Arc::clone(&gate.children).try_acquire_owned() {
        Ok(permit) => {
            gate.metrics.children.inc();
            Ok(ChildPlace { _permit: permit, running: gate.metrics.children.clone() })
        }
        Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Err(UpstreamError::NotSent(format!(
            "`{server}` cannot be started: as many servers are running as `bounds.children` allows; end a session, or raise the bound"
        ))),
    }
}

fn environment(command: &ChildServer, inherit: bool) -> Vec<(String, String)> {
    let own =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut environment: Vec<(String, String)> =
        own.filter(|(name, _)| inherit || PASSED_ON.contains(&name.as_str())).collect();
    environment.retain(|(name, _)| !command.env.iter().any(|(set, _)| set == name));
    environment.extend(command.env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())));
    environment
}
