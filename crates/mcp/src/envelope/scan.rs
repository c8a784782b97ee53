//! The JSON grammar, exactly as RFC 8259 has it, walked once over the bytes.

use super::Bounds;
use super::fault::{Fault, What};
use super::keys::Keys;
use super::text;

pub(super) type Scan<T> = Result<T, Fault>;

/// Walks over JSON text. What it has passed is well-formed.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    deepest: usize,
    strict: bool,
    keys: Keys<'a>,
    noted: Option<Fault>,
}

/// A value: its text and what kind it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) raw: &'a str,
    pub(super) shape: Shape,
}

/// The kinds of JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl<'a> Scanner<'a> {
    /// Strict: every object's keys differ, every surrogate is paired.
    pub(super) fn strict(text: &'a str, depth: usize) -> Self {
        Self::new(text, depth, true)
    }

    /// Only the grammar, and what the caller asks for.
    pub(super) fn lenient(text: &'a str, depth: usize) -> Self {
        Self::new(text, depth, false)
    }

    fn new(text: &'a str, depth: usize, strict: bool) -> Self {
        let deepest = depth.min(Bounds::DEEPEST);
        Self { text, at: 0, depth: 0, deepest, strict, keys: Keys::default(), noted: None }
    }

    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to where the scanner stands; both are ends of tokens.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Where a part of the text starts in it.
    pub(super) fn place_of(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    /// Remembers a fault of well-formed JSON, so that the rest can still be read for an id; the first one counts.
    pub(super) fn note(&mut self, what: What, at: usize) {
        self.noted.get_or_insert(Fault { what, at });
    }

    pub(super) fn noted(&self) -> Option<Fault> {
        self.noted
    }

    fn fault<T>(&self, what: What) -> Scan<T> {
        Err(Fault { what, at: self.at })
    }

    #[inline]
    pub(super) fn white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Scan<()> {
        self.white_space();
        if self.at < self.text.len() { self.fault(What::Trailing) } else { Ok(()) }
    }

    /// Reads a value and gives its text.
    pub(super) fn value(&mut self) -> Scan<Value<'a>> {
        let start = self.at;
        let shape = self.skip()?;
        Ok(Value { raw: self.since(start), shape })
    }

    /// Reads a value.
    pub(super) fn skip(&mut self) -> Scan<Shape> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| Shape::String),
            Some(b'{') => self.members(self.strict, |scanner, _| scanner.skip().map(drop)).map(|()| Shape::Object),
            Some(b'[') => self.elements(|scanner| scanner.skip().map(drop)).map(|()| Shape::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Shape::Number),
            Some(b't') => self.literal("true").map(|()| Shape::True),
            Some(b'f') => self.literal("false").map(|()| Shape::False),
            Some(b'n') => self.literal("null").map(|()| Shape::Null),
            _ => self.fault(What::Expected("a value")),
        }
    }

    /// Reads an object; `each` gets the text between the quotes of every key and reads its value.
    #[inline]
    pub(super) fn members(
        &mut self,
        keys_differ: bool,
        mut each: impl FnMut(&mut Self, &'a str) -> Scan<()>,
    ) -> Scan<()> {
        self.enter()?;
        let mark = self.keys.mark();
        self.white_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let (key, escaped) = self.key()?;
                if keys_differ {
                    self.keys.push(key, escaped);
                }
                each(self, key)?;
                if self.is_last(b'}', "`,` or `}`")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        if keys_differ && let Some(duplicate) = self.keys.close(mark) {
            self.note(What::Duplicate, self.place_of(duplicate).saturating_sub(1));
        }
        Ok(())
    }

    /// Reads an array; `each` reads one element.
    #[inline]
    pub(super) fn elements(&mut self, mut each: impl FnMut(&mut Self) -> Scan<()>) -> Scan<()> {
        self.enter()?;
        self.white_space();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                each(self)?;
                if self.is_last(b']', "`,` or `]`")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self) -> Scan<()> {
        if self.depth >= self.deepest {
            return self.fault(What::TooDeep(self.deepest));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn key(&mut self) -> Scan<(&'a str, bool)> {
        if self.peek() != Some(b'"') {
            return self.fault(What::Expected("a key in double quotes"));
        }
        let key = self.string()?;
        self.white_space();
        if self.peek() != Some(b':') {
            return self.fault(What::Expected("`:`"));
        }
        self.at += 1;
        self.white_space();
        Ok(key)
    }

    /// Whether the object or array ends here; otherwise goes on to what follows the comma.
    fn is_last(&mut self, close: u8, expected: &'static str) -> Scan<bool> {
        self.white_space();
        let byte = self.peek();
        if byte == Some(b',') {
            self.at += 1;
            self.white_space();
            return Ok(false);
        }
        if byte == Some(close) {
            self.at += 1;
            return Ok(true);
        }
        self.fault(What::Expected(expected))
    }

    /// Reads a string and gives what stands between its quotes, and whether there are escapes in it.
    fn string(&mut self) -> Scan<(&'a str, bool)> {
        let open = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += text::plain_length(self.text.as_bytes().get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    let inner = self.since(open + 1);
                    self.at += 1;
                    return Ok((inner, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fault(What::ControlCharacter),
                None => {
                    return Err(Fault { what: What::UnfinishedString, at: open });
                }
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(start),
            _ => Err(Fault { what: What::Escape, at: start }),
        }
    }

    fn unicode_escape(&mut self, start: usize) -> Scan<()> {
        let code_unit = self.code_unit(start)?;
        if !self.strict || !(0xD800..0xE000).contains(&code_unit) {
            return Ok(());
        }
        let unpaired = Fault { what: What::Surrogate, at: start };
        let follows = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"));
        if code_unit >= 0xDC00 || !follows {
            return Err(unpaired);
        }
        let second = self.at;
        self.at += 1;
        let low = self.code_unit(second)?;
        if (0xDC00..0xE000).contains(&low) { Ok(()) } else { Err(unpaired) }
    }

    /// Reads `u` and four digits.
    fn code_unit(&mut self, start: usize) -> Scan<u32> {
        let mut code_unit = 0;
        for offset in 1..=4 {
            let byte = self.text.as_bytes().get(self.at + offset).copied().unwrap_or_default();
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(Fault { what: What::Escape, at: start });
            };
            code_unit = code_unit * 16 + digit;
        }
        self.at += 5;
        Ok(code_unit)
    }

    fn number(&mut self) -> Scan<()> {
        let start = self.at;
        let malformed = Fault { what: What::Number, at: start };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(malformed);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(malformed);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(malformed);
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn literal(&mut self, literal: &'static str) -> Scan<()> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal.as_bytes()) {
            return self.fault(What::Expected("a value"));
        }
        self.at += literal.len();
        Ok(())
    }
}
