use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Uri};

use super::heads::{PROTOCOL_VERSION, SESSION_ID};

/// Where a server is, and what every request to it carries.
#[derive(Clone)]
pub struct Target {
    pub(super) is_tls: bool,
    pub(super) host: Host,
    pub(super) port: u16,
    /// Path and query alone, as they go into a request.
    pub(super) path: Uri,
    /// `Host` and what the configuration adds.
    pub(super) headers: HeaderMap,
}

/// The host of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    /// `localhost` or a name under it: this machine, without asking a name server (RFC 6761).
    Local(String),
    Name(String),
}

/// Why a server cannot be addressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTarget(pub(super) String);

/// Headers that the transport sets, or that would break its framing.
const RESERVED: [HeaderName; 11] = [
    header::HOST,
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    SESSION_ID,
    PROTOCOL_VERSION,
];

impl Target {
    /// Reads an `http` or `https` URL; its path and query are kept as they are.
    ///
    /// # Errors
    ///
    /// When the URL has no host, another scheme or user information, or when a header is none or is one
    /// that the transport itself sets.
    pub fn parse<'a>(url: &str, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidTarget> {
        let uri: Uri = url.parse().map_err(|error| InvalidTarget(format!("`{url}` is not a URL: {error}")))?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => {
                return Err(InvalidTarget(format!("`{url}` must begin with `http://` or `https://`")));
            }
        };
        let authority = uri.authority().ok_or_else(|| InvalidTarget(format!("`{url}` names no host")))?;
        if authority.as_str().contains('@') {
            return Err(InvalidTarget("a URL must not hold a user name or password; use a header".to_owned()));
        }
        let port = port(authority, is_tls, url)?;
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut all = HeaderMap::new();
        all.insert(header::HOST, host_header(authority, port, is_tls)?);
        all.insert(header::USER_AGENT, HeaderValue::from_static(concat!("toolgate/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in headers {
            let (name, value) = read_header(name, value)?;
            all.insert(name, value);
        }
        Ok(Self { is_tls, host: host(authority.host()), port, path: path.into(), headers: all })
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> String {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            Host::Address(IpAddr::V4(address)) => format!("{address}:{}", self.port),
            Host::Local(name) | Host::Name(name) => format!("{name}:{}", self.port),
        }
    }
}

impl std::fmt::Debug for Target {
    /// Leaves out path and headers, which may hold secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Target").field(&self.address()).finish()
    }
}

fn host(text: &str) -> Host {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Host::Address(address);
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return Host::Local(name);
    }
    Host::Name(name)
}

fn port(authority: &Authority, is_tls: bool, url: &str) -> Result<u16, InvalidTarget> {
    let after_host = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    match authority.port_u16() {
        Some(0) => Err(InvalidTarget(format!("`{url}` names port 0"))),
        Some(port) => Ok(port),
        None if after_host.len() > 1 => Err(InvalidTarget(format!("`{url}` has no valid port"))),
        None if is_tls => Ok(443),
        None => Ok(80),
    }
}

fn host_header(authority: &Authority, port: u16, is_tls: bool) -> Result<HeaderValue, InvalidTarget> {
    let is_default = port == if is_tls { 443 } else { 80 };
    let text = if is_default { authority.host().to_owned() } else { format!("{}:{port}", authority.host()) };
    HeaderValue::from_str(&text).map_err(|_| InvalidTarget(format!("`{text}` cannot be a host")))
}

fn read_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), InvalidTarget> {
    let parsed: HeaderName =
        name.parse().map_err(|_| InvalidTarget(format!("`{name}` cannot be the name of a header")))?;
    if RESERVED.contains(&parsed) {
        return Err(InvalidTarget(format!("the header `{name}` is set by the transport; remove it")));
    }
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| InvalidTarget(format!("the value of header `{name}` holds characters that a header cannot")))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// The three things a session asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Send a message.
    Post,
    /// Listen.
    Get,
    /// End the session.
    Delete,
}

impl Ask {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Post => Method::POST,
            Self::Get => Method::GET,
            Self::Delete => Method::DELETE,
        }
    }
}
