//! Servers that are reached over HTTP: their addresses and headers.

use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};

use super::Environment;
use super::model::HttpServer;
use super::reader::{Fields, Place, Reader};
use super::secret::Secret;
use super::substitute::substitute;

/// Headers that belong to the transport and cannot be configured.
const TRANSPORT_HEADERS: [&str; 12] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with a value, and what to write instead. Never shows the value itself, which may
/// hold a credential.
struct Fault {
    message: String,
    help: &'static str,
}

impl HttpServer {
    /// Checks an address and headers given as `Name: value`, with `${NAME}` filled in.
    ///
    /// # Errors
    ///
    /// A sentence about the first thing that is wrong.
    pub fn checked(url: &str, headers: &[String], environment: Environment<'_>) -> Result<Self, String> {
        let sentence = |fault: Fault| format!("{}: {}", fault.message, fault.help);
        check_url(url).map_err(sentence)?;
        let mut checked = Vec::new();
        for header in headers {
            let (name, value) =
                header.split_once(':').ok_or_else(|| "a header has no `:`: write it as `Name: value`".to_owned())?;
            let no_files = &mut |path: &str| Err(format!("`{path}` cannot be read here"));
            let value = substitute(value.trim(), environment, no_files)
                .map_err(|unfilled| unfilled.into_iter().map(|one| one.message).collect::<Vec<_>>().join("; "))?;
            let name = check_header(name, &value).map_err(sentence)?;
            checked.push((name, Secret::new(value)));
        }
        Ok(Self { url: url.to_owned(), headers: checked })
    }
}

pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, place: &Place<'_>) -> Option<HttpServer> {
    let url = reader.filled(place, "`url`");
    let fault = url.as_deref().and_then(|url| check_url(url).err());
    let headers = fields.get("headers").map_or_else(Vec::new, |at| read_headers(reader, &at));
    if let Some(fault) = fault {
        reader.error(place, fault.message, fault.help);
        return None;
    }
    let url = url?;
    if url.starts_with("http://") && !is_this_machine(&url) && !headers.is_empty() {
        let message = "the headers of this server travel unencrypted".to_owned();
        reader.warning(place, message, "use `https://` if they hold a credential");
    }
    Some(HttpServer { url, headers })
}

fn read_headers(reader: &mut Reader<'_>, place: &Place<'_>) -> Vec<(String, Secret)> {
    let entries = reader.map(place, "`headers`").unwrap_or_default();
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for entry in entries {
        let at = place.entry(entry);
        let Some(value) = reader.secret(&at, &format!("header `{}`", entry.key)) else { continue };
        match check_header(&entry.key, &value) {
            Err(fault) => reader.error(&at, fault.message, fault.help),
            Ok(name) if headers.iter().any(|(other, _)| *other == name) => {
                let message = format!("duplicate header `{}`: case does not matter in header names", entry.key);
                reader.error(&at, message, "keep one of them");
            }
            Ok(name) => headers.push((name, Secret::new(value))),
        }
    }
    headers
}

fn check_url(url: &str) -> Result<(), Fault> {
    let help = "write it as `https://host/path` or `http://host:port/path`";
    let parsed = url.parse::<Uri>().map_err(|why| Fault { message: format!("`url` cannot be read: {why}"), help })?;
    let known_scheme = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&parsed.scheme());
    if !known_scheme || parsed.host().unwrap_or_default().is_empty() {
        return Err(Fault { message: "`url` is not an HTTP address".to_owned(), help });
    }
    if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Fault {
            message: "`url` contains credentials".to_owned(),
            help: "remove them, and send an `Authorization` header",
        });
    }
    Ok(())
}

fn is_this_machine(url: &str) -> bool {
    let uri = url.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Checks a header and gives its name in lower case.
fn check_header(name: &str, value: &str) -> Result<String, Fault> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault {
        message: format!("`{name}` is not a name for a header"),
        help: "use letters, digits and `-`",
    })?;
    if TRANSPORT_HEADERS.contains(&parsed.as_str()) {
        let message = format!("header `{name}` is set by toolgate itself");
        return Err(Fault { message, help: "remove it" });
    }
    if HeaderValue::from_str(value).is_err() {
        let message = format!("the value of header `{name}` has characters that cannot be sent");
        return Err(Fault { message, help: "use visible ASCII characters and spaces, on one line" });
    }
    Ok(parsed.as_str().to_owned())
}
