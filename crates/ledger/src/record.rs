//! The bytes of a record: what the chain hashes and the log keeps.
//!
//! Fields are written in the order of their tags, each with its length; a field that is absent is not written. So a
//! record can be rebuilt from the columns of `entries`, and a column added later does not change older records.

use std::fmt::Write as _;

use policy::Timestamp;

use crate::bytes::{Malformed, Reader, as_text, put_block, put_varint};
use crate::{Ending, EntryId, Intent, Outcome, Settlement, UpstreamResult};

/// Bytes of one text field of a record; what an agent sends beyond that is cut off.
pub(crate) const TEXT_BYTES: usize = 1024;
const CUT: &str = "…";

/// What to do with a text that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Cut it: the record is being made.
    Bounded,
    /// Keep it: the record is being checked.
    AsIs,
}

/// The opened record of an entry, or the only one of a refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    pub(crate) id: EntryId,
    pub(crate) at: Timestamp,
    pub(crate) instance: u64,
    pub(crate) outcome: Outcome,
    pub(crate) grant: &'a str,
    pub(crate) client: Option<&'a str>,
    pub(crate) session: &'a str,
    pub(crate) server: &'a str,
    pub(crate) method: &'a str,
    pub(crate) tool: Option<&'a str>,
    pub(crate) category: Option<&'a str>,
    pub(crate) policy: Option<&'a str>,
    pub(crate) policy_version: Option<&'a str>,
    pub(crate) rule: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) approval: Option<&'a str>,
    pub(crate) argument_keys: Option<&'a str>,
    pub(crate) arguments_hmac: Option<[u8; 32]>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) trace_id: Option<&'a str>,
}

/// The settled record of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) opened_seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) result: UpstreamResult,
    pub(crate) status: Option<u16>,
    pub(crate) is_error: Option<bool>,
    pub(crate) gateway_us: u64,
    pub(crate) upstream_us: u64,
}

