use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderMap;
use hyper::{Request, Response, body::Incoming};
use rustls::pki_types::ServerName;
use tokio::runtime::{Handle, Id};
use tokio_rustls::TlsConnector;

use super::answer::Answer;
use super::connect::{Tls, connect};
use super::target::{Ask, Host, InvalidTarget, Target};
use super::wire::{Broken, Wire};
use crate::client::UpstreamError;
use crate::stdio::UPSTREAM_LINE_BYTES;

/// How many unused connections to one server each runtime thread keeps.
pub const IDLE_CONNECTIONS: usize = 256;

/// How often expired connections are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A connection that was unused for longer is looked at closely before it is used again.
const LOOK_CLOSELY_AFTER: Duration = Duration::from_millis(500);

/// Bounds of what a server may send and how long it may be looked for.
#[derive(Clone)]
pub struct Options {
    /// The longest message in bytes.
    pub message_bytes: usize,
    /// How long connecting may take, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept; less if the server says so. Common servers close after 5 s without saying so.
    pub keep_idle: Duration,
    /// TLS settings other than the system's roots.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            message_bytes: UPSTREAM_LINE_BYTES,
            connect_timeout: Duration::from_secs(10),
            keep_idle: Duration::from_secs(4),
            tls: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Options")
            .field("message_bytes", &self.message_bytes)
            .field("connect_timeout", &self.connect_timeout)
            .field("keep_idle", &self.keep_idle)
            .finish_non_exhaustive()
    }
}

/// The TCP connections to one server, shared by its sessions. Cheap to clone.
///
/// A connection is used again only on the thread and the runtime that opened it, so taking one costs no
/// contention and no message between threads.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

/// What all connections to one server have in common.
pub(super) struct Shared {
    number: u64,
    pub(super) target: Target,
    pub(super) options: Options,
    pub(super) tls: Option<Tls>,
    proven: Mutex<Option<SocketAddr>>,
}

