//! Fills `${NAME}` and `${file:PATH}` into text.

use super::Environment;

/// A place in a text that could not be filled.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfilled {
    pub(super) message: String,
    pub(super) help: String,
}

/// Replaces every `${NAME}` by the environment's value and every `${file:PATH}` by what
/// `read_file` gives. `$${` stands for `${` itself; any other `$` is just a dollar sign.
pub(super) fn substitute(
    text: &str,
    environment: Environment<'_>,
    read_file: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<String, Vec<Unfilled>> {
    let mut filled = String::with_capacity(text.len());
    let mut unfilled = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            filled.push_str(escaped);
            filled.push_str("${");
            rest = after;
            continue;
        }
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            unfilled.push(Unfilled {
                message: "`${` without a `}`".to_owned(),
                help: "write `${NAME}`, or `$${` for the characters themselves".to_owned(),
            });
            return Err(unfilled);
        };
        match value_of(name, environment, read_file) {
            Ok(value) => filled.push_str(&value),
            Err(why) => unfilled.push(why),
        }
        rest = behind;
    }
    filled.push_str(rest);
    if unfilled.is_empty() { Ok(filled) } else { Err(unfilled) }
}

fn value_of(
    name: &str,
    environment: Environment<'_>,
    read_file: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<String, Unfilled> {
    if let Some(path) = name.strip_prefix("file:") {
        return read_file(path).map_err(|message| Unfilled {
            message,
            help: "name a file that this user can read; relative paths start at the configuration's directory"
                .to_owned(),
        });
    }
    if !is_variable_name(name) {
        return Err(Unfilled {
            message: format!("`${{{name}}}` does not name an environment variable"),
            help: "write `${NAME}` with letters, digits and `_`, or `$${` for the characters themselves".to_owned(),
        });
    }
    environment(name).ok_or_else(|| Unfilled {
        message: format!("the environment variable `{name}` is not set"),
        help: format!("set `{name}` where toolgate is started"),
    })
}

fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &[&str]>) {
        let environment = |name: &str| (name == "KEY").then(|| "v${KEY}".to_owned());
        let mut read_file = |path: &str| {
            if path == "key.txt" { Ok("from file".to_owned()) } else { Err(format!("no `{path}`")) }
        };
        let found = substitute(text, &environment, &mut read_file);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(found), Err(expected)) => {
                let messages: Vec<_> = found.iter().map(|one| one.message.as_str()).collect();
                assert_eq!(messages, expected, "{text}");
            }
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn variables_and_files_are_filled_in_once() {
        check("Bearer ${KEY}!", Ok("Bearer v${KEY}!"));
        check("${file:key.txt}", Ok("from file"));
        check("a $5 bill, $$ and $${KEY}", Ok("a $5 bill, $$ and ${KEY}"));
    }

    #[test]
    fn every_gap_is_reported() {
        check(
            "${A}${file:b}${1x}${",
            Err(&[
                "the environment variable `A` is not set",
                "no `b`",
                "`${1x}` does not name an environment variable",
                "`${` without a `}`",
            ]),
        );
    }
}
