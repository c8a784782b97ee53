//! What an author probably meant.

/// What other languages and tools call the words of this one.
const SYNONYMS: [(&str, &str); 52] = [
    ("==", "eq"),
    ("=", "eq"),
    ("equals", "eq"),
    ("equal", "eq"),
    ("is", "eq"),
    ("!=", "neq"),
    ("ne", "neq"),
    ("not_equals", "neq"),
    ("not_equal", "neq"),
    ("is_not", "neq"),
    ("one_of", "in"),
    ("any_of", "in"),
    ("none_of", "not_in"),
    ("nin", "not_in"),
    ("notin", "not_in"),
    ("<", "lt"),
    ("less", "lt"),
    ("less_than", "lt"),
    ("below", "lt"),
    ("<=", "lte"),
    ("le", "lte"),
    ("max", "lte"),
    (">", "gt"),
    ("more", "gt"),
    ("greater", "gt"),
    ("greater_than", "gt"),
    ("above", "gt"),
    (">=", "gte"),
    ("ge", "gte"),
    ("min", "gte"),
    ("match", "regex"),
    ("matches", "regex"),
    ("regexp", "regex"),
    ("pattern", "regex"),
    ("starts_with", "regex"),
    ("ends_with", "regex"),
    ("includes", "contains"),
    ("has", "contains"),
    ("present", "exists"),
    ("block", "deny"),
    ("forbid", "deny"),
    ("reject", "deny"),
    ("permit", "allow"),
    ("ask", "require_approval"),
    ("approve", "require_approval"),
    ("approval", "require_approval"),
    ("hidden", "hide"),
    ("message", "on_deny"),
    ("operator", "op"),
    ("rolling", "sliding"),
    ("user", "grant"),
    ("allow_if", "require"),
];

/// The known field that an unknown one resembles.
pub(super) fn field<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    word(written, known)
}

/// The known word that an unknown one resembles: another name for it, or a slip of the pen.
pub(super) fn word<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = written.to_lowercase().replace(['-', ' '], "_");
    let meant = SYNONYMS.iter().filter(|(other, _)| *other == lower).find_map(|(_, word)| find(word, known));
    if meant.is_some() || lower.chars().count() > 40 {
        return meant;
    }
    let closest = known.iter().map(|word| (distance(&lower, word), *word)).min()?;
    let allowed = (closest.1.chars().count() / 3).clamp(1, 3);
    (closest.0 <= allowed).then_some(closest.1)
}

fn find<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().find(|candidate| **candidate == word).copied()
}

/// The words as a list for people: `a`, `b` or `c`.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// How many characters have to be added, removed, changed or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (index, character) in left.chars().enumerate() {
        let mut next = vec![index + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&row, column) + usize::from(character != *other))
                .min(at(&row, column + 1) + 1)
                .min(at(&next, column) + 1);
            let swapped = column > 0 && previous == Some(*other) && right.get(column - 1) == Some(&character);
            if swapped {
                best = best.min(at(&before, column - 1).saturating_add(1));
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(character);
    }
    row.last().copied().unwrap_or(usize::MAX)
}
