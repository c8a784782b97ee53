//! Finds an object's duplicate keys without allocating for small objects, and without comparing all pairs of big ones.

use std::borrow::Cow;
use std::collections::HashSet;

use smallvec::SmallVec;

use super::text;

/// Objects with more keys than this are checked with a set.
const FEW: usize = 24;

/// The keys of the objects that are being read, outermost first.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    open: SmallVec<[&'a str; 32]>,
    escaped: bool,
}

impl<'a> Keys<'a> {
    /// Where the keys of the next object will start.
    pub(super) fn mark(&self) -> usize {
        self.open.len()
    }

    /// Adds a key of the innermost object: what stands between its quotes.
    pub(super) fn push(&mut self, key: &'a str, escaped: bool) {
        self.open.push(key);
        self.escaped |= escaped;
    }

    /// Closes the object that started at `mark`; gives the later of two equal keys.
    pub(super) fn close(&mut self, mark: usize) -> Option<&'a str> {
        let keys = self.open.get(mark..).unwrap_or_default();
        let duplicate = if self.escaped {
            first_repeated(keys, |key| text::unescape(key))
        } else if keys.len() > FEW {
            first_repeated(keys, Cow::Borrowed)
        } else {
            first_repeated_of_few(keys)
        };
        self.open.truncate(mark);
        duplicate
    }
}

fn first_repeated_of_few<'a>(keys: &[&'a str]) -> Option<&'a str> {
    let repeated = |(index, key): (usize, &&'a str)| keys.iter().take(index).any(|earlier| earlier == key);
    keys.iter().enumerate().find(|(index, key)| repeated((*index, key))).map(|(_, key)| *key)
}

fn first_repeated<'a>(keys: &[&'a str], read: impl Fn(&'a str) -> Cow<'a, str>) -> Option<&'a str> {
    if keys.len() < 2 {
        return None;
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().copied().find(|key| !seen.insert(read(key)))
}
