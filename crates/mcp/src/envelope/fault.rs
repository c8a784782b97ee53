//! What can be wrong with a message, and how that is said.

use super::{Rejected, text};

/// The longest piece of a message that is repeated in a complaint, in characters.
const LONGEST_QUOTE: usize = 64;

/// Something wrong, and the byte where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: What,
    pub(super) at: usize,
}

/// What is wrong. The names in it are the protocol's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    TooLarge(usize),
    NotUtf8,
    ByteOrderMark,
    Empty,
    Expected(&'static str),
    UnfinishedString,
    ControlCharacter,
    Escape,
    Surrogate,
    Number,
    Trailing,
    TooDeep(usize),
    Duplicate,
    Lookalike(&'static str),
    CutShort(&'static str),
    Envelope(Envelope),
    Params(Params),
    List(List),
}

/// JSON that is no message, or no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Envelope {
    Batch,
    EmptyBatch,
    BatchTooLong(usize),
    InitializeInBatch,
    NotAnObject,
    Version,
    Id,
    MissingId,
    NotificationWithId,
    NothingToDo,
    MethodAndOutcome,
    ResultAndError,
    ParamsInResponse,
    MethodNotString,
    MethodCase(&'static str),
    MethodWithNul,
}

/// A message whose `params` are not what its method needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Params {
    NotAnObject,
    Absent,
    Missing(&'static str),
    NotAString(&'static str),
    WithNul(&'static str),
    NotAnObjectIn(&'static str),
    RequestId,
    ReferenceType,
}

/// A result whose list cannot be filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Missing(&'static str),
    NotAnArray(&'static str),
    ElementNotAnObject(&'static str),
    ElementWithout(&'static str),
    KeyNotAString(&'static str),
}

impl From<Envelope> for What {
    fn from(what: Envelope) -> Self {
        Self::Envelope(what)
    }
}

impl From<Params> for What {
    fn from(what: Params) -> Self {
        Self::Params(what)
    }
}

impl What {
    /// The fault of what stands at a place.
    pub(super) fn at(self, at: usize) -> Fault {
        Fault { what: self, at }
    }

    /// JSON-RPC code and HTTP status towards an agent.
    fn codes(self) -> (i64, u16) {
        match self {
            Self::TooLarge(_) => (-32700, 413),
            Self::NotUtf8
            | Self::ByteOrderMark
            | Self::Empty
            | Self::Expected(_)
            | Self::UnfinishedString
            | Self::ControlCharacter
            | Self::Escape
            | Self::Surrogate
            | Self::Number
            | Self::Trailing
            | Self::TooDeep(_) => (-32700, 400),
            Self::Params(_) => (-32602, 400),
            Self::Duplicate | Self::Lookalike(_) | Self::CutShort(_) | Self::Envelope(_) | Self::List(_) => {
                (-32600, 400)
            }
        }
    }
}

impl Fault {
    /// The refusal of an agent's message.
    pub(super) fn by_agent(self, source: &str) -> Rejected {
        let (code, status) = self.what.codes();
        Rejected { code, status, id: None, message: self.describe(source), method: None, name: None }
    }

    /// The refusal of an upstream's message.
    pub(super) fn by_upstream(self, source: &str) -> Rejected {
        let message = format!("the server's answer cannot be read: {}", self.describe(source));
        Rejected { code: -32603, status: 502, id: None, message, method: None, name: None }
    }

    fn describe(self, source: &str) -> String {
        let at = self.at;
        match self.what {
            What::TooLarge(bound) => {
                format!("the message has {at} bytes, more than the {bound} that are read; send less at once")
            }
            What::NotUtf8 => format!("byte {at} is not UTF-8; send the message as UTF-8"),
            What::ByteOrderMark => "the message starts with a byte order mark; send it without".to_owned(),
            What::Empty => "the message is empty; send one JSON-RPC object".to_owned(),
            What::Expected(expected) => {
                format!("expected {expected} at byte {at}, found {}; send exact JSON", found(source, at))
            }
            What::UnfinishedString => {
                format!("the string that starts at byte {at} has no end; close it with `\"`")
            }
            What::ControlCharacter => {
                format!("bare control character in a string at byte {at}; escape it as `\\u` and four digits")
            }
            What::Escape => {
                format!("unknown escape in a string at byte {at}; write a backslash as `\\\\`")
            }
            What::Surrogate => {
                format!("unpaired surrogate escape at byte {at}; send both halves or neither")
            }
            What::Number => format!("`{}` at byte {at} is not a JSON number; write it as JSON does", word(source, at)),
            What::Trailing => {
                format!("there is something after the message, at byte {at}; send one message at a time")
            }
            What::TooDeep(bound) => {
                format!("objects and arrays nest deeper than {bound} at byte {at}; send a flatter message")
            }
            What::Duplicate => format!("duplicate key {} at byte {at}; send each key once", key(source, at)),
            What::Lookalike(real) => {
                format!("key {} at byte {at} differs from `{real}` only in case; write `{real}`", key(source, at))
            }
            What::CutShort(real) => {
                format!("key {} at byte {at} can be taken for `{real}`; write `{real}`", key(source, at))
            }
            What::Envelope(what) => what.describe(source, at),
            What::Params(what) => what.describe(),
            What::List(what) => what.describe(at),
        }
    }
}

impl Envelope {
    fn describe(self, source: &str, at: usize) -> String {
        let said = match self {
            Self::BatchTooLong(bound) => {
                return format!("the batch has more than {bound} messages; send fewer at once");
            }
            Self::NotAnObject => {
                let found = found(source, at);
                return format!("a message is an object, found {found} at byte {at}; send one JSON-RPC object");
            }
            Self::MethodCase(real) => {
                return format!("the method differs from `{real}` only in case; write `{real}`");
            }
            Self::Batch => "this protocol revision has no batches; send each message by itself",
            Self::EmptyBatch => "the batch is empty; send at least one message",
            Self::InitializeInBatch => "`initialize` stands in a batch; send it by itself, first",
            Self::Version => "`jsonrpc` must be the string \"2.0\"; send it with every message",
            Self::Id => "`id` must be a string or an integer, written with digits alone; send one of these",
            Self::MissingId => "this method is a request; send it with an `id`",
            Self::NotificationWithId => "a notification has no `id`; leave it out",
            Self::NothingToDo => "there is neither a `method` nor a `result` nor an `error`; send one of them",
            Self::MethodAndOutcome => {
                "`method` stands beside a `result` or an `error`; send a request or a response, not both"
            }
            Self::ResultAndError => "`result` stands beside `error`; send one of them",
            Self::ParamsInResponse => "a response has no `params`; leave them out",
            Self::MethodWithNul => {
                "`method` holds a NUL character, which some readers take for its end; send it without"
            }
            Self::MethodNotString => "`method` must be a string; send the method's name",
        };
        said.to_owned()
    }
}

impl Params {
    fn describe(self) -> String {
        match self {
            Self::NotAnObject => "`params` must be an object; send an object or leave them out".to_owned(),
            Self::Absent => "this method needs `params`; send them as an object".to_owned(),
            Self::Missing(member) => format!("`params` have no `{member}`; add it"),
            Self::NotAString(member) => {
                format!("`{member}` in `params` must be a string; send a string")
            }
            Self::WithNul(member) => format!(
                "`{member}` in `params` holds a NUL character, which some readers take for its end; send it without"
            ),
            Self::NotAnObjectIn(member) => {
                format!("`{member}` in `params` must be an object; send an object or leave it out")
            }
            Self::RequestId => "`requestId` must be a string or an integer; send the id of the request".to_owned(),
            Self::ReferenceType => {
                "`type` in `ref` must be \"ref/prompt\" or \"ref/resource\"; send one of these".to_owned()
            }
        }
    }
}

impl List {
    fn describe(self, at: usize) -> String {
        match self {
            Self::Missing(member) => format!("the result has no `{member}`; it must be an array"),
            Self::NotAnArray(member) => format!("`{member}` is not an array; it must be one"),
            Self::ElementNotAnObject(member) => {
                format!("the element of `{member}` at byte {at} is not an object; it must be one")
            }
            Self::ElementWithout(key) => {
                format!("the element at byte {at} has no `{key}`; it must have one")
            }
            Self::KeyNotAString(key) => {
                format!("`{key}` of the element at byte {at} is not a string; it must be one")
            }
        }
    }
}

/// What stands at a place, for a complaint.
fn found(source: &str, at: usize) -> String {
    match source.get(at..).and_then(|rest| rest.chars().next()) {
        Some(quote @ ('\'' | '"')) => format!("`{quote}`"),
        Some(character) => format!("`{}`", character.escape_debug()),
        None => "the end".to_owned(),
    }
}

/// The key whose opening quote stands at a place.
fn key(source: &str, at: usize) -> String {
    let inner = source.get(at + 1..).unwrap_or_default();
    let mut escaped = false;
    let end = inner.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    let inner = end.and_then(|end| inner.get(..end)).unwrap_or_default();
    format!("`{}`", shortened(&text::unescape(inner)))
}

fn word(source: &str, at: usize) -> String {
    let rest = source.get(at..).unwrap_or_default();
    let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t', '"', ':']).unwrap_or(rest.len());
    shortened(rest.get(..end).unwrap_or_default())
}

fn shortened(text: &str) -> String {
    let mut quoted: String = text.chars().take(LONGEST_QUOTE).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST_QUOTE).is_some() {
        quoted.push('…');
    }
    quoted
}