impl Pool {
    /// Prepares to connect; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the server needs TLS and the system's roots cannot be loaded.
    pub fn new(target: Target, options: Options) -> Result<Self, InvalidTarget> {
        static POOLS: AtomicU64 = AtomicU64::new(0);
        let tls = if target.is_tls { Some(tls(&target, &options)?) } else { None };
        let number = POOLS.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Arc::new(Shared { number, target, options, tls, proven: Mutex::new(None) })))
    }

    pub(super) fn target(&self) -> &Target {
        &self.0.target
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Sends a request over an unused connection or a new one, and gives the head of its answer.
    ///
    /// A connection that turns out to be closed before a byte of the request was written is replaced once.
    pub(super) async fn send(&self, ask: Ask, headers: &HeaderMap, body: Bytes) -> Result<Answer, UpstreamError> {
        if let Some(mut wire) = self.take_unused().await {
            match wire.send(self.request(ask, headers.clone(), body.clone())).await {
                Ok(response) => return Ok(self.answer(wire, response)),
                Err(broken) if broken.nothing_written => {}
                Err(broken) => return Err(self.failure(broken)),
            }
        }
        // Connecting is rare, and what it needs is large: it shall not be part of every exchange.
        let mut wire = Box::pin(connect(&self.0)).await.map_err(UpstreamError::NotSent)?;
        match wire.send(self.request(ask, headers.clone(), body)).await {
            Ok(response) => Ok(self.answer(wire, response)),
            Err(broken) => Err(self.failure(broken)),
        }
    }

    fn request(&self, ask: Ask, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = ask.method();
        *request.uri_mut() = self.0.target.path.clone();
        *request.headers_mut() = headers;
        request
    }

    fn answer(&self, wire: Wire, response: Response<Incoming>) -> Answer {
        Answer::new(self.clone(), wire, response)
    }

    fn failure(&self, broken: Broken) -> UpstreamError {
        let address = self.0.target.address();
        if broken.nothing_written {
            return UpstreamError::NotSent(format!("could not send to `{address}`: {}", broken.words));
        }
        UpstreamError::Unknown(format!("`{address}` broke the connection before it answered: {}", broken.words))
    }

    /// Takes the connection that was used last, which is the least likely to be closed.
    async fn take_unused(&self) -> Option<Wire> {
        let runtime = Handle::current().id();
        loop {
            let unused = own_shelves(|shelves| shelves.take(self.0.number, runtime))?;
            let idle = unused.since.elapsed();
            let mut wire = unused.wire;
            if idle >= unused.keep {
                continue;
            }
            if idle >= LOOK_CLOSELY_AFTER {
                // Lets the runtime hear from the network, so that a close by the server is noticed now.
                tokio::task::yield_now().await;
            }
            if wire.is_usable() {
                return Some(wire);
            }
        }
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn give_back(&self, mut wire: Wire, keep: Option<Duration>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !wire.is_usable() {
            return;
        }
        let longest = self.0.options.keep_idle;
        let keep = keep.map_or(longest, |keep| keep.min(longest));
        let unused = Unused { wire, since: Instant::now(), keep };
        let starts_sweeping = own_shelves(|shelves| shelves.put(self.0.number, runtime.id(), unused));
        if starts_sweeping {
            let shelves = own();
            runtime.spawn(async move {
                loop {
                    tokio::time::sleep(SWEEP_EVERY).await;
                    if lock(&shelves).sweep() {
                        return;
                    }
                }
            });
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Pool").field(&self.0.target).finish()
    }
}

impl Shared {
    /// The addresses, the one that worked last before the others.
    pub(super) fn proven_first(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let proven = *self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.sort_by_key(|address| Some(*address) != proven);
        addresses
    }

    pub(super) fn remember(&self, address: SocketAddr) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

/// The unused connections of one thread.
#[derive(Debug, Default)]
struct Shelves {
    shelves: Vec<Shelf>,
    swept_on: Option<Id>,
}

/// The unused connections to one server.
#[derive(Debug)]
struct Shelf {
    pool: u64,
    runtime: Id,
    unused: Vec<Unused>,
}

#[derive(Debug)]
struct Unused {
    wire: Wire,
    since: Instant,
    keep: Duration,
}

impl Shelves {
    fn take(&mut self, pool: u64, runtime: Id) -> Option<Unused> {
        let shelf = self.shelves.iter_mut().find(|shelf| shelf.pool == pool && shelf.runtime == runtime)?;
        shelf.unused.pop()
    }

    /// Keeps a connection, or drops it if there are enough; `true` if sweeping has to begin.
    fn put(&mut self, pool: u64, runtime: Id, unused: Unused) -> bool {
        let found = self.shelves.iter_mut().find(|shelf| shelf.pool == pool && shelf.runtime == runtime);
        match found {
            Some(shelf) if shelf.unused.len() >= IDLE_CONNECTIONS => {}
            Some(shelf) => shelf.unused.push(unused),
            None => self.shelves.push(Shelf { pool, runtime, unused: vec![unused] }),
        }
        self.swept_on.replace(runtime) != Some(runtime)
    }

    /// Drops what is expired; `true` if nothing is left to be swept.
    fn sweep(&mut self) -> bool {
        for shelf in &mut self.shelves {
            shelf.unused.retain(|unused| unused.since.elapsed() < unused.keep);
        }
        self.shelves.retain(|shelf| !shelf.unused.is_empty());
        let is_empty = self.shelves.is_empty();
        if is_empty {
            self.swept_on = None;
        }
        is_empty
    }
}

thread_local! {
    static OWN: OnceCell<Arc<Mutex<Shelves>>> = const { OnceCell::new() };
}

/// The shelves of this thread. Others than the sweeping task never wait for them.
fn own() -> Arc<Mutex<Shelves>> {
    OWN.with(|own| Arc::clone(own.get_or_init(Arc::default)))
}

fn own_shelves<T>(work: impl FnOnce(&mut Shelves) -> T) -> T {
    OWN.with(|own| work(&mut lock(own.get_or_init(Arc::default))))
}

fn lock(shelves: &Mutex<Shelves>) -> MutexGuard<'_, Shelves> {
    shelves.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tls(target: &Target, options: &Options) -> Result<Tls, InvalidTarget> {
    let name = match &target.host {
        Host::Address(address) => ServerName::from(*address),
        Host::Local(name) | Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| InvalidTarget(format!("`{name}` cannot be the name of a TLS server")))?,
    };
    let config = match &options.tls {
        Some(config) => Arc::clone(config),
        None => system_tls().map_err(InvalidTarget)?,
    };
    Ok(Tls { connector: TlsConnector::from(config), name })
}

/// TLS with the system's roots, loaded once.
fn system_tls() -> Result<Arc<rustls::ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<rustls::ClientConfig>, String>> = OnceLock::new();
    CONFIG.get_or_init(load_system_tls).clone()
}

fn load_system_tls() -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        return Err(
            "the system has no TLS root certificates; install `ca-certificates` or set SSL_CERT_FILE".to_owned()
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
