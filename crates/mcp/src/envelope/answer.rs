//! Answers that the gate writes itself.

pub use super::text::escape;

/// A response with a result.
#[must_use]
pub fn result(raw_id: &str, raw_result: &str) -> String {
    let mut answer = String::with_capacity(raw_id.len() + raw_result.len() + 40);
    answer.push_str(r#"{"jsonrpc":"2.0","id":"#);
    answer.push_str(raw_id);
    answer.push_str(r#","result":"#);
    answer.push_str(raw_result);
    answer.push('}');
    answer
}

/// A response with an error; `raw_id` is `null` when nobody knows what it answers.
#[must_use]
pub fn error(raw_id: &str, code: i64, message: &str, raw_data: Option<&str>) -> String {
    let mut answer = String::with_capacity(raw_id.len() + message.len() + raw_data.map_or(0, str::len) + 80);
    answer.push_str(r#"{"jsonrpc":"2.0","id":"#);
    answer.push_str(raw_id);
    answer.push_str(r#","error":{"code":"#);
    answer.push_str(&code.to_string());
    answer.push_str(r#","message":"#);
    answer.push_str(&escape(message));
    if let Some(data) = raw_data {
        answer.push_str(r#","data":"#);
        answer.push_str(data);
    }
    answer.push_str("}}");
    answer
}
