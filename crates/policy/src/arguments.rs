//! The arguments of a call, read once, and only if somebody looks.
//!
//! One pass turns the text into a flat list of values, each of which knows where it stands in the text and where its
//! next neighbour is; nothing is copied or decoded. What cannot be read is undetermined, so a caller that hands in
//! broken text gets a denial, not a panic.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use crate::decimal::{Decimal, NotExact};
use crate::path::Key;
use crate::raw_text::{FoldedHash, RawText, folded};
use crate::scan::{scalar_end, skip_space, string_end, value_end};

/// How many values arguments may have to be judged.
const MAX_VALUES: usize = 262_144;
/// How many bytes of text there usually are to a value, and between how many values there is room for at first.
const USUAL_BYTES: usize = 12;
const LEAST_ROOM: usize = 16;
const MOST_ROOM: usize = 1024;

/// The arguments of one call.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    raw: Option<&'a str>,
    /// Nothing in it if the text is broken.
    values: OnceCell<Option<Vec<Entry>>>,
}

/// Arguments that have been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'v> {
    raw: &'v str,
    /// The first is the arguments themselves.
    entries: &'v [Entry],
}

/// One value, and the key it stands under.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: FoldedHash,
    key: Span,
    value: Span,
    /// The value after this one and all that is inside of it; while it is being read, the value it is inside of.
    next: u32,
}

/// Bytes of the text.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// A value of the arguments that has been found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(u32);

/// What a step leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stepped {
    To(Place),
    /// Nothing is there.
    Absent,
    /// There is nothing to step into: the value is not an object, or not an array.
    Blocked,
    /// A key differs from the step only in case.
    OtherCase,
    /// The text is not JSON, or has too many values.
    Broken,
}

impl Stepped {
    /// The place it leads to, or what is there instead.
    pub(crate) const fn place(self) -> Result<Place, Self> {
        match self {
            Self::To(place) => Ok(place),
            Self::Absent | Self::Blocked | Self::OtherCase | Self::Broken => Err(self),
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
    Broken,
}

/// With its article.
impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::List => "an array",
            Self::Object => "an object",
            Self::Broken => "not JSON",
        })
    }
}

/// One value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// Text in the arguments.
    Raw(RawText<'a>),
    /// Text from elsewhere.
    Text(&'a str),
    /// An array, and where it is.
    List(Values<'a>, Place),
    Object,
    Broken,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(raw: Option<&'a str>) -> Self {
        Self { raw, values: OnceCell::new() }
    }

    /// The values, read now if they have not been read before.
    #[inline]
    pub(crate) fn values(&self) -> Result<Values<'_>, Stepped> {
        let raw = self.raw.ok_or(Stepped::Absent)?;
        let entries = self.values.get_or_init(|| Pass::read(raw)).as_deref().ok_or(Stepped::Broken)?;
        Ok(Values { raw, entries })
    }
}

impl<'v> Values<'v> {
    /// The whole object.
    pub(crate) const ROOT: Place = Place(0);

    #[inline]
    pub(crate) fn value(self, place: Place) -> Value<'v> {
        let text = self.entry(place).map(|entry| self.text(entry.value)).unwrap_or_default();
        match text.as_bytes() {
            [b'"', .., b'"'] => text.get(1..text.len() - 1).map_or(Value::Broken, |inside| Value::Raw(RawText(inside))),
            [b'{', ..] => Value::Object,
            [b'[', ..] => Value::List(self, place),
            [b'-' | b'0'..=b'9', ..] => Value::Number(text),
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"null" => Value::Null,
            _ => Value::Broken,
        }
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn key(self, place: Place, key: &Key) -> Stepped {
        let Some(children) = self.inside(place, b'{') else {
            return Stepped::Blocked;
        };
        let mut found = Stepped::Absent;
        for (place, entry) in children {
            if entry.hash != key.hash {
                continue;
            }
            let name = RawText(self.text(entry.key));
            if name.is(&key.text) {
                found = Stepped::To(place);
            } else if folded(name.characters()).eq(folded(key.text.chars())) {
                return Stepped::OtherCase;
            }
        }
        found
    }

    /// The member of an array at an index.
    pub(crate) fn index(self, place: Place, index: usize) -> Stepped {
        match self.inside(place, b'[') {
            Some(mut children) => children.nth(index).map_or(Stepped::Absent, |(place, _)| Stepped::To(place)),
            None => Stepped::Blocked,
        }
    }

    /// All members of an array; nothing if the value is not one.
    pub(crate) fn elements(self, place: Place) -> Option<impl Iterator<Item = Place>> {
        self.inside(place, b'[').map(|children| children.map(|(place, _)| place))
    }

    /// The values directly inside of an object or array; nothing if the value does not open like one.
    #[inline]
    fn inside(self, place: Place, opening: u8) -> Option<Children<'v>> {
        let entry = self.entry(place)?;
        let opens = self.raw.as_bytes().get(entry.value.start as usize) == Some(&opening);
        opens.then_some(Children { entries: self.entries, at: place.0 + 1, end: entry.next })
    }

    #[inline]
    fn entry(self, place: Place) -> Option<&'v Entry> {
        self.entries.get(place.0 as usize)
    }

    #[inline]
    fn text(self, span: Span) -> &'v str {
        self.raw.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// Goes from neighbour to neighbour.
struct Children<'v> {
    entries: &'v [Entry],
    at: u32,
    end: u32,
}

impl<'v> Iterator for Children<'v> {
    type Item = (Place, &'v Entry);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let place = Place(self.at);
        let entry = self.entries.get(self.at as usize)?;
        self.at = entry.next;
        Some((place, entry))
    }
}

