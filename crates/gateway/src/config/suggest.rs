//! Finds the name that somebody meant.

/// The remedy for `wrong`: the name that it resembles, and then all of them.
pub(super) fn instead_of(wrong: &str, known: &[&str], introduction: &str) -> String {
    let all = listed(known);
    match nearest(wrong, known) {
        Some(name) if known.len() == 1 => format!("did you mean `{name}`?"),
        Some(name) => format!("did you mean `{name}`? {introduction} {all}"),
        None => format!("{introduction} {all}"),
    }
}

/// Names in backticks, separated by commas.
pub(super) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn nearest<'k>(wrong: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = 1 + wrong.chars().count() / 4;
    known
        .iter()
        .map(|name| (distance(wrong, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The Levenshtein distance in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut beside = index + 1;
        let mut next = vec![beside];
        for (to, above) in right.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *above;
            beside = replaced.min(beside + 1).min(above + 1);
            next.push(beside);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        for (left, right, edits) in [("", "abc", 3), ("grant", "grants", 1), ("ab", "ba", 2), ("same", "same", 0)] {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        assert_eq!(nearest("polices", &["policies", "servers"]), Some("policies"));
        assert_eq!(nearest("colour", &["policies", "servers"]), None);
    }
}
