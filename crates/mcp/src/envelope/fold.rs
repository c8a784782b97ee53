//! Names that differ only in case. A lax reader takes them for each other, so the gate takes neither.

/// Whether `name` is not `known`, but would be if case were ignored. `known` is ASCII.
///
/// Counts as case: Unicode's case folding, full (`ß` is `ss`) and simple (`ſ` is `s`, the Kelvin sign is `k`), and the
/// dotted and dotless `i` that readers comparing in upper or lower case take for `i`.
pub(super) fn differs_only_in_case(name: &str, known: &str) -> bool {
    if name.is_ascii() {
        return name.len() == known.len() && name != known && name.eq_ignore_ascii_case(known);
    }
    name.chars().flat_map(folded).eq(known.chars().flat_map(folded))
}

/// Whether `name` is `known` in any case up to a NUL character, which is its end for readers with C strings.
pub(super) fn is_cut_short(name: &str, known: &str) -> bool {
    let Some((start, _)) = name.split_once('\0') else {
        return false;
    };
    start == known || differs_only_in_case(start, known)
}

fn folded(character: char) -> impl Iterator<Item = char> {
    let mut own = ['\0'; 4];
    let text: &str = match character {
        '\u{17F}' => "s",
        '\u{212A}' => "k",
        '\u{130}' | '\u{131}' => "i",
        '\u{DF}' | '\u{1E9E}' => "ss",
        '\u{FB00}' => "ff",
        '\u{FB01}' => "fi",
        '\u{FB02}' => "fl",
        '\u{FB03}' => "ffi",
        '\u{FB04}' => "ffl",
        '\u{FB05}' | '\u{FB06}' => "st",
        _ => "",
    };
    let mut count = 0;
    if text.is_empty() {
        own = [character.to_ascii_lowercase(), '\0', '\0', '\0'];
        count = 1;
    } else {
        for (slot, letter) in own.iter_mut().zip(text.chars()) {
            *slot = letter;
            count += 1;
        }
    }
    own.into_iter().take(count)
}

#[cfg(test)]
mod tests {
    use super::differs_only_in_case;

    #[test]
    fn case_is_what_unicode_folds() {
        for name in ["METHOD", "Method", "methoD"] {
            assert!(differs_only_in_case(name, "method"), "{name}");
        }
        assert!(differs_only_in_case("param\u{17F}", "params"));
        assert!(differs_only_in_case("\u{212A}ey", "key"));
        assert!(differs_only_in_case("\u{130}d", "id"));
        assert!(differs_only_in_case("ur\u{131}", "uri"));
        assert!(differs_only_in_case("reque\u{FB06}Id", "requestId"));
        for name in ["method", "methods", "metho", "m\u{E9}thod", "", "mėthod"] {
            assert!(!differs_only_in_case(name, "method"), "{name}");
        }
    }
}
