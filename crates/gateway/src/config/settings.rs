//! The settings that are single values: addresses, timeouts, bounds, modes.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::uri::Authority;
use policy::document::NodeKind;

use super::amounts;
use super::model::{Bounds, FailMode, LedgerStore, Timeouts};
use super::reader::{Place, Reader};

const TIMEOUT_FIELDS: [&str; 5] = ["connect", "start", "call", "session_idle", "drain"];
const BOUND_FIELDS: [&str; 6] =
    ["request_bytes", "request_depth", "reply_bytes", "sessions", "children", "connections"];

pub(super) fn listen(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<SocketAddr> {
    let text = reader.filled(place, "`listen`")?;
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok(),
    };
    let Some(address) = address else {
        let message = format!("`listen` is not an address with a port: `{text}`");
        reader.error(place, message, "write `127.0.0.1:7400`, or `[::1]:7400`");
        return None;
    };
    if !address.ip().is_loopback() {
        let message = "other machines can reach this address, and tokens travel over it unencrypted";
        let help = "listen on `127.0.0.1:7400`, or put a proxy that speaks TLS in front of it";
        reader.warning(place, message.to_owned(), help);
    }
    Some(address)
}

pub(super) fn ledger(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<LedgerStore> {
    let text = reader.filled(place, "`ledger`")?;
    if text == "sqlite" {
        return Some(LedgerStore::Sqlite);
    }
    let message = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        "this version of toolgate does not keep its ledger in PostgreSQL yet".to_owned()
    } else {
        "`ledger` names nothing that a ledger can be kept in".to_owned()
    };
    reader.error(place, message, "write `sqlite`");
    None
}

pub(super) fn fail_mode(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<FailMode> {
    match reader.text(place, "`fail_mode`")? {
        "closed" => Some(FailMode::Closed),
        "open" => {
            let message =
                "with `fail_mode: open`, calls pass unrecorded and uncounted while the ledger cannot be written";
            reader.warning(place, message.to_owned(), "write `closed` to deny them instead");
            Some(FailMode::Open)
        }
        other => {
            let message = format!("`{other}` is not a fail mode");
            reader.error(place, message, "write `closed` or `open`");
            None
        }
    }
}

/// Reads a duration that may not be zero.
pub(super) fn timeout(reader: &mut Reader<'_>, place: &Place<'_>, what: &str) -> Option<Duration> {
    let help = "write a whole number and a unit up to 366 days: `250ms`, `90s`, `15m`, `6h` or `7d`";
    if let NodeKind::Number(written) = &place.node.kind {
        reader.error(place, format!("{what} must be a duration, not the number {written}"), help);
        return None;
    }
    let text = reader.filled(place, what)?;
    let duration = amounts::duration(&text).filter(|duration| !duration.is_zero());
    if duration.is_none() {
        reader.error(place, format!("{what} is not a duration: `{text}`"), help);
    }
    duration
}

pub(super) fn timeouts(reader: &mut Reader<'_>, place: &Place<'_>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let Some(fields) = reader.fields(place, "`timeouts`", &TIMEOUT_FIELDS) else {
        return timeouts;
    };
    let mut set = |name: &str, value: &mut Duration| {
        if let Some(read) = fields.get(name).and_then(|at| timeout(reader, &at, &format!("`{name}`"))) {
            *value = read;
        }
    };
    set("connect", &mut timeouts.connect);
    set("start", &mut timeouts.start);
    set("call", &mut timeouts.call);
    set("session_idle", &mut timeouts.session_idle);
    set("drain", &mut timeouts.drain);
    timeouts
}

/// One bound: its field, where it is kept, the least and the most, and whether it is a size.
struct BoundField<'b> {
    name: &'static str,
    value: &'b mut usize,
    least: usize,
    most: usize,
    example: &'static str,
}

pub(super) fn bounds(reader: &mut Reader<'_>, place: &Place<'_>) -> Bounds {
    let mut bounds = Bounds::default();
    let Some(fields) = reader.fields(place, "`bounds`", &BOUND_FIELDS) else { return bounds };
    for bound in bound_fields(&mut bounds) {
        if let Some(at) = fields.get(bound.name)
            && let Some(read) = read_bound(reader, &at, &bound)
        {
            *bound.value = read;
        }
    }
    bounds
}

fn bound_fields(bounds: &mut Bounds) -> [BoundField<'_>; 6] {
    let size = |name, value, most| BoundField { name, value, least: 1024, most, example: "`4MiB`" };
    let count = |name, value, least, most| BoundField { name, value, least, most, example: "`1000`" };
    [
        size("request_bytes", &mut bounds.request_bytes, 1 << 30),
        count("request_depth", &mut bounds.request_depth, 4, 512),
        size("reply_bytes", &mut bounds.reply_bytes, 1 << 30),
        count("sessions", &mut bounds.sessions, 1, 1_000_000),
        count("children", &mut bounds.children, 1, 100_000),
        count("connections", &mut bounds.connections, 1, 1_000_000),
    ]
}

fn read_bound(reader: &mut Reader<'_>, place: &Place<'_>, bound: &BoundField<'_>) -> Option<usize> {
    let BoundField { name, least, most, example, .. } = bound;
    let text = if let NodeKind::Number(written) = &place.node.kind {
        written.clone()
    } else {
        reader.filled(place, &format!("`{name}`"))?
    };
    let value = if name.ends_with("_bytes") { amounts::size(&text) } else { text.parse().ok() };
    let value = value.filter(|value| (*least..=*most).contains(value));
    if value.is_none() {
        let message = format!("`{name}` must be from {least} to {most}, not `{text}`");
        reader.error(place, message, format!("write a value such as {example}"));
    }
    value
}

pub(super) fn origins(reader: &mut Reader<'_>, place: &Place<'_>) -> Vec<String> {
    let help = "write `[\"https://console.example.com\"]`";
    let items = reader.list(place, "`allowed_origins`", help).unwrap_or_default();
    let mut origins = Vec::new();
    for item in items {
        let Some(text) = reader.filled(&item, "an origin") else { continue };
        let authority = text.split_once("://").map(|(_, authority)| authority);
        let good = authority.is_some_and(is_plain_authority);
        if good {
            origins.push(text.to_ascii_lowercase());
        } else {
            let message = format!("`{text}` is not an origin");
            reader.error(&item, message, "write the scheme, the host and the port if there is one, and nothing behind: `https://console.example.com`");
        }
    }
    origins
}

pub(super) fn hosts(reader: &mut Reader<'_>, place: &Place<'_>) -> Vec<String> {
    let help = "write `[\"gate.example.com\"]`";
    let items = reader.list(place, "`allowed_hosts`", help).unwrap_or_default();
    let mut hosts = Vec::new();
    for item in items {
        let Some(text) = reader.filled(&item, "a host") else { continue };
        if is_plain_authority(&text) {
            hosts.push(text.to_ascii_lowercase());
        } else {
            let message = format!("`{text}` is not a host name");
            reader.error(
                &item,
                message,
                "write the name, with its port if it has one, without scheme or path: `gate.example.com`",
            );
        }
    }
    hosts
}

fn is_plain_authority(text: &str) -> bool {
    !text.contains(['@', '*']) && text.parse::<Authority>().is_ok_and(|authority| !authority.host().is_empty())
}
