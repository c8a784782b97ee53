//! Patterns: names in which `*` stands for any characters, none included.

/// A name, or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// What stands before, between and after the stars; a single piece if there is no star.
    pieces: Vec<String>,
    literals: usize,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let pieces: Vec<String> = text.split('*').map(str::to_owned).collect();
        let literals = pieces.iter().map(|piece| piece.chars().count()).sum();
        Self { pieces, literals }
    }

    /// How many of its characters stand for themselves.
    pub(crate) fn literals(&self) -> usize {
        self.literals
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else {
            return false;
        };
        let Some((last, between)) = rest.split_last() else {
            return name == first;
        };
        // The ends are fixed; each piece between them is taken as early as possible, which leaves the most for the others.
        let middle = name.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
        middle
            .and_then(|middle| {
                between.iter().try_fold(middle, |rest, piece| {
                    let at = rest.find(piece.as_str())?;
                    rest.get(at + piece.len()..)
                })
            })
            .is_some()
    }

    /// Whether there is a name that both match, for two patterns that have a star.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let ends = |pattern: &Self| {
            (pattern.pieces.first().cloned().unwrap_or_default(), pattern.pieces.last().cloned().unwrap_or_default())
        };
        let ((my_start, my_end), (their_start, their_end)) = (ends(self), ends(other));
        // Between its ends a pattern with a star takes anything, the pieces of the other one included.
        let starts_agree = my_start.starts_with(&their_start) || their_start.starts_with(&my_start);
        let ends_agree = my_end.ends_with(&their_end) || their_end.ends_with(&my_end);
        starts_agree && ends_agree
    }
}

/// Whether a key of a document is a pattern rather than an exact name.
pub(crate) fn is_pattern(key: &str) -> bool {
    key.contains('*')
}
