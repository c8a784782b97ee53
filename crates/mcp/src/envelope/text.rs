//! JSON strings: resolving escapes, writing them, and what lies between tokens.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::{memchr, memchr2};

/// The text of a JSON string, escapes resolved; `None` when the (well-formed) value is not a string.
///
/// An unpaired surrogate, which only an upstream may send, becomes U+FFFD.
#[must_use]
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    Some(unescape(inner))
}

/// The text as a JSON string, quotes included.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(control));
            }
            other => escaped.push(other),
        }
    }
    escaped.push('"');
    escaped
}

/// Well-formed JSON on one line: every line break in it stands between two tokens, so it can go.
#[must_use]
pub fn without_line_breaks(json: &str) -> Cow<'_, str> {
    if memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        return Cow::Borrowed(json);
    }
    Cow::Owned(json.split(['\n', '\r']).collect())
}

/// How many bytes at the start are plain inside a string: no quote, no backslash, no control character.
///
/// Looks at eight bytes at a time, and at more at once as soon as the string turns out to be long.
#[inline]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let short = plain_words(bytes, SHORT);
    if short < SHORT {
        return short;
    }
    let long = plain_blocks(bytes.get(short..).unwrap_or_default());
    let start = short + long;
    start + plain_words(bytes.get(start..).unwrap_or_default(), usize::MAX)
}

/// Strings up to this length are not worth looking at in blocks.
const SHORT: usize = 128;

/// The plain bytes at the start, or at least `enough` of them. The lowest flag of a word is exact, which is the one that
/// counts.
#[inline]
fn plain_words(bytes: &[u8], enough: usize) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let flags = special(u64::from_le_bytes(*word));
        if flags != 0 {
            return length + (flags.trailing_zeros() / 8) as usize;
        }
        length += 8;
        if length >= enough {
            return length;
        }
    }
    length + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

/// The bytes at the start in blocks of plain bytes only. Written so that the compiler uses vectors.
fn plain_blocks(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<64>();
    let is_plain_block = |block: &&[u8; 64]| block.iter().fold(true, |plain, byte| plain & is_plain(*byte));
    blocks.iter().take_while(is_plain_block).count() * 64
}

fn is_plain(byte: u8) -> bool {
    (byte >= b' ') & (byte != b'"') & (byte != b'\\')
}

/// Sets the high bit of every byte that is special in a string, and perhaps of bytes above one.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |bound: u64, word: u64| word.wrapping_sub(ONES * bound) & !word;
    let quote = below(1, word ^ (ONES * 0x22));
    let backslash = below(1, word ^ (ONES * 0x5C));
    (below(0x20, word) | quote | backslash) & HIGH
}

/// Resolves the escapes of what stands between the quotes of a well-formed string.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    Cow::Owned(Unescaped { rest: inner }.collect())
}

/// The characters that the inside of a well-formed string stands for.
struct Unescaped<'a> {
    rest: &'a str,
}

impl Iterator for Unescaped<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let first = characters.next()?;
        self.rest = characters.as_str();
        if first != '\\' {
            return Some(first);
        }
        let escape = characters.next()?;
        self.rest = characters.as_str();
        Some(match escape {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => self.unicode(),
            itself => itself,
        })
    }
}

impl Unescaped<'_> {
    fn unicode(&mut self) -> char {
        let first = self.code_unit();
        if let Some(character) = char::from_u32(first) {
            return character;
        }
        let before_second = self.rest;
        if first < 0xDC00 && self.skip("\\u") {
            let second = self.code_unit();
            if (0xDC00..0xE000).contains(&second) {
                let code_point = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code_point).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            self.rest = before_second;
        }
        char::REPLACEMENT_CHARACTER
    }

    fn code_unit(&mut self) -> u32 {
        let (digits, rest) = self.rest.split_at_checked(4).unwrap_or((self.rest, ""));
        self.rest = rest;
        u32::from_str_radix(digits, 16).unwrap_or(0xFFFD)
    }

    fn skip(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}
