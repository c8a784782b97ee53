//! Entries as JSON lines and CSV.

use policy::Timestamp;
use serde_json::{Map, Value, json};

use crate::Entry;
use crate::frame::hex;

/// The columns of an exported entry, in order: the members of its JSON, the header of its CSV.
pub const EXPORT_COLUMNS: [&str; 30] = [
    "id",
    "at",
    "outcome",
    "grant",
    "client",
    "session",
    "server",
    "method",
    "tool",
    "category",
    "policy",
    "policy_version",
    "rule",
    "reason",
    "approval",
    "argument_keys",
    "arguments_hmac",
    "request_id",
    "trace_id",
    "settled_at",
    "result",
    "upstream_status",
    "is_error",
    "gateway_us",
    "upstream_us",
    "instance",
    "opened_seq",
    "opened_hash",
    "settled_seq",
    "settled_hash",
];

impl Entry {
    /// The entry as a JSON object on one line, without the members that are absent.
    #[must_use]
    pub fn to_json(&self) -> String {
        let members = EXPORT_COLUMNS.into_iter().zip(self.values()).filter(|(_, value)| !value.is_null());
        Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()).to_string()
    }

    /// The entry as a line of CSV (RFC 4180), without the line's end. Columns as in [`EXPORT_COLUMNS`].
    ///
    /// A text that a spreadsheet would take for a formula is preceded by an apostrophe.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let fields = self.values().map(|value| match value {
            Value::Null => String::new(),
            Value::String(ref text) => csv_field(text),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => csv_field(&value.to_string()),
        });
        fields.join(",")
    }

    fn values(&self) -> [Value; 30] {
        let keys = self.argument_keys.as_ref().map(|keys| serde_json::from_str(keys).unwrap_or_else(|_| json!(keys)));
        [
            json!(self.id.to_string()),
            json!(time(self.at)),
            json!(self.outcome.as_str()),
            json!(self.grant),
            json!(self.client),
            json!(self.session),
            json!(self.server),
            json!(self.method),
            json!(self.tool),
            json!(self.category),
            json!(self.policy),
            json!(self.policy_version),
            json!(self.rule),
            json!(self.reason),
            json!(self.approval),
            keys.unwrap_or(Value::Null),
            json!(self.arguments_hmac.map(|hmac| hex(&hmac))),
            json!(self.request_id),
            json!(self.trace_id),
            json!(self.settled_at.map(time)),
            json!(self.result.map(crate::UpstreamResult::as_str)),
            json!(self.upstream_status),
            json!(self.is_error),
            json!(self.gateway_us),
            json!(self.upstream_us),
            json!(self.instance),
            json!(self.opened_seq),
            json!(hex(&self.opened_hash)),
            json!(self.settled_seq),
            json!(self.settled_hash.map(|hash| hex(&hash))),
        ]
    }
}

/// RFC 3339, in UTC, to the microsecond.
fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| at.as_micros().to_string(), |time| format!("{time:.6}"))
}

fn csv_field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_where_it_must_be_and_never_a_formula() {
        assert_eq!(csv_field("plain"), "plain");
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_field("=HYPERLINK(1)"), "'=HYPERLINK(1)");
    }

    #[test]
    fn a_time_is_written_to_the_microsecond() {
        assert_eq!(time(Timestamp::from_micros(1_700_000_000_000_001)), "2023-11-14T22:13:20.000001Z");
    }
}
