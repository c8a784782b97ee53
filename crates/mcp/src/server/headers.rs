//! Which requests are acceptable before their body is read.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};

use crate::envelope::Revision;

/// Carries the id of a legacy session.
pub static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Names the revision that was negotiated.
pub static PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Asks for the events after this one.
pub static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";

/// Why a request is refused by its headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 406
    #[error("`Accept` does not allow {needed}; add it to the header")]
    NotAcceptable {
        /// The media types that must be acceptable.
        needed: &'static str,
    },
    /// 415
    #[error("`Content-Type` is not `application/json`; send the message with that header")]
    NotJson,
    /// 400
    #[error("`MCP-Protocol-Version` `{sent}` is not spoken here; send one of {spoken}")]
    UnknownRevision {
        /// What was sent.
        sent: String,
        /// What would do.
        spoken: String,
    },
    /// 403
    #[error("`Origin` `{sent}` is not allowed; add it to the allowed origins if you trust that page")]
    ForeignOrigin {
        /// What was sent.
        sent: String,
    },
    /// 403
    #[error("`Host` `{sent}` is not allowed; add it to the allowed hosts if the gate is known by that name")]
    ForeignHost {
        /// What was sent.
        sent: String,
    },
    /// 400
    #[error("`{name}` cannot be read; send it once, in visible ASCII characters")]
    Unreadable {
        /// The header's name.
        name: &'static str,
    },
}

impl Refused {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NotAcceptable { .. } => 406,
            Self::NotJson => 415,
            Self::UnknownRevision { .. } | Self::Unreadable { .. } => 400,
            Self::ForeignOrigin { .. } | Self::ForeignHost { .. } => 403,
        }
    }
}

/// What the client can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    /// `application/json`
    pub json: bool,
    /// `text/event-stream`
    pub event_stream: bool,
}

/// Reads `Accept`; a request without it accepts everything (RFC 9110, 12.5.1).
#[must_use]
pub fn accepts(headers: &HeaderMap) -> Accepts {
    if !headers.contains_key(ACCEPT) {
        return Accepts { json: true, event_stream: true };
    }
    let mut ranges = Ranges::default();
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            ranges.add(range);
        }
    }
    Accepts { json: ranges.json.acceptable(), event_stream: ranges.event_stream.acceptable() }
}

#[derive(Default)]
struct Ranges {
    json: Match,
    event_stream: Match,
}

/// The most specific range that matched a media type so far.
#[derive(Default)]
struct Match {
    specificity: u8,
    refused: bool,
}

impl Match {
    fn consider(&mut self, specificity: u8, refused: bool) {
        if specificity > self.specificity {
            *self = Self { specificity, refused };
        } else if specificity == self.specificity && specificity > 0 {
            self.refused &= refused;
        }
    }

    fn acceptable(&self) -> bool {
        self.specificity > 0 && !self.refused
    }
}

impl Ranges {
    fn add(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
        });
        for (wanted, best) in [(JSON, &mut self.json), (EVENT_STREAM, &mut self.event_stream)] {
            best.consider(specificity(&media, wanted), refused);
        }
    }
}

/// How closely a media range names a media type; 0 is not at all.
fn specificity(range: &str, wanted: &str) -> u8 {
    if range == wanted {
        return 3;
    }
    if range == "*/*" {
        return 1;
    }
    let family = range.strip_suffix('*').filter(|family| family.ends_with('/'));
    if family.is_some_and(|family| wanted.starts_with(family)) { 2 } else { 0 }
}

/// Checks the headers of a POST: it brings JSON, and can take JSON and an event stream.
///
/// JSON is insisted on because a web page may send other content types across origins without being asked first.
///
/// # Errors
/// When it does not.
pub fn check_post(headers: &HeaderMap) -> Result<Accepts, Refused> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let media = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if types.next().is_some() || !media.eq_ignore_ascii_case(JSON) {
        return Err(Refused::NotJson);
    }
    let accepts = accepts(headers);
    if !accepts.json || !accepts.event_stream {
        return Err(Refused::NotAcceptable { needed: "both `application/json` and `text/event-stream`" });
    }
    Ok(accepts)
}

