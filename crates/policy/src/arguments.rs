//! The arguments of a call, read only as far as somebody looks.
//!
//! The text is split into keys and values level by level: a value that no path steps into is skipped over once and
//! never read. What cannot be read is undetermined, so a caller that hands in broken text gets a denial, not a panic.

use std::ops::Range;

use crate::decimal::{Decimal, NotExact};
use crate::path::Key;
use crate::raw_text::{FoldedHash, RawText, folded};

/// How many values there is room for at first.
const USUAL_MEMBERS: usize = 16;

/// The arguments of one call.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    /// All values that have been seen so far; the first is the arguments themselves, if there are any.
    members: Vec<Member<'a>>,
    present: bool,
}

#[derive(Debug, Clone)]
struct Member<'a> {
    key: RawText<'a>,
    hash: FoldedHash,
    value: &'a str,
    children: Children,
}

#[derive(Debug, Clone)]
enum Children {
    Unread,
    Read(Range<usize>),
    Broken,
}

/// A value of the arguments that has been found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(usize);

/// What a step leads to.
#[derive(Debug, Clone)]
pub(crate) enum Stepped {
    To(Place),
    /// Nothing is there.
    Absent,
    /// There is nothing to step into: the value is not an object, or not an array.
    Blocked,
    /// A key differs from the step only in case.
    OtherCase,
    /// The text is not JSON.
    Broken,
}

/// One value.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// Text in the arguments.
    Raw(RawText<'a>),
    /// Text from elsewhere.
    Text(&'a str),
    /// An array, as it stands in the text.
    List(&'a str),
    Object,
    Broken,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(raw: Option<&'a str>) -> Self {
        let root = raw.map(|raw| Member {
            key: RawText(""),
            hash: FoldedHash::of(""),
            value: raw.trim_ascii(),
            children: Children::Unread,
        });
        Self { present: root.is_some(), members: root.into_iter().collect() }
    }

    /// The whole object, if there are arguments at all.
    pub(crate) fn root(&self) -> Option<Place> {
        self.present.then_some(Place(0))
    }

    pub(crate) fn value(&self, place: Place) -> Value<'a> {
        self.members.get(place.0).map_or(Value::Broken, |member| Value::read(member.value))
    }

    /// The value of a key.
    pub(crate) fn key(&mut self, place: Place, key: &Key) -> Stepped {
        let children = match self.children(place, b'{') {
            Ok(children) => children,
            Err(stepped) => return stepped,
        };
        let mut found = None;
        let start = children.start;
        for (offset, member) in self.members.get(children).unwrap_or_default().iter().enumerate() {
            if member.hash != key.hash {
                continue;
            }
            if member.key.is(&key.text) {
                found = Some(Place(start + offset));
            } else if folded(member.key.characters()).eq(folded(key.text.chars())) {
                return Stepped::OtherCase;
            }
        }
        found.map_or(Stepped::Absent, Stepped::To)
    }

    /// The member of an array at an index.
    pub(crate) fn index(&mut self, place: Place, index: usize) -> Stepped {
        match self.children(place, b'[') {
            Ok(children) if index < children.len() => Stepped::To(Place(children.start + index)),
            Ok(_) => Stepped::Absent,
            Err(stepped) => stepped,
        }
    }

    /// All members of an array.
    pub(crate) fn elements(&mut self, place: Place) -> Result<impl Iterator<Item = Place> + use<>, Stepped> {
        self.children(place, b'[').map(|children| children.map(Place))
    }

    /// The places of what an object or array holds, split on first use.
    fn children(&mut self, place: Place, opening: u8) -> Result<Range<usize>, Stepped> {
        let member = self.members.get(place.0).ok_or(Stepped::Broken)?;
        if member.value.as_bytes().first() != Some(&opening) {
            return Err(Stepped::Blocked);
        }
        match &member.children {
            Children::Read(range) => return Ok(range.clone()),
            Children::Broken => return Err(Stepped::Broken),
            Children::Unread => {}
        }
        let text = member.value;
        self.members.reserve(USUAL_MEMBERS);
        let start = self.members.len();
        let complete = split(text, |key, value| {
            let hash = FoldedHash::of_raw(key);
            self.members.push(Member { key, hash, value, children: Children::Unread });
        });
        let range = start..self.members.len();
        let children = if complete.is_some() { Children::Read(range.clone()) } else { Children::Broken };
        if let Some(member) = self.members.get_mut(place.0) {
            member.children = children;
        }
        complete.map(|()| range).ok_or(Stepped::Broken)
    }
}

impl<'a> Value<'a> {
    pub(crate) fn read(raw: &'a str) -> Self {
        match (raw.as_bytes().first(), raw) {
            (Some(b'"'), _) => {
                raw.get(1..raw.len().saturating_sub(1)).map_or(Value::Broken, |inside| Value::Raw(RawText(inside)))
            }
            (Some(b'{'), _) => Value::Object,
            (Some(b'['), _) => Value::List(raw),
            (Some(b'-' | b'0'..=b'9'), _) => Value::Number(raw),
            (_, "true") => Value::Bool(true),
            (_, "false") => Value::Bool(false),
            (_, "null") => Value::Null,
            _ => Value::Broken,
        }
    }

    /// What the value is, with its article.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Raw(_) | Value::Text(_) => "a string",
            Value::List(_) => "an array",
            Value::Object => "an object",
            Value::Broken => "not JSON",
        }
    }

    /// The number, if the value is one.
    pub(crate) fn number(&self) -> Option<Result<Decimal, NotExact>> {
        match self {
            Value::Number(text) => Some(Decimal::parse(text)),
            Value::Null
            | Value::Bool(_)
            | Value::Raw(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Object
            | Value::Broken => None,
        }
    }
}

