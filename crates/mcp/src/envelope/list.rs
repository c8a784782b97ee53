//! Lists that policy filters: read as strictly as requests, and what stays keeps its bytes.

use std::borrow::Cow;
use std::ops::Range;

use super::fault::{self, What};
use super::fold::differs_only_in_case;
use super::scan::{Scan, Scanner, Shape};
use super::{Bounds, Rejected, text};

/// A list that was read: where it stands in the result, and its elements.
struct List<'a> {
    /// Between the brackets.
    inside: Range<usize>,
    elements: Vec<Element<'a>>,
    next_cursor: Option<String>,
}

struct Element<'a> {
    name: Cow<'a, str>,
    /// Ends where the next comma or the closing bracket stands.
    end: usize,
}

/// Removes the elements of `member` (say `tools`) whose `key` (say `name`) is not to be kept. All other bytes stay.
///
/// # Errors
/// When the result cannot be read safely: it is no object, has no such list, has a duplicate key anywhere, an element
/// without `key` or one that is not a string, or a key that differs only in case from `member` or `key`.
pub fn filter<'a>(
    result_raw: &'a str,
    member: &'static str,
    key: &'static str,
    mut keep: impl FnMut(&str) -> bool,
) -> Result<Cow<'a, str>, Rejected> {
    let list = List::read(result_raw, member, key)?;
    let kept: Vec<bool> = list.elements.iter().map(|element| keep(&element.name)).collect();
    if kept.iter().all(|kept| *kept) {
        return Ok(Cow::Borrowed(result_raw));
    }
    let part = |range: Range<usize>| result_raw.get(range).unwrap_or_default();
    let mut filtered = String::with_capacity(result_raw.len());
    filtered.push_str(part(0..list.inside.start));
    let mut start = list.inside.start;
    let mut is_first = true;
    for (element, kept) in list.elements.iter().zip(kept) {
        if kept {
            if !is_first {
                filtered.push(',');
            }
            filtered.push_str(part(start..element.end));
            is_first = false;
        }
        start = element.end + 1;
    }
    filtered.push_str(part(list.inside.end..result_raw.len()));
    Ok(Cow::Owned(filtered))
}

/// The `key` of every element of `member`, in order, and the `nextCursor`.
///
/// # Errors
/// As [`filter`].
pub fn names(
    result_raw: &str,
    member: &'static str,
    key: &'static str,
) -> Result<(Vec<String>, Option<String>), Rejected> {
    let list = List::read(result_raw, member, key)?;
    let names = list.elements.into_iter().map(|element| element.name.into_owned()).collect();
    Ok((names, list.next_cursor))
}

impl<'a> List<'a> {
    fn read(result: &'a str, member: &'static str, key: &'static str) -> Result<Self, Rejected> {
        let mut scanner = Scanner::strict(result, Bounds::DEEPEST);
        let read = Self::scan(&mut scanner, member, key);
        match (read, scanner.noted()) {
            (Err(fault), _) | (Ok(_), Some(fault)) => Err(fault.by_upstream(result)),
            (Ok(list), None) => Ok(list),
        }
    }

    fn scan(scanner: &mut Scanner<'a>, member: &'static str, key: &'static str) -> Scan<Self> {
        scanner.white_space();
        if scanner.peek() != Some(b'{') {
            return Err(What::List(fault::List::Missing(member)).at(scanner.at()));
        }
        let mut list = None;
        let mut next_cursor = None;
        scanner.members(true, |scanner, raw_key| {
            let name = text::unescape(raw_key);
            if name == member {
                list = Some(Self::scan_elements(scanner, member, key)?);
                return Ok(());
            }
            if differs_only_in_case(&name, member) {
                let place = scanner.place_of(raw_key).saturating_sub(1);
                scanner.note(What::Lookalike(member), place);
            }
            let value = scanner.value()?;
            if name == "nextCursor" {
                next_cursor = text::string(value.raw).map(Cow::into_owned);
            }
            Ok(())
        })?;
        scanner.end()?;
        let list = list.ok_or(What::List(fault::List::Missing(member)).at(0))?;
        Ok(Self { next_cursor, ..list })
    }

    fn scan_elements(scanner: &mut Scanner<'a>, member: &'static str, key: &'static str) -> Scan<Self> {
        if scanner.peek() != Some(b'[') {
            return Err(What::List(fault::List::NotAnArray(member)).at(scanner.at()));
        }
        let start = scanner.at() + 1;
        let mut elements = Vec::new();
        scanner.elements(|scanner| {
            let name = Element::name(scanner, member, key)?;
            scanner.white_space();
            elements.push(Element { name, end: scanner.at() });
            Ok(())
        })?;
        Ok(Self { inside: start..scanner.at() - 1, elements, next_cursor: None })
    }
}

impl<'a> Element<'a> {
    fn name(scanner: &mut Scanner<'a>, member: &'static str, key: &'static str) -> Scan<Cow<'a, str>> {
        let start = scanner.at();
        if scanner.peek() != Some(b'{') {
            return Err(What::List(fault::List::ElementNotAnObject(member)).at(start));
        }
        let mut name = None;
        scanner.members(true, |scanner, raw_key| {
            let found = text::unescape(raw_key);
            if differs_only_in_case(&found, key) {
                let place = scanner.place_of(raw_key).saturating_sub(1);
                scanner.note(What::Lookalike(key), place);
            }
            let value = scanner.value()?;
            if found == key {
                name = Some(value);
            }
            Ok(())
        })?;
        let name = name.ok_or(What::List(fault::List::ElementWithout(key)).at(start))?;
        if name.shape != Shape::String {
            return Err(What::List(fault::List::KeyNotAString(key)).at(start));
        }
        text::string(name.raw).ok_or(What::List(fault::List::KeyNotAString(key)).at(start))
    }
}
