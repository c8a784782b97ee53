//! Entries as files: JSON lines and comma-separated values.

use super::{Entry, ExportFormat};

type Column = (&'static str, fn(&Entry) -> Option<String>);

/// The columns of a CSV export, in order.
const COLUMNS: [Column; 29] = [
    ("seq", |entry| Some(entry.seq.to_string())),
    ("id", |entry| Some(entry.id.clone())),
    ("at", |entry| Some(entry.at.clone())),
    ("grant", |entry| Some(entry.grant.clone())),
    ("client", |entry| entry.client.clone()),
    ("session", |entry| entry.session.clone()),
    ("server", |entry| Some(entry.server.clone())),
    ("method", |entry| Some(entry.method.clone())),
    ("tool", |entry| entry.tool.clone()),
    ("category", |entry| entry.category.clone()),
    ("policy", |entry| entry.policy.clone()),
    ("policy_version", |entry| entry.policy_version.clone()),
    ("outcome", |entry| Some(entry.outcome.clone())),
    ("rule", |entry| entry.rule.clone()),
    ("reason", |entry| entry.reason.clone()),
    ("approval", |entry| entry.approval.clone()),
    ("settled", |entry| entry.settled.clone()),
    ("settled_at", |entry| entry.settled_at.clone()),
    ("upstream_status", |entry| entry.upstream_status.map(|status| status.to_string())),
    ("is_error", |entry| entry.is_error.map(|is_error| is_error.to_string())),
    ("gateway_us", |entry| entry.gateway_us.map(|time| time.to_string())),
    ("upstream_us", |entry| entry.upstream_us.map(|time| time.to_string())),
    ("argument_keys", |entry| Some(entry.argument_keys.join(" "))),
    ("arguments_hmac", |entry| entry.arguments_hmac.clone()),
    ("request_id", |entry| entry.request_id.clone()),
    ("trace_id", |entry| entry.trace_id.clone()),
    ("hash", |entry| Some(entry.hash.clone())),
    ("settled_seq", |entry| entry.settled_seq.map(|seq| seq.to_string())),
    ("settled_hash", |entry| entry.settled_hash.clone()),
];

impl ExportFormat {
    /// The media type of such an export.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/jsonl",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// What stands before the first entry.
    #[must_use]
    pub fn header(self) -> String {
        match self {
            Self::Jsonl => String::new(),
            Self::Csv => row(COLUMNS.iter().map(|(name, _)| (*name).to_owned())),
        }
    }

    /// One entry with its line end.
    #[must_use]
    pub fn line(self, entry: &Entry) -> String {
        match self {
            // An entry is made of text, numbers and lists of text: it always has a JSON form.
            Self::Jsonl => serde_json::to_string(entry).unwrap_or_default() + "\n",
            Self::Csv => row(COLUMNS.iter().map(|(_, value)| value(entry).unwrap_or_default())),
        }
    }
}

fn row(values: impl Iterator<Item = String>) -> String {
    values.map(|value| field(&value)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// Quotes a field as RFC 4180 says. What agents name could begin like a formula, which
/// spreadsheets run: such a field gets an apostrophe in front, and they show it as text.
fn field(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let value = if formula { format!("'{value}") } else { value.to_owned() };
    if value.contains(['"', ',', '\r', '\n', '\'']) {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_where_it_has_to_be() {
        for (value, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=SUM(A1)", "\"'=SUM(A1)\""),
            ("", ""),
        ] {
            assert_eq!(field(value), expected);
        }
    }
}