/// Calls `each` for every member of an array's text; nothing if the text is broken.
pub(crate) fn members<'a>(list: &'a str, mut each: impl FnMut(Value<'a>)) -> Option<()> {
    split(list, |_, value| each(Value::read(value)))
}

/// The top-level keys of an object's text, escapes resolved.
pub(crate) fn keys(object: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let object = object.trim_ascii();
    if object.starts_with('{') {
        let _ = split(object, |key, _| keys.push(key.resolved().into_owned()));
    }
    keys
}

/// Splits the text of an object or array into its keys and values; nothing if it cannot be read to its end.
fn split<'a>(text: &'a str, mut each: impl FnMut(RawText<'a>, &'a str)) -> Option<()> {
    let bytes = text.as_bytes();
    let closing = match bytes.first()? {
        b'{' => b'}',
        b'[' => b']',
        _ => return None,
    };
    let mut at = skip_space(bytes, 1);
    if *bytes.get(at)? == closing {
        return (at + 1 == bytes.len()).then_some(());
    }
    loop {
        let mut key = RawText("");
        if closing == b'}' {
            let end = string_end(bytes, at)?;
            key = RawText(text.get(at + 1..end - 1)?);
            at = skip_space(bytes, end);
            if *bytes.get(at)? != b':' {
                return None;
            }
            at = skip_space(bytes, at + 1);
        }
        let end = value_end(bytes, at)?;
        each(key, text.get(at..end)?);
        at = skip_space(bytes, end);
        match bytes.get(at)? {
            b',' => at = skip_space(bytes, at + 1),
            byte if *byte == closing => return (at + 1 == bytes.len()).then_some(()),
            _ => return None,
        }
    }
}

pub(crate) fn skip_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// How far a string is searched byte by byte; most end before it pays to search in larger steps.
const SHORT: usize = 24;

/// Where the string that begins at `at` ends, its closing quote included.
pub(crate) fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    let near = bytes.get(at..)?.iter().take(SHORT);
    at += near.take_while(|byte| !matches!(byte, b'"' | b'\\')).count();
    loop {
        at += match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => 2,
            _ => memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?,
        };
    }
}

pub(crate) fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string_end(bytes, at),
        b'{' | b'[' => nested_end(bytes, at),
        _ => {
            let rest = bytes.get(at..)?;
            let length = rest
                .iter()
                .take_while(|byte| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
                .count();
            (length > 0).then_some(at + length)
        }
    }
}

/// Where the object or array that begins at `at` ends, its closing bracket included.
fn nested_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().take_while(|byte| !matches!(byte, b'"' | b'{' | b'[' | b'}' | b']')).count();
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            _ => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
        }
        at += 1;
    }
}