/// Checks the headers of a GET: it can take an event stream.
///
/// # Errors
/// When it cannot.
pub fn check_get(headers: &HeaderMap) -> Result<(), Refused> {
    if accepts(headers).event_stream { Ok(()) } else { Err(Refused::NotAcceptable { needed: "`text/event-stream`" }) }
}

/// Reads `MCP-Protocol-Version`; `None` when it is absent.
///
/// # Errors
/// When it names no revision.
pub fn revision(headers: &HeaderMap) -> Result<Option<Revision>, Refused> {
    let Some(sent) = single(headers, &PROTOCOL_VERSION, "MCP-Protocol-Version")? else {
        return Ok(None);
    };
    Revision::parse(sent).map(Some).ok_or_else(|| Refused::UnknownRevision {
        sent: sent.chars().take(32).collect(),
        spoken: Revision::ALL.map(|revision| format!("`{revision}`")).join(", "),
    })
}

/// Reads `Mcp-Session-Id`.
///
/// # Errors
/// When it is sent twice or has other than visible ASCII characters.
pub fn session_id(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    single(headers, &SESSION_ID, "Mcp-Session-Id")
}

/// Reads `Last-Event-ID`.
///
/// # Errors
/// When it is sent twice or has other than visible ASCII characters.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    single(headers, &LAST_EVENT_ID, "Last-Event-ID")
}

/// The token of `Authorization: Bearer …`, when there is exactly one such header.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let sent = single(headers, &AUTHORIZATION, "Authorization").ok()??;
    let (scheme, token) = sent.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName, shown: &'static str) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte >= b' '));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text)),
        _ => Err(Refused::Unreadable { name: shown }),
    }
}

/// Where requests may come from and what the gate may be called: loopback, and what is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Origins beyond loopback, as browsers send them: `https://console.example.com`; or `*` for all.
    pub origins: Vec<String>,
    /// Hosts beyond loopback, without a port for any port; or `*` for all.
    pub hosts: Vec<String>,
}

impl Trust {
    /// Checks `Host` and `Origin`, so that a web page cannot reach the gate, not even through DNS rebinding.
    ///
    /// # Errors
    /// When one of them is foreign, or `Host` is absent.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let host = single(headers, &HOST, "Host")?.ok_or(Refused::Unreadable { name: "Host" })?;
        if !self.trusts_host(host) {
            return Err(Refused::ForeignHost { sent: host.chars().take(128).collect() });
        }
        match single(headers, &ORIGIN, "Origin")? {
            Some(origin) if !self.trusts_origin(origin) => {
                Err(Refused::ForeignOrigin { sent: origin.chars().take(128).collect() })
            }
            _ => Ok(()),
        }
    }

    fn trusts_host(&self, authority: &str) -> bool {
        let Some(name) = host_name(authority) else {
            return false;
        };
        let is_same = |allowed: &String| {
            allowed == "*" || allowed.eq_ignore_ascii_case(authority) || allowed.eq_ignore_ascii_case(name)
        };
        is_loopback(name) || self.hosts.iter().any(is_same)
    }

    fn trusts_origin(&self, origin: &str) -> bool {
        if self.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.and_then(host_name).is_some_and(is_loopback)
    }
}

/// The name in `name:port`; `None` when it is neither that nor a name alone.
fn host_name(authority: &str) -> Option<&str> {
    let end_of_address = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    let port = authority.get(end_of_address..)?.find(':').map(|colon| colon + end_of_address);
    let (name, port) = match port {
        Some(colon) => (authority.get(..colon)?, authority.get(colon + 1..)?),
        None => (authority, ""),
    };
    let is_name = |name: &str| {
        let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !inner.is_empty() && inner.bytes().all(|byte| known(byte) || (byte == b':' && inner.len() < name.len()))
    };
    (is_name(name) && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

/// `localhost`, what is below it (RFC 6761), and the loopback addresses.
fn is_loopback(name: &str) -> bool {
    if name == "127.0.0.1" || name == "localhost" {
        return true;
    }
    let lower = name.to_ascii_lowercase();
    if lower == "localhost" || lower.ends_with(".localhost") {
        return true;
    }
    let inner = lower.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&lower);
    inner.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
