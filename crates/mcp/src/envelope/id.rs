//! Request ids: strings or integers, kept as they were written and compared by value.

use std::borrow::Cow;

use super::text;

/// The id of a request, as it stands in the message.
#[derive(Debug, Clone, Copy)]
pub struct Id<'a> {
    raw: &'a str,
}

impl<'a> Id<'a> {
    /// Takes the text of a JSON value that is known to be well-formed; `None` unless it is a string or an integer.
    ///
    /// An integer is written with digits alone: `1.0` and `1e3` are refused, because readers disagree about them.
    #[must_use]
    pub fn from_raw(raw: &'a str) -> Option<Self> {
        let mut bytes = raw.bytes();
        let is_id = match bytes.next() {
            Some(b'"') => raw.len() >= 2 && raw.ends_with('"'),
            Some(b'-') => raw.len() > 1 && bytes.all(|byte| byte.is_ascii_digit()),
            Some(first) => first.is_ascii_digit() && bytes.all(|byte| byte.is_ascii_digit()),
            None => false,
        };
        is_id.then_some(Self { raw })
    }

    /// The JSON text of the id, quotes and escapes included.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The owned form that ids are compared and looked up by.
    #[must_use]
    pub fn key(&self) -> IdKey {
        if let Some(string) = text::string(self.raw) {
            return IdKey(Value::Text(string.into()));
        }
        if let Ok(number) = self.raw.parse::<i64>() {
            return IdKey(Value::Small(number));
        }
        IdKey(Value::Large(self.raw.into()))
    }
}

impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Id<'_> {}

/// An id by value: `1` is not `"1"`, `-0` is `0`, and `"\u0061"` is `"a"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdKey(Value);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Value {
    Small(i64),
    /// Beyond 64 bits; JSON allows no leading zeros, so the text is the value.
    Large(Box<str>),
    Text(Box<str>),
}

impl IdKey {
    /// Takes the text of a JSON value; `None` unless it is a string or an integer.
    #[must_use]
    pub fn from_raw(raw: &str) -> Option<Self> {
        Id::from_raw(raw).map(|id| id.key())
    }

    /// The id as JSON text.
    #[must_use]
    pub fn to_raw(&self) -> String {
        match &self.0 {
            Value::Small(number) => number.to_string(),
            Value::Large(digits) => digits.to_string(),
            Value::Text(string) => text::escape(string),
        }
    }

    /// The text of a string id.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match &self.0 {
            Value::Text(string) => Some(Cow::Borrowed(string)),
            Value::Small(_) | Value::Large(_) => None,
        }
    }

    /// The value of an integer id that fits 64 bits.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self.0 {
            Value::Small(number) => Some(number),
            Value::Large(_) | Value::Text(_) => None,
        }
    }
}

impl From<i64> for IdKey {
    fn from(number: i64) -> Self {
        Self(Value::Small(number))
    }
}