impl<'a> Opened<'a> {
    /// The record of `intent`; `argument_keys` is [`argument_keys`] of it.
    pub(crate) fn of(intent: &Intent<'a>, argument_keys: &'a str, instance: u64, outcome: Outcome) -> Self {
        Self {
            id: intent.id,
            at: intent.at,
            instance,
            outcome,
            grant: intent.grant,
            client: intent.client,
            session: intent.session,
            server: intent.server,
            method: intent.method,
            tool: intent.tool,
            category: intent.category,
            policy: intent.policy,
            policy_version: intent.policy_version,
            rule: intent.rule,
            reason: None,
            approval: None,
            argument_keys: (!argument_keys.is_empty()).then_some(argument_keys),
            arguments_hmac: intent.arguments_hmac,
            request_id: intent.request_id,
            trace_id: intent.trace_id,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>, length: Length) {
        let text = |tag: u8, value: Option<&str>, out: &mut Vec<u8>| {
            if let Some(value) = value {
                out.push(tag);
                match length {
                    Length::Bounded if value.len() > TEXT_BYTES => put_cut(out, value),
                    Length::Bounded | Length::AsIs => put_block(out, value.as_bytes()),
                }
            }
        };
        put_field(out, 1, &self.id.to_bytes());
        put_field(out, 2, &self.at.as_micros().to_le_bytes());
        put_number(out, 3, self.instance);
        put_field(out, 4, &[outcome_code(self.outcome)]);
        text(5, Some(self.grant), out);
        text(6, self.client, out);
        text(7, Some(self.session), out);
        text(8, Some(self.server), out);
        text(9, Some(self.method), out);
        text(10, self.tool, out);
        text(11, self.category, out);
        text(12, self.policy, out);
        text(13, self.policy_version, out);
        text(14, self.rule, out);
        text(15, self.reason, out);
        text(16, self.approval, out);
        text(17, self.argument_keys, out);
        if let Some(hmac) = &self.arguments_hmac {
            put_field(out, 18, hmac);
        }
        text(19, self.request_id, out);
        text(20, self.trace_id, out);
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        let record = Self {
            id: EntryId::from_bytes(fields.array(1)?.ok_or(MISSING)?),
            at: fields.time(2)?,
            instance: fields.number(3)?.ok_or(MISSING)?,
            outcome: outcome_of(fields.array(4)?.ok_or(MISSING)?)?,
            grant: fields.text(5)?.ok_or(MISSING)?,
            client: fields.text(6)?,
            session: fields.text(7)?.ok_or(MISSING)?,
            server: fields.text(8)?.ok_or(MISSING)?,
            method: fields.text(9)?.ok_or(MISSING)?,
            tool: fields.text(10)?,
            category: fields.text(11)?,
            policy: fields.text(12)?,
            policy_version: fields.text(13)?,
            rule: fields.text(14)?,
            reason: fields.text(15)?,
            approval: fields.text(16)?,
            argument_keys: fields.text(17)?,
            arguments_hmac: fields.array(18)?,
            request_id: fields.text(19)?,
            trace_id: fields.text(20)?,
        };
        fields.end()?;
        Ok(record)
    }
}

impl Settled {
    pub(crate) fn of(opened_seq: u64, settlement: &Settlement) -> Self {
        let (result, status, is_error) = match settlement.ending {
            Ending::Answered { is_error, status } => (UpstreamResult::Answered, status, Some(is_error)),
            Ending::Failed => (UpstreamResult::Failed, None, None),
            Ending::TimedOut => (UpstreamResult::TimedOut, None, None),
            Ending::NotSent => (UpstreamResult::NotSent, None, None),
            Ending::Unknown => (UpstreamResult::Unknown, None, None),
        };
        let Settlement { at, gateway_us, upstream_us, .. } = *settlement;
        Self {
            opened_seq,
            at,
            result,
            status,
            is_error,
            gateway_us: in_range(gateway_us),
            upstream_us: in_range(upstream_us),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, 1, self.opened_seq);
        put_field(out, 2, &self.at.as_micros().to_le_bytes());
        put_field(out, 3, &[result_code(self.result)]);
        if let Some(status) = self.status {
            put_number(out, 4, u64::from(status));
        }
        if let Some(is_error) = self.is_error {
            put_field(out, 5, &[u8::from(is_error)]);
        }
        put_number(out, 6, self.gateway_us);
        put_number(out, 7, self.upstream_us);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        let record = Self {
            opened_seq: fields.number(1)?.ok_or(MISSING)?,
            at: fields.time(2)?,
            result: result_of(fields.array(3)?.ok_or(MISSING)?)?,
            status: fields.number(4)?.map(|status| u16::try_from(status).map_err(|_| OUT_OF_RANGE)).transpose()?,
            is_error: fields
                .array(5)?
                .map(|[flag]: [u8; 1]| if flag > 1 { Err(OUT_OF_RANGE) } else { Ok(flag == 1) })
                .transpose()?,
            gateway_us: fields.number(6)?.ok_or(MISSING)?,
            upstream_us: fields.number(7)?.ok_or(MISSING)?,
        };
        fields.end()?;
        Ok(record)
    }
}

/// The keys as a JSON list, or nothing if there are none; at most [`TEXT_BYTES`] long.
pub(crate) fn argument_keys(keys: &[&str]) -> String {
    let mut list = String::new();
    for (index, key) in keys.iter().enumerate() {
        let before = list.len();
        list.push(if index == 0 { '[' } else { ',' });
        put_json_string(&mut list, key);
        if list.len() + CUT.len() + 4 > TEXT_BYTES {
            list.truncate(before);
            list.push_str(if index == 0 { "[\"" } else { ",\"" });
            list.push_str(CUT);
            list.push('"');
            break;
        }
    }
    if !list.is_empty() {
        list.push(']');
    }
    list
}

pub(crate) fn put_json_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

const MISSING: Malformed = Malformed("a field is missing");
const OUT_OF_RANGE: Malformed = Malformed("a field is out of range");

/// What a database integer has room for.
fn in_range(number: u64) -> u64 {
    number.min(i64::MAX as u64)
}

fn put_field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_block(out, bytes);
}

fn put_number(out: &mut Vec<u8>, tag: u8, number: u64) {
    let bytes = (64 - (number | 1).leading_zeros()).div_ceil(7);
    out.push(tag);
    put_varint(out, u64::from(bytes));
    put_varint(out, number);
}

fn put_cut(out: &mut Vec<u8>, text: &str) {
    let kept = text.get(..text.floor_char_boundary(TEXT_BYTES - CUT.len())).unwrap_or_default();
    put_varint(out, (kept.len() + CUT.len()) as u64);
    out.extend_from_slice(kept.as_bytes());
    out.extend_from_slice(CUT.as_bytes());
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Allow => 1,
        Outcome::Deny => 2,
        Outcome::Hide => 3,
        Outcome::Limit => 4,
        Outcome::Approve => 5,
        Outcome::Reject => 6,
    }
}

fn outcome_of([code]: [u8; 1]) -> Result<Outcome, Malformed> {
    use Outcome::{Allow, Approve, Deny, Hide, Limit, Reject};
    [Allow, Deny, Hide, Limit, Approve, Reject]
        .into_iter()
        .find(|outcome| outcome_code(*outcome) == code)
        .ok_or(OUT_OF_RANGE)
}

