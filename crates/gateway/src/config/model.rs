//! What a configuration says, once it has been read and found good.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use policy::document::Format;
use policy::{Policy, Timestamp};

use super::secret::Secret;

/// Where the gateway listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7400);
/// Where `serve` keeps its data, beside the configuration file, unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "toolgate-data";

/// A whole configuration. Every reference in it resolves: a grant's servers and policies exist.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address that `/mcp`, the API and the console are served on.
    pub listen: SocketAddr,
    /// The directory that holds the ledger, made absolute against the file's own directory.
    pub data_dir: PathBuf,
    /// What the ledger is kept in.
    pub ledger: LedgerStore,
    /// The upstream servers, by configured name, in the file's order.
    pub servers: Vec<ServerConfig>,
    /// The policies, by name, in the file's order.
    pub policies: Vec<PolicyConfig>,
    /// The grants that the file makes, in the file's order.
    pub grants: Vec<GrantConfig>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How large and how many things may be.
    pub bounds: Bounds,
    /// `Origin` values that are accepted besides those of this machine.
    pub allowed_origins: Vec<String>,
    /// `Host` values that are accepted besides those of this machine and of `listen`.
    pub allowed_hosts: Vec<String>,
    /// What happens to calls when the ledger cannot be written.
    pub fail_mode: FailMode,
    /// Every file that was read for this configuration, itself first: what a watcher watches.
    pub files: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            data_dir: PathBuf::from(DEFAULT_DATA_DIR),
            ledger: LedgerStore::Sqlite,
            servers: Vec::new(),
            policies: Vec::new(),
            grants: Vec::new(),
            timeouts: Timeouts::default(),
            bounds: Bounds::default(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            fail_mode: FailMode::Closed,
            files: Vec::new(),
        }
    }
}

impl Config {
    /// The server configured under `name`.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&ServerConfig> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// The policy named `name`.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&PolicyConfig> {
        self.policies.iter().find(|policy| policy.name == name)
    }
}

/// What the ledger is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LedgerStore {
    /// A SQLite database in the data directory.
    #[default]
    Sqlite,
}

/// What happens to calls when the ledger cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailMode {
    /// They are denied.
    #[default]
    Closed,
    /// They pass unrecorded and uncounted.
    Open,
}

/// One upstream server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The name it is registered under; `/mcp/{name}` is its endpoint.
    pub name: String,
    /// How it is reached.
    pub kind: ServerKind,
    /// How long it may take to answer one request; `timeouts.call` unless the server says otherwise.
    pub call_timeout: Duration,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerKind {
    /// A child process that speaks over its standard input and output.
    Child(ChildServer),
    /// A server reached over Streamable HTTP.
    Http(HttpServer),
}

/// A server that is started as a child process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildServer {
    /// The program; looked up in `PATH` unless it contains a slash.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What its environment has besides PATH, HOME, LANG and TMPDIR.
    pub env: Vec<(String, Secret)>,
    /// Its working directory, absolute. The configuration's own directory unless said otherwise.
    pub cwd: PathBuf,
}

/// A server that is reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpServer {
    /// Its MCP endpoint: `http` or `https`, with a host.
    pub url: String,
    /// Headers that are added to every request, names in lower case.
    pub headers: Vec<(String, Secret)>,
}

/// One policy, checked.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// Its name: what counters and audit records are kept under.
    pub name: String,
    /// The policy itself.
    pub policy: Arc<Policy>,
    /// The document's text.
    pub text: String,
    /// How the text is written.
    pub format: Format,
    /// Where the text stands.
    pub origin: PolicyOrigin,
}

/// Where a policy's text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyOrigin {
    /// In a file of its own.
    File(PathBuf),
    /// Inside the configuration.
    Inline,
}

impl PolicyOrigin {
    /// The policy's own file, if it has one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Inline => None,
        }
    }
}

/// One grant made by the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantConfig {
    /// What it is called, unique among the file's grants.
    pub label: String,
    /// The SHA-256 of its token; the token itself is not kept.
    pub token_sha256: [u8; 32],
    /// What it opens, each server at most once.
    pub access: Vec<Access>,
    /// When it stops to be valid.
    pub expires: Option<Timestamp>,
}

/// One server that a grant opens, and the policy it is judged by there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The server's configured name.
    pub server: String,
    /// The policy's name.
    pub policy: String,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Reaching an HTTP upstream.
    pub connect: Duration,
    /// A started upstream answering its first request.
    pub start: Duration,
    /// An upstream answering one request.
    pub call: Duration,
    /// A session without any request, after which it ends.
    pub session_idle: Duration,
    /// Running calls at a stop.
    pub drain: Duration,
}

impl Timeouts {
    /// [`Timeouts::connect`] by default.
    pub const DEFAULT_CONNECT: Duration = Duration::from_secs(10);
    /// [`Timeouts::start`] by default.
    pub const DEFAULT_START: Duration = Duration::from_secs(60);
    /// [`Timeouts::call`] by default.
    pub const DEFAULT_CALL: Duration = Duration::from_secs(300);
    /// [`Timeouts::session_idle`] by default.
    pub const DEFAULT_SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
    /// [`Timeouts::drain`] by default.
    pub const DEFAULT_DRAIN: Duration = Duration::from_secs(10);
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Self::DEFAULT_CONNECT,
            start: Self::DEFAULT_START,
            call: Self::DEFAULT_CALL,
            session_idle: Self::DEFAULT_SESSION_IDLE,
            drain: Self::DEFAULT_DRAIN,
        }
    }
}

/// How large and how many things may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one request body from an agent.
    pub request_bytes: usize,
    /// Depth of a request; the outermost object counts as 1.
    pub request_depth: usize,
    /// Bytes of one message from an upstream.
    pub reply_bytes: usize,
    /// Open sessions.
    pub sessions: usize,
    /// Running child processes.
    pub children: usize,
    /// Open connections from agents.
    pub connections: usize,
}

impl Bounds {
    /// [`Bounds::request_bytes`] by default.
    pub const DEFAULT_REQUEST_BYTES: usize = 4 * 1024 * 1024;
    /// [`Bounds::request_depth`] by default.
    pub const DEFAULT_REQUEST_DEPTH: usize = 64;
    /// [`Bounds::reply_bytes`] by default.
    pub const DEFAULT_REPLY_BYTES: usize = 64 * 1024 * 1024;
    /// [`Bounds::sessions`] by default.
    pub const DEFAULT_SESSIONS: usize = 10_000;
    /// [`Bounds::children`] by default.
    pub const DEFAULT_CHILDREN: usize = 256;
    /// [`Bounds::connections`] by default.
    pub const DEFAULT_CONNECTIONS: usize = 4096;
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            request_bytes: Self::DEFAULT_REQUEST_BYTES,
            request_depth: Self::DEFAULT_REQUEST_DEPTH,
            reply_bytes: Self::DEFAULT_REPLY_BYTES,
            sessions: Self::DEFAULT_SESSIONS,
            children: Self::DEFAULT_CHILDREN,
            connections: Self::DEFAULT_CONNECTIONS,
        }
    }
}
