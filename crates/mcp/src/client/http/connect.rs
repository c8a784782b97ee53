use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::pool::Shared;
use super::target::{Host, Target};
use super::wire::{Counted, Stream, Wire, innermost};

/// How long one address is tried before the next is tried beside it (RFC 8305, section 8).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Opens a new connection.
///
/// # Errors
///
/// One sentence that names the server; nothing of a request was sent.
pub(super) async fn connect(shared: &Shared) -> Result<Wire, String> {
    let limit = shared.options.connect_timeout;
    let target = &shared.target;
    let outcome = timeout(limit, connect_without_limit(shared)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")));
    outcome.map_err(|why| format!("could not connect to `{}`: {why}", target.address()))
}

async fn connect_without_limit(shared: &Shared) -> Result<Wire, String> {
    let addresses = shared.proven_first(resolve(&shared.target).await?);
    let (stream, address) = open_any(addresses).await.map_err(|error| error.to_string())?;
    shared.remember(address);
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let stream = Counted::new(stream);
    let stream = match &shared.tls {
        Some(tls) => Stream::Tls(Box::new(tls.handshake(stream).await?)),
        None => Stream::Plain(stream),
    };
    Wire::new(stream).await.map_err(|error| innermost(&error))
}

/// How to begin TLS with one server.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    async fn handshake(&self, stream: Counted) -> Result<tokio_rustls::client::TlsStream<Counted>, String> {
        let connecting = self.connector.connect(self.name.clone(), stream);
        connecting.await.map_err(|error| format!("TLS failed: {}", innermost(&error)))
    }
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, String> {
    let port = target.port;
    match &target.host {
        Host::Address(address) => Ok(vec![SocketAddr::new(*address, port)]),
        Host::Local(_) => {
            let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
            Ok(both.map(|address| SocketAddr::new(address, port)).to_vec())
        }
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            let found = found.map_err(|error| format!("its name cannot be resolved: {error}"))?;
            Ok(in_turns(found.collect()))
        }
    }
}

/// The addresses in their order, but both families by turns, so that a broken family delays only once.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    while !first.is_empty() || !second.is_empty() {
        ordered.extend(first.pop_front());
        ordered.extend(second.pop_front());
    }
    ordered
}

/// Connects to the first address that takes the connection, starting another attempt whenever one fails or takes long.
async fn open_any(addresses: Vec<SocketAddr>) -> io::Result<(TcpStream, SocketAddr)> {
    if let [address] = addresses.as_slice() {
        return Ok((TcpStream::connect(address).await?, *address));
    }
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    loop {
        match waiting.next() {
            Some(address) => {
                attempts.spawn(async move { Ok::<_, io::Error>((TcpStream::connect(address).await?, address)) });
            }
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        let finished = tokio::select! {
            finished = attempts.join_next() => finished,
            () = sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => None,
        };
        match finished {
            Some(Ok(Ok(opened))) => return Ok(opened),
            Some(Ok(Err(error))) => failure = error,
            Some(Err(error)) => failure = io::Error::other(error),
            None => {}
        }
    }
}
