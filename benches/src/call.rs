//! The calls that the load consists of, and what proves an answer right.

use bytes::Bytes;
use memchr::memmem;

/// The text of a large result, in bytes.
pub(crate) const LARGE: usize = 1024 * 1024;

/// A tool of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Answers in a few words.
    Small,
    /// Answers with [`LARGE`] bytes of text.
    Large,
}

impl Tool {
    pub(crate) fn request(self, id: u64) -> Bytes {
        let (name, note) = match self {
            Self::Small => ("create_order", "two of them, please"),
            Self::Large => ("read_report", "all of it"),
        };
        Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{"sku":"item-7","amount":12.50,"currency":"gbp","note":"{note}"}}}}}}"#
        ))
    }

    /// Whether `head`, the beginning of an answer that is `bytes` long, answers request `id` with
    /// this tool's result.
    pub(crate) fn is_answer(self, id: u64, head: &[u8], bytes: usize) -> bool {
        let long_enough = match self {
            Self::Small => true,
            Self::Large => bytes > LARGE,
        };
        let id = format!(r#""id":{id},"#);
        long_enough && memmem::find(head, id.as_bytes()).is_some() && memmem::find(head, RESULT.as_bytes()).is_some()
    }
}

/// How every result begins.
pub(crate) const RESULT: &str = r#""result":{"content":[{"type":"text","text":"done: "#;

/// The raw id of a JSON-RPC request that this benchmark wrote: no strings with commas, no spaces.
pub(crate) fn raw_id(request: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = br#""id":"#;
    let start = memmem::find(request, KEY)? + KEY.len();
    let rest = request.get(start..)?;
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}'))?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_a_request() {
        assert_eq!(raw_id(&Tool::Small.request(17)), Some(b"17".as_slice()));
    }

    #[test]
    fn a_denial_is_no_answer() {
        let denial = br#"{"jsonrpc":"2.0","id":17,"result":{"isError":true,"content":[]}}"#;
        assert!(!Tool::Small.is_answer(17, denial, denial.len()));
    }

    #[test]
    fn the_answer_to_another_request_is_no_answer() {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":18,{RESULT}"}}]}}}}"#);
        assert!(Tool::Small.is_answer(18, answer.as_bytes(), answer.len()));
        assert!(!Tool::Small.is_answer(1, answer.as_bytes(), answer.len()));
    }
}
