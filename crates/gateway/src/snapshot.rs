//! What is in force right now: servers and policies, swapped as a whole.
//!
//! A request loads the snapshot once and sees one consistent world to its end. Grants are not part
//! of it: the ledger holds them, because revoking one must be exact.

use std::collections::HashMap;
use std::sync::Arc;

use mcp::client::http::{InvalidTarget, Pool};
use mcp::server::headers::Trust;
use policy::Policy;

use crate::config::{Config, ServerConfig, ServerKind};
use crate::metrics::{Metrics, ServerMetrics};
use crate::upstream;

/// A policy under its name.
#[derive(Debug)]
pub(crate) struct NamedPolicy {
    pub(crate) name: String,
    pub(crate) policy: Arc<Policy>,
}

/// A server that can be connected to.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: ServerConfig,
    /// The TCP connections to an HTTP server, shared by its sessions.
    pub(crate) pool: Option<Pool>,
    pub(crate) metrics: ServerMetrics,
}

impl Server {
    /// Prepares a server; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// If an HTTP server cannot be addressed.
    pub(crate) fn new(config: &ServerConfig, whole: &Config, metrics: &Metrics) -> Result<Self, InvalidTarget> {
        Ok(Self { config: config.clone(), pool: upstream::pool(config, whole)?, metrics: metrics.server(&config.name) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn is_child(&self) -> bool {
        matches!(self.config.kind, ServerKind::Child(_))
    }
}

/// One consistent state of everything that can be configured.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) config: Config,
    pub(crate) servers: HashMap<String, Arc<Server>>,
    pub(crate) policies: HashMap<String, Arc<NamedPolicy>>,
    pub(crate) trust: Trust,
}

impl Snapshot {
    /// Joins a configuration with the policies that were made through the API; the file wins over
    /// what was made under the same name. A server that did not change keeps its connections.
    ///
    /// # Errors
    ///
    /// If an HTTP server cannot be addressed.
    pub(crate) fn build(
        config: Config,
        made: Vec<NamedPolicy>,
        before: Option<&Self>,
        metrics: &Metrics,
    ) -> Result<Self, InvalidTarget> {
        let mut servers = HashMap::new();
        for server in &config.servers {
            servers.insert(server.name.clone(), keep_or_make(server, before, &config, metrics)?);
        }
        let from_file = config
            .policies
            .iter()
            .map(|policy| NamedPolicy { name: policy.name.clone(), policy: Arc::clone(&policy.policy) });
        let policies =
            made.into_iter().chain(from_file).map(|policy| (policy.name.clone(), Arc::new(policy))).collect();
        let trust = Trust { origins: config.allowed_origins.clone(), hosts: trusted_hosts(&config) };
        Ok(Self { config, servers, policies, trust })
    }
}

fn keep_or_make(
    server: &ServerConfig,
    before: Option<&Snapshot>,
    config: &Config,
    metrics: &Metrics,
) -> Result<Arc<Server>, InvalidTarget> {
    let same_terms = |before: &&Snapshot| {
        let (then, now) = (&before.config, config);
        then.timeouts.connect == now.timeouts.connect && then.bounds.reply_bytes == now.bounds.reply_bytes
    };
    match before.filter(same_terms).and_then(|before| before.servers.get(&server.name)) {
        Some(kept) if kept.config == *server => Ok(Arc::clone(kept)),
        _ => Ok(Arc::new(Server::new(server, config, metrics)?)),
    }
}

/// The configured names, and the address itself where it is one.
fn trusted_hosts(config: &Config) -> Vec<String> {
    let mut hosts = config.allowed_hosts.clone();
    let ip = config.listen.ip();
    if !ip.is_unspecified() && !ip.is_loopback() {
        hosts.push(match ip {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        });
    }
    hosts
}