fn result_code(result: UpstreamResult) -> u8 {
    match result {
        UpstreamResult::Answered => 1,
        UpstreamResult::Failed => 2,
        UpstreamResult::TimedOut => 3,
        UpstreamResult::NotSent => 4,
        UpstreamResult::Unknown => 5,
    }
}

fn result_of([code]: [u8; 1]) -> Result<UpstreamResult, Malformed> {
    use UpstreamResult::{Answered, Failed, NotSent, TimedOut, Unknown};
    [Answered, Failed, TimedOut, NotSent, Unknown]
        .into_iter()
        .find(|result| result_code(*result) == code)
        .ok_or(OUT_OF_RANGE)
}

/// Tagged fields in ascending order.
struct Fields<'a> {
    reader: Reader<'a>,
    next: Option<u8>,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes);
        let next = reader.byte().ok();
        Self { reader, next }
    }

    fn block(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.next != Some(tag) {
            return Ok(None);
        }
        let block = self.reader.block()?;
        self.next = self.reader.byte().ok();
        Ok(Some(block))
    }

    fn array<const N: usize>(&mut self, tag: u8) -> Result<Option<[u8; N]>, Malformed> {
        self.block(tag)?.map(|block| block.try_into().map_err(|_| Malformed("a field has another length"))).transpose()
    }

    fn number(&mut self, tag: u8) -> Result<Option<u64>, Malformed> {
        self.block(tag)?.map(|block| Reader::new(block).varint()).transpose()
    }

    fn text(&mut self, tag: u8) -> Result<Option<&'a str>, Malformed> {
        self.block(tag)?.map(as_text).transpose()
    }

    fn time(&mut self, tag: u8) -> Result<Timestamp, Malformed> {
        let micros = self.array(tag)?.ok_or(MISSING)?;
        Ok(Timestamp::from_micros(i64::from_le_bytes(micros)))
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.next.is_none() { Ok(()) } else { Err(Malformed("it has a field that this version does not know")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intent() -> Intent<'static> {
        Intent {
            id: EntryId::new(Timestamp::from_millis(1_700_000_000_000), 7),
            at: Timestamp::from_millis(1_700_000_000_000),
            grant: "alice",
            client: None,
            session: "s1",
            server: "files",
            method: "tools/call",
            tool: Some("read_file"),
            category: None,
            policy: Some("safe"),
            policy_version: Some("0123456789abcdef"),
            rule: Some("/tools/read_file"),
            argument_keys: &["path", "a\"b"],
            arguments_hmac: Some([3; 32]),
            request_id: Some("1"),
            trace_id: None,
        }
    }

    #[test]
    fn an_opened_record_comes_back_as_it_was() {
        let keys = argument_keys(intent().argument_keys);
        assert_eq!(keys, r#"["path","a\"b"]"#);
        let record = Opened::of(&intent(), &keys, 3, Outcome::Allow);
        let mut bytes = Vec::new();
        record.encode(&mut bytes, Length::Bounded);
        assert_eq!(Opened::decode(&bytes), Ok(record));
        assert!(bytes.len() < 220, "a record stays small: {}", bytes.len());
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let long = "ä".repeat(TEXT_BYTES);
        let record = Opened { tool: Some(&long), ..Opened::of(&intent(), "", 3, Outcome::Deny) };
        let mut bytes = Vec::new();
        record.encode(&mut bytes, Length::Bounded);
        let kept = Opened::decode(&bytes).unwrap().tool.unwrap();
        assert!(kept.len() <= TEXT_BYTES && kept.ends_with("ä…"), "{kept}");
    }

    #[test]
    fn the_list_of_keys_stays_a_bounded_json_list() {
        let long = "k".repeat(300);
        let list = argument_keys(&[long.as_str(); 10]);
        assert!(list.len() <= TEXT_BYTES && list.ends_with(",\"…\"]"), "{list}");
        let one = "k".repeat(3000);
        assert_eq!(argument_keys(&[one.as_str()]), "[\"…\"]");
        assert_eq!(argument_keys(&[]), "");
    }

    #[test]
    fn a_settled_record_comes_back_as_it_was() {
        let ending = Ending::Answered { is_error: true, status: Some(200) };
        let settlement = Settlement { at: Timestamp::from_micros(-5), ending, gateway_us: 30, upstream_us: u64::MAX };
        let record = Settled::of(9, &settlement);
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Settled::decode(&bytes), Ok(record));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _either = (Opened::decode(&bytes), Settled::decode(&bytes));
        }
    }
}