impl Value<'_> {
    /// What kind of value it is.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Number(_) => Kind::Number,
            Value::Raw(_) | Value::Text(_) => Kind::Text,
            Value::List(..) => Kind::List,
            Value::Object => Kind::Object,
            Value::Broken => Kind::Broken,
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
            | Value::List(..)
            | Value::Object
            | Value::Broken => None,
        }
    }
}

/// No value: what the outermost one is inside of.
const NOWHERE: u32 = u32::MAX;

/// The pass over the text. It goes as deep as the text does, without recursion.
struct Pass<'a> {
    raw: &'a str,
    at: usize,
    values: Vec<Entry>,
    /// The object or array that is being read, or [`NOWHERE`], and the byte that closes it.
    open: (u32, u8),
}

impl<'a> Pass<'a> {
    fn read(raw: &'a str) -> Option<Vec<Entry>> {
        u32::try_from(raw.len()).ok()?;
        let room = (raw.len() / USUAL_BYTES).clamp(LEAST_ROOM, MOST_ROOM);
        let mut pass = Self { raw, at: 0, values: Vec::with_capacity(room), open: (NOWHERE, 0) };
        loop {
            let complete = pass.value()?;
            if complete && pass.finish_what_ends_here()? {
                return Some(pass.values);
            }
        }
    }

    /// Reads a key, if one is due, and a value; says whether that is complete, or an object or array has been opened.
    fn value(&mut self) -> Option<bool> {
        self.skip_space();
        let (key, hash) = if self.open.1 == b'}' { self.key()? } else { (Span::default(), FoldedHash::NONE) };
        let start = self.at;
        let first = self.take()?;
        if matches!(first, b'{' | b'[') {
            self.skip_space();
            let closing = if first == b'{' { b'}' } else { b']' };
            let index = self.push(key, hash, start, self.open.0)?;
            self.open = (index, closing);
            let empty = self.raw.as_bytes().get(self.at) == Some(&closing);
            if empty {
                self.at += 1;
                self.close()?;
            }
            return Some(empty);
        }
        let bytes = self.raw.as_bytes();
        self.at = if first == b'"' { string_end(bytes, start)? } else { scalar_end(bytes, start)? };
        let next = u32::try_from(self.values.len()).ok()? + 1;
        self.push(key, hash, start, next)?;
        Some(true)
    }

    fn key(&mut self) -> Option<(Span, FoldedHash)> {
        let bytes = self.raw.as_bytes();
        let (hash, end) = FoldedHash::of_key(self.raw, self.at)?;
        let key = span(self.at + 1, end - 1)?;
        self.at = skip_space(bytes, end);
        if self.take()? != b':' {
            return None;
        }
        self.skip_space();
        Some((key, hash))
    }

    /// After a complete value: goes on behind the comma, and closes what closes here. True at the end of the text.
    fn finish_what_ends_here(&mut self) -> Option<bool> {
        loop {
            self.skip_space();
            let (index, closing) = self.open;
            if index == NOWHERE {
                return (self.at == self.raw.len()).then_some(true);
            }
            match self.take()? {
                b',' => return Some(false),
                byte if byte == closing => self.close()?,
                _ => return None,
            }
        }
    }

    /// Closes the object or array that is open, and goes on in what that is inside of.
    fn close(&mut self) -> Option<()> {
        let (end, next) = (u32::try_from(self.at).ok()?, u32::try_from(self.values.len()).ok()?);
        let entry = self.values.get_mut(self.open.0 as usize)?;
        let outer = std::mem::replace(&mut entry.next, next);
        entry.value.end = end;
        let closing = match self.values.get(outer as usize) {
            Some(outer) if self.raw.as_bytes().get(outer.value.start as usize) == Some(&b'{') => b'}',
            Some(_) => b']',
            None => 0,
        };
        self.open = (outer, closing);
        Some(())
    }

    #[inline]
    fn push(&mut self, key: Span, hash: FoldedHash, start: usize, next: u32) -> Option<u32> {
        let index = self.values.len();
        if index == MAX_VALUES {
            return None;
        }
        self.values.push(Entry { hash, key, value: span(start, self.at)?, next });
        u32::try_from(index).ok()
    }

    #[inline]
    fn skip_space(&mut self) {
        self.at = skip_space(self.raw.as_bytes(), self.at);
    }

    #[inline]
    fn take(&mut self) -> Option<u8> {
        let byte = self.raw.as_bytes().get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }
}

#[inline]
fn span(start: usize, end: usize) -> Option<Span> {
    Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
}

/// The top-level keys of an object's text, escapes resolved.
pub(crate) fn keys(object: &str) -> Vec<Cow<'_, str>> {
    let mut keys = Vec::new();
    // A text that breaks off has the keys before that.
    let _ = each_key(object, |key| keys.push(key.resolved()));
    keys
}

fn each_key<'a>(object: &'a str, mut each: impl FnMut(RawText<'a>)) -> Option<()> {
    let bytes = object.as_bytes();
    let mut at = skip_space(bytes, 0);
    if *bytes.get(at)? != b'{' {
        return None;
    }
    loop {
        at = skip_space(bytes, at + 1);
        let end = string_end(bytes, at)?;
        each(RawText(object.get(at + 1..end - 1)?));
        at = skip_space(bytes, end);
        if *bytes.get(at)? != b':' {
            return None;
        }
        let value = skip_space(bytes, at + 1);
        at = skip_space(bytes, value_end(bytes, value)?);
        if *bytes.get(at)? != b',' {
            return None;
        }
    }
}
