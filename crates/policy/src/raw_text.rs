//! JSON strings as they stand in the text, and names compared without regard to case.

use std::borrow::Cow;

use crate::scan::string_end;

/// The inside of a JSON string, escapes not yet resolved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawText<'a>(pub(crate) &'a str);

impl<'a> RawText<'a> {
    /// The text with its escapes resolved.
    pub(crate) fn resolved(self) -> Cow<'a, str> {
        if memchr::memchr(b'\\', self.0.as_bytes()).is_none() {
            return Cow::Borrowed(self.0);
        }
        Cow::Owned(self.characters().collect())
    }

    /// Whether the text, escapes resolved, is exactly this.
    pub(crate) fn is(self, text: &str) -> bool {
        self.0 == text || (self.0.len() > text.len() && self.characters().eq(text.chars()))
    }

    /// The characters, escapes resolved; what is no escape becomes the replacement character.
    pub(crate) fn characters(self) -> impl Iterator<Item = char> {
        Characters { rest: self.0 }
    }
}

struct Characters<'a> {
    rest: &'a str,
}

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let first = rest.next()?;
        if first != '\\' {
            self.rest = rest.as_str();
            return Some(first);
        }
        let letter = rest.next();
        self.rest = rest.as_str();
        Some(match letter {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => self.unicode(),
            Some(other @ ('"' | '\\' | '/')) => other,
            Some(_) | None => char::REPLACEMENT_CHARACTER,
        })
    }
}

impl Characters<'_> {
    fn unicode(&mut self) -> char {
        let decoded = self.unit().and_then(|unit| match unit {
            0xD800..=0xDBFF => {
                self.rest = self.rest.strip_prefix("\\u")?;
                let low = self.unit()?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                char::from_u32(0x10000 + ((unit - 0xD800) << 10) + low)
            }
            other => char::from_u32(other),
        });
        decoded.unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        let unit = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?;
        self.rest = rest;
        unit
    }
}

/// A hash that is the same for all names that differ only in case, and for some others.
///
/// Cheap rather than good: it looks at the length and at both ends of the folded name. What has the same hash is
/// compared anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoldedHash(u32);

impl FoldedHash {
    /// The hash of no name at all.
    pub(crate) const NONE: Self = Self(0);

    /// The hash of a name, escapes resolved.
    pub(crate) fn of(name: &str) -> Self {
        if name.is_ascii() { Self::of_folded(name.as_bytes()) } else { Self::of_characters(name.chars()) }
    }

    /// The hash of the key that begins, with its quote, at a byte of a text; and where it ends, its quote included.
    pub(crate) fn of_key(text: &str, at: usize) -> Option<(Self, usize)> {
        let bytes = text.as_bytes();
        if *bytes.get(at)? != b'"' {
            return None;
        }
        let inside = bytes.get(at + 1..)?;
        let length = memchr::memchr2(b'"', b'\\', inside)?;
        let plain = inside.get(..length)?;
        if inside.get(length) == Some(&b'"') && plain.is_ascii() {
            return Some((Self::of_folded(plain), at + length + 2));
        }
        let end = string_end(bytes, at)?;
        let key = RawText(text.get(at + 1..end - 1)?);
        Some((Self::of_characters(key.characters()), end))
    }

    /// The hash of a name whose case has been folded, or which is ASCII: its bit for the case of letters is ignored.
    fn of_folded(name: &[u8]) -> Self {
        let ends = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => u32::from_le_bytes(*first) ^ u32::from_le_bytes(*last).rotate_left(13),
            _ => name.iter().fold(0, |short, byte| short << 8 | u32::from(*byte)),
        };
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        Self((ends | 0x2020_2020 | 0x2020_2020_u32.rotate_left(13)).wrapping_add(length))
    }

    fn of_characters(name: impl Iterator<Item = char>) -> Self {
        let name: String = folded(name).collect();
        Self::of_folded(name.as_bytes())
    }
}

/// The characters with their case folded, so that names that differ only in case become the same.
///
/// Lower case alone is not enough (`ſ` and `S`), upper case neither (`ẞ` and `ß`), so both are applied in turn; the
/// dotless `ı`, which no case folding takes for an `i`, is left alone.
pub(crate) fn folded(characters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    characters.flat_map(|character| {
        let kept = (character == 'ı').then_some(character);
        let other = (character != 'ı').then_some(character);
        let changed =
            other.into_iter().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        kept.into_iter().chain(changed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> bool {
        folded(left.chars()).eq(folded(right.chars()))
    }

    #[test]
    fn names_that_differ_only_in_case_fold_to_the_same() {
        for (left, right) in [
            ("Amount", "aMOUNT"),
            ("ſcope", "SCOPE"),
            ("\u{212a}ey", "key"),
            ("ẞ", "ß"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("ﬁ", "FI"),
            ("Ꭰ", "ꭰ"),
        ] {
            assert!(same(left, right), "{left} and {right}");
            assert_eq!(FoldedHash::of(left), FoldedHash::of(right), "{left} and {right}");
            let raw = format!("\"{right}\"");
            assert_eq!(FoldedHash::of_key(&raw, 0), Some((FoldedHash::of(left), raw.len())));
        }
        for (left, right) in [("ı", "i"), ("é", "e"), ("a", "b"), ("a_b", "a-b"), ("@", "`"), ("[", "{")] {
            assert!(!same(left, right), "{left} and {right}");
        }
    }

    #[test]
    fn escapes_are_resolved_and_nonsense_is_replaced() {
        for (raw, text) in [
            (r"\u0041b\/\n", "Ab/\n"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\u12", "\u{fffd}12"),
            (r"\q\", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(RawText(raw).resolved(), text, "{raw}");
        }
    }
}
